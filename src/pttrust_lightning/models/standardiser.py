"""Columns on a common scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardiser(nn.Module):
    """Centres and scales each column by what it was fitted to; before that, the identity.

    A column that rarely differs from its mean is far from it where it does: an indicator of one line in 900 is 30
    standard deviations away. A penalty on weights then bears on it least of all, though least is known of it. ``limit``
    cuts such values, as it does those that are beyond what the columns were fitted to.

    Args:
        width: Number of columns.
        limit: Standard deviations from the mean at which values are cut; None for nowhere.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, limit: float | None = None) -> None:
        super().__init__()
        self.limit = limit
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
        scaled = (rows - self.mean) / self.std
        return scaled if self.limit is None else scaled.clamp(-self.limit, self.limit)
