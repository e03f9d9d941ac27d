"""A baseline behind the same commands as the method: ``fit``, ``validate``, ``test`` and ``predict``."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pttrust_lightning.baselines import BASELINES, checked_scores
from pttrust_lightning.baselines.base import Baseline, rankable_only
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.metrics.line_ranking import LineRankingMetrics
from pttrust_lightning.models.calibration import CALIBRATIONS, Calibration, CalibrationName
from pttrust_lightning.types import (
    STATE_IDENTITY,
    FloatArray,
    LabelledSplits,
    ScoredSnippet,
    SnippetBatch,
    SnippetStates,
)


class BaselineRanking(LightningModule):
    """Fits a baseline (METHOD: what the method must beat) on the training split, and scores lines with it.

    Nothing is trained by steps: the baseline is fitted once, before the first batch, on the training split that the
    DataModule holds, and the trainer stops after one epoch whatever its settings. Where the data gives ``verdicts``, it
    learns to judge whole snippets too. As in :class:`~pttrust_lightning.modules.RiskFineTuning`, the calibrations are
    fitted on the validation split: P(line is wrong) on the lines of snippets that can be ranked, P(snippet is wrong) on
    all snippets. Checkpoints hold what was fitted as tensors.

    Args:
        baseline: A key of ``baselines.BASELINES``: ``random``, ``surface``, ``uncertainty``, ``probe``, ...
        calibration: ``temperature`` or ``isotonic``.
        options: Further arguments of the baseline's constructor: ``{components: 32}`` of the probe, say.

    Attributes:
        judges: Whether it was fitted to judge whole snippets.

    Raises:
        ConfigError: There is no such baseline, or it takes no such option.
    """

    def __init__(
        self, baseline: str, calibration: CalibrationName = "temperature", options: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        if baseline not in BASELINES:
            raise ConfigError(f"There is no baseline {baseline!r}. Choose one of {', '.join(BASELINES)}.")
        # The command line links these to any module; a checkpoint that named them could not be tested.
        self.save_hyperparameters(ignore=["d_in", "feature_widths"])
        self.automatic_optimization = False
        self.baseline = _baseline(baseline, options or {})
        self.calibration = CALIBRATIONS[calibration]()
        self.snippet_calibration = CALIBRATIONS[calibration]()
        self.judges = False
        self.val_metrics = LineRankingMetrics()
        self.test_metrics = LineRankingMetrics()
        self._snippets: dict[str, SnippetStates] = {}
        self._held_out: list[SnippetStates] = []

    def setup(self, stage: str) -> None:
        """Find the snippets behind the batches.

        Raises:
            ConfigError: The data holds no labelled snippets or lacks what the baseline needs, or several processes
                would each see a part of it.
        """
        if self.trainer.world_size > 1:
            raise ConfigError("A baseline is fitted by one process. Set trainer.devices to 1.")
        data = self._data()
        if lacking := self.baseline.lacks(data):
            raise ConfigError(
                f"The baseline '{self.baseline.name}' needs {lacking[0]}: true in the data. Set it there."
            )
        self._snippets = {s.snippet.id: s for part in data.split.values() for s in part}

    def _data(self) -> LabelledSplits:
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, LabelledSplits):
            raise ConfigError(
                f"{type(data).__name__} holds no labelled snippets. Give a baseline LabelledLines as data."
            )
        return data

    def on_fit_start(self) -> None:
        """Fit the baseline; to verdicts too, where the data gives them."""
        data = self._data()
        train, validation = data.split["train"], data.split["val"]
        self.baseline.fit(train, validation)
        self.judges = data.verdicts
        if self.judges:
            self.baseline.fit_verdicts(train, validation)

    def training_step(self, batch: SnippetBatch, batch_idx: int) -> None:
        """A step that changes nothing, and the last: Lightning saves no checkpoint before the first."""
        optimizer: Any = self.optimizers()
        optimizer.step()
        self.trainer.should_stop = True

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """An optimiser of nothing."""
        return torch.optim.SGD([nn.Parameter(torch.empty(0))], lr=0.0)

    def validation_step(self, batch: SnippetBatch, batch_idx: int) -> None:
        """Ranking metrics on held-out snippets."""
        self.val_metrics.update(self(batch), batch.labels.cpu(), batch.mask.cpu())
        self._held_out += [self._snippets[name] for name in batch.snippet_ids]

    def on_validation_epoch_end(self) -> None:
        """Log the metrics and the cross-entropy of the lines, and fit the calibrations on the validation split.

        Raises:
            ConfigError: All validation lines are wrong; or, where it judges snippets, all snippets are, or none is.
        """
        self._log_metrics("val", self.val_metrics)
        held_out, self._held_out = self._held_out, []
        if self.trainer.sanity_checking:  # a few batches before training, that may hold one kind of line only
            return
        ranked = rankable_only(held_out, self.baseline.name, "validation")
        scores = np.concatenate([checked_scores(self.baseline.score, s) for s in ranked])
        labels = np.concatenate([s.labels for s in ranked])
        self.calibration.fit(scores, labels)
        loss = binary_cross_entropy_with_logits(torch.from_numpy(scores), torch.from_numpy(labels > 0).double())
        self.log("val/loss", loss.float(), prog_bar=True)
        if self.judges:
            wrong = [float(not s.snippet.correct) for s in held_out]
            self.snippet_calibration.fit([self.baseline.score_snippet(s) for s in held_out], wrong, of="snippets")

    def forward(self, batch: SnippetBatch) -> Tensor:
        """Line scores, ``(B, T)``, float64, on the CPU; zero where padded."""
        scores = [checked_scores(self.baseline.score, self._snippets[name]) for name in batch.snippet_ids]
        mask = batch.mask.cpu()
        padded = torch.zeros(mask.shape, dtype=torch.float64)
        padded[mask] = torch.from_numpy(np.concatenate(scores))
        return padded

    def test_step(self, batch: SnippetBatch, batch_idx: int) -> dict[str, list[ScoredSnippet]]:
        """Scores of the test snippets (as ``scored``); their metrics are logged at the end."""
        self.test_metrics.update(self(batch), batch.labels.cpu(), batch.mask.cpu())
        return {"scored": self.predict_step(batch, batch_idx)}

    def on_test_epoch_end(self) -> None:
        """Log the metrics."""
        self._log_metrics("test", self.test_metrics)

    def predict_step(self, batch: SnippetBatch, batch_idx: int) -> list[ScoredSnippet]:
        """Scores and probabilities of each snippet's lines, and of the snippet where it judges snippets."""
        scored = []
        for name in batch.snippet_ids:
            item = self._snippets[name]
            scores, correct = checked_scores(self.baseline.score, item), item.snippet.correct
            probabilities = self._probabilities(self.calibration, scores)
            numbers = item.lines.line_numbers
            snippet = ScoredSnippet(name, numbers, scores, probabilities, item.labels, correct=correct)
            if self.judges:
                score = self.baseline.score_snippet(item)
                probability = float(self._probabilities(self.snippet_calibration, np.array([score]))[0])
                snippet = snippet._replace(snippet_score=score, snippet_probability=probability)
            scored.append(snippet)
        return scored

    def _probabilities(self, calibration: Calibration, scores: FloatArray) -> FloatArray:
        found: FloatArray = calibration(torch.from_numpy(scores).float().to(self.device)).double().cpu().numpy()
        return found

    def _log_metrics(self, stage: str, metrics: LineRankingMetrics) -> None:
        self.log_dict({f"{stage}/{name}": value.float() for name, value in metrics.compute().items()})
        metrics.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was fitted, and what states it was fitted on."""
        checkpoint["judges"] = self.judges
        checkpoint["baseline"] = {name: torch.from_numpy(values) for name, values in self.baseline.state().items()}
        checkpoint["states_provenance"] = self._provenance()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it back; a baseline that reads states refuses others than it was fitted on.

        Raises:
            ConfigError: Names the field that differs.
        """
        self.judges = checkpoint["judges"]
        self.baseline.load_state({name: values.numpy() for name, values in checkpoint["baseline"].items()})
        fitted_on, given = checkpoint["states_provenance"], self._provenance()
        for field in STATE_IDENTITY if self.baseline.reads_states and given else ():
            if given.get(field) != fitted_on.get(field):
                raise ConfigError(
                    f"The baseline {self.baseline.name!r} was fitted on states with {field} = {fitted_on.get(field)!r},"
                    f" but the data has {given.get(field)!r}. Use the `states` settings of its fit."
                )

    def _provenance(self) -> dict[str, Any]:
        data = None if self._trainer is None else getattr(self._trainer, "datamodule", None)
        return dict(getattr(data, "state_provenance", {}))


def _baseline(name: str, options: dict[str, Any]) -> Baseline:
    known = inspect.signature(BASELINES[name]).parameters
    if unknown := sorted(options.keys() - known.keys()):
        takes = ", ".join(known) or "none"
        raise ConfigError(f"options: the baseline {name!r} takes no {', '.join(unknown)}. It takes: {takes}.")
    return BASELINES[name](**options)
