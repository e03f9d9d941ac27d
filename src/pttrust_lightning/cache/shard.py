"""Makes one shard: from states in memory to a durable file that is named by its contents."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor

from pttrust_lightning.cache.durable import storing, write_whole
from pttrust_lightning.cache.journal import ShardEntry
from pttrust_lightning.cache.manifest import Manifest, exclusions_to_json
from pttrust_lightning.cache.pairs import EQUAL_STATES, distinct_pairs, equal_pairs, group_states
from pttrust_lightning.cache.schema import (
    LINE_FIELDS,
    AnyArray,
    GroupStates,
    distinct_field,
    encode_names,
    encode_states,
    offsets,
    states_field,
)
from pttrust_lightning.errors import SourceError
from pttrust_lightning.types import Exclusions, IntArray, ProgramGroup, ProgramStates


class Extracted(NamedTuple):
    """Some groups and what was read of them: the contents of a shard to be.

    Attributes:
        groups: The groups, those that gave no state included.
        states: The states of their programs, in any order.
        exclusions: What was left out on the way.
    """

    groups: Sequence[ProgramGroup]
    states: Sequence[ProgramStates]
    exclusions: Exclusions


def write_shard(folder: Path, rank: int, manifest: Manifest, extracted: Extracted) -> ShardEntry:
    """Write a shard; on return it is on disk under its final name, and still to be named in a journal.

    The file is built in memory and written in one go, so that a full disk is met by a plain write and not inside HDF5;
    the hash is that of what was meant to be written. The same states give the same file.

    Args:
        folder: The cache's folder.
        rank: The writer's rank: no two write under one temporary name.
        manifest: The cache's manifest.
        extracted: The groups and their states.

    Raises:
        CacheError: The file cannot be written.
        NonFiniteError: States that cannot be stored.
        SourceError: Two programs share an id.
        ValueError: The states are not those of the groups, the layers or the width that were asked for.
    """
    exclusions = Exclusions()
    exclusions.merge(extracted.exclusions)
    filled = _grouped(extracted, manifest, exclusions)
    equal: dict[str, Exclusions] = {}
    index = _index(filled)
    in_memory = f"shard-{rank}-{id(extracted)}"  # HDF5 knows open files by name, those without a file too
    with h5py.File(in_memory, "w", driver="core", backing_store=False) as shard:
        for name, array in index.items():
            shard.create_dataset(name, data=array)
        for layer, states in zip(manifest.layers, _layers(filled, manifest), strict=True):
            stored = shard.create_dataset(states_field(layer), data=encode_states(states, manifest.storage_dtype))
            stored.attrs["dtype"] = manifest.storage_dtype
            a, b = torch.from_numpy(index["pairs"]).T
            narrow = states.to(getattr(torch, manifest.storage_dtype))  # as it will be read: rounding can make equal
            distinct = distinct_pairs(narrow[a], narrow[b])
            shard.create_dataset(distinct_field(layer), data=distinct.to(torch.uint8).numpy())
            equal[str(layer)] = equal_pairs(distinct, index["pair_offset"], [g.group_id for g in filled])
        shard.flush()
        image: bytes = shard.id.get_file_image()
    sha256 = hashlib.sha256(image).hexdigest()
    name = f"shard-{sha256[:16]}.h5"
    with storing(folder):
        write_whole(folder / name, image, folder / f"{name}.{rank}.tmp")
    none = {"count": 0, "examples": []}
    return ShardEntry(
        file=name,
        sha256=sha256,
        bytes=len(image),
        rows=len(index["line_number"]),
        pairs=len(index["pairs"]),
        groups=[g.original.id for g in extracted.groups],
        equal_pairs={layer: exclusions_to_json(e).get(EQUAL_STATES, none) for layer, e in equal.items()},
        excluded=exclusions_to_json(exclusions),
    )


def _grouped(extracted: Extracted, manifest: Manifest, exclusions: Exclusions) -> list[GroupStates]:
    """The groups that gave states, each with its own."""
    names = [p.id for g in extracted.groups for p in g.programs]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise SourceError(f"Two programs or mutants are called {repeated[0]!r}. Give each program an id of its own.")
    states = {s.program_id: s for s in extracted.states}
    if len(states) != len(extracted.states) or not states.keys() <= set(names):
        raise ValueError("states must have one entry a program, of the programs that were asked for")
    for item in states.values():
        expected = (len(manifest.layers), len(item.line_numbers), manifest.d)
        if tuple(item.states.shape) != expected:
            raise ValueError(
                f"states of {item.program_id!r} must have shape {expected} for the layers {manifest.layers} of the "
                f"cache, got {tuple(item.states.shape)}"
            )
    groups = (
        group_states(group, [states[p.id] for p in group.programs if p.id in states], exclusions)
        for group in extracted.groups
    )
    return [group for group in groups if group.programs]


def _layers(groups: Sequence[GroupStates], manifest: Manifest) -> Iterator[Tensor]:
    """The states of each layer in turn, ``(N, D)``: one layer is held twice at a time, not all of them."""
    programs = [p for g in groups for p in g.programs]
    for position in range(len(manifest.layers)):
        yield torch.cat([p.states[position] for p in programs]) if programs else torch.zeros(0, manifest.d)


def _index(groups: Sequence[GroupStates]) -> dict[str, AnyArray]:
    """Every data set that is the same in all layers, as listed in :mod:`pttrust_lightning.cache.schema`."""
    programs = [p for g in groups for p in g.programs]
    first_row = offsets([sum(len(p.line_numbers) for p in g.programs) for g in groups])
    program_id, program_id_offset = encode_names([p.program_id for p in programs])
    group_id, group_id_offset = encode_names([g.group_id for g in groups])
    arrays: dict[str, AnyArray] = {
        "line_number": _concatenate([p.line_numbers for p in programs]),
        "program_offset": offsets([len(p.line_numbers) for p in programs]),
        "program_lines": np.array([p.n_lines for p in programs], dtype=np.int64),
        "program_id": program_id,
        "program_id_offset": program_id_offset,
        "group_offset": offsets([len(g.programs) for g in groups]),
        "group_id": group_id,
        "group_id_offset": group_id_offset,
        "pairs": _concatenate([g.pairs + first_row[i] for i, g in enumerate(groups)]).reshape(-1, 2),
        "pair_offset": offsets([len(g.pairs) for g in groups]),
    }
    for name, (dtype, _) in LINE_FIELDS.items():
        parts = [part for p in programs if (part := getattr(p, name)) is not None]
        if len(parts) not in (0, len(programs)):
            raise ValueError(f"{name} must be there for every program or for none")
        if parts:
            arrays[name] = np.concatenate(parts).astype(dtype)
    return arrays


def _concatenate(parts: Sequence[IntArray]) -> IntArray:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)
