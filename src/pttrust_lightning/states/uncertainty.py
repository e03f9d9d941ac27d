"""How sure the LLM was of each line: the token log-probabilities and entropies that the uncertainty baseline reads."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pttrust_lightning.types import FloatArray, IntArray

UNCERTAINTY_FEATURES = ("mean_log_probability", "min_log_probability", "mean_entropy")


def token_uncertainty(logits: Tensor, token_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of each token given those before it, and entropy of the distribution it was drawn from.

    Args:
        logits: Next-token logits, ``(S, V)``.
        token_ids: What was read, ``(S,)``.

    Returns:
        Both in nats, ``(S,)``. Nothing predicts the first token: it counts as drawn uniformly from the vocabulary.
    """
    log_p = torch.log_softmax(logits[:-1].float(), dim=-1)
    chosen = log_p.gather(-1, token_ids[1:, None]).squeeze(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    uniform = log_p.new_full((1,), math.log(logits.shape[-1]))
    return torch.cat([-uniform, chosen]), torch.cat([uniform, entropy])


def line_uncertainty(logits: Tensor, token_ids: Tensor, first: IntArray, last: IntArray) -> FloatArray:
    """Mean and minimum token log-probability and mean entropy (nats) of each line.

    Args:
        logits: Next-token logits of one program, ``(S, V)``.
        token_ids: What was read, ``(S,)``; padding on the right is ignored.
        first: First token of each line, ``(T,)``.
        last: Last token of each line, included, ``(T,)``.

    Returns:
        Features in the order of :data:`UNCERTAINTY_FEATURES`, ``(T, 3)``.
    """
    n = int(last.max()) + 1
    log_p, entropy = (x.double().cpu().numpy() for x in token_uncertainty(logits[:n], token_ids[:n]))
    rows = [
        (log_p[a : b + 1].mean(), log_p[a : b + 1].min(), entropy[a : b + 1].mean())
        for a, b in zip(first, last, strict=True)
    ]
    return np.array(rows, dtype=np.float64)
