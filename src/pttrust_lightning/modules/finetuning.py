"""Stage 2: binds the sparse representation to risk with few labelled snippets."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import CatMetric

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.losses import RANKING_LOSSES, TEMPERED_LOSSES, RankingLoss
from pttrust_lightning.metrics.functional import auroc
from pttrust_lightning.metrics.line_ranking import LineRankingMetrics
from pttrust_lightning.models.calibration import CalibrationName
from pttrust_lightning.models.line_ranker import RankerConfig
from pttrust_lightning.models.risk_model import RawRisk, RiskModel
from pttrust_lightning.models.snippet_head import WEAK_HEADS, SnippetHeadName
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder
from pttrust_lightning.modules.batches import check_batch
from pttrust_lightning.modules.examples import ExampleStates
from pttrust_lightning.types import STATE_IDENTITY, FloatArray, ScoredSnippet, SnippetBatch

Optimizer = Literal["adam", "lbfgs"]
"""How the ranker is fitted: by steps on batches, or at once to the optimum of the whole training split."""

LBFGS_EVALUATIONS = 2000
"""Of the loss, at most; a linear head on a few hundred columns takes some hundred."""

Supervision = Literal["lines", "verdicts"]
"""What the ranker learns from: the wrong lines of a snippet, or whether it is wrong alone."""


class RiskFineTuning(LightningModule):
    """Trains the line ranker on a frozen encoder (METHOD: stage 2; PtTrust, arXiv 2504.14640).

    Defaults are the paper's. The loss of a batch of B snippets, of which those in R can be ranked:

        lines:      L = 1/B ( sum_{i in R} L_rank,i + snippet_weight sum_i BCE(S_i, wrong_i) )
        verdicts:   L = 1/B sum_i BCE(S_i, wrong_i)

    with S_i the logit of the snippet head, where there is one. With ``verdicts`` no line label teaches the ranker
    (multiple-instance learning); line labels of the validation split fit the line calibration alone.

    ``optimizer: lbfgs`` fits the whole training split at once, in one epoch, and is meant for a linear head
    (``n_layers: 1``) with a convex loss (``bce``, ``softmax``, ``list_net``) and a ``penalty``: it comes to the one
    optimum, whatever the seed, where steps that are stopped early stay somewhere on the way. The data's ``batch_size``
    must be null.

    After every validation the calibrations are fitted on the validation split, so that each checkpoint holds ranker and
    calibrations of the same moment: P(line is wrong) on the lines of snippets that can be ranked, so it is that of a
    snippet known to be wrong; P(snippet is wrong) on all snippets, so it supposes their share of wrong ones. A
    checkpoint holds the encoder's weights too, but not its folder's place: ``load_from_checkpoint`` takes ``encoder``
    again; an exported risk model needs nothing else.

    Args:
        encoder: Folder of the sparse autoencoder that stage 1 exported; null ranks without latents.
        d_in: Width of the states; linked to the data on the command line, and checked against the encoder. May be left
            out where there is one.
        feature_widths: Columns of what the data knows of a line beside its state, by name; linked to the data on the
            command line.
        features: Which of those the ranker sees: ``surface``, ``uncertainty``, ``lookback``, ``prompt_difference``. The
            paper's sees none.
        raw_states: Whether the ranker sees the states themselves, beside the latents or in their place.
        standardise_latents: Whether the latents are standardised, as all else that the ranker sees is; not the paper's.
        standardised_limit: Standard deviations at which standardised columns are cut, so that a rare kind of line
            cannot weigh more than a common one that is as far from the mean as lines usually are; null for nowhere.
        hidden: Width of the ranker's hidden layers.
        n_layers: Linear layers of the ranker.
        sees_other_lines: Whether a line's score depends on the snippet's other lines (one self-attention layer).
        loss: ``neural_ndcg``, ``approx_ndcg``, ``list_net``, ``softmax`` or ``bce``; of no use with ``verdicts``.
        loss_temperature: Of ``neural_ndcg``, ``approx_ndcg`` (both in units of the scores: the less, the more like the
            sorted order) and ``list_net`` (of its target); null for the loss's own: 1, 0.1 and 1.
        squash_scores: Whether the loss sees sigmoids of the scores, as the paper's does, and not the scores: with one
            wrong line NeuralNDCG (temperature 1) then stops at 0.885, however well the lines are ranked.
        calibration: ``temperature`` or ``isotonic``.
        supervision: ``lines``, or ``verdicts`` where only that is known: whether a snippet is wrong.
        snippet_head: How P(snippet is wrong) comes from the lines. With ``lines``, from the penultimate states of the
            ``last`` one, their ``mean`` or ``max``, or their mean weighted by ``rank``; null judges lines alone. With
            ``verdicts``, by ``noisy_or`` or ``attention``. The data must then give correct snippets too (its
            ``verdicts``).
        snippet_weight: Weight of the snippet head's loss beside the ranking's.
        start_from: Folder of an exported risk model to go on from, of the same shape and on the same encoder: one
            trained on mutants with known wrong lines, say, before few real labels. A ``penalty`` then keeps the
            weights near that model's.
        optimizer: ``adam``, or ``lbfgs``.
        lr: Learning rate of Adam; of no use with ``lbfgs``.
        weight_decay: Of Adam; of no use with ``lbfgs``.
        penalty: c of a penalty c/2 |w - w_0|^2 on the weights, beside the sum of the training snippets' losses: of the
            loss above, c/2N with N training snippets. So it bears on few snippets more than on many, as a prior does.
            w_0 are the weights of ``start_from``, and 0 without.

    Raises:
        ModelFolderError: The encoder's folder cannot be used.
        ConfigError: The encoder was trained on states of another width, the data lacks a feature, there is nothing for
            the ranker to see, the snippet head does not go with the supervision, ``start_from`` is a model of another
            shape or encoder, ``bce`` is to see squashed scores, the penalty is below 0, or the loss has no temperature
            or one above 0.
    """

    prior_mean: Tensor

    def __init__(
        self,
        encoder: str | None,
        d_in: int | None = None,
        feature_widths: dict[str, int] | None = None,
        features: list[str] = [],  # noqa: B006 (never changed)
        raw_states: bool = False,
        standardise_latents: bool = False,
        standardised_limit: float | None = None,
        hidden: int = 32,
        n_layers: int = 4,
        sees_other_lines: bool = False,
        loss: RankingLoss = "neural_ndcg",
        loss_temperature: float | None = None,
        squash_scores: bool = False,
        calibration: CalibrationName = "temperature",
        supervision: Supervision = "lines",
        snippet_head: SnippetHeadName | None = None,
        snippet_weight: float = 1.0,
        start_from: str | None = None,
        optimizer: Optimizer = "adam",
        lr: float = 1e-4,
        weight_decay: float = 1e-5,
        penalty: float = 0.0,
    ) -> None:
        super().__init__()
        # Where folders lie is no hyperparameter: a checkpoint that named them would be lost once they move.
        self.save_hyperparameters(ignore=["encoder", "start_from"])
        self.built_on = [Path(folder).resolve() for folder in (encoder, start_from) if folder is not None]
        autoencoder, self.encoder_provenance = (None, {}) if encoder is None else SparseAutoencoder.load(Path(encoder))
        if autoencoder is not None:
            if d_in is not None and d_in != autoencoder.config.d_in:
                raise ConfigError(
                    f"The encoder {encoder} was trained on states of width {autoencoder.config.d_in}, but the data has "
                    f"width {d_in}. Pre-train on the same LLM and layer."
                )
            d_in = autoencoder.config.d_in
        if d_in is None:
            raise ConfigError("Without an encoder the width of the states must be given. Set d_in.")
        known = feature_widths or {}
        if missing := set(features) - known.keys():
            raise ConfigError(
                f"The data knows nothing of {', '.join(sorted(missing))}. It has {', '.join(known)}; "
                "uncertainty and lookback must be true there, and prompt_difference needs prompt: difference."
            )
        check_supervision(supervision, snippet_head, snippet_weight)
        widths = {name: known[name] for name in features}
        ranker = RankerConfig(hidden, n_layers, sees_other_lines)
        self.risk_model = RiskModel(
            d_in,
            autoencoder,
            ranker,
            calibration,
            raw_states,
            widths,
            snippet_head,
            standardise_latents,
            standardised_limit,
        )
        self.features = tuple(features)
        self._start_scaled = False
        if start_from is not None:
            self._go_on_from(Path(start_from))
        prior = self._weights().detach().clone()
        self.register_buffer("prior_mean", prior if start_from else torch.zeros_like(prior), persistent=False)
        if squash_scores and loss == "bce":
            raise ConfigError("squash_scores: bce takes logits and squashes them itself. Set squash_scores to false.")
        if penalty < 0:
            raise ConfigError(f"penalty is {penalty}. Set it to 0 or more.")
        self.ranking_loss = _ranking_loss(loss, loss_temperature)
        self.squash_scores = squash_scores
        self.supervision = supervision
        self.snippet_weight = snippet_weight
        self.optimizer: Optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.penalty = penalty
        self._n_train = 1
        self._seen: Tensor | None = None  # what the ranker sees, while L-BFGS evaluates a batch: the encoder is frozen
        self.val_metrics = LineRankingMetrics()
        self.test_metrics = LineRankingMetrics()
        self.examples = ExampleStates(d_in + sum(widths.values()))
        # metrics, since they gather the lines of all processes
        self.val_scores, self.val_labels = CatMetric(), CatMetric()
        self.snippet_scores, self.snippet_wrong = CatMetric(), CatMetric()

    def _go_on_from(self, folder: Path) -> None:
        """Take over an exported risk model's ranker and scales.

        Raises:
            ConfigError: It is of another shape, on another encoder, or cuts elsewhere what is standardised.
        """
        start, _ = RiskModel.load(folder)
        own, given = self.risk_model.state_dict(), start.state_dict()
        fitted_anew = ("calibration.", "snippet_calibration.")
        kept = {name for name in own if not name.startswith(fitted_anew)}
        if kept != {name for name in given if not name.startswith(fitted_anew)} or any(
            own[name].shape != given[name].shape for name in kept
        ):
            raise ConfigError(
                f"start_from: {folder} holds a risk model of another shape. Give hidden, n_layers, features, "
                "raw_states, sees_other_lines and snippet_head as it was trained with."
            )
        if (limit := start.standardiser.limit) != self.risk_model.standardiser.limit:
            raise ConfigError(f"start_from: {folder} was trained with standardised_limit {limit}. Give the same.")
        if any(not torch.equal(own[name], given[name]) for name in kept if name.startswith("encoder.")):
            raise ConfigError(f"start_from: {folder} was trained on another encoder. Give that one as the encoder.")
        self.risk_model.load_state_dict({name: given[name] for name in kept}, strict=False)
        self._start_scaled = True

    def lines(self, batch: SnippetBatch) -> Tensor:
        """Each line's state and the features that the ranker sees, ``(B, T, D + F)``.

        Raises:
            ConfigError: The data is of another stage.
        """
        check_batch(batch, SnippetBatch, self, "Give stage 2 LabelledLines as data.")
        return torch.cat([batch.states, *(batch.features[name] for name in self.features)], dim=-1)

    def forward(self, batch: SnippetBatch) -> Tensor:
        """Line scores, ``(B, T)``."""
        return self._raw(batch).lines

    def _raw(self, batch: SnippetBatch) -> RawRisk:
        return self.risk_model.raw(self.lines(batch), batch.mask)

    def on_train_start(self) -> None:
        """Fit the scales of what the ranker sees standardised; a model that it goes on from brings its own.

        Raises:
            ConfigError: L-BFGS would not see the whole training split in one batch.
        """
        if self.optimizer == "lbfgs" and (self.trainer.num_training_batches > 1 or self.trainer.world_size > 1):
            raise ConfigError(
                "optimizer: lbfgs fits the whole training split at once, but it comes in "
                f"{self.trainer.num_training_batches} batches to {self.trainer.world_size} processes. Set batch_size: "
                "null in the data, and devices: 1; or use adam."
            )
        loader: Any = self.trainer.train_dataloader
        if self.penalty:
            self._n_train = self.trainer.world_size * sum(len(batch.snippet_ids) for batch in loader)
        if not self._start_scaled:
            self.risk_model.fit_scales(self.lines(batch)[batch.mask] for batch in loader)

    def setup(self, stage: str) -> None:
        """Refuse states of another LLM, layer or line rule than the encoder was trained on, and data without verdicts.

        Raises:
            ConfigError: Names the field that differs.
        """
        data = getattr(self.trainer, "datamodule", None)
        if self.risk_model.snippet_head is not None and not getattr(data, "verdicts", True):
            raise ConfigError(
                "A snippet head learns from correct snippets too, but the data gives only those that can be ranked. "
                "Set verdicts: true in the data, or snippet_head: null."
            )
        given = getattr(data, "state_provenance", None)
        if given is None or self.risk_model.encoder is None:
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
        """One step; with L-BFGS one of many evaluations within it."""
        if self._seen is None or self.optimizer != "lbfgs":
            lines = self.lines(batch)
            self.examples.keep(lines[batch.mask])
            self._seen = self.risk_model.representations(lines)
        return self._loss(self.risk_model.rank(self._seen, batch.mask), batch) + self._penalty()

    def on_train_batch_end(self, outputs: Any, batch: SnippetBatch, batch_idx: int) -> None:
        """Log the step's loss: here, for L-BFGS evaluates it often in a step."""
        self._seen = None
        loss = outputs["loss"]
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.snippet_ids), prog_bar=True)

    def on_train_epoch_end(self) -> None:
        """One epoch is all that L-BFGS takes; say so where it was not enough."""
        if self.optimizer == "lbfgs":
            optimizer: Any = self.optimizers()
            (evaluations,) = {state["func_evals"] for state in optimizer.state.values()}
            if evaluations >= LBFGS_EVALUATIONS:
                rank_zero_warn(f"L-BFGS did not come to the optimum in {evaluations} steps. Set a larger penalty.")
            self.trainer.should_stop = True

    def _penalty(self) -> Tensor | float:
        """See the class."""
        if not self.penalty:
            return 0.0
        return self.penalty / (2 * self._n_train) * (self._weights() - self.prior_mean).square().sum()

    def _weights(self) -> Tensor:
        """What the penalty bears on, as one vector; biases are free."""
        return torch.cat([p.flatten() for p in self.risk_model.parameters() if p.requires_grad and p.ndim > 1])

    def validation_step(self, batch: SnippetBatch, batch_idx: int) -> None:
        """Loss and ranking metrics on held-out snippets."""
        raw = self._raw(batch)
        loss = self._loss(raw, batch)
        self.log("val/loss", loss, batch_size=len(batch.snippet_ids), prog_bar=True, sync_dist=True)
        self.val_metrics.update(raw.lines, batch.labels, batch.mask)
        lines = batch.mask & rankable(batch)[:, None]
        self.val_scores.update(raw.lines[lines])
        self.val_labels.update(batch.labels[lines])
        self._keep_verdicts(raw, batch)

    def _loss(self, raw: RawRisk, batch: SnippetBatch) -> Tensor:
        """The mean over the batch's snippets; see the class."""
        loss = raw.lines.new_zeros(())
        if self.supervision == "lines":
            scores = raw.lines.sigmoid() if self.squash_scores else raw.lines
            # the ranking loss is a mean over the snippets that can be ranked
            loss = rankable(batch).float().mean() * self.ranking_loss(scores, batch.labels, batch.mask)
        if raw.snippets is not None:
            weight = self.snippet_weight if self.supervision == "lines" else 1.0
            wrong = (~batch.correct).to(raw.snippets.dtype)
            loss = loss + weight * F.binary_cross_entropy_with_logits(raw.snippets, wrong)
        return loss

    def _keep_verdicts(self, raw: RawRisk, batch: SnippetBatch) -> None:
        if raw.snippets is not None:
            self.snippet_scores.update(raw.snippets)
            self.snippet_wrong.update((~batch.correct).float())

    def on_validation_epoch_end(self) -> None:
        """Log the metrics and fit the calibrations on the validation split.

        Raises:
            ConfigError: All validation lines are wrong; or, with a snippet head, all snippets are, or none is.
        """
        self._log_metrics("val", self.val_metrics)
        judged = self._log_verdicts("val")
        scores, labels = (metric.compute().double().cpu().numpy() for metric in (self.val_scores, self.val_labels))
        self.val_scores.reset()
        self.val_labels.reset()
        if not self.trainer.sanity_checking:  # a few batches before training, that may hold one kind of line only
            self.risk_model.calibration.fit(scores, labels)
            if judged is not None and self.risk_model.snippet_calibration is not None:
                self.risk_model.snippet_calibration.fit(*judged, of="snippets")

    def test_step(self, batch: SnippetBatch, batch_idx: int) -> dict[str, list[ScoredSnippet]]:
        """Scores of the test snippets (as ``scored``); their metrics are logged at the end."""
        raw = self._raw(batch)
        self.test_metrics.update(raw.lines, batch.labels, batch.mask)
        self._keep_verdicts(raw, batch)
        return {"scored": self.predict_step(batch, batch_idx)}

    def on_test_epoch_end(self) -> None:
        """Log the metrics."""
        self._log_metrics("test", self.test_metrics)
        self._log_verdicts("test")

    def predict_step(self, batch: SnippetBatch, batch_idx: int) -> list[ScoredSnippet]:
        """Scores and probabilities of each snippet's lines, and of the snippet where there is a snippet head."""
        risk, of_snippets = self.risk_model.assess(self.lines(batch), batch.mask)
        scored = []
        for row, snippet_id in enumerate(batch.snippet_ids):
            lines = batch.mask[row]
            scores, probabilities, labels = (
                part[row][lines].double().cpu().numpy() for part in (risk.scores, risk.probabilities, batch.labels)
            )
            numbers = batch.line_numbers[row][lines].cpu().numpy().astype(np.int64)
            correct = bool(batch.correct[row])
            snippet = ScoredSnippet(snippet_id, numbers, scores, probabilities, labels, correct=correct)
            if of_snippets is not None:
                score, probability = (float(part[row]) for part in of_snippets)
                snippet = snippet._replace(snippet_score=score, snippet_probability=probability)
            scored.append(snippet)
        return scored

    def _log_metrics(self, stage: str, metrics: LineRankingMetrics) -> None:
        values = {f"{stage}/{name}": value.float() for name, value in metrics.compute().items()}
        shown = f"{stage}/mrr"
        self.log_dict({name: value for name, value in values.items() if name != shown})
        self.log(shown, values[shown], prog_bar=True)
        metrics.reset()

    def _log_verdicts(self, stage: str) -> Judged | None:
        """Log the snippet scores' AUROC; the scores of all snippets, where there is a snippet head."""
        if self.risk_model.snippet_head is None:
            return None
        judged = Judged(
            *(metric.compute().double().cpu().numpy() for metric in (self.snippet_scores, self.snippet_wrong))
        )
        self.snippet_scores.reset()
        self.snippet_wrong.reset()
        if 0 < judged.wrong.sum() < len(judged.wrong):  # undefined for snippets of one kind
            self.log(f"{stage}/snippet_auroc", torch.tensor(auroc(*judged), dtype=torch.float32))
        return judged

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Of the ranker and the snippet head alone."""
        trained = [p for p in self.risk_model.parameters() if p.requires_grad]
        if self.optimizer == "lbfgs":
            bound = LBFGS_EVALUATIONS
            return torch.optim.LBFGS(
                trained, max_iter=bound, max_eval=bound, history_size=20, line_search_fn="strong_wolfe"
            )
        return torch.optim.Adam(trained, lr=self.lr, weight_decay=self.weight_decay)

    def export(self, folder: Path, provenance: dict[str, Any]) -> None:
        """Write the risk model as a folder.

        Raises:
            ModelFolderError: The folder is not empty.
            ConfigError: Nothing was validated, so there is no calibration.
        """
        if not self.risk_model.fitted:
            raise ConfigError(
                "The scores were never calibrated, because nothing was validated. Let fit validate (limit_val_batches "
                "above 0), or leave ExportModel out of the callbacks."
            )
        self.risk_model.save(folder, self.examples.states(), provenance)


class Judged(NamedTuple):
    """Snippets with a score and a verdict.

    Attributes:
        scores: ``(N,)``.
        wrong: 1 where the snippet is wrong, ``(N,)``.
    """

    scores: FloatArray
    wrong: FloatArray


def rankable(batch: SnippetBatch) -> Tensor:
    """Which snippets have something to rank: at least two lines, at least one of them wrong; ``(B,)``."""
    return (batch.mask.sum(dim=-1) > 1) & ((batch.labels > 0) & batch.mask).any(dim=-1)


def _ranking_loss(name: RankingLoss, temperature: float | None) -> Callable[..., Tensor]:
    """The loss, at a temperature where one is given.

    Raises:
        ConfigError: It has none, or the temperature is not above 0.
    """
    if temperature is None:
        return RANKING_LOSSES[name]
    if name not in TEMPERED_LOSSES:
        raise ConfigError(
            f"loss_temperature: {name} has no temperature. Set it to null, or loss to one of "
            f"{', '.join(TEMPERED_LOSSES)}."
        )
    if not 0 < temperature < math.inf:
        raise ConfigError(f"loss_temperature is {temperature}. Set it above 0.")
    return partial(RANKING_LOSSES[name], temperature=temperature)


def check_supervision(supervision: Supervision, snippet_head: SnippetHeadName | None, weight: float) -> None:
    """Refuse a snippet head that does not go with the supervision.

    Raises:
        ConfigError: Says which do.
    """
    weak = ", ".join(WEAK_HEADS)
    if supervision == "verdicts" and snippet_head not in WEAK_HEADS:
        raise ConfigError(
            f"supervision: verdicts needs a snippet head that pools line scores, and {snippet_head} does not. Set "
            f"snippet_head to one of {weak}."
        )
    if supervision == "lines" and snippet_head in WEAK_HEADS:
        raise ConfigError(
            f"snippet_head: {snippet_head} makes line scores of verdicts, but supervision is lines. Set supervision: "
            "verdicts, or snippet_head to one of last, mean, max, rank."
        )
    if weight <= 0:
        raise ConfigError(f"snippet_weight is {weight}. Set it above 0; snippet_head: null leaves the head out.")
