"""What an LLM makes of each line: the state at every block and the token probabilities, from one pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pttrust_lightning.errors import NonFiniteError, TokenAlignmentError
from pttrust_lightning.states.language_model import load_causal_lm
from pttrust_lightning.states.layers import decoder_blocks
from pttrust_lightning.states.tokenise import LineTokeniser, TokenisedProgram
from pttrust_lightning.states.uncertainty import line_uncertainty
from pttrust_lightning.types import Exclusions, FloatArray, IntArray, Program
from tools.embedded_llm.evaluation.devices import device_of
from tools.embedded_llm.evaluation.llms import ComparedLlm, tokenizer_of

NOT_ALIGNED = "program whose tokens do not map to its lines"

_LOGITS = 32 * 2**20
"""Logits held at once: 128 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an LLM made of one program's lines, as far as its context reaches.

    Attributes:
        line_numbers: 0-based numbers of the lines that were read, strictly increasing, ``(T,)``.
        states: The state at the token that carries each line's newline, after each block, ``(L, T, D)``.
        uncertainty: Mean and minimum token log-probability and mean entropy of each line (nats), ``(T, 3)``.
        n_lines: Non-blank lines of the program, read or not.
    """

    line_numbers: IntArray
    states: Tensor
    uncertainty: FloatArray
    n_lines: int

    def at_lines(self, line_numbers: IntArray) -> Reading:
        """The same of some of its lines."""
        rows = np.flatnonzero(np.isin(self.line_numbers, line_numbers))
        return Reading(self.line_numbers[rows], self.states[:, rows], self.uncertainty[rows], self.n_lines)


def read_lines(llm: ComparedLlm, programs: Sequence[Program], exclusions: Exclusions) -> dict[str, Reading]:
    """Run the LLM over programs; prompt and code are one text, cut at its context.

    Args:
        llm: Which LLM, and how many tokens it reads.
        programs: What to read.
        exclusions: Where programs whose tokens do not map to lines are counted.

    Returns:
        A reading by program id; without lines where the prompt alone fills the context.

    Raises:
        NonFiniteError: The LLM gave NaN or infinite states or logits.
    """
    tokenise = LineTokeniser(tokenizer_of(llm), "newline", llm.context)
    tokenised: list[TokenisedProgram] = []
    readings: dict[str, Reading] = {}
    for program in programs:
        try:
            item = tokenise(program)
        except TokenAlignmentError as error:
            exclusions.add(NOT_ALIGNED, f"{program.id}: {error}")
            continue
        if item.token_ids:
            tokenised.append(item)
        else:
            readings[program.id] = _nothing(llm, item)
    model: Any = load_causal_lm(llm.config).to(device_of(llm.config.device))
    for batch in _batches(tokenised, max(_LOGITS // llm.vocab_size, 1)):
        readings |= zip((p.program_id for p in batch), _run(model, llm, batch), strict=True)
    return readings


def _nothing(llm: ComparedLlm, item: TokenisedProgram) -> Reading:
    empty = np.zeros(0, dtype=np.int64)
    return Reading(empty, torch.zeros(llm.n_blocks, 0, llm.width), np.zeros((0, 3)), item.n_lines)


def _batches(programs: Sequence[TokenisedProgram], budget: int) -> Iterator[list[TokenisedProgram]]:
    """Programs of similar length, at most ``budget`` tokens with padding (or a single program)."""
    batch: list[TokenisedProgram] = []
    for program in sorted(programs, key=lambda p: (len(p.token_ids), p.program_id)):
        if batch and (len(batch) + 1) * len(program.token_ids) > budget:
            yield batch
            batch = []
        batch.append(program)
    if batch:
        yield batch


@torch.no_grad()
def _run(model: Any, llm: ComparedLlm, batch: Sequence[TokenisedProgram]) -> Iterator[Reading]:
    ids = nn.utils.rnn.pad_sequence([torch.tensor(p.token_ids) for p in batch], batch_first=True).to(model.device)
    with _block_outputs(model, llm.n_blocks) as outputs:
        logits = model(input_ids=ids, use_cache=False).logits
    for row, program in enumerate(batch):
        tokens = program.tokens
        last = torch.as_tensor(tokens.last, device=ids.device)
        states = torch.stack([output[row, last].float().cpu() for output in outputs])
        uncertainty = line_uncertainty(logits[row], ids[row], tokens.own_first, tokens.own_last)
        if not (bool(torch.isfinite(states).all()) and np.isfinite(uncertainty).all()):
            raise NonFiniteError(
                f"{program.program_id}: {llm.name} gave NaN or infinite states or logits. Export it again "
                "from a sound run."
            )
        yield Reading(tokens.line_numbers, states, uncertainty, program.n_lines)


@contextlib.contextmanager
def _block_outputs(model: Any, n_blocks: int) -> Iterator[list[Tensor]]:
    """Each block's output ``(B, S, D)``, in order: hooks, since the last of ``hidden_states`` is after the norm."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    handles = [block.register_forward_hook(keep) for block in decoder_blocks(model, n_blocks)]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
