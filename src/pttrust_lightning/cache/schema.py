"""What a state cache looks like on disk: version, array names, storage types.

A cache is a folder of immutable HDF5 shards and one ``manifest.json``. A shard holds, for some program groups (an
original and its mutants), one contiguous block of rows:

==================  =====================  ====================================================================
data set            shape, type            meaning
==================  =====================  ====================================================================
``states``          (N, D), storage type   line states; a group's rows are contiguous, its original's first
``line_number``     (N,) int64             0-based line number of each row in its program
``program_offset``  (P + 1,) int64         program p has the rows ``program_offset[p] : program_offset[p + 1]``
``program_lines``   (P,) int64             non-blank lines of the program, scored or not
``program_id``      (P,) str
``group_offset``    (G + 1,) int64         group g has the programs ``group_offset[g] : group_offset[g + 1]``
``group_id``        (G,) str
``pairs``           (K, 2) int64           rows (in the shard) of each contrastive pair, group by group
``pair_offset``     (G + 1,) int64         group g has the pairs ``pair_offset[g] : pair_offset[g + 1]``
``uncertainty``     (N, 3) float32         only where token probabilities were read
==================  =====================  ====================================================================

HDF5 has no bfloat16: such states are stored as their bit patterns in uint16, with the attribute ``dtype = "bfloat16"``.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pttrust_lightning.errors import CacheError, NonFiniteError
from pttrust_lightning.types import IntArray, LineStates

SCHEMA_VERSION = 1

StorageDtype = Literal["float32", "float16", "bfloat16"]

STORED_AS: dict[str, type[np.generic]] = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
"""The numpy type of ``states`` on disk for each storage type."""


class GroupStates(NamedTuple):
    """The states of one program group, ready to be stored.

    Attributes:
        group_id: The original's id.
        programs: Line states of the original and its mutants; without those that gave none.
        pairs: Rows of each contrastive pair, counted from the group's first row, ``(P, 2)``.
    """

    group_id: str
    programs: list[LineStates]
    pairs: IntArray


def encode_states(states: Tensor, storage: StorageDtype) -> np.ndarray[Any, np.dtype[Any]]:
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


def decode_states(stored: np.ndarray[Any, np.dtype[Any]], storage: str) -> Tensor:
    """Stored rows as float32 states ``(N, D)``.

    Raises:
        CacheError: The rows are not of the type that the cache says.
    """
    if storage not in STORED_AS or stored.dtype != STORED_AS[storage]:
        raise CacheError(f"field 'states' is of type {stored.dtype}, which does not store {storage}")
    rows = torch.from_numpy(np.ascontiguousarray(stored))
    return rows.view(torch.bfloat16).float() if storage == "bfloat16" else rows.float()
