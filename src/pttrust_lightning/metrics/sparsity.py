"""How a sparse autoencoder uses its latents, over an epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class LatentUse(Metric):
    """L0 (mean number of active latents a line) and the share of latents that never fire.

    ``compute`` returns ``{"l0", "dead_share"}``; both are NaN before any line was seen. Counts add up across processes.

    Args:
        n_latents: Number of latents M.
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    fired: Tensor
    n_lines: Tensor

    def __init__(self, n_latents: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("fired", torch.zeros(n_latents, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("n_lines", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, latents: Tensor) -> None:
        """Add the latents of some lines, ``(N, M)``."""
        self.fired += (latents > 0).sum(0)
        self.n_lines += len(latents)

    def compute(self) -> dict[str, Tensor]:
        """L0 and dead share over all lines seen."""
        if not self.n_lines:
            nothing = torch.tensor(torch.nan)
            return {"l0": nothing, "dead_share": nothing}
        return {"l0": self.fired.sum() / self.n_lines, "dead_share": (self.fired == 0).float().mean()}
