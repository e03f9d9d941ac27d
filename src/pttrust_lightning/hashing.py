"""Hashes that place things: the same on every machine and in every run, as Python's own are not.

This is a leaf module: it imports nothing from the rest of the package.
"""

from __future__ import annotations

import hashlib


def hash64(text: str) -> int:
    """64 bits of a text, uniform; lone surrogates, which file names may hold, are taken as they are."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
