"""Percentile bootstrap of ratios of sums: bits over bytes, ranks over snippets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.types import FloatArray, IntArray

CONFIDENCE = 0.95


def ratio(numerators: Sequence[float], denominators: Sequence[float], samples: int, seed: int) -> Estimate:
    """``sum(numerators) / sum(denominators)`` with its interval; both are drawn together.

    Args:
        numerators: One an item (a file, a snippet).
        denominators: One an item.
        samples: Resamples; 0 leaves the interval NaN.
        seed: Of the resamples; they depend on it, their number and the number of items alone, so that differences of
            two methods over the same items are paired.

    Returns:
        The ratio over all items, with its interval over resamples of them.
    """
    top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    value = float(top.sum() / bottom.sum())
    if not samples:
        return Estimate(value, math.nan, math.nan)
    draws = _draws(len(top), samples, seed)
    return _estimate(value, top[draws].sum(axis=1) / bottom[draws].sum(axis=1))


def mean(values: Sequence[float], samples: int, seed: int) -> Estimate:
    """The mean of one value an item, with its interval."""
    return ratio(values, [1.0] * len(values), samples, seed)


def pair_ratio(ordered: FloatArray, pairs: FloatArray, samples: int, seed: int) -> Estimate:
    """``sum(ordered) / sum(pairs)`` over pairs of items, with its interval over resamples of the items.

    Args:
        ordered: What each pair of items gives, ``(S, S)``.
        pairs: Of how many, ``(S, S)``.
        samples: Resamples; 0 leaves the interval NaN.
        seed: Of the resamples.
    """
    value = float(ordered.sum() / pairs.sum())
    if not samples:
        return Estimate(value, math.nan, math.nan)
    weights = np.stack([np.bincount(row, minlength=len(pairs)) for row in _draws(len(pairs), samples, seed)])
    top, bottom = (((weights @ matrix) * weights).sum(axis=1) for matrix in (ordered, pairs))
    return _estimate(value, np.divide(top, bottom, out=np.full(samples, np.nan), where=bottom > 0))


def _draws(n_items: int, samples: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).integers(n_items, size=(samples, n_items))


def _estimate(value: float, drawn: FloatArray) -> Estimate:
    """Resamples in which the ratio is undefined are left out, as the package's intervals do."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
