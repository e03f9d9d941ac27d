"""The precision that losses are computed in."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32, others as they are: squares and long sums go wrong in half precision."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Matrix products in the precision of their factors, where autocast would run them in half precision."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()  # devices that only pretend, such as meta
