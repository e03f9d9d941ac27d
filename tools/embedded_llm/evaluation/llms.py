"""The LLMs of one comparison: which folders, how many tokens each reads, and under which names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pttrust_lightning.errors import ConfigError, LanguageModelError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import context_length, load_config, load_tokenizer, provenance


@dataclass(frozen=True, slots=True)
class ComparedLlm:
    """One LLM of a comparison; nothing of it is loaded yet.

    Attributes:
        name: What tables call it; unique among those compared.
        config: How it is read; its context length is set.
        n_blocks: Decoder blocks.
        width: Width of its states.
        vocab_size: Tokens of its vocabulary.
    """

    name: str
    config: LineStateConfig
    n_blocks: int
    width: int
    vocab_size: int

    @property
    def context(self) -> int:
        """Tokens it reads at once."""
        assert self.config.context_length is not None
        return self.config.context_length

    def describe(self) -> dict[str, Any]:
        """What identifies it in a report, whatever folder it lies in."""
        return {
            "name": self.name,
            "weights_sha256": provenance(self.config).weights_sha256,
            "context": self.context,
            "blocks": self.n_blocks,
            "width": self.width,
            "vocabulary": self.vocab_size,
        }


def compared_llms(options: Sequence[str], device: str, default_context: int | None = None) -> list[ComparedLlm]:
    """The LLMs that ``--llm`` names.

    Args:
        options: ``FOLDER`` or ``FOLDER:CONTEXT`` each; a hub name or ``embedded`` does for a folder.
        device: Where they run.
        default_context: Tokens read at once by those that name no context of their own, at most what their
            configuration allows; None takes all of that.

    Raises:
        ConfigError: One is named twice with the same context.
        LanguageModelError: One cannot be read, or has fewer positions than its context.
    """
    places = [_place_and_context(option) for option in options]
    if repeated := [place for place, n in Counter(places).items() if n > 1]:
        raise ConfigError(f"--llm names {repeated[0][0]} twice with one context. Name each LLM once.")
    names = _names(places)
    return [
        _llm(name, place, context, device, default_context)
        for name, (place, context) in zip(names, places, strict=True)
    ]


def bos_token_id(llm: ComparedLlm, tokenizer: Any) -> int:
    """The token that starts a text: nothing else could predict the first one.

    Raises:
        LanguageModelError: Neither tokenizer nor configuration names one.
    """
    for token_id in (tokenizer.bos_token_id, getattr(load_config(llm.config), "bos_token_id", None)):
        if token_id is not None:
            return int(token_id)
    raise LanguageModelError(
        f"{llm.name} has no token that starts a text, so its first token cannot be scored. "
        "Set bos_token_id in its config.json."
    )


def tokenizer_of(llm: ComparedLlm) -> Any:
    """Its fast tokenizer."""
    return load_tokenizer(llm.config)


def _place_and_context(option: str) -> tuple[str, int | None]:
    """``models/new:512`` -> ``models/new``, 512."""
    place, _, context = option.rpartition(":")
    return (place, int(context)) if place and context.isdecimal() else (option, None)


def _names(places: Sequence[tuple[str, int | None]]) -> list[str]:
    """Folder names where they differ; else with the context; else the paths as they were given."""
    short = [Path(place).name or place for place, _ in places]
    full = [f"{name}:{context}" if context else name for name, (_, context) in zip(short, places, strict=True)]
    paths = [f"{place}:{context}" if context else place for place, context in places]
    return next((names for names in (short, full) if len(set(names)) == len(names)), paths)


def _llm(name: str, place: str, context: int | None, device: str, default_context: int | None) -> ComparedLlm:
    config = LineStateConfig(llm=place, context_length=context, device=device)
    llm_config = load_config(config)
    tokens = context_length(config, llm_config)
    if context is None and default_context is not None:
        tokens = min(tokens, default_context)
    if tokens < 2:
        raise LanguageModelError(f"{name} would read {tokens} token at once. Give it a context of 2 or more.")
    return ComparedLlm(
        name=name,
        config=LineStateConfig(llm=place, context_length=tokens, device=device),
        n_blocks=llm_config.num_hidden_layers,
        width=llm_config.hidden_size,
        vocab_size=llm_config.vocab_size,
    )
