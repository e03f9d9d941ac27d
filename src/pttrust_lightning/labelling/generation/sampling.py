"""Sampling completions from a causal LM so that each depends on its own seed alone, not on what shares its batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from pttrust_lightning.types import FloatArray

_CHECK_EVERY = 8
"""Steps between two looks at whether a function has ended; what is written in between is cut off."""


class Prompt(NamedTuple):
    """One completion to be sampled.

    Attributes:
        token_ids: The prompt's tokens.
        seed: What the completion's randomness is drawn from, besides the run's seed.
        ended: Whether a completion is whole, from the token ids written so far.
    """

    token_ids: Sequence[int]
    seed: str
    ended: Callable[[Sequence[int]], bool]


class Sampler:
    """Draws completions from a causal LM by ``transformers``' own ``generate``.

    Args:
        model: The LM; its default generation settings are replaced, so that nothing but these take part.
        eos_ids: Tokens that end a completion.
        temperature: 0: always the likeliest token.
        top_p: Nucleus sampling (arXiv 1904.09751): the smallest set of likeliest tokens with this probability.
        seed: Seed of the run.
    """

    def __init__(self, model: Any, eos_ids: Sequence[int], temperature: float, top_p: float, seed: int) -> None:
        self._model = model
        self._eos_ids = list(eos_ids)
        self._temperature, self._top_p, self._seed = temperature, top_p, seed
        model.generation_config = GenerationConfig(eos_token_id=self._eos_ids, pad_token_id=self._eos_ids[0])

    @torch.inference_mode()
    def __call__(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[list[int]]:
        """The tokens of one completion a prompt, without the token that ends it.

        Args:
            prompts: Run as one batch, padded on the left.
            max_new_tokens: Longest completion.
        """
        device = self._model.device
        longest = max(len(prompt.token_ids) for prompt in prompts)
        ids = torch.full((len(prompts), longest), self._eos_ids[0])
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt.token_ids) :] = torch.tensor(prompt.token_ids)
            mask[row, longest - len(prompt.token_ids) :] = 1
        written = self._model.generate(
            ids.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=max_new_tokens,
            do_sample=False,  # the processor below has chosen the token
            logits_processor=self._processors(prompts, longest, max_new_tokens),
            stopping_criteria=StoppingCriteriaList([_Ended(prompts, longest)]),
        )
        return [self._until_eos(row) for row in written[:, longest:].tolist()]

    def _processors(self, prompts: Sequence[Prompt], prompt_length: int, max_new_tokens: int) -> LogitsProcessorList:
        if self._temperature == 0:
            return LogitsProcessorList()
        uniforms = np.stack([_uniforms(self._seed, prompt.seed, max_new_tokens) for prompt in prompts])
        top_p = [TopPLogitsWarper(self._top_p)] if self._top_p < 1 else []
        draw = DrawToken(torch.from_numpy(uniforms), prompt_length)
        return LogitsProcessorList([TemperatureLogitsWarper(self._temperature), *top_p, draw])

    def _until_eos(self, token_ids: list[int]) -> list[int]:
        ends = [i for i, token in enumerate(token_ids) if token in self._eos_ids]
        return token_ids[: ends[0]] if ends else token_ids


class DrawToken(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token a row, drawn from the row's distribution by the row's own uniform number (inverse CDF).

    Args:
        uniforms: A number in [0, 1) a row and step, ``(B, max_new_tokens)``.
        prompt_length: Tokens before the first step.
    """

    def __init__(self, uniforms: Tensor, prompt_length: int) -> None:
        self._uniforms = uniforms
        self._prompt_length = prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores that are 0 for the drawn token and minus infinity elsewhere, ``(B, V)``."""
        uniform = self._uniforms[:, input_ids.shape[1] - self._prompt_length].to(scores.device)
        cumulative = torch.softmax(scores.double(), dim=-1).cumsum(-1)
        # The first token whose cumulative probability exceeds the number has a probability above 0.
        drawn = torch.searchsorted(cumulative, (uniform * cumulative[:, -1])[:, None], right=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn.clamp_max(scores.shape[1] - 1), 0.0)


class _Ended(StoppingCriteria):  # type: ignore[misc]
    """Stops each row when its completion is whole."""

    def __init__(self, prompts: Sequence[Prompt], prompt_length: int) -> None:
        self._prompts = prompts
        self._prompt_length = prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        written = input_ids[:, self._prompt_length :]
        if written.shape[1] % _CHECK_EVERY:
            return torch.zeros(len(self._prompts), dtype=torch.bool, device=input_ids.device)
        ended = [prompt.ended(row) for prompt, row in zip(self._prompts, written.tolist(), strict=True)]
        return torch.tensor(ended, device=input_ids.device)


def _uniforms(seed: int, name: str, n: int) -> FloatArray:
    """``n`` numbers in [0, 1) that depend on ``seed`` and ``name`` alone."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest)).random(n)
