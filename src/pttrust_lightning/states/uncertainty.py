"""How sure the LLM was of each line: the token log-probabilities and entropies that the uncertainty baseline reads."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pttrust_lightning.types import FloatArray, IntArray

UNCERTAINTY_FEATURES = ("mean_log_probability", "min_log_probability", "mean_entropy")


def token_uncertainty(logits: Tensor, previous: Tensor, token_ids: Tensor) -> Tensor:
    """Log-probability of each token given those before it, and entropy of the distribution it was drawn from.

    Args:
        logits: Next-token logits of whatever was read, ``(C, V)``.
        previous: The row of ``logits`` that predicts the token, ``(N,)``; -1 for a program's first, which nothing
            predicts: it counts as drawn uniformly from the vocabulary.
        token_ids: The tokens, ``(N,)``.

    Returns:
        Both in nats, float32, ``(2, N)``.
    """
    log_p = torch.log_softmax(logits.float(), dim=-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    uniform = math.log(logits.shape[-1])
    first = previous < 0
    row = previous.clamp_min(0)
    return torch.stack([log_p[row, token_ids].masked_fill(first, -uniform), entropy[row].masked_fill(first, uniform)])


def line_uncertainty(log_p: FloatArray, entropy: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    """Mean and minimum token log-probability and mean entropy (nats) of each line.

    Args:
        log_p: Log-probability of each token of one program, ``(n,)``.
        entropy: Entropy of each token's distribution, ``(n,)``.
        first: First token of each line, ``(T,)``.
        last: Last token of each line, included, ``(T,)``.

    Returns:
        Features in the order of :data:`UNCERTAINTY_FEATURES`, ``(T, 3)``.
    """
    spans = np.stack([first, last + 1], axis=1).ravel()  # reduceat takes what is between, too: every other is a line
    log_p, entropy = (np.append(np.asarray(x, dtype=np.float64), 0.0) for x in (log_p, entropy))
    n = last + 1 - first
    return np.stack(
        [
            np.add.reduceat(log_p, spans)[::2] / n,
            np.minimum.reduceat(log_p, spans)[::2],
            np.add.reduceat(entropy, spans)[::2] / n,
        ],
        axis=1,
    )
