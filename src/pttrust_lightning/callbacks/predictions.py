"""Writes line scores as JSONL, for reports and for comparing methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from pttrust_lightning.callbacks.run_folder import run_folder
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.report.predictions import write_predictions
from pttrust_lightning.types import ScoredSnippet


def scored_snippets(outputs: Any) -> list[ScoredSnippet]:
    """The scored snippets that a step returned: by themselves, or as ``scored``."""
    scored = outputs.get("scored") if isinstance(outputs, Mapping) else outputs
    return [s for s in scored if isinstance(s, ScoredSnippet)] if isinstance(scored, Iterable) else []


class WritePredictions(Callback):
    """Writes what ``test`` and ``predict`` scored to ``<name>-test.jsonl`` and ``<name>-predict.jsonl``.

    Args:
        name: Start of the file's name in the run's folder.
    """

    def __init__(self, name: str = "predictions") -> None:
        self.name = name
        self._scored: list[ScoredSnippet] = []

    def path(self, trainer: Trainer, stage: str) -> Path:
        """Where the predictions of a stage are written."""
        return run_folder(trainer) / f"{self.name}-{stage}.jsonl"

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what a run that failed had scored."""
        self._scored = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what a run that failed had scored."""
        self._scored = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse several processes: each would hold a part of the scores.

        Raises:
            ConfigError: Test or predict runs on more than one device.
        """
        if stage in ("test", "predict") and trainer.world_size > 1:
            raise ConfigError("Scores are written by one process. Run test and predict with --trainer.devices=1.")

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the batch's scores."""
        self._scored.extend(scored_snippets(outputs))

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the batch's scores."""
        self._scored.extend(scored_snippets(outputs))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the test scores."""
        self._write(trainer, "test")

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the predictions."""
        self._write(trainer, "predict")

    def _write(self, trainer: Trainer, stage: str) -> None:
        scored, self._scored = self._scored, []
        if getattr(trainer, "fast_dev_run", False):  # such a run leaves nothing behind
            return
        path = self.path(trainer, stage)
        if scored and trainer.is_global_zero:
            write_predictions(path, scored)
            rank_zero_info(f"Wrote the scores of {len(scored)} snippets to {path}")
