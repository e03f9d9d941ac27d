"""What both DataModules share: line states read once from a frozen LLM, kept in a cache."""

from __future__ import annotations

import dataclasses
import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from tqdm import tqdm

from pttrust_lightning.cache.journal import CacheContents
from pttrust_lightning.cache.manifest import MANIFEST_NAME, CacheKey, Manifest, exclusions_to_json, read_manifest
from pttrust_lightning.cache.pairs import EQUAL_STATES
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.schema import STORED_AS, StorageDtype
from pttrust_lightning.cache.writer import cache_contents, fill_cache, finish_cache, open_manifest, owner
from pttrust_lightning.datamodules.line_states import LineStatesDataModule
from pttrust_lightning.errors import CacheError, ConfigError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.language_model import load_config, provenance
from pttrust_lightning.states.layers import resolve_layers, state_layers
from pttrust_lightning.types import Exclusions, ProgramGroup

_PROBED_GROUPS = 64
"""Groups that a probe of the speed may read: enough for full batches on a fast device."""


class Wanted(NamedTuple):
    """What a cache is to hold.

    Attributes:
        key: What decides its contents beside the states' provenance.
        groups: Gives the groups, without mutants, in the same order each time; nothing of the corpus's size is held.
        expand: Makes a group's mutants.
        n_groups: Number of groups.
        n_lines: Their non-blank lines, the mutants' included, by estimate.
    """

    key: CacheKey
    groups: Callable[[], Iterator[ProgramGroup]]
    expand: Callable[[ProgramGroup], ProgramGroup]
    n_groups: int
    n_lines: int


class Ranks(NamedTuple):
    """This process among those that fill a cache together.

    Attributes:
        rank: Its number.
        world_size: Number of processes.
        barrier: Waits for all of them.
    """

    rank: int = 0
    world_size: int = 1
    barrier: Callable[[], object] = lambda: None


class CachedStates(LineStatesDataModule):
    """Base of the DataModules: fills a state cache in ``prepare_data``, opens it in ``setup``.

    Args:
        states: Which LLM, layers and line rule.
        cache_dir: Folder of the cache; created where missing, completed where interrupted, never overwritten.
        storage_dtype: How states are stored: ``float32``, ``float16`` or ``bfloat16``.
        shard_megabytes: States that are read and not yet on disk, at most, and 32,768 lines at most: what a kill costs.
            A file of the cache holds half of that: the next one is read while it is written.
        verify_cache: Compare the shards' hashes when the cache is opened.
        num_workers: Worker processes of each DataLoader.
    """

    def __init__(
        self,
        states: LineStateConfig,
        cache_dir: str,
        storage_dtype: StorageDtype,
        shard_megabytes: float,
        verify_cache: bool,
        num_workers: int,
    ) -> None:
        super().__init__(states)
        if storage_dtype not in STORED_AS:
            raise ConfigError(f"Unknown storage_dtype {storage_dtype!r}. Choose one of {', '.join(STORED_AS)}.")
        if shard_megabytes <= 0:
            raise ConfigError(f"shard_megabytes is {shard_megabytes}. Set it above 0.")
        self.cache_dir = Path(cache_dir)
        self.storage_dtype: StorageDtype = storage_dtype
        self.shard_megabytes = shard_megabytes
        self.verify_cache = verify_cache
        self.num_workers = num_workers

    @abstractmethod
    def wanted(self, exclusions: Exclusions) -> Wanted:
        """What the cache must hold: reads the corpus through, and counts what it leaves out."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The settings that decide the key's fields, without reading the corpus."""

    @property
    @abstractmethod
    def with_uncertainty(self) -> bool:
        """Whether token probabilities are read too."""

    @property
    def manifest_path(self) -> Path:
        """The file in which the cache says what it was made from."""
        return self.cache_dir / MANIFEST_NAME

    @property
    def with_lookback(self) -> bool:
        """Whether attention is read too; not, where nothing asks for it."""
        return False

    def fingerprint(self) -> str | None:
        """What changes whenever the corpus may have changed, without reading it; None where that is not known."""
        return None

    def prepare_data(self) -> None:
        """Read the states that the cache lacks.

        Raises:
            CacheMismatchError: The cache was made from something else.
            CacheError: It cannot be read, or the disk cannot hold it.
        """
        self.fill()

    def fill(self, ranks: Ranks = Ranks()) -> None:  # noqa: B008 (immutable)
        """Read the states that the cache lacks, together with the other ranks.

        Raises:
            CacheMismatchError: The cache was made from something else.
            CacheError: It cannot be read, or the disk cannot hold it.
        """
        fingerprint = self._fingerprint()
        if fingerprint and self._is_unchanged(fingerprint):
            return self._report(cache_contents(self.cache_dir), filled=False)
        exclusions = Exclusions()
        wanted = self.wanted(exclusions)
        manifest = open_manifest(self.cache_dir, {**self._state_key(), **wanted.key}, self._width, self.storage_dtype)
        filling = not manifest.complete
        ranks.barrier()  # no rank begins to write before all have seen what is there
        if filling:
            self._fill(manifest, wanted, exclusions, ranks)
            ranks.barrier()  # all have written
        if ranks.rank == 0 and (filling or manifest.fingerprint != fingerprint):
            finish_cache(self.cache_dir, exclusions if filling else None, fingerprint)
        ranks.barrier()  # the cache is complete
        return self._report(cache_contents(self.cache_dir), filled=filling)

    def open_cache(self) -> StateCache:
        """The filled cache.

        Raises:
            CacheError: It is missing, incomplete or damaged, or comes from another LLM.
        """
        return self._open(self.verify_cache)

    def left_out_of_cache(self) -> Exclusions:
        """All that has no state in the cache, or no part in its pairs, by reason."""
        contents = cache_contents(self.cache_dir)
        if contents is None:
            return Exclusions()
        layers = self._layers()
        if len(layers) == 1:
            return contents.exclusions(*layers)
        # The journals count equal pairs layer by layer: which are equal in all of several, only the shards tell.
        left_out = contents.exclusions()
        left_out.add(EQUAL_STATES, "", self._open(verify=False).n_equal_pairs)
        return left_out

    def _open(self, verify: bool) -> StateCache:
        key = {name: value for name, value in self._state_key().items() if name != "layers"}
        return StateCache(self.cache_dir, key, self._layers(), verify=verify)

    @property
    def _width(self) -> int:
        """Width of the state in one layer."""
        return int(load_config(self.states).hidden_size)

    def _layers(self) -> tuple[int, ...]:
        """The layers that make up a state."""
        return state_layers(self.states.layer, load_config(self.states).num_hidden_layers)

    def _state_key(self) -> CacheKey:
        """The states' part of the cache's key: as provenance, but of all layers that are cached."""
        key = provenance(self.states)._asdict()
        del key["layer"]
        n_layers = load_config(self.states).num_hidden_layers
        return {**key, "layers": list(resolve_layers(self.states.layer, self.states.layers, n_layers))}

    def _fingerprint(self) -> dict[str, Any]:
        corpus = self.fingerprint()
        return {} if corpus is None else {"corpus": corpus, "settings": _plain(self.settings())}

    def _is_unchanged(self, fingerprint: dict[str, Any]) -> bool:
        """Whether the cache is complete, of these states, and of a corpus whose files have not been touched."""
        manifest = read_manifest(self.cache_dir)
        if manifest is None or manifest.fingerprint != fingerprint:
            return False
        manifest.check(self.cache_dir, {**self._state_key(), "storage_dtype": self.storage_dtype}, partial=True)
        contents = cache_contents(self.cache_dir)
        return manifest.complete and contents is not None and len(contents.groups) == manifest.n_groups

    def _fill(self, manifest: Manifest, wanted: Wanted, exclusions: Exclusions, ranks: Ranks) -> None:
        manifest.source_excluded = exclusions_to_json(exclusions)
        here = cache_contents(self.cache_dir)
        done = set() if here is None else here.groups
        # A cache may hold more layers than this run asks for: what is added to it must hold them too.
        states = dataclasses.replace(self.states, layers=tuple(manifest.layers))
        self._announce_size(wanted, len(manifest.layers), len(done), 0 if here is None else here.rows)
        # Loaded when the first states are asked for: nothing may be missing.
        extractor = lru_cache(
            partial(LineStateExtractor, states, self.with_uncertainty, self.storage_dtype, self.with_lookback)
        )
        missing = (
            g
            for g in wanted.groups()
            if g.original.id not in done and owner(g.original.id, ranks.world_size) == ranks.rank
        )
        probed = [wanted.expand(group) for group in islice(missing, _PROBED_GROUPS)]
        if probed:
            speed = extractor().probe(probed)
            left = wanted.n_lines * (1 - len(done) / max(wanted.n_groups, 1)) / ranks.world_size
            rank_zero_info(
                f"About {left / speed.lines_per_second / 60:.1f} minutes at {speed.lines_per_second:,.0f} lines and "
                f"{speed.tokens_per_second:,.0f} tokens a second ({speed.tokens_per_line:.1f} tokens a line)"
            )
        with tqdm(
            total=wanted.n_lines // ranks.world_size, initial=0 if here is None else here.rows // ranks.world_size,
            desc="Reading line states", unit="line", unit_scale=True, mininterval=1, disable=ranks.rank != 0,
        ) as bar:  # fmt: skip
            fill_cache(
                self.cache_dir,
                manifest,
                wanted.groups(),
                lambda groups, left_out: extractor().extract(groups, left_out, bar.update),
                unsaved_bytes=max(int(self.shard_megabytes * 2**20), 1),
                rank=ranks.rank,
                world_size=ranks.world_size,
                expand=wanted.expand,
            )
            bar.total = bar.n  # it was an estimate

    def _announce_size(self, wanted: Wanted, n_layers: int, n_done: int, rows_done: int) -> None:
        """Say beforehand what the reading will write, and refuse what the disk cannot hold."""
        lines = max(wanted.n_lines - rows_done, 0)
        row = self._width * np.dtype(STORED_AS[self.storage_dtype]).itemsize * n_layers
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.cache_dir).free
        rank_zero_info(
            f"Reading the states of {lines} lines of {wanted.n_groups - n_done} programs and their mutants "
            f"({n_done} programs are there already): up to {lines * row / 2**20:.0f} MiB in {self.cache_dir}, "
            f"{free / 2**20:.0f} MiB are free"
        )
        if lines * row > free:
            raise CacheError(
                f"{self.cache_dir} has {free / 2**20:.0f} MiB free, but {lines * row / 2**20:.0f} MiB are needed. "
                "Choose another cache_dir, a limit, or storage_dtype float16."
            )

    def _report(self, contents: CacheContents | None, filled: bool) -> None:
        if contents is None:
            return
        left_out = self.left_out_of_cache()
        n_pairs = contents.candidate_pairs - left_out.counts[EQUAL_STATES]
        rank_zero_info(
            f"State cache {self.cache_dir}: {contents.rows} line states, {n_pairs} contrastive pairs; "
            f"{sum(left_out.counts.values())} items were left out, counted by reason in {MANIFEST_NAME} and the "
            "journals beside it"
        )
        for line in left_out.describe() if filled else []:
            rank_zero_info(f"  {line}")


def _plain(value: Any) -> Any:
    """Settings as they read back from JSON: tuples become lists."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
