"""A few states that a module has seen: what an exported model is tried on when it is loaded."""

from __future__ import annotations

import torch
from torch import Tensor

N_EXAMPLES = 8


class ExampleStates:
    """Keeps the first rows that it is shown."""

    def __init__(self) -> None:
        self._rows: Tensor | None = None

    def keep(self, states: Tensor) -> None:
        """Remember up to eight of these rows, ``(N, D)``, unless some are remembered."""
        if self._rows is None and len(states):
            self._rows = states[:N_EXAMPLES].detach().cpu().clone()

    def states(self) -> Tensor:
        """The remembered rows.

        Raises:
            RuntimeError: None was shown: there is no fitted model to export.
        """
        if self._rows is None:
            raise RuntimeError("Nothing was trained yet, so there is nothing to export. Run fit first.")
        return torch.as_tensor(self._rows)
