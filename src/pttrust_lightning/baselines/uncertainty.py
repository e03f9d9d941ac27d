"""What the LLM's own probabilities say about a line."""

from __future__ import annotations

from pttrust_lightning.baselines.base import FeatureBaseline
from pttrust_lightning.types import FloatArray, SnippetStates


class UncertaintyBaseline(FeatureBaseline):
    """Logistic regression on the mean and minimum token log-probability and the mean entropy of each line (nats)."""

    name = "uncertainty"
    reads_states = False
    needs = ("uncertainty",)

    def features(self, snippet: SnippetStates) -> FloatArray:
        """The three figures of each line, ``(T, 3)``.

        Raises:
            ConfigError: If they were not extracted with the states.
        """
        return self.known(snippet, "uncertainty")
