"""Where a run keeps its files."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger


def run_folder(trainer: Trainer) -> Path:
    """The run's own folder: the W&B run's where there is one, else the logger's, else the default root.

    With a logger each run has its own, so that a second run from one directory (a sweep's second trial) overwrites
    nothing. Every process must ask: the answer is the first one's.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            files = logger.experiment.dir if trainer.is_global_zero else ""
            return Path(trainer.strategy.broadcast(files)).parent
    return Path(trainer.log_dir or trainer.default_root_dir)
