"""How well line states are rebuilt from their sparse latents (METHOD, stage 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from pttrust_lightning.losses._precision import full_precision


def _check_same_rows(states: Tensor, reconstruction: Tensor) -> None:
    if states.shape != reconstruction.shape or states.ndim != 2:
        raise ValueError(
            f"states and reconstruction must both be (N, D), got {tuple(states.shape)} and "
            f"{tuple(reconstruction.shape)}. Flatten padded batches to their lines first."
        )


def normalised_reconstruction(states: Tensor, reconstruction: Tensor, eps: float = 1e-12) -> Tensor:
    """Mean over lines of the squared error relative to the state's own squared norm.

        L_rec = mean_i ||s_i - s_hat_i||^2 / max(||s_i||^2, eps)

    Each line counts alike, whatever its norm: dividing by the norm of the whole batch instead would let the
    largest states decide. 0 is perfect; rebuilding every state as 0 costs 1.

    Args:
        states: Line states s, ``(N, D)``.
        reconstruction: Rebuilt states s_hat, ``(N, D)``.
        eps: Least squared norm that is divided by; it matters for all-zero states only.

    Returns:
        The loss, a scalar; 0 that keeps the graph for N = 0. Half-precision inputs are computed in float32.

    Raises:
        ValueError: If the shapes differ or are not ``(N, D)``.
    """
    _check_same_rows(states, reconstruction)
    states, reconstruction = full_precision(states), full_precision(reconstruction)
    error = (states - reconstruction).square().sum(dim=-1)
    norm = states.square().sum(dim=-1).clamp_min(eps)
    return (error / norm).sum() / max(len(states), 1)


def fraction_of_variance_unexplained(states: Tensor, reconstruction: Tensor) -> Tensor:
    """FVU: the squared error relative to the states' scatter about their mean.

        FVU = sum_i ||s_i - s_hat_i||^2 / sum_i ||s_i - mean(s)||^2

    0 is perfect; rebuilding every state as the batch's mean costs 1. The mean is the batch's, so values of small
    batches do not average to an epoch's value: ``metrics.FractionOfVarianceUnexplained`` accumulates it exactly.

    Args:
        states: Line states s, ``(N, D)``.
        reconstruction: Rebuilt states s_hat, ``(N, D)``.

    Returns:
        The fraction, a scalar; NaN where the states do not vary (N < 2, or all alike).

    Raises:
        ValueError: If the shapes differ or are not ``(N, D)``.
    """
    _check_same_rows(states, reconstruction)
    states, reconstruction = full_precision(states), full_precision(reconstruction)
    error = (states - reconstruction).square().sum()
    scatter = (states - states.mean(dim=0)).square().sum()
    return torch.where(scatter > 0, error / scatter, torch.nan)
