"""Metrics in float64, each by its definition (METHOD, 5).

**Of one snippet**: ``scores (T,)``, the higher the riskier, and ``labels (T,)``, the relevance of each line; a line is
wrong where its label is above 0. Lines of equal score have no order of their own: every value is the exact
expectation over all orders of the tied lines, so a constant scorer gets what a random order gets on average.

**Over lines**: ``scores`` or ``probabilities (N,)`` of lines pooled over snippets, with ``labels (N,)``. Snippets that
are judged as wholes take the place of lines in the same functions: a label is above 0 where the snippet is wrong.

**Of reviewing snippets**: what is caught by reading the riskiest ones (``recall_at_effort``, over snippets), and what
is missed in those that are taken without review.

All raise ``NonFiniteError`` for NaN or infinite inputs, and ``ValueError`` where shapes differ or the metric is not
defined: a snippet without a wrong line, or lines all wrong or all right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.types import FloatArray, IntArray

KS = (1, 3, 5, 10)
"""The k of ``hit@k``, ``line_recall@k`` and ``precision@k`` that are reported."""

EFFORT = 0.2
"""The share of lines read in ``recall@20%lines``, and of snippets in ``recall@20%snippets``."""

REVIEW_METRICS = (f"recall@{EFFORT:.0%}snippets", "aurc")
"""Share of the wrong snippets that a reviewer of the riskiest 20 % catches; area under the risk-coverage curve."""


# --- inputs -----------------------------------------------------------------------------------------------------------


def checked(values: ArrayLike, labels: ArrayLike, name: str) -> tuple[FloatArray, FloatArray]:
    """Both as float64, checked: one dimension, one length, finite."""
    x, y = np.asarray(values, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"{name} and labels must both be (T,), got {x.shape} and {y.shape}.")
    for array, what in ((x, name), (y, "labels")):
        if not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            raise NonFiniteError(
                f"{what}: {bad} of {array.size} are NaN or infinite. Rankings of such values mean nothing; "
                f"find out where they come from (diverged training, damaged states)."
            )
    if y.size and y.min() < 0:
        raise ValueError("labels must be at least 0: 0 for a right line, above 0 for a wrong one.")
    return x, y


def checked_probabilities(probabilities: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Probabilities and 0/1 labels, checked."""
    p, y = checked(probabilities, labels, "probabilities")
    if p.size == 0:
        raise ValueError("There are no lines to measure.")
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"probabilities must lie in [0, 1], got {p.min():.4g} to {p.max():.4g}. Calibrate the scores.")
    return p, (y > 0).astype(np.float64)


def check_k(k: int) -> None:
    """Refuse a k that counts nothing."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")


class _Ties(NamedTuple):
    """A snippet's lines by groups of equal score, best first, ``(G,)`` each.

    Attributes:
        before: Lines ahead of the group.
        size: Lines in the group.
        wrong: Wrong lines in the group.
        gain: Sum of the group's labels.
        labels: All labels, ``(T,)``.
    """

    before: IntArray
    size: IntArray
    wrong: IntArray
    gain: FloatArray
    labels: FloatArray


def _ties(scores: ArrayLike, labels: ArrayLike) -> _Ties:
    x, y = checked(scores, labels, "scores")
    if not (y > 0).any():
        raise ValueError("The snippet has no wrong line, so its ranking cannot be measured. Leave such snippets out.")
    _, group = np.unique(-x, return_inverse=True)
    size = np.bincount(group)
    wrong = np.bincount(group, weights=y > 0).astype(np.int64)
    gain = np.bincount(group, weights=y).astype(np.float64)
    return _Ties(np.cumsum(size) - size, size, wrong, gain, y)


# --- of one snippet ---------------------------------------------------------------------------------------------------


def _taken(ties: _Ties, k: int) -> IntArray:
    """How many lines of each group are among the first k."""
    taken: IntArray = np.clip(k - ties.before, 0, ties.size)
    return taken


def _found(ties: _Ties, k: int) -> float:
    """Expected number of wrong lines among the first k."""
    return float((_taken(ties, k) * ties.wrong / ties.size).sum())


def _hit(ties: _Ties, k: int) -> float:
    missed = 1.0
    for taken, size, wrong in zip(_taken(ties, k).tolist(), ties.size.tolist(), ties.wrong.tolist(), strict=True):
        if taken == 0:
            break
        # the chance to draw none of the wrong ones: C(size - wrong, taken) / C(size, taken)
        missed *= math.comb(size - wrong, taken) / math.comb(size, taken)
    return 1.0 - missed


def _first_wrong(ties: _Ties) -> tuple[int, FloatArray]:
    """Lines ahead of the first group with a wrong line; the chance of each of its places to be the first wrong one."""
    g = int(np.flatnonzero(ties.wrong)[0])
    size, wrong = int(ties.size[g]), int(ties.wrong[g])
    places = np.arange(1, size - wrong + 2)
    # P(p) = C(size - p, wrong - 1) / C(size, wrong); P(p + 1) / P(p) = (size - p - wrong + 1) / (size - p)
    ratios = (size - places[:-1] - wrong + 1) / (size - places[:-1])
    chances = wrong / size * np.concatenate([[1.0], np.cumprod(ratios)])
    return int(ties.before[g]), chances


def _reciprocal_rank(ties: _Ties) -> float:
    before, chances = _first_wrong(ties)
    return float((chances / (before + np.arange(1, len(chances) + 1))).sum())


def _initial_false_alarms(ties: _Ties) -> float:
    g = int(np.flatnonzero(ties.wrong)[0])
    return float(ties.before[g] + (ties.size[g] - ties.wrong[g]) / (ties.wrong[g] + 1))


def _ndcg(ties: _Ties) -> float:
    discounts = 1.0 / np.log2(np.arange(2, len(ties.labels) + 2))
    discount_of_group = np.add.reduceat(discounts, ties.before)
    dcg = (ties.gain / ties.size * discount_of_group).sum()
    return float(dcg / (np.sort(ties.labels)[::-1] * discounts).sum())


def _lines_at_effort(share: float, n_lines: int) -> int:
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    return math.ceil(share * n_lines - 1e-9)  # 0.28 * 25 is a little above 7 in floating point


def hit_at_k(scores: ArrayLike, labels: ArrayLike, k: int) -> float:
    """Chance that at least one wrong line is among the first k.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        k: Lines read; may exceed T.

    Returns:
        Between 0 and 1.
    """
    check_k(k)
    return _hit(_ties(scores, labels), k)


def line_recall_at_k(scores: ArrayLike, labels: ArrayLike, k: int) -> float:
    """Expected share of the snippet's wrong lines that are among the first k.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        k: Lines read; may exceed T.

    Returns:
        Between 0 and 1.
    """
    check_k(k)
    ties = _ties(scores, labels)
    return _found(ties, k) / float(ties.wrong.sum())


def precision_at_k(scores: ArrayLike, labels: ArrayLike, k: int) -> float:
    """Expected number of wrong lines among the first k, divided by k, also where the snippet is shorter than k.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        k: Lines read.

    Returns:
        Between 0 and 1.
    """
    check_k(k)
    return _found(_ties(scores, labels), k) / k


def reciprocal_rank(scores: ArrayLike, labels: ArrayLike) -> float:
    """Expected value of 1 / (rank of the first wrong line); its mean over snippets is MRR.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.

    Returns:
        Above 0, at most 1.
    """
    return _reciprocal_rank(_ties(scores, labels))


def ndcg(scores: ArrayLike, labels: ArrayLike) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), linear gains.

        nDCG = sum_i y_(i) / log2(1 + i)  /  the same of the best order

    As ``sklearn.metrics.ndcg_score`` and ``losses.neural_ndcg``; gains 2^y - 1 agree for labels 0 and 1 only.

    Args:
        scores: ``(T,)``.
        labels: Relevance, ``(T,)``.

    Returns:
        Above 0, at most 1.
    """
    return _ndcg(_ties(scores, labels))


def recall_at_effort(scores: ArrayLike, labels: ArrayLike, share: float = EFFORT) -> float:
    """Expected share of the wrong lines found by reading ``ceil(share * T)`` lines.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        share: Of the snippet's lines, above 0, at most 1.

    Returns:
        Between 0 and 1.
    """
    ties = _ties(scores, labels)
    return _found(ties, _lines_at_effort(share, len(ties.labels))) / float(ties.wrong.sum())


def initial_false_alarms(scores: ArrayLike, labels: ArrayLike) -> float:
    """IFA: expected number of right lines read before the first wrong one.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.

    Returns:
        In lines, at least 0; the lower, the better.
    """
    return _initial_false_alarms(_ties(scores, labels))


def snippet_metric_names(ks: Sequence[int] = KS) -> tuple[str, ...]:
    """The names of ``snippet_metrics``, in its order."""
    at_k = (f"{name}@{k}" for name in ("hit", "line_recall", "precision") for k in ks)
    return (*at_k, "mrr", "ndcg", f"recall@{EFFORT:.0%}lines", "ifa")


def snippet_metrics(scores: ArrayLike, labels: ArrayLike, ks: Sequence[int] = KS) -> dict[str, float]:
    """All metrics of one snippet, by the names they are reported under.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        ks: The k of the metrics at k.

    Returns:
        A value for each of ``snippet_metric_names(ks)``.
    """
    for k in ks:
        check_k(k)
    ties = _ties(scores, labels)
    n_wrong = float(ties.wrong.sum())
    found = [_found(ties, k) for k in ks]
    values = [
        *(_hit(ties, k) for k in ks),
        *(f / n_wrong for f in found),
        *(f / k for f, k in zip(found, ks, strict=True)),
        _reciprocal_rank(ties),
        _ndcg(ties),
        _found(ties, _lines_at_effort(EFFORT, len(ties.labels))) / n_wrong,
        _initial_false_alarms(ties),
    ]
    return dict(zip(snippet_metric_names(ks), values, strict=True))


# --- over lines -------------------------------------------------------------------------------------------------------


def _wrong_and_right_by_score(scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Number of wrong and of right lines at each distinct score, best first."""
    x, y = checked(scores, labels, "scores")
    wrong = y > 0
    if not wrong.any() or wrong.all():
        raise ValueError("The lines are all wrong or all right, so they cannot be told apart: the metric is undefined.")
    _, group = np.unique(-x, return_inverse=True)
    return np.bincount(group, weights=wrong).astype(np.float64), np.bincount(group, weights=~wrong).astype(np.float64)


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a wrong line outscores a right one, a tie counting one half.

    Args:
        scores: ``(N,)``.
        labels: ``(N,)``.

    Returns:
        Between 0 and 1; exactly 0.5 for a constant scorer.
    """
    wrong, right = _wrong_and_right_by_score(scores, labels)
    right_below = right.sum() - np.cumsum(right)
    return float((wrong * (right_below + right / 2)).sum() / (wrong.sum() * right.sum()))


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the precision-recall curve as a sum of steps; lines of equal score enter together.

        AP = sum_n (R_n - R_(n-1)) P_n        over distinct scores, downwards

    Args:
        scores: ``(N,)``.
        labels: ``(N,)``.

    Returns:
        Between 0 and 1; the share of wrong lines for a constant scorer.
    """
    wrong, right = _wrong_and_right_by_score(scores, labels)
    precision = np.cumsum(wrong) / np.cumsum(wrong + right)
    return float((wrong * precision).sum() / wrong.sum())


def brier_score(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean squared difference between probability and outcome (Brier 1950).

    Args:
        probabilities: P(line is wrong), ``(N,)``.
        labels: ``(N,)``; any above 0 counts as wrong.

    Returns:
        Between 0 (best) and 1.
    """
    p, y = checked_probabilities(probabilities, labels)
    return float(np.square(p - y).mean())


def brier_skill(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """``1 - BS / BS_ref``, where the reference gives every line the share of wrong lines among these.

    Args:
        probabilities: P(line is wrong), ``(N,)``.
        labels: ``(N,)``; any above 0 counts as wrong.

    Returns:
        At most 1; 0 for the reference itself, below 0 for worse.
    """
    p, y = checked_probabilities(probabilities, labels)
    rate = y.mean()
    if rate in (0.0, 1.0):
        raise ValueError("The lines are all wrong or all right, so the reference is perfect: Brier skill is undefined.")
    return float(1 - np.square(p - y).mean() / (rate * (1 - rate)))


def calibration_bins(probabilities: FloatArray, bins: int) -> IntArray:
    """The bin of each probability: ``bins`` of equal width, ``(lower, upper]``, 0 in the first.

    Args:
        probabilities: ``(N,)``, in [0, 1].
        bins: Number of bins.

    Returns:
        Bin numbers from 0, ``(N,)``.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    return np.searchsorted(edges, probabilities, side="left")


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """ECE (Naeini et al. 2015; Guo et al., arXiv 1706.04599): gap between mean probability and share of wrong lines.

        ECE = sum_b n_b / N |mean(p in b) - mean(y in b)|

    Args:
        probabilities: P(line is wrong), ``(N,)``.
        labels: ``(N,)``; any above 0 counts as wrong.
        bins: Number of bins of equal width.

    Returns:
        Between 0 (best) and 1.
    """
    p, y = checked_probabilities(probabilities, labels)
    gaps = np.bincount(calibration_bins(p, bins), weights=p - y, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


# --- of reviewing snippets --------------------------------------------------------------------------------------------


class RiskCoverage(NamedTuple):
    """A risk-coverage curve of selective classification (Geifman and El-Yaniv, arXiv 1705.08500).

    Attributes:
        coverage: Share of the snippets that are taken without review, the least risky first, ``(N,)``: 1/N to 1.
        risk: Expected share of wrong ones among those, ``(N,)``.
    """

    coverage: FloatArray
    risk: FloatArray


def risk_coverage(scores: ArrayLike, labels: ArrayLike) -> RiskCoverage:
    """What goes unseen if so many snippets are taken without review.

    Args:
        scores: Of snippets, ``(N,)``.
        labels: ``(N,)``; any above 0 counts as wrong.

    Returns:
        The curve, at each number of snippets taken from 1 to N.
    """
    x, y = checked(scores, labels, "scores")
    if not x.size:
        raise ValueError("There are no snippets to measure.")
    _, group = np.unique(x, return_inverse=True)
    rate = np.bincount(group, weights=y > 0) / np.bincount(group)
    taken = np.arange(1, len(x) + 1)
    # in expectation each of the tied ones is as wrong as all of them are on average
    return RiskCoverage(taken / len(x), np.cumsum(rate[np.sort(group)]) / taken)


def area_under_risk_coverage(scores: ArrayLike, labels: ArrayLike) -> float:
    """AURC: the mean of the risk over all coverages (Geifman, Uziel and El-Yaniv, arXiv 1805.08206).

    Args:
        scores: Of snippets, ``(N,)``.
        labels: ``(N,)``; any above 0 counts as wrong.

    Returns:
        Between 0 and 1, the lower, the better; the share of wrong snippets for a constant scorer.
    """
    return float(risk_coverage(scores, labels).risk.mean())
