"""Where the wrong lines stand in a ranking, ties counted by their expectation over orders."""

from __future__ import annotations

import numpy as np

from pttrust_lightning.types import FloatArray


def mean_wrong_rank(scores: FloatArray, labels: FloatArray) -> float:
    """Expected rank of the wrong lines, 1 being the riskiest, averaged over them.

    Args:
        scores: The higher, the riskier, ``(T,)``.
        labels: Above 0 where a line is wrong, ``(T,)``; at least one is.

    Returns:
        Between 1 and T; ``(T + 1) / 2`` for a constant scorer.
    """
    wrong = scores[labels > 0]
    ahead = (scores[None, :] > wrong[:, None]).sum(axis=1)
    tied = (scores[None, :] == wrong[:, None]).sum(axis=1) - 1
    return float((1 + ahead + tied / 2).mean())


def percentile(rank: float, n_lines: int) -> float:
    """The share of the other lines that stand ahead, in percent: 0 for the first of ``n_lines``, 100 for the last."""
    return 100.0 * (rank - 1) / (n_lines - 1)


def mean_surprisal(uncertainty: FloatArray) -> FloatArray:
    """Mean token surprisal of each line (nats), from its uncertainty features ``(T, 3)``."""
    return np.negative(uncertainty[:, 0])
