"""Ranking losses over the lines of one snippet (METHOD, stage 2).

All take unbounded scores: squashing them with a sigmoid first caps the NDCG that NeuralNDCG can reach.

Shapes, for B snippets padded to T lines: ``logits (B, T)``, the higher the riskier; ``relevance (B, T)``, at least 0,
above 0 where a line is wrong; ``mask (B, T)``, boolean, True where there is a line. Whatever stands at padded places,
NaN included, has no influence on value or gradient.

A snippet counts where it has at least two lines and a wrong one; the loss is the mean over those snippets, and 0 that
keeps the graph where there is none. Nothing here waits for the device. Half-precision logits are computed in
float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pttrust_lightning.losses._precision import full_precision
from pttrust_lightning.losses.sinkhorn import sinkhorn_factors

RankingLoss = Literal["neural_ndcg", "approx_ndcg", "list_net", "softmax", "bce"]
"""Names of the ranking losses, keys of ``RANKING_LOSSES``."""


def _prepare(logits: Tensor, relevance: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Clean logits and relevance (0 where padded) and which snippets count, ``(B,)``."""
    if logits.ndim != 2 or logits.shape != relevance.shape or logits.shape != mask.shape:
        raise ValueError(
            "logits, relevance and mask must all be (B, T), got "
            f"{tuple(logits.shape)}, {tuple(relevance.shape)} and {tuple(mask.shape)}"
        )
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean, got {mask.dtype}. Pass mask.bool().")
    logits = full_precision(logits).masked_fill(~mask, 0.0)
    relevance = relevance.to(logits.dtype).masked_fill(~mask, 0.0)
    counts = (mask.sum(dim=-1) > 1) & (relevance > 0).any(dim=-1)
    return logits, relevance, counts


def _mean_over(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of ``values (B,)`` where ``counts``; 0 with its graph where nothing does."""
    return values.masked_fill(~counts, 0.0).sum() / counts.sum().clamp_min(1)


def _cross_entropy(target: Tensor, logits: Tensor, mask: Tensor, counts: Tensor) -> Tensor:
    """Mean over the snippets that count of ``- sum_j target_j log softmax(logits)_j`` over their lines."""
    log_share = logits.masked_fill(~mask, torch.finfo(logits.dtype).min).log_softmax(dim=-1)
    return _mean_over(-(target * log_share).masked_fill(~mask, 0.0).sum(dim=-1), counts)


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")


def _discounts(relevance: Tensor) -> Tensor:
    """``1 / log2(1 + rank)`` of ranks 1 to T, ``(T,)``."""
    ranks = torch.arange(1, relevance.shape[-1] + 1, device=relevance.device, dtype=relevance.dtype)
    return 1.0 / torch.log2(1.0 + ranks)


def _ideal_dcg(relevance: Tensor) -> Tensor:
    """DCG of the best order, ``(B,)``; 1 where nothing is relevant, so that it can be divided by."""
    best = relevance.sort(dim=-1, descending=True).values
    ideal = (best * _discounts(relevance)).sum(dim=-1)
    return torch.where(ideal > 0, ideal, 1.0)


def neural_sort(logits: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
    """NeuralSort (Grover et al., arXiv 1903.08850, eq. 5): a relaxed permutation matrix, sorting downwards.

        P[i, :] = softmax( ((n + 1 - 2i) s - A 1) / t ),    A[j, k] = |s_j - s_k|,    i = 1 ... n

    with n, s and the sum over k restricted to the snippet's lines. Rows sum to 1; as t -> 0, row i becomes the
    one-hot place of the i-th largest score. The matrix does not change when all scores move together, so they are
    centred first, for precision.

    Args:
        logits: Scores s, ``(B, T)``.
        mask: True where there is a line, ``(B, T)``.
        temperature: t, in units of the scores.

    Returns:
        ``(B, T, T)``: row = rank, column = line; 0 in rows and columns beyond the snippet's lines.

    Raises:
        ValueError: If the temperature is not above 0.
    """
    _check_temperature(temperature)
    n = mask.sum(dim=-1, keepdim=True).to(logits.dtype)
    scores = logits.masked_fill(~mask, 0.0)
    scores = (scores - scores.sum(dim=-1, keepdim=True) / n.clamp_min(1.0)).masked_fill(~mask, 0.0)
    gaps = (scores[:, :, None] - scores[:, None, :]).abs()
    spread = gaps.masked_fill(~mask[:, None, :], 0.0).sum(dim=-1)
    ranks = torch.arange(1, logits.shape[-1] + 1, device=logits.device, dtype=logits.dtype)
    slopes = n + 1.0 - 2.0 * ranks
    inner = (slopes[:, :, None] * scores[:, None, :] - spread[:, None, :]) / temperature
    inner = inner.masked_fill(~mask[:, None, :], torch.finfo(inner.dtype).min)
    present = (ranks <= n)[:, :, None] & mask[:, None, :]
    return inner.softmax(dim=-1).masked_fill(~present, 0.0)


def neural_ndcg(
    logits: Tensor, relevance: Tensor, mask: Tensor, temperature: float = 1.0, sinkhorn_iterations: int = 30
) -> Tensor:
    """NeuralNDCG (Pobrotyn and Bialobrzeski, arXiv 2102.07831): 1 - NDCG with NeuralSort in place of the sort.

        L = mean over snippets of 1 - (1 / maxDCG) sum_i (scale(P) y)_i / log2(1 + i)

    P from ``neural_sort``; scale(P) = diag(r) P diag(c) with the factors of ``sinkhorn_factors``. Gains are linear (y,
    not 2^y - 1), as in ``metrics.ndcg``; for labels 0 and 1 the two agree. As the temperature falls the loss tends to
    1 - NDCG of the hard order; 0 is perfect. Without scaling P is stochastic by rows alone and the loss can fall
    slightly below 0.

    Args:
        logits: Line scores, ``(B, T)``.
        relevance: Relevance of each line, ``(B, T)``.
        mask: True where there is a line, ``(B, T)``.
        temperature: Of NeuralSort, in units of the scores; 1 in PtTrust.
        sinkhorn_iterations: Rounds of Sinkhorn scaling; 0 for none.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: If the shapes differ, the mask is not boolean or a setting is out of range.
    """
    logits, relevance, counts = _prepare(logits, relevance, mask)
    permutation = neural_sort(logits, mask, temperature)
    rows, columns = sinkhorn_factors(permutation, sinkhorn_iterations)
    gains = rows * (permutation * (columns * relevance)[:, None, :]).sum(dim=-1)
    dcg = (gains * _discounts(relevance)).sum(dim=-1)
    return _mean_over(1.0 - dcg / _ideal_dcg(relevance), counts)


def approx_ndcg(logits: Tensor, relevance: Tensor, mask: Tensor, temperature: float = 0.1) -> Tensor:
    """ApproxNDCG (Qin, Liu and Li, Information Retrieval 13, 2010): 1 - NDCG with a smooth rank.

        rank(j) = 1 + sum_{k != j} sigmoid((s_k - s_j) / t)
        L = mean over snippets of 1 - (1 / maxDCG) sum_j y_j / log2(1 + rank(j))

    Gains are linear, as in ``neural_ndcg``. 0 is perfect, and reached only as the temperature falls or scores part.

    Args:
        logits: Line scores, ``(B, T)``.
        relevance: Relevance of each line, ``(B, T)``.
        mask: True where there is a line, ``(B, T)``.
        temperature: t (1 / alpha in the paper), in units of the scores.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: If the shapes differ, the mask is not boolean or the temperature is not above 0.
    """
    _check_temperature(temperature)
    logits, relevance, counts = _prepare(logits, relevance, mask)
    ahead = ((logits[:, None, :] - logits[:, :, None]) / temperature).sigmoid()
    others = ~torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device) & mask[:, None, :]
    ranks = 1.0 + ahead.masked_fill(~others, 0.0).sum(dim=-1)
    dcg = (relevance / torch.log2(1.0 + ranks)).sum(dim=-1)
    return _mean_over(1.0 - dcg / _ideal_dcg(relevance), counts)


def list_net(logits: Tensor, relevance: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
    """ListNet (Cao et al., ICML 2007), top-one probabilities: cross-entropy between two softmaxes.

        L = mean over snippets of - sum_j softmax(y / r)_j log softmax(s)_j

    The least value is the entropy of the first softmax, not 0.

    Args:
        logits: Line scores s, ``(B, T)``.
        relevance: Relevance y of each line, ``(B, T)``.
        mask: True where there is a line, ``(B, T)``.
        temperature: r, of the target; 1 in the paper. With labels 0 and 1, r = 1 still gives right lines much of the
            mass (the target asks for a score gap of 1); the smaller r is, the more falls on the wrong lines alone.

    Returns:
        The loss in nats, a scalar.

    Raises:
        ValueError: If the shapes differ, the mask is not boolean or the temperature is not above 0.
    """
    _check_temperature(temperature)
    logits, relevance, counts = _prepare(logits, relevance, mask)
    lowest = torch.finfo(logits.dtype).min
    target = (relevance / temperature).masked_fill(~mask, lowest).softmax(dim=-1)
    return _cross_entropy(target, logits, mask, counts)


def softmax(logits: Tensor, relevance: Tensor, mask: Tensor) -> Tensor:
    """Softmax cross-entropy (Bruch et al., ICTIR 2019): which line is wrong, as one choice among the snippet's lines.

        L = mean over snippets of - sum_j (y_j / sum_k y_k) log softmax(s)_j

    With one wrong line it is the negative logarithm of the chance that a Plackett-Luce model puts it first. It bounds
    MRR and NDCG, and is convex in the scores. Moving all scores of a snippet together changes nothing, so scores of
    different snippets cannot be compared.

    Args:
        logits: Line scores s, ``(B, T)``.
        relevance: Relevance y of each line, ``(B, T)``.
        mask: True where there is a line, ``(B, T)``.

    Returns:
        The loss in nats, a scalar.

    Raises:
        ValueError: If the shapes differ or the mask is not boolean.
    """
    logits, relevance, counts = _prepare(logits, relevance, mask)
    target = relevance / relevance.sum(dim=-1, keepdim=True).masked_fill(~counts[:, None], 1.0)
    return _cross_entropy(target, logits, mask, counts)


def bce(logits: Tensor, relevance: Tensor, mask: Tensor) -> Tensor:
    """Pointwise binary cross-entropy: the negative log-likelihood of a snippet's labels, each line by itself.

        L = mean over snippets of sum_j [ log(1 + e^{s_j}) - [y_j > 0] s_j ]

    The sum over lines gives each line the same weight, as a logistic regression on lines does; with the mean, those of
    short snippets would decide.

    Args:
        logits: Line scores s, ``(B, T)``.
        relevance: Relevance of each line, ``(B, T)``; any above 0 counts as wrong.
        mask: True where there is a line, ``(B, T)``.

    Returns:
        The loss in nats, a scalar.

    Raises:
        ValueError: If the shapes differ or the mask is not boolean.
    """
    logits, relevance, counts = _prepare(logits, relevance, mask)
    wrong = (relevance > 0).to(logits.dtype)
    lines = F.binary_cross_entropy_with_logits(logits, wrong, reduction="none").masked_fill(~mask, 0.0)
    return _mean_over(lines.sum(dim=-1), counts)


RANKING_LOSSES: dict[str, Callable[..., Tensor]] = {
    "neural_ndcg": neural_ndcg,
    "approx_ndcg": approx_ndcg,
    "list_net": list_net,
    "softmax": softmax,
    "bce": bce,
}
"""Ranking losses by name; each is called as ``loss(logits, relevance, mask)``, with its own options by keyword."""

TEMPERED_LOSSES: tuple[RankingLoss, ...] = ("neural_ndcg", "approx_ndcg", "list_net")
"""Those of them that have a ``temperature``."""
