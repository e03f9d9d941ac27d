"""Programs as arrays of token hashes, for comparing them with each other and with benchmarks at numpy's speed."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

TOKEN = re.compile(r"\w+|[^\w\s]")
WORD = re.compile(r"\w+")

_ODD = np.uint64(0x9E3779B97F4A7C15)


class _TokenTable(dict[str, int]):
    """64-bit hashes of tokens, each computed once: a corpus repeats its tokens thousands of times."""

    def __missing__(self, token: str) -> int:
        data = token.encode("utf-8", "surrogatepass")
        value = zlib.crc32(data) << 32 | zlib.crc32(data, 0x5BD1E995)
        if len(self) < 2_000_000:  # a bound on memory; values do not depend on it
            self[token] = value
        return value


_TABLE = _TokenTable()


def token_hashes(tokens: list[str]) -> Hashes:
    """One 64-bit hash per token; the same token has the same hash in every process."""
    return np.fromiter(map(_TABLE.__getitem__, tokens), dtype=np.uint64, count=len(tokens))


def gram_hashes(hashes: Hashes, n: int) -> Hashes:
    """One hash per run of ``n`` tokens, in order; none where there are fewer tokens than ``n``."""
    if len(hashes) < n:
        return np.zeros(0, dtype=np.uint64)
    count = len(hashes) - n + 1
    result = np.zeros(count, dtype=np.uint64)
    for i in range(n):  # polynomial in an odd number modulo 2^64, then mixed between the steps
        result = (result ^ (result >> np.uint64(29))) * _ODD + hashes[i : i + count]
    return result ^ (result >> np.uint64(32))
