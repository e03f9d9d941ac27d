"""Cross-validated logistic regression on line features, grouped by problem; the same folds for every method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pttrust_lightning.baselines.base import LogisticLineScorer
from pttrust_lightning.datamodules.splits import split_by_fold
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.metrics import reciprocal_rank
from pttrust_lightning.types import FloatArray, IntArray

CS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the L2 penalty to choose from; of equally good ones the strongest penalty is taken."""

INNER_FOLDS = 3


class Probed(NamedTuple):
    """Scores of snippets by models that saw none of their problems.

    Attributes:
        scores: Logits of each snippet's lines, ``(T,)`` each, in the snippets' order.
        cs: The strength chosen in each fold.
    """

    scores: list[FloatArray]
    cs: list[float]


def fold_of_each(groups: Sequence[str], folds: int, seed: int) -> IntArray:
    """The fold in which each snippet is tested, by the package's rule for groups.

    Raises:
        ConfigError: There are too few groups for so many folds.
    """
    fold = np.full(len(groups), -1)
    for number in range(folds):
        fold[np.array(split_by_fold(groups, folds, number, 0.0, seed)) == "test"] = number
    return fold


def cross_validated(
    name: str,
    features: Sequence[FloatArray],
    labels: Sequence[FloatArray],
    groups: Sequence[str],
    folds: IntArray,
    seed: int,
) -> Probed:
    """Score every snippet by a logistic regression on standardised features, fitted to the other folds.

    The penalty is chosen inside the training folds, by the mean reciprocal rank in an inner cross-validation, as the
    package's probe does. The likelihood would vary less from fold to fold, but where states say little it prefers
    penalties so strong that the ranking falls below chance.

    Args:
        name: What is fitted, for messages.
        features: Of the lines of each snippet, finite, ``(T, F)``.
        labels: 1 where a line is wrong, ``(T,)`` for each snippet.
        groups: What must not straddle a split, one a snippet.
        folds: The fold in which each snippet is tested.
        seed: Of the inner folds.

    Raises:
        ConfigError: There are too few groups, or all lines of a fold are wrong.
    """
    scores: list[FloatArray] = [np.empty(0)] * len(features)
    cs = []
    for fold in range(int(folds.max()) + 1):
        train, test = np.flatnonzero(folds != fold).tolist(), np.flatnonzero(folds == fold).tolist()
        inner = fold_of_each([groups[i] for i in train], INNER_FOLDS, seed)
        cs.append(_best_c(name, [features[i] for i in train], [labels[i] for i in train], inner))
        probe = _Probe(name, [features[i] for i in train], [labels[i] for i in train])
        for i, of_snippet in zip(test, probe.scores(cs[-1], [features[i] for i in test]), strict=True):
            scores[i] = of_snippet
    return Probed(scores, cs)


class _Probe:
    """The package's scorer, standardised once and fitted with each strength of the penalty."""

    def __init__(self, name: str, features: Sequence[FloatArray], labels: Sequence[FloatArray]) -> None:
        self._scorer = LogisticLineScorer(name)
        self._rows = self._scorer.prepare(np.concatenate(features).astype(np.float64))
        self._labels = np.concatenate(labels)
        if (self._labels > 0).all():
            raise ConfigError(f"{name}: all {len(self._labels)} training lines of a fold are wrong. Use fewer folds.")

    def scores(self, c: float, features: Sequence[FloatArray]) -> list[FloatArray]:
        """Logits of the lines of each snippet, by a regression fitted with this strength."""
        self._scorer.fit_prepared(self._rows, self._labels, c)
        logits = self._scorer.score(np.concatenate(features).astype(np.float64))
        return np.split(logits, np.cumsum([len(f) for f in features])[:-1])


def _best_c(name: str, features: Sequence[FloatArray], labels: Sequence[FloatArray], inner: IntArray) -> float:
    quality = np.zeros(len(CS))
    for fold in range(INNER_FOLDS):
        train, held_out = np.flatnonzero(inner != fold).tolist(), np.flatnonzero(inner == fold).tolist()
        probe = _Probe(name, [features[i] for i in train], [labels[i] for i in train])
        for number, c in enumerate(CS):
            scored = probe.scores(c, [features[i] for i in held_out])
            quality[number] += sum(reciprocal_rank(s, labels[i]) for s, i in zip(scored, held_out, strict=True))
    return CS[int(np.argmax(quality))]
