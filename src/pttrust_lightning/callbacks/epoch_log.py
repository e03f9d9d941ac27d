"""Progress, a line an epoch: the same on a terminal, in a log file and in CI."""

from __future__ import annotations

import time

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info


class EpochLog(Callback):
    """Says after each epoch what its figures are, and how long the rest will take at most.

    Args:
        metrics: Names of logged metrics to show.
    """

    def __init__(self, metrics: list[str]) -> None:
        self.metrics = metrics
        self._started = 0.0
        self._epochs = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started, self._epochs = time.monotonic(), 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the line."""
        self._epochs += 1
        shown = [f"{m} {float(trainer.callback_metrics[m]):.4g}" for m in self.metrics if m in trainer.callback_metrics]
        text = f"epoch {trainer.current_epoch + 1}"
        if trainer.max_epochs is not None and trainer.max_epochs > 0:
            left = (trainer.max_epochs - trainer.current_epoch - 1) * (time.monotonic() - self._started) / self._epochs
            text += f"/{trainer.max_epochs}, at most {left:.0f} s left"
        rank_zero_info(f"{text}: {', '.join(shown)}")
