"""The line ranker of stage 2."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from pttrust_lightning.errors import ConfigError


class LineRanker(nn.Module):
    """A multi-layer perceptron that gives each line a score: the higher, the riskier (METHOD: stage 2).

    Args:
        d_in: Width of a line's representation (the number of latents M).
        hidden: Width of the hidden layers.
        n_layers: Linear layers, the scoring one included.

    Raises:
        ConfigError: A size that is not positive.
    """

    def __init__(self, d_in: int, hidden: int = 32, n_layers: int = 4) -> None:
        super().__init__()
        if min(d_in, hidden, n_layers) < 1:
            raise ConfigError(f"A ranker of {n_layers} layers from {d_in} to {hidden} cannot be. Use positive sizes.")
        widths = [d_in, *[hidden] * (n_layers - 1)]
        blocks: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            blocks += [nn.Linear(a, b), nn.ReLU()]
        self.body = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], 1)

    def penultimate(self, representations: Tensor) -> Tensor:
        """What the scoring layer sees; ``(..., d_in)`` to ``(..., hidden)``."""
        return self.body(representations)  # type: ignore[no-any-return]

    def forward(self, representations: Tensor) -> Tensor:
        """Scores (logits); ``(..., d_in)`` to ``(...)``."""
        return self.head(self.penultimate(representations)).squeeze(-1)  # type: ignore[no-any-return]
