"""Stage 1's data: states of programs and of their mutants, without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.schema import StorageDtype
from pttrust_lightning.cache.shuffle import block_shuffled
from pttrust_lightning.datamodules.cached_states import CachedStates, Wanted
from pttrust_lightning.datamodules.splits import Split, split_by_group
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.corpora import Corpus
from pttrust_lightning.source.corpora.selection import CorpusDigest
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.source.mutation.mutants import ROUNDS, add_mutants
from pttrust_lightning.source.mutation.operators import LINE_OPERATORS
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.types import Exclusions, ProgramGroup, StateBatch


class UnlabelledStates(CachedStates):
    """Line states of a corpus and of its mutants, with contrastive pairs (METHOD: unlabelled pairs).

    Args:
        corpus: The programs.
        cache_dir: Folder of the state cache.
        states: Which LLM, layer and line rule.
        operators: Mutation operators that make the mutants, drawn equally often, or a weight for each. None where the
            corpus's own mutants are enough (``BugFixes``, ``GitHistory``).
        rounds: Share of a program's lines that each round mutates; one mutant a round.
        mutation_seed: Decides which lines, and how.
        val_fraction: Share of the programs held out to report on.
        split_seed: Decides which.
        programs_per_batch: Programs, with their mutants, in a batch.
        storage_dtype: How states are stored.
        shard_megabytes: States that are read and not yet on disk, at most, and 32,768 lines at most: what a kill costs.
            A file of the cache holds half of that: the next one is read while it is written.
        verify_cache: Compare the shards' hashes when the cache is opened.
        num_workers: Worker processes of each DataLoader.
    """

    def __init__(
        self,
        corpus: Corpus,
        cache_dir: str,
        states: LineStateConfig = LineStateConfig(),  # noqa: B008 (frozen)
        operators: list[str] | dict[str, float] = list(LINE_OPERATORS),  # noqa: B006 (never changed)
        rounds: list[float] = list(ROUNDS),  # noqa: B006
        mutation_seed: int = 0,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        programs_per_batch: int = 16,
        storage_dtype: StorageDtype = "float32",
        shard_megabytes: float = 64.0,
        verify_cache: bool = True,
        num_workers: int = 0,
    ) -> None:
        super().__init__(states, cache_dir, storage_dtype, shard_megabytes, verify_cache, num_workers)
        if programs_per_batch < 1:
            raise ConfigError(f"programs_per_batch is {programs_per_batch}. Set it to at least 1.")
        self.corpus = corpus
        self.operators = operators
        self.rounds = tuple(rounds)
        self.mutation_seed = mutation_seed
        self.val_fraction = val_fraction
        self.split_seed = split_seed
        self.programs_per_batch = programs_per_batch

    @property
    def with_uncertainty(self) -> bool:
        """Never: stage 1 needs only the blocks up to the layer."""
        return False

    def settings(self) -> dict[str, Any]:
        """What makes the mutants."""
        return {
            "operators": dict(self.operators) if isinstance(self.operators, dict) else tuple(self.operators),
            "rounds": self.rounds,
            "mutation_seed": self.mutation_seed,
            "uncertainty": False,
        }

    def fingerprint(self) -> str | None:
        """The corpus's."""
        return self.corpus.fingerprint()

    def wanted(self, exclusions: Exclusions) -> Wanted:
        """The corpus and its mutants, which are made when they are read."""
        digest, outside = CorpusDigest(), OutsideLines()
        n_programs = n_lines = 0
        n_made = len(self.rounds) if self.operators else 0
        for group in self.corpus.groups(exclusions):
            for program in group.programs:
                digest.add(program)
                n_lines += len(non_blank_lines(program.code))
            outside.add(group.original)
            n_programs += 1
            n_lines += len(non_blank_lines(group.original.code)) * n_made

        def expand(group: ProgramGroup) -> ProgramGroup:
            return next(add_mutants([group], outside, self.operators, self.rounds, self.mutation_seed))

        add_mutants([], outside, self.operators, self.rounds)  # refuses settings that no run could use, before hours
        return Wanted(
            key={"corpus_sha256": digest.hexdigest(), **self.settings()},
            groups=lambda: self.corpus.groups(Exclusions()),
            expand=expand,
            n_groups=n_programs,
            n_lines=n_lines,
        )

    def setup(self, stage: str) -> None:
        """Open the cache and split it by program.

        Raises:
            CacheError: It is missing, incomplete or damaged, or comes from another LLM.
            ConfigError: It is too small to split.
        """
        cache = self.open_cache()
        split = self.splits(cache.group_ids)
        self.cache = cache
        self.train = [i for i, s in enumerate(split) if s == "train"]
        self.val = [i for i, s in enumerate(split) if s == "val"]
        if not self.val:
            raise ConfigError(f"val_fraction {self.val_fraction} of {len(cache)} programs is none. Raise it.")

    def splits(self, program_ids: Sequence[str]) -> list[Split]:
        """The split of each program.

        Raises:
            ConfigError: Too few programs, or a fraction that leaves nothing to train on.
        """
        return split_by_group(program_ids, self.val_fraction, 0.0, self.split_seed)

    def train_dataloader(self) -> DataLoader[StateBatch]:
        """Shuffled batches of whole program groups."""
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> DataLoader[StateBatch]:
        """The held-out programs, in order."""
        return self._loader(self.val, shuffle=False)

    def _loader(self, indices: Sequence[int], shuffle: bool) -> DataLoader[StateBatch]:
        groups = _GroupBatches(self.cache, indices)
        sampler = torch.utils.data.BatchSampler(
            _LocalShuffle(len(groups)) if shuffle else torch.utils.data.SequentialSampler(groups),
            batch_size=self.programs_per_batch,
            drop_last=False,
        )
        # The sampler gives whole batches of indices, so that a batch is read and stacked in one go.
        options: dict[str, Any] = {"num_workers": self.num_workers, "persistent_workers": self.num_workers > 0}
        return DataLoader(groups, sampler=sampler, batch_size=None, **options)


class _LocalShuffle(Sampler[int]):
    """Another order in each epoch, local enough for caches that do not fit the memory; by torch's generator."""

    _BLOCK_GROUPS = 64

    def __init__(self, n_groups: int) -> None:
        self._n_groups = n_groups

    def __len__(self) -> int:
        return self._n_groups

    def __iter__(self) -> Iterator[int]:
        seed = int(torch.empty((), dtype=torch.int64).random_().item())
        return iter(block_shuffled(range(self._n_groups), self._BLOCK_GROUPS, seed))


class _GroupBatches(Dataset[StateBatch]):
    """Program groups of a cache, read a batch of indices at a time."""

    def __init__(self, cache: StateCache, indices: Sequence[int]) -> None:
        self._cache, self._indices = cache, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, batch: Sequence[int]) -> StateBatch:
        return self._cache.groups([self._indices[i] for i in batch])
