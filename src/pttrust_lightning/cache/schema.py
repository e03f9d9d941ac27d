"""What a state cache looks like on disk: version, array names, storage types.

A cache is a folder of immutable HDF5 shards, a journal of them for each writer (:mod:`pttrust_lightning.cache.journal`)
and one ``manifest.json`` (:mod:`pttrust_lightning.cache.manifest`). A shard holds, for some program groups (an original
and its mutants), one block of rows in each cached layer:

======================  =====================  ================================================================
data set                shape, type            meaning
======================  =====================  ================================================================
``states/{layer}``      (N, D), storage type   line states; a group's rows are contiguous, its original's first
``line_number``         (N,) int64             0-based line number of each row in its program
``program_offset``      (P + 1,) int64         program p has the rows ``program_offset[p] : program_offset[p + 1]``
``program_lines``       (P,) int64             non-blank lines of the program, scored or not
``program_id``          (B,) uint8             the programs' ids in UTF-8, one after the other
``program_id_offset``   (P + 1,) int64         program p's id is ``program_id[o[p] : o[p + 1]]``
``group_offset``        (G + 1,) int64         group g has the programs ``group_offset[g] : group_offset[g + 1]``
``group_id``            (B',) uint8            the groups' ids in UTF-8, one after the other
``group_id_offset``     (G + 1,) int64
``pairs``               (K, 2) int64           rows (in the shard) of each contrastive pair, group by group
``pair_offset``         (G + 1,) int64         group g has the pairs ``pair_offset[g] : pair_offset[g + 1]``
``distinct/{layer}``    (K,) uint8             1 where the pair's two states differ in this layer, else 0
``line_tokens``         (N,) int64             tokens that start in each line; not in caches of earlier versions
``uncertainty``         (N, 3) float32         only where token probabilities were read
``lookback``            (N, H) float32         only where attention was read: a column a head, block by block
======================  =====================  ================================================================

What may be missing (``LINE_FIELDS``) was added without a new version: readers ask for it by name. Whether a run needs
it is part of the manifest's key.

Pairs are stored once, with a mark for each layer: whether a pair is dropped for its equal states then depends on the
layer that is read, and not on which others are cached beside it.

Every data set is contiguous, uncompressed and of a plain little-endian type, strings included: a reader maps the file
and needs HDF5 only to find where the arrays lie. HDF5 has no bfloat16: such states are stored as their bit patterns in
uint16. States have the attribute ``dtype``, the storage type's name.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pttrust_lightning.errors import CacheError, NonFiniteError
from pttrust_lightning.types import IntArray, ProgramStates

SCHEMA_VERSION = 2

StorageDtype = Literal["float32", "float16", "bfloat16"]

STORED_AS: dict[str, type[np.generic]] = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
"""The numpy type of ``states`` on disk for each storage type."""

AnyArray = np.ndarray[Any, np.dtype[Any]]

LINE_FIELDS: dict[str, tuple[type[np.generic], tuple[int | None, ...]]] = {
    "line_tokens": (np.int64, ()),
    "uncertainty": (np.float32, (3,)),
    "lookback": (np.float32, (None,)),
}
"""What may be known of a line beside its states, fields of ``ProgramStates``: type on disk, shape after ``(N,)``."""


class GroupStates(NamedTuple):
    """The states of one program group, ready to be stored.

    Attributes:
        group_id: The original's id.
        programs: States of the original and its mutants; without those that gave none.
        pairs: Rows of each candidate pair, counted from the group's first row, ``(P, 2)``.
    """

    group_id: str
    programs: list[ProgramStates]
    pairs: IntArray


def states_field(layer: int) -> str:
    """Name of a layer's states in a shard."""
    return f"states/{layer}"


def distinct_field(layer: int) -> str:
    """Name of a layer's marks of pairs whose states differ."""
    return f"distinct/{layer}"


def encode_states(states: Tensor, storage: str) -> AnyArray:
    """States ``(N, D)`` as they are stored.

    Raises:
        NonFiniteError: A value is not finite, or too large for the storage type.
    """
    narrow = states.to(getattr(torch, storage))
    if not bool(torch.isfinite(narrow).all()):
        raise NonFiniteError(
            f"States up to {states.abs().max().item():.3g} do not fit {storage}. "
            "Set storage_dtype to float32 or bfloat16."
        )
    if storage == "bfloat16":
        return narrow.view(torch.uint16).numpy()
    return narrow.numpy()


def decode_states(stored: AnyArray, storage: str) -> Tensor:
    """Stored rows as float32 states ``(N, D)``; float32 rows share the array's memory.

    Raises:
        CacheError: The rows are not of the type that the cache says.
    """
    if storage not in STORED_AS or stored.dtype != STORED_AS[storage]:
        raise CacheError(f"field 'states' is of type {stored.dtype}, which does not store {storage}")
    rows = torch.from_numpy(np.ascontiguousarray(stored))
    return rows.view(torch.bfloat16).float() if storage == "bfloat16" else rows.float()


def encode_names(names: Sequence[str]) -> tuple[AnyArray, IntArray]:
    """Ids as bytes ``(B,)`` and offsets ``(len(names) + 1,)``; file names that are no UTF-8 included."""
    raw = [name.encode("utf-8", "surrogatepass") for name in names]
    return np.frombuffer(b"".join(raw), dtype=np.uint8), offsets([len(r) for r in raw])


def decode_names(blob: AnyArray, offset: IntArray) -> list[str]:
    """The inverse of :func:`encode_names`, for offsets that were checked.

    Raises:
        UnicodeDecodeError: The bytes are no UTF-8.
    """
    raw, bounds = blob.tobytes(), offset.tolist()
    return [raw[a:b].decode("utf-8", "surrogatepass") for a, b in itertools.pairwise(bounds)]


def offsets(counts: Sequence[int]) -> IntArray:
    """Where each of some consecutive runs begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
