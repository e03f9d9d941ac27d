"""Which states are read: one settings object that every reader of states shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.types import LINE_RULES, LineRule

ComputeDtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)  # no slots: jsonargparse reads defaults with vars()
class LineStateConfig:
    """Which LLM is read, where, and how.

    Attributes:
        llm: ``embedded`` (the small code LLM that comes with the package), a folder in Hugging Face format, or a
            model's name on the Hugging Face hub.
        revision: Branch, tag or commit of a hub model.
        layer: 0-based decoder block whose output is read; null: the last block of the first quarter. Several, as in
            ``[1, 5]``: a line's state is their states one after the other, in ascending order.
        layers: Further blocks that the same pass writes to the cache, so that another ``layer`` among them can be
            chosen later without running the LLM again.
        line_rule: The token that stands for a line: ``newline`` (the one that carries its terminating newline),
            ``last_code`` (the one that covers its last non-blank character) or ``mean`` (over the line's tokens).
        context_length: Tokens read per program, prompt included; lines beyond it are reported as not scored.
            null: what the LLM's config allows (``embedded``: 1,024).
        dtype: The LLM runs in this type. bfloat16 is slow on most CPUs.
        quantization: Quantise the weights while they are loaded: the settings of a method that ``transformers`` knows,
            as in ``{quant_method: bitsandbytes, load_in_8bit: true}``. The method's package must be installed.
        device: ``auto`` (CUDA where there is one, else CPU) or a torch device.
        batch_tokens: Tokens (padding included) that run through the LLM at once; halved where they do not fit. GPUs are
            quicker with more.
        share_prefixes: Run what a program and its mutants have in common once, where that is less work and the LLM is
            found to allow it. Saves time, changes no state beyond rounding.
    """

    llm: str = "embedded"
    revision: str | None = None
    layer: int | tuple[int, ...] | None = None
    layers: tuple[int, ...] = ()
    line_rule: LineRule = "newline"
    context_length: int | None = None
    dtype: ComputeDtype = "float32"
    quantization: dict[str, Any] | None = None
    device: str = "auto"
    batch_tokens: int = 4096
    share_prefixes: bool = True

    def __post_init__(self) -> None:
        """Reject values that no run could use.

        Raises:
            ConfigError: An unknown line rule or type, a length that is not positive, or quantisation without a method.
        """
        if self.line_rule not in LINE_RULES:
            raise ConfigError(f"Unknown line_rule {self.line_rule!r}. Choose one of {', '.join(LINE_RULES)}.")
        if self.dtype not in get_args(ComputeDtype):
            raise ConfigError(f"Unknown dtype {self.dtype!r}. Choose one of {', '.join(get_args(ComputeDtype))}.")
        for name in ("context_length", "batch_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}. Set it to a positive number of tokens.")
        if self.quantization is not None and "quant_method" not in self.quantization:
            raise ConfigError(
                "quantization names no method. Set quant_method in it (bitsandbytes, quanto, torchao, ...), or leave "
                "quantization out."
            )
