"""The whole risk model: frozen encoder, ranker, calibration; states in, P(line is wrong), P(snippet is wrong) out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from pttrust_lightning.errors import ConfigError, ModelFolderError
from pttrust_lightning.models.calibration import CALIBRATIONS, Calibration
from pttrust_lightning.models.folder import ModelFolder, check_golden, load_folder, save_folder
from pttrust_lightning.models.line_ranker import LineRanker, RankerConfig
from pttrust_lightning.models.snippet_head import SNIPPET_HEADS, SnippetHead
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from pttrust_lightning.models.standardiser import Standardiser

KIND = "risk_model"


class LineRisk(NamedTuple):
    """What the model says of some lines.

    Attributes:
        scores: The higher, the riskier; ``(...)``.
        probabilities: P(line is wrong), ``(...)``.
    """

    scores: Tensor
    probabilities: Tensor


class SnippetRisk(NamedTuple):
    """What the model says of some snippets.

    Attributes:
        scores: The higher, the likelier the snippet is wrong; ``(...)``.
        probabilities: P(snippet is wrong), ``(...)``.
    """

    scores: Tensor
    probabilities: Tensor


class RawRisk(NamedTuple):
    """Scores before calibration.

    Attributes:
        lines: Of the lines, ``(..., T)``.
        snippets: Of the snippets, ``(...)``; None without a snippet head.
    """

    lines: Tensor
    snippets: Tensor | None


class Risk(NamedTuple):
    """What the model says of some snippets and their lines.

    Attributes:
        lines: Of the lines.
        snippets: Of the snippets; None without a snippet head.
    """

    lines: LineRisk
    snippets: SnippetRisk | None


class RiskModel(nn.Module):
    """Scores lines by their states (METHOD: stage 2), and by what else is known of them where that is asked for.

    A line comes as one row: its state, then its further features. The ranker sees the sparse latents of the state, the
    standardised state itself where ``raw_states`` says so, and the standardised features; ``standardise_latents``
    standardises the latents too.

    Args:
        d_in: Width D of a state.
        encoder: Stage 1's sparse autoencoder; frozen. None leaves the latents out.
        ranker: Settings of the :class:`LineRanker`, beside its width.
        calibration: ``temperature`` or ``isotonic``.
        raw_states: Whether the ranker sees the states themselves.
        features: Widths of the further features, by name, in the order in which they follow the state.
        snippet_head: One of ``SNIPPET_HEADS``, calibrated as lines are; None judges lines alone.
        standardise_latents: Whether the latents are brought to a common scale, so that a penalty on weights bears on
            all that the ranker sees alike.
        standardised_limit: Standard deviations at which what is standardised is cut; None for nowhere.

    Raises:
        ConfigError: There is nothing for the ranker to see, the encoder is of another width, there are no latents to
            standardise, or the limit is not above 0.
    """

    def __init__(
        self,
        d_in: int,
        encoder: SparseAutoencoder | None,
        ranker: RankerConfig = RankerConfig(),  # noqa: B008 (immutable)
        calibration: str = "temperature",
        raw_states: bool = False,
        features: Mapping[str, int] | None = None,
        snippet_head: str | None = None,
        standardise_latents: bool = False,
        standardised_limit: float | None = None,
    ) -> None:
        super().__init__()
        if encoder is not None and encoder.config.d_in != d_in:
            raise ConfigError(f"The encoder is of width {encoder.config.d_in}, but the states are of width {d_in}.")
        if encoder is None and standardise_latents:
            raise ConfigError("standardise_latents: true, but there is no encoder. Give one, or leave it out.")
        if standardised_limit is not None and not standardised_limit > 0:
            raise ConfigError(f"standardised_limit is {standardised_limit}. Set it above 0, or to null.")
        self._d_in, self._raw_states, self._features = d_in, raw_states, dict(features or {})
        self._ranker_config, self._calibration_name, self._snippet_head_name = ranker, calibration, snippet_head
        self._standardise_latents = standardise_latents
        n_latents = 0 if encoder is None else encoder.config.n_latents
        n_seen = n_latents + sum(self._features.values()) + (d_in if raw_states else 0)
        if not n_seen:
            raise ConfigError("The ranker has nothing to see. Give an encoder, raw_states: true, or features.")
        self.encoder = None if encoder is None else encoder.requires_grad_(False)
        n_standardised = n_seen if standardise_latents else n_seen - n_latents
        self.standardiser = Standardiser(n_standardised, standardised_limit)
        self.ranker = LineRanker(n_seen, *ranker)
        self.calibration: Calibration = CALIBRATIONS[calibration]()
        self.snippet_head: SnippetHead | None = None
        self.snippet_calibration: Calibration | None = None
        if snippet_head is not None:
            self.snippet_head = SNIPPET_HEADS[snippet_head](self.ranker.head.in_features)
            self.snippet_calibration = CALIBRATIONS[calibration]()

    @property
    def fitted(self) -> bool:
        """Whether every calibration was fitted."""
        return self.calibration.fitted and (self.snippet_calibration is None or self.snippet_calibration.fitted)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The further features, in the order in which they follow the state."""
        return tuple(self._features)

    def fit_scales(self, lines: Iterable[Tensor]) -> None:
        """Fit the scales of what is standardised to lines, ``(N, D + F)`` each; nothing, where nothing is."""
        if self.standardiser.mean.numel():
            self.standardiser.fit(torch.cat([self._columns(some)[1] for some in lines]))

    def _columns(self, lines: Tensor) -> tuple[Tensor, Tensor]:
        """What the ranker sees as it is, and what it sees standardised; lines ``(..., D + F)``."""
        others = lines if self._raw_states else lines[..., self._d_in :]
        if self.encoder is None:
            return lines[..., :0], others
        with torch.no_grad():
            latents = self.encoder.encode(lines[..., : self._d_in])
        if self._standardise_latents:
            return lines[..., :0], torch.cat([latents, others], dim=-1)
        return latents, others

    def representations(self, lines: Tensor) -> Tensor:
        """What the ranker sees; lines ``(..., D + F)``."""
        as_they_are, to_standardise = self._columns(lines)
        if not to_standardise.shape[-1]:
            return as_they_are
        return torch.cat([as_they_are, self.standardiser(to_standardise)], dim=-1)

    def raw(self, lines: Tensor, mask: Tensor | None = None) -> RawRisk:
        """Uncalibrated scores of lines and snippets; lines ``(..., T, D + F)``, mask ``(..., T)``."""
        return self.rank(self.representations(lines), mask)

    def rank(self, representations: Tensor, mask: Tensor | None = None) -> RawRisk:
        """``raw``, from what the ranker sees of each line."""
        penultimate = self.ranker.penultimate(representations, mask)
        scores = self.ranker.score(penultimate)
        if self.snippet_head is None:
            return RawRisk(scores, None)
        return RawRisk(*self.snippet_head(scores, penultimate, mask))

    def logits(self, lines: Tensor, mask: Tensor | None = None) -> Tensor:
        """Uncalibrated line scores; lines ``(..., T, D + F)``, mask ``(..., T)``, to ``(..., T)``."""
        return self.raw(lines, mask).lines

    def assess(self, lines: Tensor, mask: Tensor | None = None) -> Risk:
        """Scores and calibrated probabilities of lines and snippets; lines ``(..., T, D + F)``, mask ``(..., T)``."""
        raw = self.raw(lines, mask)
        of_lines = LineRisk(raw.lines, self.calibration(raw.lines))
        if raw.snippets is None or self.snippet_calibration is None:
            return Risk(of_lines, None)
        return Risk(of_lines, SnippetRisk(raw.snippets, self.snippet_calibration(raw.snippets)))

    def forward(self, lines: Tensor, mask: Tensor | None = None) -> LineRisk:
        """Scores and calibrated probabilities; lines ``(..., T, D + F)``, mask ``(..., T)``, to ``(..., T)`` each."""
        return self.assess(lines, mask).lines

    def save(self, folder: Path, golden_lines: Tensor, provenance: dict[str, Any]) -> None:
        """Write the model as a folder.

        Args:
            folder: A new or empty folder.
            golden_lines: Lines to try it on when it is loaded, as one snippet, ``(N, D + F)``.
            provenance: What the states come from.

        Raises:
            ModelFolderError: The folder is not empty.
        """
        golden = golden_lines.cpu().float()
        with torch.no_grad():
            risk = copy.deepcopy(self).cpu().assess(golden)  # a copy: saving must not move the model
        config = {
            "d_in": self._d_in,
            "encoder": None if self.encoder is None else asdict(self.encoder.config),
            "raw_states": self._raw_states,
            "features": self._features,
            "ranker": self._ranker_config._asdict(),
            "calibration": self._calibration_name,
            "snippet_head": self._snippet_head_name,
            "standardise_latents": self._standardise_latents,
            "standardised_limit": self.standardiser.limit,
            "provenance": provenance,
        }
        save_folder(folder, KIND, ModelFolder(config, self.state_dict(), golden, _golden_output(risk)))

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """Read an exported risk model and the provenance of the states that it was trained on.

        Raises:
            ModelFolderError: The folder is missing, damaged, or holds something else.
        """
        content = load_folder(folder, KIND)
        config = content.config
        try:
            encoder = None
            if config["encoder"] is not None:
                encoder = SparseAutoencoder(SparseAutoencoderConfig(**config["encoder"]))
            ranker = RankerConfig(**config["ranker"])
            model = cls(
                config["d_in"],
                encoder,
                ranker,
                config["calibration"],
                config["raw_states"],
                config["features"],
                config.get("snippet_head"),  # folders that were written before there were snippet heads have none
                config.get("standardise_latents", False),  # nor do they know of this
                config.get("standardised_limit"),  # nor of this
            )
            model.load_state_dict(content.tensors)
            provenance = config["provenance"]
        except (KeyError, TypeError, RuntimeError, ConfigError) as error:
            raise ModelFolderError(
                f"{folder}: config and weights do not fit ({error}). Export the model again."
            ) from error
        with torch.no_grad():
            check_golden(folder, content.golden_output, _golden_output(model.assess(content.golden_input)))
        return model, provenance


def _golden_output(risk: Risk) -> Tensor:
    """Scores and probabilities of N lines, and behind them those of the snippet; ``(2, N)`` or ``(2, N + 1)``."""
    lines = torch.stack(list(risk.lines))
    return lines if risk.snippets is None else torch.cat([lines, torch.stack(list(risk.snippets))[:, None]], dim=1)
