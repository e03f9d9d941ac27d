"""Exports the best model as a folder when fitting ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info

from pttrust_lightning.callbacks.run_folder import run_folder
from pttrust_lightning.errors import ConfigError


@runtime_checkable
class Exportable(Protocol):
    """A module that can write its model as a folder."""

    def export(self, folder: Path, provenance: dict[str, Any]) -> None:
        """Write the model, with what its states come from."""


class ExportModel(Callback):
    """Writes the model (config + safetensors) into the run's folder; stage 2 takes stage 1 by such a folder.

    Where a ModelCheckpoint watches a metric, the module is set back to its best checkpoint first.

    Args:
        name: Folder's name in the run's folder.
    """

    def __init__(self, name: str = "export") -> None:
        self.name = name

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse before the training what could not be exported after it.

        Raises:
            ConfigError: The module has no ``export``, or the folder holds a model already.
        """
        if stage != "fit":
            return
        _exportable(pl_module)
        if getattr(trainer, "fast_dev_run", False):
            return
        folder = run_folder(trainer) / self.name
        if trainer.is_global_zero and folder.exists() and any(folder.iterdir()):
            raise ConfigError(
                f"{folder} is not empty, and an exported model is never overwritten. Move it, or use a logger, which "
                "gives each run its own folder."
            )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load the best weights and export them."""
        if getattr(trainer, "fast_dev_run", False):
            return
        folder = run_folder(trainer) / self.name
        if not trainer.is_global_zero:
            return
        checkpoint = next((c for c in trainer.callbacks if isinstance(c, ModelCheckpoint) and c.monitor), None)  # type: ignore[attr-defined]
        if checkpoint is not None and checkpoint.best_model_path:
            best = torch.load(checkpoint.best_model_path, map_location="cpu", weights_only=True)
            pl_module.load_state_dict(best["state_dict"])
        provenance = getattr(trainer.datamodule, "state_provenance", {})  # type: ignore[attr-defined]
        _exportable(pl_module).export(folder, provenance)
        rank_zero_info(f"Exported the {type(pl_module).__name__} model to {folder}")


def _exportable(module: LightningModule) -> Exportable:
    if not isinstance(module, Exportable):
        raise ConfigError(f"{type(module).__name__} has no export(). Leave ExportModel out of the callbacks.")
    return module
