"""The sparse autoencoder of stage 1."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from pttrust_lightning.errors import ConfigError, ModelFolderError
from pttrust_lightning.models.folder import ModelFolder, check_golden, load_folder, save_folder

KIND = "sparse_autoencoder"

_EPS = 1e-6


class SparseAutoencoderOutput(NamedTuple):
    """What the autoencoder makes of some states.

    Attributes:
        latents: Sparse code, at most k non-zero entries a row, ``(N, M)``.
        pre_activations: Before ReLU and TopK, ``(N, M)``.
        reconstruction: In the states' own units, ``(N, D)``.
    """

    latents: Tensor
    pre_activations: Tensor
    reconstruction: Tensor


class LayerStatistics(NamedTuple):
    """Per-vector mean and standard deviation, kept to undo the standardisation; ``(N, 1)`` each."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True, slots=True)
class SparseAutoencoderConfig:
    """Shape of a sparse autoencoder.

    Attributes:
        d_in: Width D of a state.
        n_latents: Number of latents M.
        k: Latents that may be active at once.
        tied: Whether the decoder is the encoder's transpose.
        normalise: Whether each state is standardised before encoding, and the reconstruction set back after.
    """

    d_in: int
    n_latents: int = 128
    k: int = 32
    tied: bool = True
    normalise: bool = True

    def __post_init__(self) -> None:
        """Reject shapes that cannot be.

        Raises:
            ConfigError: Names the field.
        """
        if self.d_in < 2:
            raise ConfigError(f"d_in is {self.d_in}. A state has at least two numbers: check the state cache.")
        if not 0 < self.k <= self.n_latents:
            raise ConfigError(f"k is {self.k}, but must lie between 1 and n_latents = {self.n_latents}.")


class SparseAutoencoder(nn.Module):
    """TopK sparse autoencoder over line states (METHOD: stage 1; PtTrust, arXiv 2504.14640, section 3).

        z     = TopK_k(ReLU(W_enc (LN(s) - b_pre) + b_enc))
        s_hat = undo_LN(W_dec z + b_pre),    W_dec = W_enc^T when tied

    LN is per-vector standardisation without learned scale.

    Args:
        config: Its shape.
    """

    def __init__(self, config: SparseAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.w_enc = nn.Parameter(torch.empty(config.n_latents, config.d_in))
        self.b_enc = nn.Parameter(torch.zeros(config.n_latents))
        self.b_pre = nn.Parameter(torch.zeros(config.d_in))
        self.w_dec = None if config.tied else nn.Parameter(torch.empty(config.d_in, config.n_latents))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Unit-norm random directions; an untied decoder starts as the encoder's transpose."""
        with torch.no_grad():
            nn.init.normal_(self.w_enc)
            self.w_enc.div_(self.w_enc.norm(dim=1, keepdim=True))
            self.b_enc.zero_()
            self.b_pre.zero_()
            if self.w_dec is not None:
                self.w_dec.copy_(self.w_enc.T)

    def standardise(self, states: Tensor) -> tuple[Tensor, LayerStatistics]:
        """LN(s) and the statistics that undo it; the identity (mean 0, std 1) when ``normalise`` is off."""
        if not self.config.normalise:
            ones = states.new_ones(*states.shape[:-1], 1)
            return states, LayerStatistics(torch.zeros_like(ones), ones)
        mean = states.mean(-1, keepdim=True)
        variance = (states - mean).square().mean(-1, keepdim=True)
        std = variance.clamp_min(1e-30).sqrt() + _EPS  # clamped: the root of 0 has no finite gradient
        return (states - mean) / std, LayerStatistics(mean, std)

    @property
    def decoder(self) -> Tensor:
        """W_dec, ``(D, M)``: the encoder's transpose when tied."""
        return self.w_enc.T if self.w_dec is None else self.w_dec

    def pre_activations(self, states: Tensor) -> Tensor:
        """W_enc (LN(s) - b_pre) + b_enc; ``(..., D)`` to ``(..., M)``."""
        standardised, _ = self.standardise(states)
        return nn.functional.linear(standardised - self.b_pre, self.w_enc, self.b_enc)

    def encode(self, states: Tensor) -> Tensor:
        """Sparse latents z; ``(..., D)`` to ``(..., M)``."""
        return top_k(self.pre_activations(states).relu(), self.config.k)

    def decode(self, latents: Tensor, statistics: LayerStatistics) -> Tensor:
        """Reconstruction in the states' own units; ``(..., M)`` to ``(..., D)``."""
        return (nn.functional.linear(latents, self.decoder) + self.b_pre) * statistics.std + statistics.mean

    def forward(self, states: Tensor) -> SparseAutoencoderOutput:
        """Encode and decode states ``(N, D)``."""
        standardised, statistics = self.standardise(states)
        pre = nn.functional.linear(standardised - self.b_pre, self.w_enc, self.b_enc)
        latents = top_k(pre.relu(), self.config.k)
        return SparseAutoencoderOutput(latents, pre, self.decode(latents, statistics))

    def save(self, folder: Path, golden_states: Tensor, provenance: dict[str, Any]) -> None:
        """Write the autoencoder as a folder.

        Args:
            folder: A new or empty folder.
            golden_states: States to try it on when it is loaded, ``(N, D)``.
            provenance: What the states come from.

        Raises:
            ModelFolderError: The folder is not empty.
        """
        golden = golden_states.cpu().float()
        config = {"model": asdict(self.config), "provenance": provenance}
        output = copy.deepcopy(self).cpu()._golden_output(golden)  # a copy: saving must not move the model
        save_folder(folder, KIND, ModelFolder(config, self.state_dict(), golden, output))

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """Read an exported autoencoder and the provenance of the states that it was trained on.

        Raises:
            ModelFolderError: The folder is missing, damaged, or holds something else.
        """
        content = load_folder(folder, KIND)
        try:
            model = cls(SparseAutoencoderConfig(**content.config["model"]))
            model.load_state_dict(content.tensors)
            provenance = content.config["provenance"]
        except (KeyError, TypeError, RuntimeError, ConfigError) as error:
            raise ModelFolderError(
                f"{folder}: config and weights do not fit ({error}). Export the model again."
            ) from error
        check_golden(folder, content.golden_output, model._golden_output(content.golden_input))
        return model, provenance

    @torch.no_grad()
    def _golden_output(self, states: Tensor) -> Tensor:
        """What every weight has a part in: the latents and, where the decoder has its own weights, the decoding."""
        latents = self.encode(states)
        if self.w_dec is None:
            return latents
        return torch.cat([latents, nn.functional.linear(latents, self.w_dec)], dim=-1)


def top_k(activations: Tensor, k: int) -> Tensor:
    """Keep each row's k largest non-negative activations and set the rest to zero; same shape.

    Raises:
        ValueError: k is larger than a row.
    """
    if k > activations.shape[-1]:
        raise ValueError(f"k is {k}, but a row has only {activations.shape[-1]} activations.")
    if k == activations.shape[-1]:
        return activations
    values, indices = activations.topk(k, dim=-1)
    return torch.zeros_like(activations).scatter(-1, indices, values)
