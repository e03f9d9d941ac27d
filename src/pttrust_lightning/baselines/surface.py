"""What a line's looks say about it: the control without any LLM, and the one to fear."""

from __future__ import annotations

from pttrust_lightning.baselines.base import LogisticBaseline
from pttrust_lightning.source.surface import surface_features
from pttrust_lightning.types import FloatArray, SnippetStates


class SurfaceBaseline(LogisticBaseline):
    """Logistic regression on what any editor shows of a line; no LLM takes part.

    Its features are ``source.surface.SURFACE_FEATURES``. A method that does not beat this says nothing about internal
    states.
    """

    name = "surface"
    reads_states = False

    def features(self, snippet: SnippetStates) -> FloatArray:
        """Features of the scored lines, ``(T, len(SURFACE_FEATURES))``."""
        return surface_features(snippet.snippet.code, snippet.lines.line_numbers.tolist())
