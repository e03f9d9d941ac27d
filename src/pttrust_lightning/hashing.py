"""Hashes that place things, and find them again: the same on every machine and in every run, as Python's own are not.

This is a leaf module: it imports nothing from the rest of the package.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def hash64(text: str) -> int:
    """64 bits of a text, uniform; lone surrogates, which file names may hold, are taken as they are."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the results of a pure function of texts, by a hash of the texts: long texts are not kept with them.

    For what every fit of a benchmark would otherwise do again, such as to parse the same programs. Results must be
    small, and must not be changed.
    """
    known: dict[bytes, R] = {}

    @functools.wraps(function)
    def look_up(*texts: P.args, **named: P.kwargs) -> R:
        key = hashlib.blake2b(json.dumps([texts, named]).encode("ascii"), digest_size=16).digest()
        if key not in known:
            known[key] = function(*texts, **named)
        return known[key]

    return look_up
