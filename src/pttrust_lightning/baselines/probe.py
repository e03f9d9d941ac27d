"""What the raw line states say, without a sparse autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from pttrust_lightning.baselines.base import LogisticBaseline, LogisticLineScorer, rankable_only
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.metrics import reciprocal_rank
from pttrust_lightning.types import FloatArray, SnippetStates


class ProbeBaseline(LogisticBaseline):
    """Logistic regression on the standardised raw line state, or on its principal components.

    The strength of the L2 penalty is the one with the best mean reciprocal rank on the validation split; of equally
    good ones the strongest.

    Args:
        cs: Inverse strengths of the L2 penalty to choose from.
        components: Number of principal components to keep; None takes the states as they are.

    Attributes:
        c: The strength chosen; None before ``fit``.
    """

    name = "probe"
    reads_states = True

    def __init__(self, cs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0), components: int | None = None) -> None:
        if not cs or min(cs) <= 0:
            raise ConfigError(f"Baseline '{self.name}': cs must be one or more numbers above 0, got {list(cs)}.")
        super().__init__(LogisticLineScorer(self.name, components=components))
        self.cs = tuple(sorted(cs))
        self.c: float | None = None

    def features(self, snippet: SnippetStates) -> FloatArray:
        """The states, ``(T, D)``."""
        return snippet.lines.states.detach().cpu().double().numpy()

    def fit(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Fit on the rankable training snippets once for each of ``cs``, and keep the best on the validation split."""
        snippets = rankable_only(train, self.name, "training")
        held_out = rankable_only(validation, self.name, "validation")
        prepared = self._scorer.prepare(np.concatenate([self.checked_features(s) for s in snippets]))
        labels = np.concatenate([s.labels for s in snippets])
        quality = {}
        for c in self.cs:
            self._scorer.fit_prepared(prepared, labels, c)
            quality[c] = np.mean([reciprocal_rank(self.score(s), s.labels) for s in held_out])
        self.c = max(self.cs, key=lambda c: quality[c])
        self._scorer.fit_prepared(prepared, labels, self.c)
        return self
