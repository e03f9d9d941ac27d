"""Where a run keeps its files."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger


def run_folder(trainer: Trainer) -> Path:
    """The run's own folder: the W&B run's where there is one, else the logger's, else the default root.

    Each run has its own, so that a second run from one directory (a sweep's second trial) overwrites nothing.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            return Path(logger.experiment.dir).parent
    return Path(trainer.log_dir or trainer.default_root_dir)
