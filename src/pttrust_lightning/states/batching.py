"""Batches by token budget: rows of similar length together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from pttrust_lightning.states.rows import Row

T = TypeVar("T")


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows as they run: those of a kind together, the longest first, so that a budget too large shows at once."""
    return sorted(rows, key=lambda row: (row.shared, len(row.token_ids), row.members[0]), reverse=True)


def padded_tokens(rows: Sequence[Row]) -> int:
    """Tokens of a batch of these rows, padding included."""
    return len(rows) * max(len(row.token_ids) for row in rows)


def next_batch(rows: Sequence[Row], start: int, budget: int) -> Sequence[Row]:
    """The rows from ``start`` that fit ``budget`` tokens, padding included; one where not even one fits.

    Args:
        rows: As :func:`in_order` puts them.
        start: The first of the batch.
        budget: Tokens of a batch.
    """
    batch = rows[start : start + n_fitting(len(rows[start].token_ids), budget)]
    return [row for row in batch if row.shared == rows[start].shared]


def by_length(items: Sequence[T], length: Callable[[T], int], budget: int) -> Iterator[Sequence[T]]:
    """Batches of items of similar length, the longest first, each within a budget of tokens, padding included.

    Args:
        items: What is batched; those of one length keep their order.
        length: Tokens of an item.
        budget: Tokens of a batch; an item that is longer is a batch of its own.
    """
    ordered = sorted(items, key=length, reverse=True)
    start = 0
    while start < len(ordered):
        stop = start + n_fitting(length(ordered[start]), budget)
        yield ordered[start:stop]
        start = stop


def n_fitting(longest: int, budget: int) -> int:
    """How many rows as long as the longest fit a budget of tokens; one where not even one fits."""
    return max(budget // longest, 1)
