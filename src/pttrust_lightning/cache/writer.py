"""Fills a cache, shard by shard; interrupted anywhere, it goes on where it stopped."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from pttrust_lightning.cache.manifest import (
    CacheKey,
    Manifest,
    ShardEntry,
    exclusions_to_json,
    plain_key,
    publish,
    read_manifest,
    write_manifest,
)
from pttrust_lightning.cache.pairs import group_states
from pttrust_lightning.cache.schema import GroupStates, StorageDtype, encode_states
from pttrust_lightning.errors import CacheError, SourceError
from pttrust_lightning.types import Exclusions, LineStates, Program, ProgramGroup

Extract = Callable[[Sequence[Program], Exclusions], list[LineStates]]
"""Reads the line states of some programs."""


def open_manifest(folder: Path, key: CacheKey, d: int, storage_dtype: StorageDtype) -> Manifest:
    """The folder's manifest, checked against ``key``; a fresh one where there is none.

    Raises:
        CacheMismatchError: The folder holds the states of something else.
        CacheError: The manifest cannot be read, or the folder holds other files.
    """
    key = plain_key({**key, "storage_dtype": storage_dtype})
    manifest = read_manifest(folder)
    if manifest is None:
        if folder.is_dir() and any(p.suffix not in {".tmp", ".lock"} for p in folder.iterdir()):
            raise CacheError(f"{folder} holds files but no cache manifest. Choose an empty or new cache_dir.")
        return Manifest(key=key, d=d, storage_dtype=storage_dtype)
    manifest.check(folder, key)
    return manifest


def fill_cache(
    folder: Path,
    manifest: Manifest,
    groups: Iterable[ProgramGroup],
    extract: Extract,
    groups_per_shard: int,
    on_shard: Callable[[int, int], None] = lambda groups, rows: None,
) -> Manifest:
    """Read the states of every group that no shard has yet, and write them.

    A shard is written under a temporary name, flushed to disk, renamed, and only then named in the manifest: what the
    manifest names is whole.

    Args:
        folder: The cache's folder; created where missing.
        manifest: From :func:`open_manifest`.
        groups: All groups, in an order that is the same on every run.
        extract: Reads line states; called only for groups that are missing.
        groups_per_shard: Groups in a shard.
        on_shard: Told how many groups and rows are there already, and then those of each new shard; for progress.

    Raises:
        CacheError: Another process is filling the same cache.
        NonFiniteError: States that cannot be stored.
        SourceError: Two programs share an id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        current = read_manifest(folder)
        if current is not None:  # another process may have written shards since the manifest was opened
            current.check(folder, manifest.key)
            current.source_excluded = manifest.source_excluded
            manifest = current
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        write_manifest(folder, manifest)  # before the first shard: an interruption leaves a cache, not stray files
        have = {group for shard in manifest.shards for group in shard.groups}
        on_shard(len(have), sum(shard.rows for shard in manifest.shards))
        missing = (g for g in groups if g.original.id not in have)
        for index in itertools.count(len(manifest.shards)):
            chunk = list(itertools.islice(missing, groups_per_shard))
            if not chunk:
                break
            exclusions = Exclusions()
            entry = _write_shard(
                folder, f"shard-{index:05d}.h5", chunk, extract, exclusions, manifest.storage_dtype, manifest.d
            )
            manifest.shards.append(entry)
            write_manifest(folder, manifest)
            on_shard(len(chunk), entry.rows)
        manifest.complete = True
        write_manifest(folder, manifest)
    return manifest


def _write_shard(
    folder: Path,
    name: str,
    groups: Sequence[ProgramGroup],
    extract: Extract,
    exclusions: Exclusions,
    storage_dtype: str,
    d: int,
) -> ShardEntry:
    programs = [p for g in groups for p in g.programs]
    repeated = [name for name, count in Counter(p.id for p in programs).items() if count > 1]
    if repeated:
        raise SourceError(f"Two programs or mutants are called {repeated[0]!r}. Give each program an id of its own.")
    states = {s.program_id: s for s in extract(programs, exclusions)}
    filled = [
        group_states(group, [states[p.id] for p in group.programs if p.id in states], exclusions) for group in groups
    ]
    temporary = folder / f"{name}.tmp"
    arrays = _arrays([g for g in filled if g.programs], storage_dtype, d)
    with h5py.File(temporary, "w") as shard:
        for field, array in arrays.items():
            shard.create_dataset(field, data=array, dtype=h5py.string_dtype() if array.dtype == object else None)
        shard["states"].attrs["dtype"] = storage_dtype
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    size = temporary.stat().st_size
    publish(temporary, folder / name)
    return ShardEntry(
        file=name,
        sha256=sha256,
        bytes=size,
        rows=len(arrays["states"]),
        pairs=len(arrays["pairs"]),
        groups=[g.original.id for g in groups],
        excluded=exclusions_to_json(exclusions),
    )


def _arrays(groups: Sequence[GroupStates], storage_dtype: Any, d: int) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """The data sets of a shard, as listed in :mod:`pttrust_lightning.cache.schema`."""
    programs = [p for g in groups for p in g.programs]
    rows_per_group = [sum(len(p.line_numbers) for p in g.programs) for g in groups]
    first_row = _offsets(rows_per_group)
    states = torch.cat([p.states for p in programs]) if programs else torch.zeros(0, d)
    arrays: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
        "states": encode_states(states, storage_dtype),
        "line_number": _concatenate([p.line_numbers for p in programs]),
        "program_offset": _offsets([len(p.line_numbers) for p in programs]),
        "program_lines": np.array([p.n_lines for p in programs], dtype=np.int64),
        "program_id": np.array([p.program_id for p in programs], dtype=object),
        "group_offset": _offsets([len(g.programs) for g in groups]),
        "group_id": np.array([g.group_id for g in groups], dtype=object),
        "pairs": _concatenate([g.pairs + first_row[i] for i, g in enumerate(groups)]).reshape(-1, 2),
        "pair_offset": _offsets([len(g.pairs) for g in groups]),
    }
    uncertainty = [p.uncertainty for p in programs if p.uncertainty is not None]
    if programs and len(uncertainty) == len(programs):
        arrays["uncertainty"] = np.concatenate(uncertainty).astype(np.float32)
    return arrays


def _offsets(counts: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _concatenate(parts: Sequence[np.ndarray[Any, np.dtype[np.int64]]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the cache for one writer; the system lets go of it when the process ends, however it ends."""
    with (folder / "writer.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CacheError(
                f"Another process is filling {folder}. Wait for it, or choose another cache_dir."
            ) from error
        yield
