"""How many CPU threads small models train with."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class CpuThreads(Callback):
    """Sets the number of CPU threads while the trainer runs, and sets it back after.

    The autoencoder and the ranker are so small that threads cost more than they give: with another process on the
    machine, two threads waiting for each other were tens of times slower than one. One thread also makes results the
    same on any number of cores. States are read in ``prepare_data``, before this, with all threads.

    Args:
        n_threads: Threads of torch's CPU operators.
    """

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = n_threads
        self._before: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set the number of threads."""
        if self._before is None:
            self._before = torch.get_num_threads()
        torch.set_num_threads(self.n_threads)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set it back."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Set it back: a run that fails has no teardown."""
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            torch.set_num_threads(self._before)
            self._before = None
