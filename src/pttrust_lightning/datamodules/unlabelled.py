"""Stage 1's data: states of programs and of their mutants, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pttrust_lightning.cache.manifest import CacheKey
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.schema import StorageDtype
from pttrust_lightning.datamodules.cached_states import CachedStates
from pttrust_lightning.datamodules.splits import split_by_group
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.corpus import Corpus, corpus_sha256
from pttrust_lightning.source.line_operators import LINE_OPERATORS, ROUNDS, make_mutants
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.types import Exclusions, ProgramGroup, StateBatch


class UnlabelledStates(CachedStates):
    """Line states of a corpus and of its mutants, with contrastive pairs (METHOD: unlabelled pairs).

    Args:
        corpus: The programs.
        cache_dir: Folder of the state cache.
        states: Which LLM, layer and line rule.
        operators: Line operators that make the mutants.
        rounds: Share of a program's lines that each round mutates; one mutant a round.
        mutation_seed: Decides which lines, and how.
        val_fraction: Share of the programs held out to report on.
        split_seed: Decides which.
        programs_per_batch: Programs, with their mutants, in a batch.
        storage_dtype: How states are stored.
        groups_per_shard: Programs in one shard of the cache.
        verify_cache: Compare the shards' hashes when the cache is opened.
        num_workers: Worker processes of each DataLoader.
    """

    def __init__(
        self,
        corpus: Corpus,
        cache_dir: str,
        states: LineStateConfig = LineStateConfig(),  # noqa: B008 (frozen)
        operators: list[str] = list(LINE_OPERATORS),  # noqa: B006 (never changed)
        rounds: list[float] = list(ROUNDS),  # noqa: B006
        mutation_seed: int = 0,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        programs_per_batch: int = 16,
        storage_dtype: StorageDtype = "float32",
        groups_per_shard: int = 256,
        verify_cache: bool = True,
        num_workers: int = 0,
    ) -> None:
        super().__init__(states, cache_dir, storage_dtype, groups_per_shard, verify_cache, num_workers)
        if programs_per_batch < 1:
            raise ConfigError(f"programs_per_batch is {programs_per_batch}. Set it to at least 1.")
        self.corpus = corpus
        self.operators = tuple(operators)
        self.rounds = tuple(rounds)
        self.mutation_seed = mutation_seed
        self.val_fraction = val_fraction
        self.split_seed = split_seed
        self.programs_per_batch = programs_per_batch

    @property
    def with_uncertainty(self) -> bool:
        """Never: stage 1 needs only the blocks up to the layer."""
        return False

    def cache_contents(self, exclusions: Exclusions) -> tuple[CacheKey, list[ProgramGroup]]:
        """The corpus and its mutants."""
        programs = list(self.corpus.programs(exclusions))
        groups = list(make_mutants(programs, self.operators, self.rounds, self.mutation_seed))
        key = {
            "corpus_sha256": corpus_sha256(programs),
            "operators": self.operators,
            "rounds": self.rounds,
            "mutation_seed": self.mutation_seed,
            "uncertainty": False,
        }
        return key, groups

    def setup(self, stage: str) -> None:
        """Open the cache and split it by program.

        Raises:
            CacheError: It is missing, incomplete or damaged, or comes from another LLM.
            ConfigError: It is too small to split.
        """
        cache = self.open_cache()
        split = split_by_group(cache.group_ids, self.val_fraction, 0.0, self.split_seed)
        self.cache = cache
        self.train = [i for i, s in enumerate(split) if s == "train"]
        self.val = [i for i, s in enumerate(split) if s == "val"]
        if not self.val:
            raise ConfigError(f"val_fraction {self.val_fraction} of {len(cache)} programs is none. Raise it.")

    def train_dataloader(self) -> DataLoader[StateBatch]:
        """Shuffled batches of whole program groups."""
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> DataLoader[StateBatch]:
        """The held-out programs, in order."""
        return self._loader(self.val, shuffle=False)

    def test_dataloader(self) -> DataLoader[StateBatch]:
        """The held-out programs again: stage 1 has no labels to be tested on."""
        return self.val_dataloader()

    def predict_dataloader(self) -> DataLoader[StateBatch]:
        """The held-out programs."""
        return self.val_dataloader()

    def _loader(self, indices: Sequence[int], shuffle: bool) -> DataLoader[StateBatch]:
        groups = _GroupBatches(self.cache, indices)
        sampler = torch.utils.data.BatchSampler(
            torch.utils.data.RandomSampler(groups) if shuffle else torch.utils.data.SequentialSampler(groups),
            batch_size=self.programs_per_batch,
            drop_last=False,
        )
        # The sampler gives whole batches of indices, so that a batch is read and stacked in one go.
        options: dict[str, Any] = {"num_workers": self.num_workers, "persistent_workers": self.num_workers > 0}
        return DataLoader(groups, sampler=sampler, batch_size=None, **options)


class _GroupBatches(Dataset[StateBatch]):
    """Program groups of a cache, read a batch of indices at a time."""

    def __init__(self, cache: StateCache, indices: Sequence[int]) -> None:
        self._cache, self._indices = cache, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, batch: Sequence[int]) -> StateBatch:
        return self._cache.groups([self._indices[i] for i in batch])
