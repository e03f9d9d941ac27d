"""What the LLM's attention says about a line."""

from __future__ import annotations

from pttrust_lightning.baselines.base import FeatureBaseline
from pttrust_lightning.types import FloatArray, SnippetStates


class LookbackBaseline(FeatureBaseline):
    """Lookback Lens (arXiv 2407.07071): logistic regression on how much each head looks back at the prompt.

    The features are the lookback ratios of every head of every layer, averaged over the line's tokens
    (``states/lookback.py``): the paper's classifier, with a line as its span. A hallucination takes little from the
    context; whether a wrong line does is what this asks.
    """

    name = "lookback"
    reads_states = False
    needs = ("lookback",)

    def features(self, snippet: SnippetStates) -> FloatArray:
        """The ratio of each head, ``(T, H)``.

        Raises:
            ConfigError: If attention was not read with the states.
        """
        return self.known(snippet, "lookback")
