"""Keeps the configuration of each fit beside what it made."""

from __future__ import annotations

from pathlib import Path

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from pttrust_lightning.callbacks.run_folder import run_folder


class SaveFitConfig(SaveConfigCallback):
    """Writes ``config.yaml`` into the run's folder, on fit only: `test` must not replace what `fit` used.

    A W&B run has the same in its configuration, where runs are compared.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the configuration once, when fitting starts."""
        if stage == "fit" and not self.already_saved:
            self.already_saved = True
            if not getattr(trainer, "fast_dev_run", False):  # such a run leaves nothing behind
                self._write(run_folder(trainer))
                wandb_loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
                if wandb_loggers:  # to write all of it out takes long where fits are short
                    everything = yaml.safe_load(self.parser.dump(self.config, skip_unset=False))
                    for logger in wandb_loggers:
                        logger.log_hyperparams(everything)

    @rank_zero_only
    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.parser.save(
            self.config, folder / self.config_filename, skip_unset=False, overwrite=True, multifile=self.multifile
        )
