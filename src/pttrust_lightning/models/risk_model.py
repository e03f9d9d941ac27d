"""The whole risk model: frozen encoder, line ranker, calibration; states in, P(line is wrong) out."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from pttrust_lightning.errors import ConfigError, ModelFolderError
from pttrust_lightning.models.calibration import CALIBRATIONS, Calibration
from pttrust_lightning.models.folder import ModelFolder, check_golden, load_folder, save_folder
from pttrust_lightning.models.line_ranker import LineRanker
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig

KIND = "risk_model"


class LineRisk(NamedTuple):
    """What the model says of some lines.

    Attributes:
        scores: The higher, the riskier; ``(...)``.
        probabilities: P(line is wrong), ``(...)``.
    """

    scores: Tensor
    probabilities: Tensor


class RiskModel(nn.Module):
    """Scores lines by their states (METHOD: stage 2).

    Args:
        encoder: Stage 1's sparse autoencoder; frozen.
        hidden: Width of the ranker's hidden layers.
        n_layers: Linear layers of the ranker.
        calibration: ``temperature`` or ``isotonic``.
    """

    def __init__(
        self, encoder: SparseAutoencoder, hidden: int = 32, n_layers: int = 4, calibration: str = "temperature"
    ) -> None:
        super().__init__()
        self._ranker_config = {"hidden": hidden, "n_layers": n_layers}
        self._calibration_name = calibration
        self.encoder = encoder.requires_grad_(False)
        self.ranker = LineRanker(encoder.config.n_latents, hidden, n_layers)
        self.calibration: Calibration = CALIBRATIONS[calibration]()

    def logits(self, states: Tensor) -> Tensor:
        """Uncalibrated scores; states ``(..., D)`` to ``(...)``."""
        with torch.no_grad():
            latents = self.encoder.encode(states)
        return self.ranker(latents)  # type: ignore[no-any-return]

    def forward(self, states: Tensor) -> LineRisk:
        """Scores and calibrated probabilities; states ``(..., D)`` to ``(...)`` each."""
        scores = self.logits(states)
        return LineRisk(scores, self.calibration(scores))

    def save(self, folder: Path, golden_states: Tensor, provenance: dict[str, Any]) -> None:
        """Write the model as a folder.

        Args:
            folder: A new or empty folder.
            golden_states: States to try it on when it is loaded, ``(N, D)``.
            provenance: What the states come from.

        Raises:
            ModelFolderError: The folder is not empty.
        """
        golden = golden_states.cpu().float()
        with torch.no_grad():
            risk = copy.deepcopy(self).cpu()(golden)  # a copy: saving must not move the model
        config = {
            "encoder": asdict(self.encoder.config),
            "ranker": self._ranker_config,
            "calibration": self._calibration_name,
            "provenance": provenance,
        }
        save_folder(folder, KIND, ModelFolder(config, self.state_dict(), golden, torch.stack(list(risk))))

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """Read an exported risk model and the provenance of the states that it was trained on.

        Raises:
            ModelFolderError: The folder is missing, damaged, or holds something else.
        """
        content = load_folder(folder, KIND)
        config = content.config
        try:
            encoder = SparseAutoencoder(SparseAutoencoderConfig(**config["encoder"]))
            model = cls(encoder, **config["ranker"], calibration=config["calibration"])
            model.load_state_dict(content.tensors)
            provenance = config["provenance"]
        except (KeyError, TypeError, RuntimeError, ConfigError) as error:
            raise ModelFolderError(
                f"{folder}: config and weights do not fit ({error}). Export the model again."
            ) from error
        with torch.no_grad():
            check_golden(folder, content.golden_output, torch.stack(list(model(content.golden_input))))
        return model, provenance
