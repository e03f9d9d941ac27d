"""Keeps the configuration of each fit beside what it made."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only

from pttrust_lightning.callbacks.run_folder import run_folder


class SaveFitConfig(SaveConfigCallback):
    """Writes ``config.yaml`` into the run's folder, on fit only: `test` must not replace what `fit` used."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the configuration once, when fitting starts."""
        if stage == "fit" and not self.already_saved:
            self._write(trainer)
            self.already_saved = True

    @rank_zero_only
    def _write(self, trainer: Trainer) -> None:
        if getattr(trainer, "fast_dev_run", False):  # such a run leaves nothing behind
            return
        folder = run_folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        self.parser.save(
            self.config, folder / self.config_filename, skip_none=False, overwrite=True, multifile=self.multifile
        )
