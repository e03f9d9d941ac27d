"""The precision that losses are computed in."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32, others as they are: squares and long sums go wrong in half precision."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
