"""Stage 2: binds the sparse representation to risk with few labelled snippets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import CatMetric

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.losses import RANKING_LOSSES, RankingLoss
from pttrust_lightning.metrics.line_ranking import LineRankingMetrics
from pttrust_lightning.models.calibration import CalibrationName
from pttrust_lightning.models.risk_model import RiskModel
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder
from pttrust_lightning.modules.examples import ExampleStates
from pttrust_lightning.types import STATE_IDENTITY, ScoredSnippet, SnippetBatch


class RiskFineTuning(LightningModule):
    """Trains the line ranker on a frozen encoder (METHOD: stage 2; PtTrust, arXiv 2504.14640).

    Defaults are the paper's. After every validation the calibration is fitted on the validation lines, so that each
    checkpoint holds ranker and calibration of the same moment. It holds the encoder's weights too, but not its folder's
    place: ``load_from_checkpoint`` takes ``encoder`` again; an exported risk model needs nothing else.

    Args:
        encoder: Folder of the sparse autoencoder that stage 1 exported.
        d_in: Width of the states; linked to the data on the command line, and checked against the encoder.
        hidden: Width of the ranker's hidden layers.
        n_layers: Linear layers of the ranker.
        loss: ``neural_ndcg``, ``approx_ndcg``, ``list_net`` or ``bce``.
        calibration: ``temperature`` or ``isotonic``.
        lr: Learning rate of Adam.
        weight_decay: Of Adam.

    Raises:
        ModelFolderError: The encoder's folder cannot be used.
        ConfigError: The encoder was trained on states of another width.
    """

    def __init__(
        self,
        encoder: str,
        d_in: int | None = None,
        hidden: int = 32,
        n_layers: int = 4,
        loss: RankingLoss = "neural_ndcg",
        calibration: CalibrationName = "temperature",
        lr: float = 1e-4,
        weight_decay: float = 1e-5,
    ) -> None:
        super().__init__()
        # Where the encoder lies is no hyperparameter: a checkpoint that named its folder would be lost once that moves.
        self.save_hyperparameters(ignore=["encoder"])
        autoencoder, self.encoder_provenance = SparseAutoencoder.load(Path(encoder))
        if d_in is not None and d_in != autoencoder.config.d_in:
            raise ConfigError(
                f"The encoder {encoder} was trained on states of width {autoencoder.config.d_in}, but the data has "
                f"width {d_in}. Pre-train on the same LLM and layer."
            )
        self.risk_model = RiskModel(autoencoder, hidden, n_layers, calibration)
        self.ranking_loss = RANKING_LOSSES[loss]
        self.lr = lr
        self.weight_decay = weight_decay
        self.val_metrics = LineRankingMetrics()
        self.test_metrics = LineRankingMetrics()
        self.examples = ExampleStates(autoencoder.config.d_in)
        # metrics, since they gather the lines of all processes
        self.val_scores, self.val_labels = CatMetric(), CatMetric()

    def forward(self, states: Tensor) -> Tensor:
        """Line scores; ``(..., D)`` to ``(...)``."""
        return self.risk_model.logits(states)

    def setup(self, stage: str) -> None:
        """Refuse states of another LLM, layer or line rule than the encoder was trained on.

        Raises:
            ConfigError: Names the field that differs.
        """
        given = getattr(getattr(self.trainer, "datamodule", None), "state_provenance", None)
        if given is None:
            return
        for field in STATE_IDENTITY:
            expected = self.encoder_provenance.get(field)
            if given.get(field) != expected:
                raise ConfigError(
                    f"The encoder was trained on states with {field} = {expected!r}, but the data has "
                    f"{given.get(field)!r}. Use the same `states` settings in both stages, or pre-train again."
                )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the encoder's states come from beside its weights."""
        checkpoint["encoder_provenance"] = self.encoder_provenance

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it from where the weights come from."""
        self.encoder_provenance = checkpoint["encoder_provenance"]

    def training_step(self, batch: SnippetBatch, batch_idx: int) -> Tensor:
        """One step."""
        self.examples.keep(batch.states[batch.mask])
        loss: Tensor = self.ranking_loss(self(batch.states), batch.labels, batch.mask)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.snippet_ids), prog_bar=True)
        return loss

    def validation_step(self, batch: SnippetBatch, batch_idx: int) -> None:
        """Loss and ranking metrics on held-out snippets."""
        scores = self(batch.states)
        loss = self.ranking_loss(scores, batch.labels, batch.mask)
        self.log("val/loss", loss, batch_size=len(batch.snippet_ids), prog_bar=True, sync_dist=True)
        self.val_metrics.update(scores, batch.labels, batch.mask)
        self.val_scores.update(scores[batch.mask])
        self.val_labels.update(batch.labels[batch.mask])

    def on_validation_epoch_end(self) -> None:
        """Log the metrics and fit the calibration on the validation lines.

        Raises:
            ConfigError: All validation lines are wrong.
        """
        self._log_metrics("val", self.val_metrics)
        scores, labels = (metric.compute().double().cpu().numpy() for metric in (self.val_scores, self.val_labels))
        self.val_scores.reset()
        self.val_labels.reset()
        if not self.trainer.sanity_checking:  # a few batches before training, that may hold one kind of line only
            self.risk_model.calibration.fit(scores, labels)

    def test_step(self, batch: SnippetBatch, batch_idx: int) -> dict[str, list[ScoredSnippet]]:
        """Scores of the test snippets (as ``scored``); their metrics are logged at the end."""
        self.test_metrics.update(self(batch.states), batch.labels, batch.mask)
        return {"scored": self.predict_step(batch, batch_idx)}

    def on_test_epoch_end(self) -> None:
        """Log the metrics."""
        self._log_metrics("test", self.test_metrics)

    def predict_step(self, batch: SnippetBatch, batch_idx: int) -> list[ScoredSnippet]:
        """Scores and probabilities of each snippet's lines."""
        risk = self.risk_model(batch.states)
        scored = []
        for row, snippet_id in enumerate(batch.snippet_ids):
            lines = batch.mask[row]
            scores, probabilities, labels = (
                part[row][lines].double().cpu().numpy() for part in (risk.scores, risk.probabilities, batch.labels)
            )
            numbers = batch.line_numbers[row][lines].cpu().numpy().astype(np.int64)
            scored.append(ScoredSnippet(snippet_id, numbers, scores, probabilities, labels))
        return scored

    def _log_metrics(self, stage: str, metrics: LineRankingMetrics) -> None:
        values = {f"{stage}/{name}": value.float() for name, value in metrics.compute().items()}
        shown = f"{stage}/mrr"
        self.log_dict({name: value for name, value in values.items() if name != shown})
        self.log(shown, values[shown], prog_bar=True)
        metrics.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam on the ranker alone."""
        return torch.optim.Adam(self.risk_model.ranker.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def export(self, folder: Path, provenance: dict[str, Any]) -> None:
        """Write the risk model as a folder.

        Raises:
            ModelFolderError: The folder is not empty.
            ConfigError: Nothing was validated, so there is no calibration.
        """
        if not self.risk_model.calibration.fitted:
            raise ConfigError(
                "The scores were never calibrated, because nothing was validated. Let fit validate (limit_val_batches "
                "above 0), or leave ExportModel out of the callbacks."
            )
        self.risk_model.save(folder, self.examples.states(), provenance)
