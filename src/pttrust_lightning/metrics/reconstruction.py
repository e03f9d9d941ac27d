"""Unexplained variance over an epoch, as a ``torchmetrics.Metric``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class FractionOfVarianceUnexplained(Metric):
    """FVU about the mean of *all* states seen, in whatever batches they came.

        FVU = sum_i ||s_i - s_hat_i||^2 / sum_i ||s_i - mean(s)||^2

    Batches are merged by their count, mean and scatter (Chan, Golub and LeVeque 1983), which keeps float32 exact
    enough where sums of squares would cancel: states lie far from 0. ``compute`` is NaN while the states seen do not
    vary.

    Args:
        d_in: Width D of the states.
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = True  # the states of two batches cannot be merged one by one

    count: Tensor
    mean: Tensor
    scatter: Tensor
    error: Tensor

    def __init__(self, d_in: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # no reduction: processes are merged in compute, where all states are at hand
        self.add_state("count", torch.zeros(1), dist_reduce_fx=None)
        self.add_state("mean", torch.zeros(d_in), dist_reduce_fx=None)
        self.add_state("scatter", torch.zeros(1), dist_reduce_fx=None)
        self.add_state("error", torch.zeros(1), dist_reduce_fx=None)

    def update(self, states: Tensor, reconstruction: Tensor) -> None:
        """Add a batch of lines.

        Args:
            states: Line states, ``(N, D)``.
            reconstruction: Rebuilt states, ``(N, D)``.

        Raises:
            ValueError: If the shapes differ or are not ``(N, D)``.
        """
        if states.shape != reconstruction.shape or states.ndim != 2 or states.shape[-1] != self.mean.shape[-1]:
            raise ValueError(
                f"states and reconstruction must both be (N, {self.mean.shape[-1]}), got "
                f"{tuple(states.shape)} and {tuple(reconstruction.shape)}"
            )
        if not len(states):
            return
        states = states.detach().to(self.mean.dtype)
        mean = states.mean(dim=0)
        scatter = (states - mean).square().sum()
        count = self.count.new_full((1,), len(states))
        self.error = self.error + (states - reconstruction.detach().to(states.dtype)).square().sum()
        self.count, self.mean, self.scatter = _merge(self.count, self.mean, self.scatter, count, mean, scatter)

    def compute(self) -> Tensor:
        """The fraction so far, a scalar."""
        counts, scatters, errors = self.count.reshape(-1), self.scatter.reshape(-1), self.error.reshape(-1)
        means = self.mean.reshape(len(counts), -1)
        count, mean, scatter = counts[:1], means[0], scatters[:1]
        for i in range(1, len(counts)):
            count, mean, scatter = _merge(count, mean, scatter, counts[i : i + 1], means[i], scatters[i : i + 1])
        total = scatter.sum()
        return torch.where(total > 0, errors.sum() / total, torch.nan)


def _merge(
    count_a: Tensor, mean_a: Tensor, scatter_a: Tensor, count_b: Tensor, mean_b: Tensor, scatter_b: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and scatter of two batches together."""
    count = count_a + count_b
    share = count_b / count.clamp_min(1)
    shift = mean_b - mean_a
    return count, mean_a + share * shift, scatter_a + scatter_b + shift.square().sum() * count_a * share
