"""Columns on a common scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardiser(nn.Module):
    """Centres and scales each column by what it was fitted to; before that, the identity.

    Args:
        width: Number of columns.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def fit(self, rows: Tensor) -> None:
        """Take mean and standard deviation of ``(N, width)``; columns that never vary are only centred."""
        rows = rows.double()
        self.mean.copy_(rows.mean(0))
        std = rows.std(0, correction=0)
        self.std.copy_(torch.where(std > 1e-8 * (1 + rows.abs().amax(0)), std, 1.0))

    def forward(self, rows: Tensor) -> Tensor:
        """``(..., width)`` to the same shape."""
        return (rows - self.mean) / self.std
