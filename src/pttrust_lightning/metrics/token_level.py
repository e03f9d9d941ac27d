"""The figures that PtTrust's authors report, over tokens, under the names that say what they are (METHOD, 5).

A token has the score and the label of its line, so the tokens of a line always tie. As everywhere, tied tokens have no
order of their own: every value is the exact expectation over all orders of the tied tokens, those of one line and of
lines of equal score alike.

All take ``scores (T,)``, the higher the riskier, ``labels (T,)``, above 0 where a line is wrong, and ``line_tokens
(T,)``, the number of tokens of each line, at least 1. They raise ``NonFiniteError`` for NaN or infinite inputs, and
``ValueError`` where shapes differ, a line has no token, or no line is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pttrust_lightning.metrics.functional import check_k, checked
from pttrust_lightning.types import IntArray

TOKEN_KS = (10, 20, 50)
"""The k of the token metrics that are reported, in tokens: a line of code has some ten."""


class _TokenTies(NamedTuple):
    """A snippet's lines by groups of equal score, best first.

    Attributes:
        before: Tokens ahead of each group, ``(G,)``.
        size: Tokens in it, ``(G,)``.
        wrong: Tokens of wrong lines in it, ``(G,)``.
        wrong_lines: Group and number of tokens of each wrong line.
    """

    before: IntArray
    size: IntArray
    wrong: IntArray
    wrong_lines: list[tuple[int, int]]


def _token_ties(scores: ArrayLike, labels: ArrayLike, line_tokens: ArrayLike) -> _TokenTies:
    x, y = checked(scores, labels, "scores")
    n = np.asarray(line_tokens, dtype=np.int64)
    if n.shape != x.shape:
        raise ValueError(f"scores and line_tokens must both be (T,), got {x.shape} and {n.shape}.")
    if n.size and n.min() < 1:
        raise ValueError("line_tokens must be at least 1: every line has a token.")
    wrong = y > 0
    if not wrong.any():
        raise ValueError("No line is wrong, so the metric is undefined.")
    _, group = np.unique(-x, return_inverse=True)
    size = np.bincount(group, weights=n).astype(np.int64)
    in_wrong = np.bincount(group, weights=n * wrong).astype(np.int64)
    wrong_lines = list(zip(group[wrong].tolist(), n[wrong].tolist(), strict=True))
    return _TokenTies(np.cumsum(size) - size, size, in_wrong, wrong_lines)


def _taken(ties: _TokenTies, k: int) -> IntArray:
    """How many tokens of each group are among the first k."""
    check_k(k)
    taken: IntArray = np.clip(k - ties.before, 0, ties.size)
    return taken


def _found(ties: _TokenTies, k: int) -> float:
    """Expected number of wrong lines' tokens among the first k: each of a group is as likely to be taken."""
    return float((_taken(ties, k) * ties.wrong / ties.size).sum())


def _covered(ties: _TokenTies, k: int) -> float:
    """Expected number of wrong lines whose every token is among the first k.

    Of a group of ``size`` tokens, ``taken`` are drawn without order. A line's n tokens are all among them in
    C(size - n, taken - n) of C(size, taken) draws.
    """
    taken, size = _taken(ties, k).tolist(), ties.size.tolist()
    return sum(
        math.comb(size[g] - n, taken[g] - n) / math.comb(size[g], taken[g])
        for g, n in ties.wrong_lines
        if taken[g] >= n
    )


def token_recall_at_k(scores: ArrayLike, labels: ArrayLike, line_tokens: ArrayLike, k: int) -> float:
    """Expected share of the wrong lines' tokens that are among the first k tokens; the authors' "hit".

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        line_tokens: ``(T,)``.
        k: Tokens read; may exceed the snippet's.

    Returns:
        Between 0 and 1.
    """
    ties = _token_ties(scores, labels, line_tokens)
    return _found(ties, k) / float(ties.wrong.sum())


def token_precision_at_k(scores: ArrayLike, labels: ArrayLike, line_tokens: ArrayLike, k: int) -> float:
    """Expected number of wrong lines' tokens among the first k tokens, divided by k; the authors' "recall".

    Divided by k also where the snippet has fewer tokens, as ``precision_at_k``.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        line_tokens: ``(T,)``.
        k: Tokens read.

    Returns:
        Between 0 and 1.
    """
    return _found(_token_ties(scores, labels, line_tokens), k) / k


def full_coverage_at_k(scores: ArrayLike, labels: ArrayLike, line_tokens: ArrayLike, k: int) -> float:
    """Expected share of the wrong lines that are fully covered: each of their tokens is among the first k tokens.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        line_tokens: ``(T,)``.
        k: Tokens read; may exceed the snippet's.

    Returns:
        Between 0 and 1.
    """
    ties = _token_ties(scores, labels, line_tokens)
    return _covered(ties, k) / len(ties.wrong_lines)


def token_metric_names(ks: Sequence[int] = TOKEN_KS) -> tuple[str, ...]:
    """The names of ``token_metrics``, in its order."""
    return tuple(f"{name}@{k}" for name in ("token_recall", "token_precision", "full_coverage") for k in ks)


def token_metrics(
    scores: ArrayLike, labels: ArrayLike, line_tokens: ArrayLike, ks: Sequence[int] = TOKEN_KS
) -> dict[str, float]:
    """All token metrics of one snippet, by the names they are reported under.

    Args:
        scores: ``(T,)``.
        labels: ``(T,)``.
        line_tokens: ``(T,)``.
        ks: The k of the metrics, in tokens.

    Returns:
        A value for each of ``token_metric_names(ks)``.
    """
    ties = _token_ties(scores, labels, line_tokens)
    found = [_found(ties, k) for k in ks]
    values = [
        *(f / float(ties.wrong.sum()) for f in found),
        *(f / k for f, k in zip(found, ks, strict=True)),
        *(_covered(ties, k) / len(ties.wrong_lines) for k in ks),
    ]
    return dict(zip(token_metric_names(ks), values, strict=True))
