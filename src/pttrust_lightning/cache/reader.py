"""Reads a cache: whole groups, or single programs, as contiguous slices."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch

from pttrust_lightning.cache.manifest import CacheKey, Manifest, ShardEntry, read_manifest
from pttrust_lightning.cache.schema import STORED_AS, decode_states
from pttrust_lightning.errors import CacheError
from pttrust_lightning.types import IntArray, LineStates, StateBatch

_REMEDY = "Delete that file's cache folder and extract again."


class _ShardIndex(NamedTuple):
    """The small arrays of a shard, kept in memory; only states are read on demand."""

    file: str
    line_number: IntArray
    program_offset: IntArray
    program_lines: IntArray
    program_ids: list[str]
    group_offset: IntArray
    group_ids: list[str]
    pairs: IntArray
    pair_offset: IntArray


class StateCache:
    """A complete cache, open for reading.

    Files are opened lazily and once per process, so that an instance may cross a fork or be pickled to a worker.

    Args:
        folder: The cache's folder.
        key: Fields of the key that must agree; None takes whatever is there.
        verify: Compare each shard's hash with the manifest's, not only its size.

    Raises:
        CacheError: There is no cache, it is incomplete, or a shard is damaged.
        CacheMismatchError: The states come from something else.
    """

    def __init__(self, folder: Path, key: CacheKey | None = None, verify: bool = True) -> None:
        manifest = read_manifest(folder)
        if manifest is None:
            raise CacheError(f"{folder} holds no state cache. Make one first: pttrust extract --config <data config>.")
        if key is not None:
            manifest.check(folder, key, partial=True)
        if not manifest.complete:
            raise CacheError(
                f"The state cache {folder} is incomplete (an extraction was interrupted). "
                "Run pttrust extract again with the same config: it goes on where it stopped."
            )
        self.folder = folder
        self.manifest: Manifest = manifest
        self._shards = [_read_index(folder, entry, manifest, verify) for entry in manifest.shards]
        self._groups = [(s, g) for s, shard in enumerate(self._shards) for g in range(len(shard.group_ids))]
        self._programs = {
            name: (s, p) for s, shard in enumerate(self._shards) for p, name in enumerate(shard.program_ids)
        }
        self._open: dict[tuple[int, int], h5py.File] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Open files stay behind: HDF5 handles must not cross processes."""
        return {**self.__dict__, "_open": {}}

    @property
    def d(self) -> int:
        """Width of a state."""
        return self.manifest.d

    @property
    def group_ids(self) -> list[str]:
        """Ids of the groups that have states, in the cache's order."""
        return [self._shards[s].group_ids[g] for s, g in self._groups]

    @property
    def n_rows(self) -> int:
        """Line states in the cache."""
        return sum(len(s.line_number) for s in self._shards)

    @property
    def n_pairs(self) -> int:
        """Contrastive pairs in the cache."""
        return sum(len(s.pairs) for s in self._shards)

    def __contains__(self, program_id: str) -> bool:
        """Whether the program has states."""
        return program_id in self._programs

    def __len__(self) -> int:
        """Number of groups that have states."""
        return len(self._groups)

    def groups(self, indices: Sequence[int]) -> StateBatch:
        """The states and pairs of some groups, stacked in the order given; states in float32.

        Args:
            indices: Positions in :attr:`group_ids`.
        """
        states, pairs, first_row = [], [], 0
        for index in indices:
            s, g = self._groups[index]
            shard = self._shards[s]
            begin = int(shard.program_offset[shard.group_offset[g]])
            end = int(shard.program_offset[shard.group_offset[g + 1]])
            rows = shard.pairs[shard.pair_offset[g] : shard.pair_offset[g + 1]]
            states.append(decode_states(self._file(s)["states"][begin:end], self.manifest.storage_dtype))
            pairs.append(torch.from_numpy(rows - begin + first_row))
            first_row += end - begin
        if not states:
            return StateBatch(torch.zeros(0, self.d), torch.zeros(0, 2, dtype=torch.long))
        return StateBatch(torch.cat(states), torch.cat(pairs))

    def program(self, program_id: str) -> LineStates:
        """The line states of one program.

        Raises:
            KeyError: It has none (``in`` tells).
        """
        s, p = self._programs[program_id]
        shard = self._shards[s]
        rows = slice(int(shard.program_offset[p]), int(shard.program_offset[p + 1]))
        file = self._file(s)
        return LineStates(
            program_id=program_id,
            line_numbers=shard.line_number[rows],
            states=decode_states(file["states"][rows], self.manifest.storage_dtype),
            uncertainty=file["uncertainty"][rows].astype(np.float64) if "uncertainty" in file else None,
            n_lines=int(shard.program_lines[p]),
        )

    def _file(self, shard: int) -> h5py.File:
        key = (os.getpid(), shard)
        if key not in self._open:
            self._open[key] = h5py.File(self.folder / self._shards[shard].file, "r")
        return self._open[key]


def _read_index(folder: Path, entry: ShardEntry, manifest: Manifest, verify: bool) -> _ShardIndex:
    path = folder / entry.file
    if Path(entry.file).name != entry.file:
        raise CacheError(f"{folder}: the manifest names {entry.file!r}, which is not a file of that folder. {_REMEDY}")
    if not path.is_file():
        raise CacheError(f"{path} is missing, though the manifest names it. {_REMEDY}")
    if path.stat().st_size != entry.bytes:
        raise CacheError(f"{path} is {path.stat().st_size} bytes long instead of {entry.bytes}: truncated? {_REMEDY}")
    if verify:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
                raise CacheError(f"{path} differs from what was written (sha256). {_REMEDY}")
    try:
        with h5py.File(path, "r") as shard:
            index = _ShardIndex(
                file=entry.file,
                line_number=shard["line_number"][:],
                program_offset=shard["program_offset"][:],
                program_lines=shard["program_lines"][:],
                program_ids=list(shard["program_id"].asstr()[:]),
                group_offset=shard["group_offset"][:],
                group_ids=list(shard["group_id"].asstr()[:]),
                pairs=shard["pairs"][:],
                pair_offset=shard["pair_offset"][:],
            )
            states = shard["states"]
            shape, stored_as = states.shape, states.dtype
            uncertainty_shape = shard["uncertainty"].shape if "uncertainty" in shard else None
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CacheError(f"{path} is not a shard of a state cache ({error}). {_REMEDY}") from error
    n = len(index.line_number)
    problem = _inconsistency(index, shape, manifest.d)
    if problem is None and stored_as != STORED_AS.get(manifest.storage_dtype):
        problem = f"'states' is of type {stored_as}, which does not store {manifest.storage_dtype}"
    if problem is None and uncertainty_shape not in (None, (n, 3)):
        problem = f"'uncertainty' has shape {uncertainty_shape}, expected ({n}, 3)"
    if problem is None and (entry.rows, entry.pairs) != (n, len(index.pairs)):
        problem = f"'states' or 'pairs' does not hold the {entry.rows} rows and {entry.pairs} pairs of the manifest"
    if problem:
        raise CacheError(f"{path}, field {problem}. {_REMEDY}")
    return index


def _inconsistency(index: _ShardIndex, states_shape: tuple[int, ...], d: int) -> str | None:
    """What is wrong with a shard's arrays, or None: nothing is sliced by numbers that were not checked."""
    n = states_shape[0] if states_shape else 0
    expected = (
        ("program_offset", index.program_offset, len(index.program_ids), n),
        ("group_offset", index.group_offset, len(index.group_ids), len(index.program_ids)),
        ("pair_offset", index.pair_offset, len(index.group_ids), len(index.pairs)),
    )
    if len(states_shape) != 2 or states_shape[1] != d:
        return f"'states' has shape {states_shape}, expected (N, {d})"
    if len(index.line_number) != n or len(index.program_lines) != len(index.program_ids):
        return f"'line_number' or 'program_lines' is not as long as its {n} rows or {len(index.program_ids)} programs"
    for name, offsets, count, last in expected:
        if offsets.dtype.kind != "i":
            return f"'{name}' holds {offsets.dtype}, expected integers"
        if len(offsets) != count + 1 or offsets[0] != 0 or offsets[-1] != last or bool((np.diff(offsets) < 0).any()):
            return f"'{name}' does not divide {last} items into {count}"
    if index.pairs.shape[1:] != (2,) or index.pairs.dtype.kind != "i":
        return f"'pairs' has shape {index.pairs.shape} and type {index.pairs.dtype}, expected (K, 2) integers"
    bounds = index.program_offset[index.group_offset]
    first, end = (np.repeat(b, np.diff(index.pair_offset)) for b in (bounds[:-1], bounds[1:]))
    if bool((index.pairs.min(1) < first).any() or (index.pairs.max(1) >= end).any()):
        return "'pairs' names rows outside their group's"
    return None
