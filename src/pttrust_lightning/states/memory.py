"""Out of memory: how it looks on each device, and what can be freed."""

from __future__ import annotations

import gc

import torch

_MESSAGES = ("can't allocate memory", "out of memory", "alloc_failed")
"""In errors that are not of torch's own class: the CPU allocator's, other devices', and cuBLAS's."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: then the same work may succeed in smaller pieces."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _MESSAGES)


def free_caches() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
