"""Whom to ask for wrong lines, how, and for how much."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from pttrust_lightning.errors import ConfigError


@dataclass(frozen=True)  # no slots: jsonargparse reads defaults with vars()
class JudgeConfig:
    """An LLM judge behind an OpenAI-compatible endpoint.

    Attributes:
        base_url: What precedes ``/chat/completions``, such as ``https://host/v1``; null: no judge.
        model: The model's name there.
        api_key_variable: Name of the environment variable that holds the key; null: none is sent.
        scope: Ask about the wrong programs that the diff leaves ``undecided``, or about ``all``, instead of the diff.
        input_price: Price of a million prompt tokens, in any currency.
        output_price: Price of a million answer tokens, in the same currency.
        max_cost: Refuse to ask, and stop asking, where it may cost more than that; takes both prices.
        dry_run: Stop after saying what it would cost.
        max_tokens: Longest answer, in tokens; reasoning counts where the model does any.
        max_tokens_field: The request's field for that: some models want ``max_completion_tokens``.
        request: Further fields of every request, as they are.
        concurrency: Requests at a time.
        timeout_s: Seconds without a byte after which a request is sent again.
        attempts: How often a request is sent where the endpoint is busy, broken or slow.
    """

    base_url: str | None = None
    model: str = ""
    api_key_variable: str | None = None
    scope: Literal["undecided", "all"] = "undecided"
    input_price: float | None = None
    output_price: float | None = None
    max_cost: float | None = None
    dry_run: bool = False
    max_tokens: int = 1024
    max_tokens_field: str = "max_tokens"
    request: dict[str, Any] = field(default_factory=lambda: {"temperature": 0.0})
    concurrency: int = 4
    timeout_s: float = 120.0
    attempts: int = 6

    def __post_init__(self) -> None:
        """Reject settings that no run could use.

        Raises:
            ConfigError: Names the setting and the remedy.
        """
        if self.base_url is not None and not self.model:
            raise ConfigError("judge.base_url is given, but no judge.model. Name the model to ask.")
        for name in ("max_tokens", "concurrency", "timeout_s", "attempts"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"judge.{name} is {getattr(self, name)}. Set it to a positive number.")
        for name in ("input_price", "output_price", "max_cost"):
            price = getattr(self, name)
            if price is not None and not price >= 0:
                raise ConfigError(f"judge.{name} is {price}. Set it to zero or more.")
        if self.max_cost is not None and (self.input_price is None or self.output_price is None):
            raise ConfigError("judge.max_cost takes judge.input_price and judge.output_price, per million tokens.")
        if self.api_key_variable is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_variable):
            # not repeated here: it may be the key itself
            raise ConfigError(
                "judge.api_key_variable is no name of an environment variable. Give its name, not the key."
            )

    def cost(self, prompt_tokens: float, answer_tokens: float) -> float | None:
        """What so many tokens cost; None where a price is not given."""
        if self.input_price is None or self.output_price is None:
            return None
        return (prompt_tokens * self.input_price + answer_tokens * self.output_price) / 1e6
