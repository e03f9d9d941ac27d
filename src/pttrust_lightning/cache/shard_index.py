"""Opens a shard that somebody else may have made: finds its arrays, and believes none of its numbers unchecked.

HDF5 is asked only where each array lies. What is then read or mapped is a plain range of the file itself: nothing that
is compressed, virtual, linked or kept in another file is followed.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from pttrust_lightning.cache.journal import ITS_LINE, ShardEntry, mend
from pttrust_lightning.cache.manifest import Manifest
from pttrust_lightning.cache.schema import (
    LINE_FIELDS,
    STORED_AS,
    AnyArray,
    decode_names,
    distinct_field,
    states_field,
)
from pttrust_lightning.errors import CacheError
from pttrust_lightning.types import IntArray

_RANKS = {"line_number": 1, "program_offset": 1, "program_lines": 1, "program_id": 1, "program_id_offset": 1,
          "group_offset": 1, "group_id": 1, "group_id_offset": 1, "pairs": 2, "pair_offset": 1}  # fmt: skip
_BYTES = ("program_id", "group_id")


class ArrayPlace(NamedTuple):
    """Where an array lies in its file.

    Attributes:
        dtype: Type of its items.
        shape: Its shape.
        offset: First byte.
    """

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    offset: int

    def of(self, buffer: mmap.mmap) -> AnyArray:
        """The array in the mapped file; nothing is read before it is used."""
        count = int(np.prod(self.shape))
        if count == 0:
            return np.zeros(self.shape, self.dtype)
        array: AnyArray = np.frombuffer(buffer, self.dtype, count, self.offset)
        return array.reshape(self.shape)


class ShardIndex(NamedTuple):
    """The small arrays of a shard, kept in memory, and where the large ones lie.

    Attributes:
        file: File name in the cache's folder.
        bytes: Its size.
        states: Where each chosen layer's states lie, ``(N, D)``.
        line_number: Where the line numbers lie, ``(N,)``.
        line_fields: Where what else is known of each line lies, ``(N,)`` or ``(N, F)``, by name.
        program_offset: Program p has the rows ``program_offset[p] : program_offset[p + 1]``.
        program_lines: Non-blank lines of each program.
        program_ids: The programs' ids.
        group_rows: Group g has the rows ``group_rows[g] : group_rows[g + 1]``.
        group_ids: The groups' ids.
        pairs: Rows of each pair whose states differ in one of the chosen layers, ``(K, 2)``.
        pair_offset: Group g has the pairs ``pair_offset[g] : pair_offset[g + 1]``.
        n_equal_pairs: Number of the other pairs.
    """

    file: str
    bytes: int
    states: tuple[ArrayPlace, ...]
    line_number: ArrayPlace
    line_fields: dict[str, ArrayPlace]
    program_offset: IntArray
    program_lines: IntArray
    program_ids: list[str]
    group_rows: IntArray
    group_ids: list[str]
    pairs: IntArray
    pair_offset: IntArray
    n_equal_pairs: int


def read_index(folder: Path, entry: ShardEntry, manifest: Manifest, layers: Sequence[int], verify: bool) -> ShardIndex:
    """Check a shard and read its small arrays.

    Args:
        folder: The cache's folder.
        entry: What the journal says of the shard.
        manifest: The cache's manifest.
        layers: Whose states and pairs are to be read.
        verify: Also compare the file's hash with the journal's.

    Raises:
        CacheError: The file is missing, is not what was written, or holds an array that is not as the schema says.
    """
    path = folder / entry.file
    if not path.is_file():
        raise CacheError(f"{path} is missing, though a journal names it. {mend(ITS_LINE)}")
    size = path.stat().st_size
    if size != entry.bytes:
        raise CacheError(f"{path} is {size} bytes long instead of {entry.bytes}: truncated? {mend(ITS_LINE)}")
    if verify:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
                raise CacheError(f"{path} differs from what was written (sha256). {mend(ITS_LINE)}")
    try:
        return _read(path, entry, manifest, layers)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CacheError(f"{path} is not a shard of a state cache ({error}). {mend(ITS_LINE)}") from error


def _read(path: Path, entry: ShardEntry, manifest: Manifest, layers: Sequence[int]) -> ShardIndex:
    """The index; raises ValueError or another plain error that names the field."""
    if manifest.storage_dtype not in STORED_AS:
        raise ValueError(f"the manifest's storage_dtype {manifest.storage_dtype!r} is none")
    with h5py.File(path, "r") as shard:
        if shard.userblock_size:
            raise ValueError("it has a user block")
        types = {name: np.uint8 if name in _BYTES else np.int64 for name in _RANKS}
        places = {name: _locate(shard, name, types[name], rank, entry.bytes) for name, rank in _RANKS.items()}
        stored_as = STORED_AS[manifest.storage_dtype]
        states = tuple(_locate(shard, states_field(layer), stored_as, 2, entry.bytes) for layer in layers)
        distinct_places = [_locate(shard, distinct_field(layer), np.uint8, 1, entry.bytes) for layer in layers]
        line_fields = {
            name: _locate(shard, name, dtype, 1 + len(shape), entry.bytes)
            for name, (dtype, shape) in LINE_FIELDS.items()
            if shard.get(name, getlink=True) is not None
        }
    small = {name: _load(path, place) for name, place in places.items() if name != "line_number"}
    n = places["line_number"].shape[0]
    for layer, place in zip(layers, states, strict=True):
        if place.shape != (n, manifest.d):
            raise ValueError(f"field '{states_field(layer)}' has shape {place.shape}, expected ({n}, {manifest.d})")
    for name, place in line_fields.items():
        own = zip(place.shape[1:], LINE_FIELDS[name][1], strict=True)
        wanted = (n, *(length if asked is None else asked for length, asked in own))
        if place.shape != wanted:
            raise ValueError(f"field '{name}' has shape {place.shape}, expected {wanted}")
    if problem := _inconsistency(small, n):
        raise ValueError(f"field {problem}")
    differ = np.zeros(len(small["pairs"]), dtype=bool)
    for layer, place in zip(layers, distinct_places, strict=True):
        distinct = _load(path, place)
        if problem := _distrust(small, distinct, distinct_field(layer)):
            raise ValueError(f"field {problem}")
        found = (n, len(distinct), int((distinct == 0).sum()))
        said = (entry.rows, entry.pairs, entry.equal_pairs[str(layer)]["count"])
        if found != said:
            raise ValueError(f"it has {found} rows, pairs and pairs of equal states, where the journal says {said}")
        differ |= distinct.astype(bool)
    program_ids = decode_names(small["program_id"], small["program_id_offset"])
    group_ids = decode_names(small["group_id"], small["group_id_offset"])
    if len(set(group_ids)) < len(group_ids) or not set(group_ids) <= set(entry.groups):
        raise ValueError("field 'group_id' names groups twice, or others than the journal")
    return ShardIndex(
        file=entry.file,
        bytes=entry.bytes,
        states=states,
        line_number=places["line_number"],
        line_fields=line_fields,
        program_offset=small["program_offset"],
        program_lines=small["program_lines"],
        program_ids=program_ids,
        group_rows=small["program_offset"][small["group_offset"]],
        group_ids=group_ids,
        pairs=small["pairs"][differ],
        pair_offset=np.concatenate([[0], np.cumsum(differ)])[small["pair_offset"]].astype(np.int64),
        n_equal_pairs=int((~differ).sum()),
    )


def _locate(shard: h5py.File, name: str, dtype: type[np.generic], rank: int, file_size: int) -> ArrayPlace:
    """Where a data set lies; raises ValueError unless it is a plain range of this very file."""
    parent = shard
    for part in name.split("/")[:-1]:
        parent = _member(parent, part, name)
    data = _member(parent, name.split("/")[-1], name)
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"field '{name}' is no data set")
    plan = data.id.get_create_plist()
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_nfilters() or plan.get_external_count():
        raise ValueError(f"field '{name}' is not stored in one uncompressed piece in this file")
    expected = np.dtype(dtype).newbyteorder("<")
    if not h5py.h5t.py_create(expected).equal(data.id.get_type()):
        raise ValueError(f"field '{name}' is of type {data.dtype}, expected {expected.name}")
    shape = tuple(int(length) for length in data.shape or ())
    if len(shape) != rank:
        raise ValueError(f"field '{name}' has shape {shape}, expected {rank} dimensions")
    n_bytes = expected.itemsize
    for length in shape:  # Python's integers do not overflow
        n_bytes *= length
    offset = data.id.get_offset()
    if n_bytes == 0:
        return ArrayPlace(expected, shape, 0)
    if offset is None or offset < 0 or offset + n_bytes > file_size or data.id.get_storage_size() != n_bytes:
        raise ValueError(f"field '{name}' does not lie within the file")
    return ArrayPlace(expected, shape, int(offset))


def _member(parent: object, part: str, name: str) -> object:
    link = parent.get(part, getlink=True) if isinstance(parent, h5py.Group) else None
    if not isinstance(parent, h5py.Group) or link is None:
        raise ValueError(f"field '{name}' is missing")
    if not isinstance(link, h5py.HardLink):  # looked at, not followed
        raise ValueError(f"field '{name}' is a link to something else")
    return parent[part]


def _load(path: Path, place: ArrayPlace) -> AnyArray:
    array: AnyArray = np.fromfile(path, place.dtype, int(np.prod(place.shape)), offset=place.offset)
    return array.reshape(place.shape)


def _inconsistency(small: dict[str, AnyArray], n: int) -> str | None:
    """What is wrong with the offsets, or None: nothing is sliced by numbers that were not checked."""
    n_programs, n_groups = len(small["program_lines"]), len(small["group_offset"]) - 1
    for name, count, last in (
        ("program_offset", n_programs, n),
        ("program_id_offset", n_programs, len(small["program_id"])),
        ("group_offset", n_groups, n_programs),
        ("group_id_offset", n_groups, len(small["group_id"])),
        ("pair_offset", n_groups, len(small["pairs"])),
    ):
        array = small[name]
        # compared, not subtracted: differences of forged numbers can overflow
        ends = len(array) == count + 1 > 0 and array[0] == 0 and array[-1] == last
        if not ends or bool((array[1:] < array[:-1]).any()):
            return f"'{name}' does not divide {last} items into {count}"
    return None


def _distrust(small: dict[str, AnyArray], distinct: AnyArray, name: str) -> str | None:
    """What is wrong with the pairs, or None."""
    pairs = small["pairs"]
    if pairs.shape[1] != 2:
        return f"'pairs' has shape {pairs.shape}, expected (K, 2)"
    if distinct.shape != pairs.shape[:1] or bool((distinct > 1).any()):
        return f"'{name}' is not a mark for each of {len(pairs)} pairs"
    bounds = small["program_offset"][small["group_offset"]]
    first, end = (np.repeat(b, np.diff(small["pair_offset"])) for b in (bounds[:-1], bounds[1:]))
    if bool((pairs.min(1) < first).any() or (pairs.max(1) >= end).any()):
        return "'pairs' names rows outside their group's"
    return None
