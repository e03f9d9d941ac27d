"""What runs through the LLM as one sequence: a program, or an original with what its mutants do not share with it.

A mutant's tokens equal its original's up to the first edit, and so do their states. A shared row holds the original's
tokens and then, mutant by mutant, the tokens after the longest common prefix. Positions go on from the prefix, and an
attention mask lets a token see that prefix and its own suffix only, so that its state is the one it has alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pttrust_lightning.types import IntArray

_ATTENTION_FACTOR = 3.0
"""Time of a multiply-add in an attention kernel over one in a matrix product: 2 to 4 on CPUs, with a mask or causal."""

_MARGIN = 0.1
"""Share of the work that a shared row must save: masks take time to make, and fewer rows fill fewer batches."""


class Row(NamedTuple):
    """One sequence of tokens. A shared row has more than one member.

    Attributes:
        members: Which programs it holds, the one whose tokens come first leading, ``(M,)``.
        token_ids: What the LLM reads, ``(S,)``.
        prefixes: Tokens that each member shares with the first, ``(M,)``; 0 for the first itself.
        lengths: Tokens of each member, the shared ones included, ``(M,)``.
    """

    members: tuple[int, ...]
    token_ids: IntArray
    prefixes: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """Whether it needs positions and a mask of its own."""
        return len(self.members) > 1

    def columns(self) -> list[IntArray]:
        """Where each member's tokens lie in the row, ``(n,)`` each."""
        found, end = [], 0
        for prefix, length in zip(self.prefixes, self.lengths, strict=True):
            own = length - prefix
            found.append(np.concatenate([np.arange(prefix), np.arange(end, end + own)]))
            end += own
        return found

    def segments(self) -> tuple[IntArray, IntArray, IntArray]:
        """Of each token: its position in its program, its member's number, and how much of the first it sees."""
        own = np.subtract(self.lengths, self.prefixes)
        parts = zip(self.prefixes, self.lengths, strict=True)
        positions = np.concatenate([np.arange(prefix, length) for prefix, length in parts])
        return positions, np.repeat(np.arange(len(own)), own), np.repeat(np.asarray(self.prefixes), own)


class Cost(NamedTuple):
    """What a decoder block costs, in multiply-adds of a matrix product.

    Attributes:
        token: Of a token, in the block's matrices.
        pair: Of a pair of tokens, in attention.
    """

    token: float
    pair: float

    def alone(self, n: int) -> float:
        """Of a program of ``n`` tokens: a causal kernel skips the half of the pairs that it masks."""
        return self.token * n + self.pair * n * n / 2

    def masked(self, n: int) -> float:
        """Of a row of ``n`` tokens under an explicit mask: every pair is computed."""
        return self.token * n + self.pair * n * n


def block_cost(block: nn.Module, width: int) -> Cost:
    """The cost of one block: its matrices' entries, and attention over ``width`` features.

    Experts that a token does not use count as well, and quantised weights count as packed: then the cost is rough.
    """
    matrices = sum(p.numel() for p in block.parameters() if p.dim() > 1)
    return Cost(float(matrices), 2.0 * width * _ATTENTION_FACTOR)


def single_row(member: int, token_ids: IntArray) -> Row:
    """A program by itself."""
    return Row((member,), token_ids, (0,), (len(token_ids),))


def group_rows(members: Sequence[int], token_ids: Sequence[IntArray], cost: Cost, max_length: int) -> Iterator[Row]:
    """The rows of a group: those mutants share a row with the original that make the whole group least work.

    Args:
        members: The programs' numbers; the original's first.
        token_ids: Their tokens, in the same order.
        cost: Of a block.
        max_length: Tokens that a shared row may have: what does not fit stays apart.
    """
    ids = dict(zip(members, token_ids, strict=True))
    first, *others = members
    prefixes = {m: common_prefix(ids[first], ids[m]) for m in others}
    others.sort(key=lambda m: (len(ids[m]) - prefixes[m], m))  # the shortest suffixes first
    together, length, saved = 1, len(ids[first]), 0.0
    alone = cost.alone(length)
    for count, member in enumerate(others, 2):
        length += len(ids[member]) - prefixes[member]
        alone += cost.alone(len(ids[member]))
        if length > max_length:
            break
        if alone - cost.masked(length) > max(saved, _MARGIN * alone):
            together, saved = count, alone - cost.masked(length)
    shared = [first, *others[: together - 1]]
    yield Row(
        tuple(shared),
        np.concatenate([ids[m][prefixes.get(m, 0) :] for m in shared]),
        tuple(prefixes.get(m, 0) for m in shared),
        tuple(len(ids[m]) for m in shared),
    )
    for member in others[together - 1 :]:
        yield single_row(member, ids[member])


def apart(row: Row) -> list[Row]:
    """A shared row's members, each in a row of its own."""
    return [
        single_row(member, row.token_ids[columns]) for member, columns in zip(row.members, row.columns(), strict=True)
    ]


def common_prefix(a: IntArray, b: IntArray) -> int:
    """How many tokens two programs begin with alike."""
    n = min(len(a), len(b))
    differ = np.flatnonzero(a[:n] != b[:n])
    return int(differ[0]) if len(differ) else n


class Inputs(NamedTuple):
    """What the LLM is given: rows padded on the right to the longest.

    Attributes:
        ids: Token ids, ``(B, S)``.
        positions: Positions in the program, ``(B, S)``; None where no row is shared.
        segments: The member's number, -1 where padded, ``(B, S)``; None where no row is shared.
        visible: How many of the first member's tokens a token of another one sees, ``(B, S)``; None likewise.
    """

    ids: Tensor
    positions: Tensor | None = None
    segments: Tensor | None = None
    visible: Tensor | None = None


def collate(rows: Sequence[Row], device: torch.device) -> Inputs:
    """Rows as one batch; all of them shared, or none. Attention is causal: padding on the right needs no mask."""
    width = max(len(row.token_ids) for row in rows)
    shared = rows[0].shared
    packed = np.zeros((4 if shared else 1, len(rows), width), dtype=np.int64)
    if shared:
        packed[2] = -1
    for i, row in enumerate(rows):
        n = len(row.token_ids)
        packed[0, i, :n] = row.token_ids
        if shared:
            packed[1:, i, :n] = row.segments()
    return Inputs(*to_device(packed, device))


def to_device(array: IntArray, device: torch.device) -> Tensor:
    """A host array on the device, without waiting for what runs there."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def attention_mask(segments: Tensor, visible: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores in shared rows, ``(B, 1, S, S)``: 0 where a token sees another.

    Args:
        segments: The member's number of each token, -1 where padded, ``(B, S)``.
        visible: How many of the first member's tokens it sees, ``(B, S)``.
        dtype: The type that the LLM runs in.
    """
    column = torch.arange(segments.shape[1], device=segments.device)
    same = segments[:, :, None] == segments[:, None, :]
    prefix = (column < visible[:, :, None]) & (segments[:, None, :] == 0)
    seen = (same | prefix) & (column[:, None] >= column)
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)[:, None]
