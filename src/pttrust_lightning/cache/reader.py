"""Reads layers of a cache: whole groups, or single programs, as contiguous rows of mapped files."""

from __future__ import annotations

import mmap
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pttrust_lightning.cache.journal import read_contents
from pttrust_lightning.cache.manifest import CacheKey, Manifest, read_manifest
from pttrust_lightning.cache.schema import STORED_AS, AnyArray, decode_states
from pttrust_lightning.cache.shard_index import ShardIndex, read_index
from pttrust_lightning.errors import CacheError, CacheMismatchError
from pttrust_lightning.types import LineStates, StateBatch


class StateCache:
    """A complete cache, open for reading; its states are those of one layer, or of several one after the other.

    Groups are in the order of their ids, whichever ranks wrote them and however often they were interrupted. Shards are
    mapped, read-only, when they are first needed; no HDF5 file is open after the constructor. An instance may therefore
    be used by threads, cross a fork, and be pickled to a spawned worker.

    Args:
        folder: The cache's folder.
        key: Fields of the key that must agree; None takes whatever is there.
        layer: The layer to read, or several; None where the cache has only one.
        verify: Compare each shard's hash with the journal's, not only its size.

    Raises:
        CacheError: There is no cache, it is incomplete, or a shard is damaged.
        CacheMismatchError: The states come from something else, or from other layers.
    """

    def __init__(
        self, folder: Path, key: CacheKey | None = None, layer: int | Sequence[int] | None = None, verify: bool = True
    ) -> None:
        manifest = read_manifest(folder)
        if manifest is None:
            raise CacheError(f"{folder} holds no state cache. Make one first: pttrust extract --config <data config>.")
        if key is not None:
            manifest.check(folder, key, partial=True)
        if layer is None and len(manifest.layers) == 1:
            layer = manifest.layers[0]
        layers = (layer,) if isinstance(layer, int) else tuple(layer or ())
        if not layers or not set(layers) <= set(manifest.layers):
            raise CacheMismatchError(str(folder), "layer", manifest.layers, layer)
        contents = read_contents(folder, manifest)
        if not manifest.complete or len(contents.groups) != manifest.n_groups:
            raise CacheError(
                f"The state cache {folder} is incomplete (an extraction was interrupted, or a journal is gone). "
                "Run pttrust extract again with the same config: it goes on where it stopped."
            )
        self.folder = folder
        self.layers = layers
        self.manifest: Manifest = manifest
        entries = sorted(contents.entries, key=lambda e: (e.file, e.groups))
        self._shards = [read_index(folder, entry, manifest, layers, verify) for entry in entries]
        self.group_ids, self._where = _group_order(self._shards)
        self._programs = _program_places(folder, self._shards)
        self._maps: dict[int, _MappedShard] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Maps stay behind: the other process makes its own."""
        return {**self.__dict__, "_maps": {}}

    @property
    def d(self) -> int:
        """Width of a state."""
        return self.manifest.d * len(self.layers)

    @property
    def n_rows(self) -> int:
        """Line states in the cache."""
        return sum(s.line_number.shape[0] for s in self._shards)

    @property
    def n_pairs(self) -> int:
        """Contrastive pairs whose states differ."""
        return sum(len(s.pairs) for s in self._shards)

    @property
    def n_equal_pairs(self) -> int:
        """Contrastive pairs of equal states, which are dropped."""
        return sum(s.n_equal_pairs for s in self._shards)

    def __contains__(self, program_id: str) -> bool:
        """Whether the program has states."""
        return program_id in self._programs

    def __len__(self) -> int:
        """Number of groups that have states."""
        return len(self.group_ids)

    def groups(self, indices: Sequence[int]) -> StateBatch:
        """The states and pairs of some groups, stacked in the order given; states in float32.

        Args:
            indices: Positions in :attr:`group_ids`.
        """
        where = self._where[np.asarray(indices, dtype=np.int64)]
        rows = np.empty((int((where[:, 2] - where[:, 1]).sum()), self.d), STORED_AS[self.manifest.storage_dtype])
        pairs = np.empty((int((where[:, 4] - where[:, 3]).sum()), 2), dtype=np.int64)
        columns = [slice(i * self.manifest.d, (i + 1) * self.manifest.d) for i in range(len(self.layers))]
        row = pair = 0
        for s, begin, end, first_pair, last_pair in where.tolist():  # one copy a group, whatever its programs
            for own, stored in zip(columns, self._mapped(s).states, strict=True):
                rows[row : row + end - begin, own] = stored[begin:end]
            n_pairs = last_pair - first_pair
            np.add(self._shards[s].pairs[first_pair:last_pair], row - begin, out=pairs[pair : pair + n_pairs])
            row += end - begin
            pair += n_pairs
        return StateBatch(decode_states(rows, self.manifest.storage_dtype), torch.from_numpy(pairs))

    def program(self, program_id: str) -> LineStates:
        """The line states of one program.

        Raises:
            KeyError: It has none (``in`` tells).
        """
        s, p = self._programs[program_id]
        shard, mapped = self._shards[s], self._mapped(s)
        rows = slice(int(shard.program_offset[p]), int(shard.program_offset[p + 1]))
        known = {name: stored[rows] for name, stored in mapped.line_fields.items()}
        return LineStates(
            program_id=program_id,
            line_numbers=mapped.line_number[rows].copy(),
            states=decode_states(
                np.concatenate([stored[rows] for stored in mapped.states], axis=1), self.manifest.storage_dtype
            ),
            uncertainty=known["uncertainty"].astype(np.float64) if "uncertainty" in known else None,
            n_lines=int(shard.program_lines[p]),
            line_tokens=known["line_tokens"].copy() if "line_tokens" in known else None,
            lookback=known["lookback"].astype(np.float64) if "lookback" in known else None,
        )

    def _mapped(self, shard: int) -> _MappedShard:
        mapped = self._maps.get(shard)
        if mapped is None:
            if len(self._maps) >= _MAX_MAPS:
                self._maps = {}  # simple, and safe with threads and forks; those in use live on until they are not
            mapped = self._maps[shard] = _MappedShard(self.folder, self._shards[shard])
        return mapped


def _max_maps() -> int:
    """How many shards may be mapped at once in a process: before Python 3.13 each map holds a file descriptor."""
    if sys.version_info >= (3, 13):
        return 2**14  # a fourth of what Linux allows a process
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**14 if soft == resource.RLIM_INFINITY else max(1, min(soft // 4, 2**14))


_MAX_MAPS = _max_maps()


class _MappedShard:
    """A shard's large arrays as parts of the mapped file: nothing is read before it is used."""

    def __init__(self, folder: Path, shard: ShardIndex) -> None:
        path = folder / shard.file
        try:
            with path.open("rb") as stream:
                if sys.version_info >= (3, 13):
                    data = mmap.mmap(stream.fileno(), shard.bytes, access=mmap.ACCESS_READ, trackfd=False)
                else:
                    data = mmap.mmap(stream.fileno(), shard.bytes, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise CacheError(f"{path} has changed since the cache was opened ({error}). Open it again.") from error
        self.states = [place.of(data) for place in shard.states]
        self.line_number = shard.line_number.of(data)
        self.line_fields = {name: place.of(data) for name, place in shard.line_fields.items()}


def _group_order(shards: Sequence[ShardIndex]) -> tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]:
    """Ids of all groups, sorted, and of each its shard, first and last row, first and last pair, ``(G, 5)``."""
    places = [
        np.stack([np.full(len(s.group_ids), i), *_bounds(s.group_rows), *_bounds(s.pair_offset)], axis=1)
        for i, s in enumerate(shards)
    ]
    names = [name for shard in shards for name in shard.group_ids]
    order = sorted(range(len(names)), key=names.__getitem__)
    where = np.concatenate([np.zeros((0, 5), dtype=np.int64), *places])
    return [names[i] for i in order], where[np.array(order, dtype=np.int64)]


def _bounds(offset: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[AnyArray, AnyArray]:
    return offset[:-1], offset[1:]


def _program_places(folder: Path, shards: Sequence[ShardIndex]) -> dict[str, tuple[int, int]]:
    """Shard and position of each program."""
    places = {name: (s, p) for s, shard in enumerate(shards) for p, name in enumerate(shard.program_ids)}
    if len(places) < sum(len(shard.program_ids) for shard in shards):
        seen: set[str] = set()
        for shard in shards:
            for name in shard.program_ids:
                if name in seen:
                    raise CacheError(
                        f"{folder / shard.file}, field 'program_id': {name!r} is stored twice in the cache. Give each "
                        "program and mutant of the corpus an id of its own, delete the cache folder and extract again."
                    )
                seen.add(name)
    return places
