"""What the raw line states say, without a sparse autoencoder."""

from __future__ import annotations

from pttrust_lightning.baselines.base import LogisticBaseline
from pttrust_lightning.types import FloatArray, SnippetStates


class ProbeBaseline(LogisticBaseline):
    """Logistic regression on the standardised raw line state, or on its principal components."""

    name = "probe"
    reads_states = True

    def features(self, snippet: SnippetStates) -> FloatArray:
        """The states, ``(T, D)``."""
        return snippet.lines.states.detach().cpu().double().numpy()
