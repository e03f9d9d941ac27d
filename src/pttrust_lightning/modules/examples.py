"""A few states that a module has seen: what an exported model is tried on when it is loaded."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pttrust_lightning.errors import ConfigError

N_EXAMPLES = 8


class ExampleStates(nn.Module):
    """Keeps the first rows that it is shown, in checkpoints too.

    Args:
        d_in: Width D of a state.
    """

    rows: Tensor
    n_kept: Tensor

    def __init__(self, d_in: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(N_EXAMPLES, d_in))
        self.register_buffer("n_kept", torch.tensor(0))

    def keep(self, states: Tensor) -> None:
        """Remember up to eight of these rows, ``(N, D)``, unless some are remembered."""
        if int(self.n_kept) == 0 and len(states):
            kept = states[:N_EXAMPLES].detach()
            self.rows[: len(kept)] = kept
            self.n_kept.fill_(len(kept))

    def states(self) -> Tensor:
        """The remembered rows.

        Raises:
            ConfigError: None was shown: there is no fitted model to export.
        """
        if int(self.n_kept) == 0:
            raise ConfigError("Nothing was trained yet, so there is nothing to export. Run fit first.")
        return self.rows[: int(self.n_kept)]
