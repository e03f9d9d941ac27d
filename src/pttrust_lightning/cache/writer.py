"""Fills a cache, shard by shard; interrupted anywhere, by any number of ranks, it goes on where it stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np

from pttrust_lightning.cache.durable import storing
from pttrust_lightning.cache.journal import (
    ITS_LINE,
    JOURNALS,
    CacheContents,
    ShardEntry,
    add_entry,
    add_total,
    cut_torn_line,
    mend,
    read_contents,
)
from pttrust_lightning.cache.locks import alone, joined
from pttrust_lightning.cache.manifest import (
    CacheKey,
    Manifest,
    exclusions_to_json,
    is_layers,
    plain_key,
    read_manifest,
    write_manifest,
)
from pttrust_lightning.cache.pipeline import run_pipeline
from pttrust_lightning.cache.schema import STORED_AS, StorageDtype
from pttrust_lightning.cache.shard import Extracted, write_shard
from pttrust_lightning.errors import CacheError, CacheMismatchError, SourceError
from pttrust_lightning.hashing import hash64
from pttrust_lightning.types import Exclusions, ProgramGroup, ProgramStates

Extract = Callable[[Sequence[ProgramGroup], Exclusions], list[ProgramStates]]
"""Reads the states of some groups' programs, in every layer of the cache."""

UNSAVED_BYTES = 64 * 2**20

_UNSAVED_ROWS = 2**15
"""Most rows that are not yet stored: beside its state, a row takes a kilobyte or two of memory until then."""

_log = logging.getLogger(__name__)


def open_manifest(folder: Path, key: CacheKey, d: int, storage_dtype: StorageDtype) -> Manifest:
    """The folder's manifest, checked against ``key``; a fresh one where there is none. Writes nothing.

    A cache that holds further layers is taken; its ``layers`` are then what an extractor must read to add to it. One
    that was complete but has lost a line of a journal since is no longer.

    Raises:
        CacheMismatchError: The folder holds the states of something else.
        CacheError: The manifest cannot be read, or the folder holds other files.
        ValueError: The key has no layers.
    """
    key = plain_key({**key, "storage_dtype": storage_dtype})
    if not is_layers(key.get("layers")):
        raise ValueError(f"key must have layers, a list of 0-based numbers, got {key.get('layers')!r}")
    manifest = read_manifest(folder)
    if manifest is None and folder.is_dir() and any(p.suffix not in {".tmp", ".lock"} for p in folder.iterdir()):
        manifest = read_manifest(folder)  # another rank may have begun since: the manifest is its first file
        if manifest is None:
            raise CacheError(f"{folder} holds files but no cache manifest. Choose an empty or new cache_dir.")
    if manifest is None:
        return Manifest(key=key, d=d, storage_dtype=storage_dtype)
    manifest.check(folder, key)
    if manifest.d != d:
        raise CacheMismatchError(str(folder), "d", manifest.d, d)
    if manifest.complete:
        manifest.complete = len(read_contents(folder, manifest).groups) == manifest.n_groups
    return manifest


def owner(group_id: str, world_size: int) -> int:
    """The rank that reads a group: decided by its id alone, on every machine alike."""
    return hash64(group_id) % world_size


def fill_cache(
    folder: Path,
    manifest: Manifest,
    groups: Iterable[ProgramGroup],
    extract: Extract,
    unsaved_bytes: int = UNSAVED_BYTES,
    on_shard: Callable[[int, int], None] = lambda groups, rows: None,
    rank: int = 0,
    world_size: int = 1,
    expand: Callable[[ProgramGroup], ProgramGroup] = lambda group: group,
) -> None:
    """Read the states of this rank's groups that no journal answers for, and write them.

    Groups are made in a thread of their own, read in the caller's, and written in another; of the corpus, only ids are
    held. A shard is half of ``unsaved_bytes``: one is read while the one before it is written, and what a killed writer
    loses is no more than both. When every rank has returned, :func:`finish_cache` is to be called, once.

    Args:
        folder: The cache's folder, one that all ranks see; created where missing.
        manifest: From :func:`open_manifest`.
        groups: All groups of the corpus; the same ones on every rank and every run, in any order. Iterated in another
            thread. Reading in the order of the ids later is quickest where this is the order of the ids too.
        extract: Reads states; called only for groups that are missing, with as many as fill a shard.
        unsaved_bytes: States that are being read, or were read and are in no journal yet, at most: what a kill costs.
            By estimate from the programs' non-blank lines, which are 32,768 at most. A group that is larger has a
            shard of its own, and is read while nothing else is under way.
        on_shard: Told how many groups and rows are there already (of all ranks), and then those of each new shard of
            this rank; in the caller's thread, soon after the shard is durable.
        rank: This process's number.
        world_size: Number of processes that fill the cache at once.
        expand: Makes a group's mutants, where ``groups`` come without: called for the groups that are read, in the
            producer's thread.

    Raises:
        CacheError: Another process is this rank, the disk is full, or the cache is damaged.
        NonFiniteError: States that cannot be stored.
        SourceError: Two programs share an id.
        ValueError: A rank that is none, or states of other shapes than the manifest's.
    """
    if not 0 <= rank < world_size or unsaved_bytes < 1:
        raise ValueError(f"rank {rank} of {world_size} with {unsaved_bytes} unsaved bytes cannot be")
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with joined(folder, rank, world_size, lambda first: _begin(folder, manifest, rank, first)) as contents:
        answered = contents.groups
        on_shard(len(answered), contents.rows)
        if contents.manifest.complete and len(answered) == contents.manifest.n_groups:
            return
        manifest = contents.manifest
        row_bytes = manifest.d * np.dtype(STORED_AS[manifest.storage_dtype]).itemsize * len(manifest.layers)
        unsaved_rows = min(unsaved_bytes / row_bytes, _UNSAVED_ROWS)
        chunks = _Chunks(groups, answered, rank, world_size, expand, unsaved_rows / 2)

        def read(chunk: _Chunk) -> Extracted:
            exclusions = Exclusions()
            return Extracted(chunk.groups, extract(chunk.groups, exclusions), exclusions)

        def store(extracted: Extracted) -> ShardEntry:
            entry = write_shard(folder, rank, manifest, extracted)
            with storing(folder):
                add_entry(folder, rank, entry)
            return entry

        run_pipeline(
            iter(chunks),
            read,
            store,
            on_stored=lambda entry: on_shard(len(entry.groups), entry.rows),
            stop=chunks.stopped.set,
            size=lambda chunk: chunk.rows,
            most=unsaved_rows,
        )
        with storing(folder):
            add_total(folder, rank, chunks.total)


def finish_cache(
    folder: Path, source_excluded: Exclusions | None = None, fingerprint: dict[str, Any] | None = None
) -> CacheContents:
    """Declare a cache complete; to be called by one rank when :func:`fill_cache` has returned on all of them.

    Args:
        folder: The cache's folder.
        source_excluded: What was left out before any state was read; None keeps what the manifest has.
        fingerprint: The caller's; None keeps what the manifest has.

    Raises:
        CacheError: Some groups are not answered for, or twice; a rank is still writing; or the cache is damaged.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise CacheError(f"{folder} holds no state cache. Make one first: pttrust extract --config <data config>.")
    with alone(folder):
        contents = read_contents(folder, manifest)
        _remove_leftovers(folder, contents)
        n_groups = len(contents.groups)
        if contents.totals != {n_groups}:
            corpus = " or ".join(map(str, sorted(contents.totals))) or "an unknown number"
            raise CacheError(
                f"The journals of {folder} answer for {n_groups} programs of {corpus}. Run every rank to its end, "
                "with the same corpus; or delete that folder and extract again."
            )
        manifest.complete, manifest.n_groups = True, n_groups
        if source_excluded is not None:
            manifest.source_excluded = exclusions_to_json(source_excluded)
        if fingerprint is not None:
            manifest.fingerprint = fingerprint
        with storing(folder):
            write_manifest(folder, manifest)
    return contents


def cache_contents(folder: Path) -> CacheContents | None:
    """What a cache has so far, complete or not; None where there is no cache.

    Raises:
        CacheError: The manifest or a journal is damaged.
    """
    manifest = read_manifest(folder)
    return None if manifest is None else read_contents(folder, manifest)


def _begin(folder: Path, manifest: Manifest, rank: int, first: bool) -> CacheContents:
    """Bring the folder into a state that can be added to; no other rank joins meanwhile."""
    current = read_manifest(folder)
    if current is not None:  # another process may have begun or finished since the manifest was opened
        current.check(folder, manifest.key)
        current.source_excluded = manifest.source_excluded or current.source_excluded
        current.fingerprint = manifest.fingerprint or current.fingerprint
        manifest = current
    with storing(folder):
        if manifest != read_manifest(folder):  # before the first shard: an interruption leaves a cache, not stray files
            write_manifest(folder, manifest)
        cut_torn_line(folder, rank, manifest.layers)
        contents = read_contents(folder, manifest)
        _check_files(folder, contents)
        if first:
            _remove_leftovers(folder, contents)
    return contents


def _check_files(folder: Path, contents: CacheContents) -> None:
    """Every shard that a journal names is there in its size: found out before hours of reading, not after."""
    for entry in contents.entries:
        path = folder / entry.file
        if not path.is_file() or path.stat().st_size != entry.bytes:
            raise CacheError(f"{path} is missing or truncated, though a journal names it. {mend(ITS_LINE)}")


def _remove_leftovers(folder: Path, contents: CacheContents) -> None:
    """Remove half-written files, and shards that no journal names; to be called while no rank writes."""
    named = {entry.file for entry in contents.entries}
    unfinished = list(folder.glob("*.tmp"))
    unnamed = [path for path in folder.glob("shard-*.h5") if path.name not in named]
    for path in (*unfinished, *unnamed):
        path.unlink()
    if unfinished or unnamed:
        _log.warning(
            "%s: removed %d unfinished files and %d shards that no line of %s names, left by a writer that was killed; "
            "their programs are read again",
            folder,
            len(unfinished),
            len(unnamed),
            JOURNALS,
        )


class _Chunk(NamedTuple):
    """The groups of a shard to be, and how many rows they have at most."""

    groups: list[ProgramGroup]
    rows: int


class _Chunks:
    """The groups that a rank has to read, as many at a time as fill a shard.

    Attributes:
        total: Groups of the corpus seen so far, whosever they are.
        stopped: Set to end the iteration early.
    """

    def __init__(
        self,
        groups: Iterable[ProgramGroup],
        answered: set[str],
        rank: int,
        world_size: int,
        expand: Callable[[ProgramGroup], ProgramGroup],
        rows_per_chunk: float,
    ) -> None:
        self.total = 0
        self.stopped = Event()
        self._missing = self._select(groups, answered, rank, world_size)
        self._expand, self._rows_per_chunk = expand, rows_per_chunk

    def __iter__(self) -> Iterator[_Chunk]:
        chunk: list[ProgramGroup] = []
        rows = 0
        for group in map(self._expand, self._missing):
            size = max(sum(_non_blank_lines(p.code) for p in group.programs), 1)  # groups without lines end too
            if chunk and rows + size > self._rows_per_chunk:
                yield _Chunk(chunk, rows)
                chunk, rows = [], 0
            chunk.append(group)
            rows += size
        if chunk:
            yield _Chunk(chunk, rows)

    def _select(
        self, groups: Iterable[ProgramGroup], answered: set[str], rank: int, world_size: int
    ) -> Iterator[ProgramGroup]:
        seen: set[str] = set()
        for group in groups:
            if self.stopped.is_set():
                return
            name = group.original.id
            if name in seen:
                raise SourceError(f"Two programs are called {name!r}. Give each program an id of its own.")
            seen.add(name)
            self.total += 1
            if name not in answered and owner(name, world_size) == rank:
                yield group


def _non_blank_lines(code: str) -> int:
    return sum(1 for line in code.split("\n") if line.strip())
