"""Which LLM writes candidate programs, and how they are sampled."""

from __future__ import annotations

from dataclasses import dataclass

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.states.config import ComputeDtype, LineStateConfig


@dataclass(frozen=True)  # no slots: jsonargparse reads defaults with vars()
class SamplingConfig:
    """How candidate programs are sampled.

    Attributes:
        llm: ``embedded``, a folder in Hugging Face format, or a model's name on the hub; null: nothing is generated.
        revision: Branch, tag or commit of a hub model.
        samples: Programs a problem.
        temperature: 0: always the likeliest token, for a single sample.
        top_p: Nucleus sampling (arXiv 1904.09751): sample from the likeliest tokens that have this probability.
        max_new_tokens: Longest program; one that does not end by then is left out.
        seed: Each sample depends on it, its problem and its number alone.
        batch_size: Samples that run through the LLM at once.
        dtype: The LLM runs in this type.
        device: ``auto`` (CUDA where there is one, else CPU) or a torch device.
    """

    llm: str | None = None
    revision: str | None = None
    samples: int = 10
    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 256
    seed: int = 0
    batch_size: int = 16
    dtype: ComputeDtype = "float32"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Reject settings that no run could use.

        Raises:
            ConfigError: Names the setting and the remedy.
        """
        for name in ("samples", "max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"generate.{name} is {getattr(self, name)}. Set it to at least 1.")
        if not self.temperature >= 0:
            raise ConfigError(f"generate.temperature is {self.temperature}. Set it to zero or more.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"generate.top_p is {self.top_p}. Set it above 0 and to at most 1.")
        if self.temperature == 0 and self.samples > 1:
            raise ConfigError(
                f"generate.temperature is 0, so that all {self.samples} samples would be the same. Set "
                "generate.samples to 1, or raise the temperature."
            )

    def llm_config(self) -> LineStateConfig:
        """The LLM, as all of the package loads it: safetensors alone, no code of the model's own.

        Raises:
            ConfigError: No LLM is named.
        """
        if self.llm is None:
            raise ConfigError("No LLM is given. Set generate.llm.")
        return LineStateConfig(llm=self.llm, revision=self.revision, dtype=self.dtype, device=self.device)
