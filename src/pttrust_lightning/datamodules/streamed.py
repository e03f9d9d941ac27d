"""Stage 1's data without a cache: states are read from the LLM as they are trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pttrust_lightning.cache.pairs import distinct_pairs, group_states
from pttrust_lightning.cache.writer import owner
from pttrust_lightning.datamodules.line_states import LineStatesDataModule
from pttrust_lightning.datamodules.splits import Split
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.hashing import hash64
from pttrust_lightning.source.corpora import Corpus
from pttrust_lightning.source.mutation.mutants import ROUNDS, add_mutants
from pttrust_lightning.source.mutation.operators import LINE_OPERATORS
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.types import Exclusions, ProgramGroup, StateBatch


class StreamedStates(LineStatesDataModule):
    """Line states of a corpus and its mutants, for corpora whose states no disk would hold.

    Each epoch reads the corpus through the LLM again, on the device that trains, in the process that trains. Programs
    are shuffled within a window that moves along the corpus. Under several ranks each reads its own programs.
    For more than a few epochs a cache is cheaper where it fits.

    Args:
        corpus: The programs.
        states: Which LLM, layer and line rule.
        operators: Mutation operators that make the mutants, drawn equally often, or a weight for each. None where the
            corpus's own mutants are enough (``BugFixes``, ``GitHistory``).
        rounds: Share of a program's lines that each round mutates; one mutant a round.
        mutation_seed: Decides which lines, and how.
        val_fraction: Share of the programs held out to report on, by a hash of their ids.
        val_programs: Most of them; their states are kept in memory.
        split_seed: Decides which.
        programs_per_batch: Programs, with their mutants, in a batch.
        window: Programs that are read and shuffled together; a multiple of the batch, for full batches.
    """

    def __init__(
        self,
        corpus: Corpus,
        states: LineStateConfig = LineStateConfig(),  # noqa: B008 (frozen)
        operators: list[str] | dict[str, float] = list(LINE_OPERATORS),  # noqa: B006 (never changed)
        rounds: list[float] = list(ROUNDS),  # noqa: B006
        mutation_seed: int = 0,
        val_fraction: float = 0.1,
        val_programs: int = 256,
        split_seed: int = 0,
        programs_per_batch: int = 16,
        window: int = 256,
    ) -> None:
        super().__init__(states)
        if not 0 < val_fraction < 1:
            raise ConfigError(f"val_fraction is {val_fraction}. Set it above 0 and below 1.")
        for name, value in (("programs_per_batch", programs_per_batch), ("val_programs", val_programs)):
            if value < 1:
                raise ConfigError(f"{name} is {value}. Set it to at least 1.")
        if window < programs_per_batch:
            raise ConfigError(f"window is {window}, less than a batch of {programs_per_batch} programs. Raise it.")
        self.corpus = corpus
        self.operators, self.rounds, self.mutation_seed = operators, tuple(rounds), mutation_seed
        self.val_fraction, self.val_programs, self.split_seed = val_fraction, val_programs, split_seed
        self.programs_per_batch, self.window = programs_per_batch, window
        self.exclusions = Exclusions()

    def setup(self, stage: str) -> None:
        """Load the LLM, sample the outside lines, and read the held-out programs.

        Raises:
            ConfigError: No program is held out, or all are.
        """
        trainer = self.trainer
        rank, world_size = (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
        outside = OutsideLines()
        held_out: list[ProgramGroup] = []
        shares = [0] * world_size
        for group in self.corpus.groups(self.exclusions):
            outside.add(group.original)
            if not self._is_held_out(group.original.id):
                shares[owner(group.original.id, world_size)] += 1
            elif len(held_out) < self.val_programs:
                held_out.append(group)
        if not held_out or not min(shares):
            raise ConfigError(
                f"{len(held_out)} programs are held out and {sum(shares)} are left to train on, by {world_size} ranks. "
                "Change val_fraction, or give a larger corpus."
            )
        states = dataclasses.replace(self.states, layers=())
        if trainer is not None and states.device == "auto":
            states = dataclasses.replace(states, device=str(trainer.strategy.root_device))
        extractor = LineStateExtractor(states)
        self._stream = _Stream(self, outside, extractor, rank, shares)
        self._val = [batch for group in self._mutated(held_out, outside) for batch in _batches(extractor, [group], 1)]

    def splits(self, program_ids: Sequence[str]) -> list[Split]:
        """The split of each program; of those that are held out, the first ``val_programs`` are read."""
        return ["val" if self._is_held_out(program_id) else "train" for program_id in program_ids]

    def train_dataloader(self) -> DataLoader[StateBatch]:
        """Batches of whole program groups, read as they are asked for."""
        return DataLoader(self._stream, batch_size=None)

    def val_dataloader(self) -> DataLoader[StateBatch]:
        """The held-out programs, in order."""
        return DataLoader(_Stacked(self._val, self.programs_per_batch), batch_size=None)

    def _is_held_out(self, program_id: str) -> bool:
        return hash64(f"{self.split_seed}:{program_id}") < self.val_fraction * 2**64

    def _mutated(self, groups: Iterable[ProgramGroup], outside: OutsideLines) -> Iterator[ProgramGroup]:
        return add_mutants(groups, outside, self.operators, self.rounds, self.mutation_seed)


class _Stream(IterableDataset[StateBatch]):
    """The training programs of a rank, window by window."""

    def __init__(
        self, data: StreamedStates, outside: OutsideLines, extractor: LineStateExtractor, rank: int, shares: list[int]
    ) -> None:
        self._data, self._outside, self._extractor = data, outside, extractor
        self._rank, self._shares = rank, shares

    def __iter__(self) -> Iterator[StateBatch]:
        shuffle = np.random.default_rng(int(torch.randint(2**31, (1,))))  # another order each epoch, the seed's
        if len(self._shares) == 1:
            return self._epoch(shuffle)
        # Ranks step together, so each gives as many batches as the smallest share has; one whose programs gave fewer,
        # for want of states, begins again.
        n_batches = max(min(self._shares) // self._data.programs_per_batch, 1)
        again = chain.from_iterable(self._epoch(shuffle) for _ in count())
        return islice(again, n_batches)

    def _epoch(self, shuffle: np.random.Generator) -> Iterator[StateBatch]:
        data = self._data
        own = (
            group
            for group in data.corpus.groups(Exclusions())
            if not data._is_held_out(group.original.id) and owner(group.original.id, len(self._shares)) == self._rank
        )
        groups = data._mutated(own, self._outside)
        while window := list(islice(groups, data.window)):
            order = [window[i] for i in shuffle.permutation(len(window))]
            yield from _batches(self._extractor, order, data.programs_per_batch)


class _Stacked(Dataset[StateBatch]):
    """Held-out groups, some to a batch."""

    def __init__(self, groups: list[StateBatch], size: int) -> None:
        self._batches = [stack(groups[i : i + size]) for i in range(0, len(groups), size)]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> StateBatch:
        return self._batches[index]


def _batches(extractor: LineStateExtractor, groups: list[ProgramGroup], size: int) -> Iterator[StateBatch]:
    """The groups' states, ``size`` groups to a batch; groups without any state are left out."""
    exclusions = Exclusions()
    found = {states.program_id: states for states in extractor.extract(groups, exclusions)}
    parts = []
    for group in groups:
        own = group_states(group, [found[p.id] for p in group.programs if p.id in found], exclusions)
        if own.programs:
            # of several layers, one after the other
            rows = torch.cat([states.states.transpose(0, 1).flatten(1) for states in own.programs]).float()
            pairs = torch.from_numpy(own.pairs)
            parts.append(StateBatch(rows, pairs[distinct_pairs(rows[pairs[:, 0]], rows[pairs[:, 1]])]))
    for i in range(0, len(parts), size):
        yield stack(parts[i : i + size])


def stack(parts: list[StateBatch]) -> StateBatch:
    """One batch of several; rows of pairs count from its first row."""
    first = np.cumsum([0, *(len(part.states) for part in parts[:-1])])
    pairs = [part.pairs + int(start) for part, start in zip(parts, first, strict=True)]
    return StateBatch(torch.cat([part.states for part in parts]), torch.cat(pairs))
