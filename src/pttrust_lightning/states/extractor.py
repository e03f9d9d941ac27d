"""Runs the frozen LLM over programs and keeps the states of their lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pttrust_lightning.errors import ConfigError, LanguageModelError, NonFiniteError, TokenAlignmentError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import (
    context_length,
    load_causal_lm,
    load_config,
    load_tokenizer,
    load_truncated,
)
from pttrust_lightning.states.layers import decoder_blocks, resolve_layer
from pttrust_lightning.states.tokenise import LineTokeniser, TokenisedProgram
from pttrust_lightning.states.uncertainty import line_uncertainty
from pttrust_lightning.types import Exclusions, LineStates, Program

BLANK_LINE = "program without a non-blank line"
BEYOND_CONTEXT = "line beyond the context length (not scored)"
NOT_ALIGNED = "program whose tokens do not map to its lines"

_LOGIT_BUDGET = 64 * 2**20
"""Logits held at once when token probabilities are asked for: 256 MiB in float32."""

_CAUSAL_TOLERANCE = 1e-3
"""Relative change of a state that is put down to rounding; more in types whose rounding is coarser."""


class LineStateExtractor:
    """Line states of programs from one layer of a frozen LLM.

    Without uncertainty only the blocks up to the layer are loaded and run, and no LM head. Programs run in batches of
    similar length, padded on the right: attention is causal, so padding cannot reach a real token and needs no mask.

    Args:
        config: Which LLM, layer and line rule.
        with_uncertainty: Also run the rest of the LLM and read each line's token probabilities.

    Raises:
        LanguageModelError: The model, its layer or its tokenizer cannot be used.
    """

    def __init__(self, config: LineStateConfig, with_uncertainty: bool = False) -> None:
        llm_config = load_config(config)
        self._config = config
        self._layer = resolve_layer(config.layer, llm_config.num_hidden_layers)
        self._with_uncertainty = with_uncertainty
        self._tokenise = LineTokeniser(load_tokenizer(config), config.line_rule, context_length(config, llm_config))
        self._device = _device(config.device)
        n_blocks = llm_config.num_hidden_layers if with_uncertainty else self._layer + 1
        model = load_causal_lm(config) if with_uncertainty else load_truncated(config)
        self._model = model.to(self._device)
        self._block = decoder_blocks(self._model, n_blocks)[self._layer]
        self._check_causal(llm_config.vocab_size)
        self._batch_tokens = config.batch_tokens
        if with_uncertainty:
            self._batch_tokens = min(config.batch_tokens, max(_LOGIT_BUDGET // llm_config.vocab_size, 1))

    def extract(self, programs: Sequence[Program], exclusions: Exclusions) -> list[LineStates]:
        """The line states of each program that has any, in the programs' order.

        Args:
            programs: What to read.
            exclusions: Where programs and lines that could not be read are counted.

        Returns:
            One entry a program with at least one scored line; states on the CPU in float32.

        Raises:
            NonFiniteError: The LLM gave NaN or infinite states.
        """
        tokenised: list[TokenisedProgram] = []
        for program in programs:
            try:
                item = self._tokenise(program)
            except TokenAlignmentError as error:
                exclusions.add(NOT_ALIGNED, f"{program.id}: {error}")
                continue
            scored = len(item.tokens.line_numbers)
            if item.n_lines == 0:
                exclusions.add(BLANK_LINE, program.id)
            exclusions.add(BEYOND_CONTEXT, program.id, item.n_lines - scored)
            if scored:
                tokenised.append(item)
        results: dict[int, LineStates] = {}
        for batch in self._batches(tokenised):
            for index, states in zip(batch, self._run([tokenised[i] for i in batch]), strict=True):
                results[index] = states
        return [results[i] for i in range(len(tokenised))]

    @torch.no_grad()
    def _check_causal(self, vocab_size: int) -> None:
        """Refuse an encoder: its states would depend on the padding, and on lines that are still to come."""
        ids = torch.arange(16, device=self._device).reshape(2, 8) % vocab_size
        ids[1, 0] = ids[0, 0]
        hidden, _ = self._forward(ids)
        first, other = hidden[:, 0].float()
        tolerance = max(_CAUSAL_TOLERANCE, 4 * torch.finfo(hidden.dtype).eps)
        if bool((first - other).norm() > tolerance * first.norm()):
            raise LanguageModelError(
                f"In {self._config.llm} the state of a token depends on the tokens after it: this is an encoder "
                f"({type(self._model).__name__}). Use a causal LM."
            )

    def _batches(self, programs: Sequence[TokenisedProgram]) -> Iterator[list[int]]:
        """Indices in batches of similar length, each at most ``batch_tokens`` with padding (or a single program)."""
        batch: list[int] = []
        for i in sorted(range(len(programs)), key=lambda i: (len(programs[i].token_ids), i)):
            if batch and (len(batch) + 1) * len(programs[i].token_ids) > self._batch_tokens:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    @torch.no_grad()  # not inference_mode: its tensors could not enter autograd later
    def _run(self, programs: Sequence[TokenisedProgram]) -> Iterator[LineStates]:
        ids = nn.utils.rnn.pad_sequence([torch.tensor(p.token_ids) for p in programs], batch_first=True)
        ids = ids.to(self._device)
        hidden, logits = self._forward(ids)
        for row, program in enumerate(programs):
            tokens = program.tokens
            states = _pool(hidden[row], tokens.first, tokens.last).float().cpu()
            if not bool(torch.isfinite(states).all()):
                raise NonFiniteError(
                    f"{program.program_id}: block {self._layer} of {self._config.llm} gave NaN or infinite states in "
                    f"{self._config.dtype}. Run the LLM in float32 or bfloat16 (states.dtype)."
                )
            uncertainty = None
            if logits is not None:
                uncertainty = line_uncertainty(logits[row], ids[row], tokens.own_first, tokens.own_last)
            yield LineStates(program.program_id, tokens.line_numbers, states, uncertainty, program.n_lines)

    def _forward(self, ids: Tensor) -> tuple[Tensor, Tensor | None]:
        """The layer's output ``(B, S, D)``, before any final norm, and the logits ``(B, S, V)`` where asked for."""
        kept: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            kept.append(output[0] if isinstance(output, tuple) else output)

        handle = self._block.register_forward_hook(keep)
        try:
            output = self._model(input_ids=ids, use_cache=False)
        finally:
            handle.remove()
        return kept[0], output.logits if self._with_uncertainty else None


def _device(name: str) -> torch.device:
    try:
        return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise ConfigError(f"Unknown device {name!r}. Set states.device to auto, cpu, cuda or cuda:0.") from error


def _pool(hidden: Tensor, first: np.ndarray, last: np.ndarray) -> Tensor:
    """The mean of ``hidden (S, D)`` over each line's tokens ``first .. last``, ``(T, D)``."""
    if np.array_equal(first, last):
        return hidden[torch.as_tensor(first, device=hidden.device)]
    spans = [hidden[a : b + 1].float().mean(0) for a, b in zip(first, last, strict=True)]
    return torch.stack(spans)
