"""What both DataModules share: line states read once from a frozen LLM, kept in a cache."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from tqdm import tqdm

from pttrust_lightning.cache.manifest import MANIFEST_NAME, CacheKey, exclusions_to_json
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.schema import STORED_AS, StorageDtype
from pttrust_lightning.cache.writer import fill_cache, open_manifest
from pttrust_lightning.errors import CacheError, ConfigError
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.language_model import load_config, provenance
from pttrust_lightning.types import Exclusions, LineStates, Program, ProgramGroup


class CachedStates(LightningDataModule):
    """Base of the DataModules: fills a state cache in ``prepare_data``, opens it in ``setup``.

    Args:
        states: Which LLM, layer and line rule.
        cache_dir: Folder of the cache; created where missing, completed where interrupted, never overwritten.
        storage_dtype: How states are stored: ``float32``, ``float16`` or ``bfloat16``.
        groups_per_shard: Programs (with their mutants) in one shard of the cache.
        verify_cache: Compare the shards' hashes when the cache is opened.
        num_workers: Worker processes of each DataLoader.
    """

    def __init__(
        self,
        states: LineStateConfig,
        cache_dir: str,
        storage_dtype: StorageDtype,
        groups_per_shard: int,
        verify_cache: bool,
        num_workers: int,
    ) -> None:
        super().__init__()
        if storage_dtype not in STORED_AS:
            raise ConfigError(f"Unknown storage_dtype {storage_dtype!r}. Choose one of {', '.join(STORED_AS)}.")
        if groups_per_shard < 1:
            raise ConfigError(f"groups_per_shard is {groups_per_shard}. Set it to at least 1.")
        self.states = states
        self.cache_dir = Path(cache_dir)
        self.storage_dtype = storage_dtype
        self.groups_per_shard = groups_per_shard
        self.verify_cache = verify_cache
        self.num_workers = num_workers

    @property
    def d_in(self) -> int:
        """Width of a state, from the LLM's configuration: known before any state is read."""
        return int(load_config(self.states).hidden_size)

    @property
    def state_provenance(self) -> dict[str, Any]:
        """What the states come from; exported models keep it, and refuse states of another provenance."""
        return provenance(self.states)._asdict()

    @abstractmethod
    def cache_contents(self, exclusions: Exclusions) -> tuple[CacheKey, list[ProgramGroup]]:
        """What the cache must hold: its key beside the states' provenance, and the groups to read."""

    @property
    @abstractmethod
    def with_uncertainty(self) -> bool:
        """Whether token probabilities are read too."""

    def prepare_data(self) -> None:
        """Read the states that the cache lacks.

        Raises:
            CacheMismatchError: The cache was made from something else.
            CacheError: It cannot be read, or the disk cannot hold it.
        """
        source_exclusions = Exclusions()
        key, groups = self.cache_contents(source_exclusions)
        manifest = open_manifest(self.cache_dir, {**self.state_provenance, **key}, self.d_in, self.storage_dtype)
        filling = not manifest.complete
        if filling:
            manifest.source_excluded = exclusions_to_json(source_exclusions)
            self._announce(groups, {group for shard in manifest.shards for group in shard.groups})
            with tqdm(total=len(groups), desc="Reading line states", unit="program", mininterval=1) as bar:
                manifest = fill_cache(
                    self.cache_dir,
                    manifest,
                    groups,
                    _LazyExtractor(self.states, self.with_uncertainty),
                    self.groups_per_shard,
                    on_shard=lambda n_groups, _rows: bar.update(n_groups) and None,
                )
        rows, pairs = sum(s.rows for s in manifest.shards), sum(s.pairs for s in manifest.shards)
        left_out = manifest.exclusions()
        rank_zero_info(
            f"State cache {self.cache_dir}: {rows} line states, {pairs} contrastive pairs; "
            f"{sum(left_out.counts.values())} items were left out, counted by reason in {MANIFEST_NAME}"
        )
        for line in left_out.describe() if filling else []:
            rank_zero_info(f"  {line}")

    def open_cache(self) -> StateCache:
        """The filled cache.

        Raises:
            CacheError: It is missing, incomplete or damaged, or comes from another LLM.
        """
        return StateCache(self.cache_dir, self.state_provenance, verify=self.verify_cache)

    def _announce(self, groups: list[ProgramGroup], done: set[str]) -> None:
        """Say beforehand what the reading will cost, and refuse what the disk cannot hold."""
        programs = [p for g in groups if g.original.id not in done for p in g.programs]
        n_lines = sum(len(non_blank_lines(p.code)) for p in programs)
        wanted = n_lines * self.d_in * np.dtype(STORED_AS[self.storage_dtype]).itemsize
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.cache_dir).free
        rank_zero_info(
            f"Reading the states of {n_lines} lines of {len(groups) - len(done)} programs and their mutants "
            f"({len(done)} programs are there already): up to {wanted / 2**20:.0f} MiB in {self.cache_dir}, "
            f"{free / 2**20:.0f} MiB are free"
        )
        if wanted > free:
            raise CacheError(
                f"{self.cache_dir} has {free / 2**20:.0f} MiB free, but {wanted / 2**20:.0f} MiB are needed. "
                "Choose another cache_dir, a limit, or storage_dtype float16."
            )


class _LazyExtractor:
    """Loads the LLM when the first states are asked for: a complete cache needs no LLM."""

    def __init__(self, config: LineStateConfig, with_uncertainty: bool) -> None:
        self._config, self._with_uncertainty = config, with_uncertainty
        self._extractor: LineStateExtractor | None = None

    def __call__(self, programs: Iterable[Program], exclusions: Exclusions) -> list[LineStates]:
        if self._extractor is None:
            self._extractor = LineStateExtractor(self._config, self._with_uncertainty)
        return self._extractor.extract(list(programs), exclusions)
