"""Stage 1: a sparse autoencoder that tells lines from their mutants."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torchmetrics import MeanMetric

from pttrust_lightning.errors import ConfigError, NonFiniteError
from pttrust_lightning.losses import (
    ContrastiveLoss,
    ccs,
    margin_contrastive,
    normalised_reconstruction,
    pair_distance,
    pair_info_nce,
    unit_latents,
)
from pttrust_lightning.losses.aux_k import aux_k
from pttrust_lightning.metrics.reconstruction import FractionOfVarianceUnexplained
from pttrust_lightning.metrics.sparsity import LatentUse
from pttrust_lightning.models.sparse_autoencoder import (
    Activation,
    SparseAutoencoder,
    SparseAutoencoderConfig,
    SparseAutoencoderOutput,
    top_k,
)
from pttrust_lightning.modules.batches import check_batch
from pttrust_lightning.modules.examples import ExampleStates
from pttrust_lightning.types import StateBatch

_DATA = "Give stage 1 UnlabelledStates or StreamedStates as data."


class ContrastivePretraining(LightningModule):
    """Contrastive pre-training of the sparse autoencoder (METHOD: stage 1; PtTrust, arXiv 2504.14640).

        L = L_rec + contrastive_weight * L_con + aux_weight * L_aux

    L_rec is the mean over the Matryoshka prefixes, where latents are nested. The contrastive term starts after
    ``warmup_epochs``. Defaults are the paper's, but for two: their margin is 2, which non-negative unit latents
    (at most sqrt(2) apart) never reach, and their lambda is not known.

    Args:
        d_in: Width D of a state; linked to the data on the command line.
        n_latents: Number of latents M.
        k: Latents that may be active at once.
        tied: Whether the decoder is the encoder's transpose.
        normalise: Whether each state is standardised before encoding.
        activation: ``topk`` keeps k latents of each line; ``batch_topk`` (arXiv 2412.06410) keeps k a line on average:
            the largest of a batch in training, those above a learned threshold elsewhere.
        matryoshka: Sizes of nested prefixes of the latents that are each to rebuild the state (arXiv 2503.17547),
            rising up to ``n_latents``, such as [16, 32, 64, 128]; null for none.
        b_pre_init: Where b_pre starts: ``zeros``, or the ``mean`` of the first batch's standardised states (Gao et al.,
            arXiv 2406.04093, appendix A, start from a centre too). States lie far from 0 in one direction: from zeros
            some latents fire on every line to rebuild it, and those that point away from it never fire.
        contrastive: ``margin``, ``info_nce``, ``ccs`` or ``none``.
        contrastive_weight: Lambda; 0 leaves a plain sparse autoencoder. The reconstruction loss is small (about 0.005
            on the embedded LLM), so that a weight of 1 lets the contrast displace the reconstruction.
        margin: Distance from which a pair costs nothing (``margin``).
        temperature: In units of cosine similarity (``info_nce``).
        hardness: How much more the lines of the other side count that lie closest (``info_nce``; beta of arXiv
            2010.04592); 0 for all alike.
        warmup_epochs: Epochs without the contrastive term.
        aux_weight: Weight of the loss that revives dead latents; the literature's value is 1/32, the paper has none.
        aux_k: Dead latents that model the residual.
        dead_after: Lines without firing after which a latent counts as dead.
        lr: Learning rate of AdamW.
        weight_decay: Of AdamW.

    Raises:
        ConfigError: A setting out of range.
    """

    def __init__(
        self,
        d_in: int,
        n_latents: int = 128,
        k: int = 32,
        tied: bool = True,
        normalise: bool = True,
        activation: Activation = "topk",
        matryoshka: list[int] | None = None,
        b_pre_init: Literal["zeros", "mean"] = "zeros",
        contrastive: ContrastiveLoss = "margin",
        contrastive_weight: float = 0.03,
        margin: float = 1.0,
        temperature: float = 0.1,
        hardness: float = 0.0,
        warmup_epochs: int = 4,
        aux_weight: float = 0.0,
        aux_k: int = 16,
        dead_after: int = 100_000,
        lr: float = 2e-4,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        if margin <= 0 or temperature <= 0 or dead_after < 0 or aux_k < 1:
            raise ConfigError(
                f"margin {margin}, temperature {temperature} and aux_k {aux_k} must be above 0, and dead_after "
                f"{dead_after} not below it."
            )
        if hardness < 0 or (hardness > 0 and contrastive != "info_nce"):
            raise ConfigError(
                f"hardness is {hardness} with contrastive {contrastive!r}. It weighs the negatives of info_nce: set it "
                "above 0 there, and to 0 elsewhere."
            )
        # The command line links the data's features to every model, and a name that is unknown here ends a resumed fit.
        self.save_hyperparameters(ignore=["feature_widths"])
        self.autoencoder = SparseAutoencoder(
            SparseAutoencoderConfig(
                d_in, n_latents, k, tied, normalise, activation, None if matryoshka is None else tuple(matryoshka)
            )
        )
        self.b_pre_init = b_pre_init
        self.contrastive: ContrastiveLoss = contrastive
        self.contrastive_weight = contrastive_weight
        self.margin = margin
        self.temperature = temperature
        self.hardness = hardness
        self.warmup_epochs = warmup_epochs
        self.aux_weight = aux_weight
        self.aux_k = min(aux_k, n_latents)
        self.dead_after = dead_after
        self.lr = lr
        self.weight_decay = weight_decay
        self.probe = nn.Linear(n_latents, 1) if contrastive == "ccs" else None
        self.register_buffer("lines_since_fired", torch.zeros(n_latents, dtype=torch.long))
        self.lines_since_fired: Tensor
        self.fvu = FractionOfVarianceUnexplained(d_in)
        self.latent_use = LatentUse(n_latents)
        self.distance = MeanMetric()
        self.examples = ExampleStates(d_in)

    def forward(self, states: Tensor) -> Tensor:
        """Sparse latents of states; ``(N, D)`` to ``(N, M)``."""
        return self.autoencoder.encode(states)

    def losses(self, batch: StateBatch) -> dict[str, Tensor]:
        """Each term of the loss, unweighted, for one batch.

        Raises:
            NonFiniteError: A state or a term is NaN or infinite.
        """
        return self._terms(batch, self.autoencoder(batch.states))

    def _terms(self, batch: StateBatch, output: SparseAutoencoderOutput) -> dict[str, Tensor]:
        a, b = output.latents[batch.pairs[:, 0]], output.latents[batch.pairs[:, 1]]
        nested = [normalised_reconstruction(batch.states, rebuilt) for rebuilt in output.nested]
        terms = {"reconstruction": torch.stack(nested).mean()}
        if self.contrastive != "none":
            terms["contrastive"] = self._contrastive_term(a, b)
        if self.aux_weight > 0:
            terms["aux"] = self._aux_term(batch.states, output)
        if not bool(torch.isfinite(torch.stack(list(terms.values())).sum())):  # waits for the device once
            if not bool(torch.isfinite(batch.states).all()):
                raise NonFiniteError(
                    "The batch holds NaN or infinite states: delete the state cache and extract again."
                )
            names = [name for name, term in terms.items() if not bool(torch.isfinite(term))]
            raise NonFiniteError(
                f"The {' and '.join(names)} loss is NaN or infinite. Lower the learning rate or clip gradients."
            )
        return terms

    def _contrastive_term(self, a: Tensor, b: Tensor) -> Tensor:
        if self.contrastive == "margin":
            return margin_contrastive(a, b, self.margin)
        if self.contrastive == "info_nce":
            return pair_info_nce(a, b, self.temperature, self.hardness)
        probe = cast(nn.Linear, self.probe)
        return ccs(*(probe(u - u.mean(0)).squeeze(-1).sigmoid() for u in (unit_latents(a), unit_latents(b))))

    def _aux_term(self, states: Tensor, output: SparseAutoencoderOutput) -> Tensor:
        """Let the strongest dead latents model what the live ones left over."""
        dead = self.lines_since_fired > self.dead_after
        revived = top_k(output.pre_activations.relu() * dead, self.aux_k)
        standardised, _ = self.autoencoder.standardise(states)
        decoder = self.autoencoder.decoder
        live = nn.functional.linear(output.latents, decoder) + self.autoencoder.b_pre
        return aux_k(standardised - live, nn.functional.linear(revived, decoder)) * dead.any()

    def _total(self, terms: dict[str, Tensor]) -> Tensor:
        total = terms["reconstruction"]
        # Warm-up is of training: validate and test, which start at epoch 0, weigh every term.
        warming_up = self.trainer.state.fn == TrainerFn.FITTING and self.current_epoch < self.warmup_epochs
        if "contrastive" in terms and not warming_up:
            total = total + self.contrastive_weight * terms["contrastive"]
        if "aux" in terms:
            total = total + self.aux_weight * terms["aux"]
        return total

    def on_fit_start(self) -> None:
        """Say so where the contrastive term can never start."""
        epochs = self.trainer.max_epochs
        if self.contrastive != "none" and epochs is not None and 0 <= epochs <= self.warmup_epochs:
            rank_zero_warn(
                f"max_epochs {epochs} ends within the {self.warmup_epochs} warmup_epochs: this run trains without the "
                "contrastive term. Raise trainer.max_epochs or lower model.init_args.warmup_epochs."
            )

    @torch.no_grad()
    def on_train_start(self) -> None:
        """Start b_pre where the states are, if that is asked for and this is the start."""
        if self.b_pre_init == "mean" and self.trainer.global_step == 0:
            loader: Any = self.trainer.train_dataloader
            standardised, _ = self.autoencoder.standardise(next(iter(loader)).states.to(self.device))
            self.autoencoder.b_pre.copy_(self.trainer.strategy.reduce(standardised.mean(0), reduce_op="mean"))

    def training_step(self, batch: StateBatch, batch_idx: int) -> Tensor:
        """One step; logs the terms per epoch.

        Raises:
            ConfigError: The data is of another stage.
        """
        check_batch(batch, StateBatch, self, _DATA)
        self.examples.keep(batch.states)
        output = self.autoencoder(batch.states)
        terms = self._terms(batch, output)
        fired = (output.latents > 0).any(0)
        self.lines_since_fired = torch.where(fired, 0, self.lines_since_fired + len(batch.states))
        return self._log_terms("train", terms, batch)

    def validation_step(self, batch: StateBatch, batch_idx: int) -> dict[str, Tensor]:
        """Held-out terms, FVU, L0, dead latents, pair distance (METHOD: report per epoch).

        Returns:
            ``latents (N, M)`` and ``distances (P,)`` of the pairs, for callbacks that show how they are distributed.
        """
        return self._evaluate(batch, "val")

    def test_step(self, batch: StateBatch, batch_idx: int) -> dict[str, Tensor]:
        """As validation."""
        return self._evaluate(batch, "test")

    def predict_step(self, batch: StateBatch, batch_idx: int) -> Tensor:
        """Sparse latents, ``(N, M)``.

        Raises:
            ConfigError: The data is of another stage.
        """
        check_batch(batch, StateBatch, self, _DATA)
        return self(batch.states)  # type: ignore[no-any-return]

    def _evaluate(self, batch: StateBatch, stage: str) -> dict[str, Tensor]:
        check_batch(batch, StateBatch, self, _DATA)
        output = self.autoencoder(batch.states)
        self.fvu.update(batch.states, output.reconstruction)
        self.latent_use.update(output.latents)
        a, b = output.latents[batch.pairs[:, 0]], output.latents[batch.pairs[:, 1]]
        distances = pair_distance(a, b)
        self.distance.update(distances)
        self._log_terms(stage, self._terms(batch, output), batch)
        return {"latents": output.latents, "distances": distances}

    def _log_terms(self, stage: str, terms: dict[str, Tensor], batch: StateBatch) -> Tensor:
        """Log the terms and their weighted sum, and return the sum."""
        n_lines = len(batch.states)
        for name, term in terms.items():
            n = len(batch.pairs) if name == "contrastive" else n_lines  # what the term is a mean over
            self.log(f"{stage}/{name}_loss", term, on_step=False, on_epoch=True, batch_size=n, sync_dist=True)
        total = self._total(terms)
        epoch_mean: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log(f"{stage}/loss", total, batch_size=n_lines, prog_bar=True, **epoch_mean)
        return total

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's figures."""
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        """Log the figures."""
        self._log_epoch("test")

    def _log_epoch(self, stage: str) -> None:
        self.log(f"{stage}/fvu", self.fvu.compute(), prog_bar=True, sync_dist=True)
        self.log(f"{stage}/pair_distance", self.distance.compute(), sync_dist=True)
        self.log_dict({f"{stage}/{name}": value for name, value in self.latent_use.compute().items()}, sync_dist=True)
        for metric in (self.fvu, self.latent_use, self.distance):
            metric.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def export(self, folder: Path, provenance: dict[str, Any]) -> None:
        """Write the autoencoder as a folder for stage 2.

        Raises:
            ModelFolderError: The folder is not empty.
        """
        self.autoencoder.save(folder, self.examples.states(), provenance)
