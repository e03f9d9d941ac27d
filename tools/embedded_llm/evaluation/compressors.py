"""General-purpose compressors as rivals: what a file costs without any model of code."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Sequence

COMPRESSORS: dict[str, Callable[[bytes], int]] = {
    "gzip -9": lambda data: len(gzip.compress(data, 9, mtime=0)),
    "xz -9e": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
}
"""Compressed bytes, container included, by the name of the command."""


def bits_by_file(compressor: str, files: Sequence[bytes]) -> list[float]:
    """Bits of each file, compressed by itself."""
    return [8.0 * COMPRESSORS[compressor](data) for data in files]


def solid_bits(compressor: str, files: Sequence[bytes]) -> float:
    """Bits of all files as one stream, each with those before it to draw on: the stronger rival."""
    return 8.0 * COMPRESSORS[compressor](b"".join(files))
