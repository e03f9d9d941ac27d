"""Runs the frozen LLM over program groups and keeps the states of their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from pttrust_lightning.errors import ConfigError, LanguageModelError, NonFiniteError, TokenAlignmentError
from pttrust_lightning.states.batching import ENOUGH_TOKENS, in_order, next_batch, padded_tokens
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import context_length, load_config, load_tokenizer
from pttrust_lightning.states.lookback import line_lookback, lookback_index
from pttrust_lightning.states.memory import free_caches, is_out_of_memory
from pttrust_lightning.states.pooling import HostCopy, line_index, pool
from pttrust_lightning.states.reader import BlockReader
from pttrust_lightning.states.rows import Inputs, Row, apart, collate, group_rows, single_row, to_device
from pttrust_lightning.states.throughput import Amount, Throughput, measure
from pttrust_lightning.states.tokenise import LineTokeniser, TokenisedProgram
from pttrust_lightning.states.uncertainty import line_uncertainty, token_uncertainty
from pttrust_lightning.types import Exclusions, FloatArray, IntArray, Program, ProgramGroup, ProgramStates

StorageDtype = Literal["float32", "float16", "bfloat16"]

BLANK_LINE = "program without a non-blank line"
BEYOND_CONTEXT = "line beyond the context length (not scored)"
NOT_ALIGNED = "program whose tokens do not map to its lines"

_LOGIT_BUDGET = 64 * 2**20
"""Logits held at once when token probabilities are asked for: 256 MiB in float32."""

_ATTENTION_BUDGET = 64 * 2**20
"""Attention weights of a block held at once when lookback is asked for: 256 MiB in float32, some three times over."""


class _Launched(NamedTuple):
    """A batch that is being computed: its programs in the order of their rows, and what comes to the host, by name."""

    members: list[int]
    names: tuple[str, ...]
    copy: HostCopy


class LineStateExtractor:
    """Line states of programs from some layers of a frozen LLM, all of them from one pass.

    Without uncertainty only the blocks up to the last layer are loaded and run, no LM head, and the last block's MLP at
    the lines' tokens only. Rows of similar length run in one batch, padded on the right: attention is causal, so
    padding cannot reach a real token and needs no mask.
    A program and its mutants share a row where that is less work (``rows.py``). Only the lines' states leave the
    device, pooled, checked and narrowed there; a batch is collected while the next one runs.

    How programs are batched and whether they share rows changes a state by rounding alone. The relative change stays
    within 1e-5 in float32, 2e-2 in bfloat16 and 4e-3 in float16.

    Args:
        config: Which LLM, layers and line rule.
        with_uncertainty: Also run the rest of the LLM and read each line's token probabilities.
        storage_dtype: The type that states are given in: float32, float16 or bfloat16.
        with_lookback: Also run the rest of the LLM and read where each line looked back to. Attention is then computed
            without fused kernels: its weights take memory that grows with the square of a program's tokens.

    Attributes:
        layers: The blocks that are read, ascending: ``layer`` and ``layers`` of the config.
        shares_prefixes: Whether programs and their mutants may share a row.

    Raises:
        LanguageModelError: The model, its layers or its tokenizer cannot be used.
        ConfigError: An unknown storage type or device.
    """

    def __init__(
        self,
        config: LineStateConfig,
        with_uncertainty: bool = False,
        storage_dtype: StorageDtype = "float32",
        with_lookback: bool = False,
    ) -> None:
        if storage_dtype not in ("float32", "float16", "bfloat16"):
            raise ConfigError(f"Unknown storage_dtype {storage_dtype!r}. Choose float32, float16 or bfloat16.")
        self._config = config
        self._with_uncertainty, self._with_lookback = with_uncertainty, with_lookback
        self._storage_dtype = storage_dtype
        self._storage: torch.dtype = getattr(torch, storage_dtype)
        context = context_length(config, load_config(config))
        self._tokenise = LineTokeniser(load_tokenizer(config), config.line_rule, context)
        self._reader = BlockReader(config, whole=with_uncertainty, gives_attention=with_lookback)
        self.layers: tuple[int, ...] = self._reader.layers
        self._batch_tokens = config.batch_tokens
        if with_uncertainty or with_lookback:  # the LM head runs
            self._batch_tokens = min(config.batch_tokens, max(_LOGIT_BUDGET // self._reader.vocab_size, 1))
        self.shares_prefixes = config.share_prefixes
        reason = self._reader.why_not_shared(context) if config.share_prefixes else None
        if reason is not None:
            self.shares_prefixes = False
            rank_zero_info(f"Each mutant is read by itself, its original's prefix included: {config.llm} {reason}.")

    def extract(
        self,
        groups: Sequence[ProgramGroup],
        exclusions: Exclusions,
        on_lines: Callable[[int], object] = lambda n_lines: None,
    ) -> list[ProgramStates]:
        """The line states of each program that has any: the groups in order, each one's original first.

        Args:
            groups: What to read; a program without mutants is a group of its own.
            exclusions: Where programs and lines that could not be read are counted.
            on_lines: Told the lines of each batch when it has been read.

        Returns:
            One entry a program with at least one scored line; states on the CPU in the storage type.

        Raises:
            NonFiniteError: The LLM gave NaN or infinite states, or states too large for the storage type.
            LanguageModelError: A program does not fit the device's memory by itself.
        """
        return self.read(*self.layout(groups, exclusions), on_lines)

    def probe(self, groups: Sequence[ProgramGroup], seconds: float = 1.0) -> Throughput:
        """How fast programs like these are read, from a trial on the first of them.

        Args:
            groups: Programs like those to come, in random order; only as many are read as the time needs.
            seconds: How long the measured part lasts at least, unless a single group lasts longer.

        Raises:
            LanguageModelError: None of their lines can be scored.
        """

        def read(part: Sequence[ProgramGroup]) -> Amount:
            programs, rows = self.layout(part, Exclusions())
            lines = sum(len(states.line_numbers) for states in self.read(programs, rows))
            return Amount(lines, sum(len(p.token_ids) for p in programs))

        return measure(read, groups, seconds)

    def layout(
        self, groups: Sequence[ProgramGroup], exclusions: Exclusions
    ) -> tuple[list[TokenisedProgram], list[Row]]:
        """The host's part of :meth:`extract`: every program with a scored line, in order, and the rows that hold them.

        It does not touch the LLM: another thread may lay out what comes next while this one reads.
        """
        tokenised = iter(self._tokenise.many([p for group in groups for p in group.programs]))
        programs: list[TokenisedProgram] = []
        rows: list[Row] = []
        for group in groups:
            members: list[int] = []
            for program in group.programs:
                item = _scored(program, next(tokenised), exclusions)
                if item is not None:
                    members.append(len(programs))
                    programs.append(item)
            ids = [programs[i].token_ids for i in members]
            if self.shares_prefixes and len(members) > 1:
                rows += group_rows(members, ids, self._reader.cost, self._reader.longest_shared_row)
            else:
                rows += [single_row(*pair) for pair in zip(members, ids, strict=True)]
        return programs, rows

    def read(
        self,
        programs: Sequence[TokenisedProgram],
        rows: Sequence[Row],
        on_lines: Callable[[int], object] = lambda n_lines: None,
    ) -> list[ProgramStates]:
        """The device's part of :meth:`extract`: the states of what :meth:`layout` gave, in its order."""
        results: dict[int, ProgramStates] = {}
        for launched in self._launch_all(in_order(rows), programs):
            found = dict(self._collect(launched, programs))
            results |= found
            on_lines(sum(len(states.line_numbers) for states in found.values()))
        return [results[i] for i in range(len(programs))]

    def _launch_all(self, rows: list[Row], programs: Sequence[TokenisedProgram]) -> Iterator[_Launched]:
        """Every batch, each given out when the next one is under way, so that the device need not wait for the host."""
        waiting: _Launched | None = None
        start = 0
        while start < len(rows):
            budget = self._budget(len(rows[start].token_ids))
            batch = next_batch(rows, start, budget, ENOUGH_TOKENS.get(self._reader.device.type, budget))
            launched = self._try_launch(batch, programs)
            if waiting is not None:
                yield waiting
            waiting = launched
            if launched is not None:
                start += len(batch)
            else:
                rows = rows[:start] + self._after_out_of_memory(batch, rows[start:], programs)
        if waiting is not None:
            yield waiting

    def _budget(self, longest: int) -> int:
        """Tokens of a batch whose longest row has so many: fewer where attention weights are held, a square a row."""
        if not self._reader.n_heads:
            return self._batch_tokens
        return min(self._batch_tokens, _ATTENTION_BUDGET // (self._reader.n_heads * longest))

    def _try_launch(self, batch: Sequence[Row], programs: Sequence[TokenisedProgram]) -> _Launched | None:
        """The batch under way, or None where it does not fit the memory."""
        try:
            return self._launch(batch, programs)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None  # outside the handler: the error's traceback holds the tensors that are to be freed

    def _after_out_of_memory(
        self, batch: Sequence[Row], rows: list[Row], programs: Sequence[TokenisedProgram]
    ) -> list[Row]:
        """The same programs again, to be run in smaller pieces.

        Raises:
            LanguageModelError: There is no smaller piece.
        """
        free_caches()
        tokens = padded_tokens(batch)
        if len(batch) > 1:
            budget = min(self._batch_tokens, tokens) // 2
            rank_zero_warn(
                f"A batch of {tokens} tokens does not fit the memory of {self._reader.device}: going on with batches "
                f"of at most {budget}. Set states.batch_tokens to {budget} to begin with them."
            )
            self._batch_tokens = budget
            return rows
        if batch[0].shared:
            return in_order(apart(batch[0]) + rows[1:])
        name = programs[batch[0].members[0]].program_id
        raise LanguageModelError(
            f"{name}: its {tokens} tokens do not fit the memory of {self._reader.device}, not even alone. Set "
            f"states.context_length below {tokens}, states.dtype to bfloat16, or choose another device or LLM."
        )

    @torch.no_grad()
    def _launch(self, batch: Sequence[Row], programs: Sequence[TokenisedProgram]) -> _Launched:
        """Put one batch on its way through the LLM; nothing here waits for the device."""
        inputs = collate(batch, self._reader.device)
        width = inputs.ids.shape[1]
        members = [m for row in batch for m in row.members]
        places = [i * width + columns for i, row in enumerate(batch) for columns in row.columns()]
        tokens = [programs[m].tokens for m in members]
        spans = [(where, t.first, t.last) for where, t in zip(places, tokens, strict=True)]
        index = line_index(spans, self._reader.device)
        heads: list[Tensor] = []
        told: dict[str, Callable[[Tensor], object]] = {}
        if self._with_lookback:
            steps = lookback_index([programs[m] for m in members], places, inputs)
            told["on_attention"] = lambda weights: heads.append(line_lookback(weights, steps))
        kept, logits = self._reader(inputs, lambda hidden: pool(hidden, index), index.tokens, **told)
        states = torch.stack(kept)
        to_host = {"states": states.to(self._storage), "largest": states.abs().amax(-1).float()}
        if self._with_uncertainty and logits is not None:
            to_host["uncertainty"] = _uncertainty(logits, inputs, places)
        if heads:
            to_host["lookback"] = torch.cat(heads, dim=1)
        return _Launched(members, tuple(to_host), HostCopy(list(to_host.values())))

    def _collect(
        self, launched: _Launched, programs: Sequence[TokenisedProgram]
    ) -> Iterator[tuple[int, ProgramStates]]:
        """The states of each program of a batch that was launched."""
        found = dict(zip(launched.names, launched.copy.wait(), strict=True))
        states, largest = found["states"], found["largest"]
        line = token = 0
        fits = bool((largest <= torch.finfo(self._storage).max).all())  # not where it is NaN
        for member in launched.members:
            program = programs[member]
            tokens = program.tokens
            lines = slice(line, line := line + len(tokens.line_numbers))
            if not fits:
                self._check(program.program_id, largest[:, lines])
            uncertainty: FloatArray | None = None
            if "uncertainty" in found:
                log_p, entropy = found["uncertainty"][:, token : token + len(program.token_ids)].numpy()
                token += len(program.token_ids)
                uncertainty = line_uncertainty(log_p, entropy, tokens.own_first, tokens.own_last)
            yield (
                member,
                ProgramStates(
                    program_id=program.program_id,
                    line_numbers=tokens.line_numbers,
                    states=states[:, lines].clone(),  # not a view, which would keep the whole batch
                    uncertainty=uncertainty,
                    n_lines=program.n_lines,
                    line_tokens=program.line_tokens,
                    lookback=found["lookback"][lines].double().numpy() if "lookback" in found else None,
                ),
            )

    def _check(self, name: str, largest: Tensor) -> None:
        """Refuse states that are not finite or that the storage type does not hold.

        Args:
            name: The program.
            largest: The largest magnitude in each state of it, ``(L, T)``.
        """
        limit = torch.finfo(self._storage).max
        for layer, values in zip(self.layers, largest, strict=True):
            bad = values[~(values <= limit)]
            if not len(bad):
                continue
            where = f"{name}: block {layer} of {self._config.llm}"
            if not bool(torch.isfinite(bad).all()):
                raise NonFiniteError(
                    f"{where} gave NaN or infinite states in {self._config.dtype} (largest magnitude {bad[0]:.3g}). "
                    "Run the LLM in float32 or bfloat16 (states.dtype)."
                )
            raise NonFiniteError(
                f"{where} gave states up to {bad.max():.5g}, which do not fit {self._storage_dtype}. "
                "Set storage_dtype to float32 or bfloat16."
            )


def _scored(
    program: Program, item: TokenisedProgram | TokenAlignmentError, exclusions: Exclusions
) -> TokenisedProgram | None:
    """The program if one of its lines is scored; what is not is counted."""
    if isinstance(item, TokenAlignmentError):
        exclusions.add(NOT_ALIGNED, f"{program.id}: {item}")
        return None
    scored = len(item.tokens.line_numbers)
    if item.n_lines == 0:
        exclusions.add(BLANK_LINE, program.id)
    exclusions.add(BEYOND_CONTEXT, program.id, item.n_lines - scored)
    return item if scored else None


def _uncertainty(logits: Tensor, inputs: Inputs, places: Sequence[IntArray]) -> Tensor:
    """Log-probability and entropy of every token of every program of a batch, one after the other, ``(2, N)``."""
    previous = np.concatenate([np.concatenate([[-1], where[:-1]]) for where in places])
    index = to_device(np.stack([previous, np.concatenate(places)]), logits.device)
    return token_uncertainty(logits.flatten(0, 1), index[0], inputs.ids.flatten()[index[1]])
