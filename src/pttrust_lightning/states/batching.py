"""Batches by token budget: rows of similar length together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from pttrust_lightning.states.rows import Row

T = TypeVar("T")

ENOUGH_TOKENS = {"cpu": 512}
"""Tokens of a batch that run as quickly as more would, by the type of device; on others, only the budget is enough."""

_LEAST_FULL = 0.9
"""How long a row must be beside the longest of its batch, where the batch is large enough without it."""


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows as they run: those of a kind together, the longest first, so that a budget too large shows at once."""
    return sorted(rows, key=lambda row: (row.shared, len(row.token_ids), row.members[0]), reverse=True)


def padded_tokens(rows: Sequence[Row]) -> int:
    """Tokens of a batch of these rows, padding included."""
    return len(rows) * max(len(row.token_ids) for row in rows)


def next_batch(rows: Sequence[Row], start: int, budget: int, enough: int) -> Sequence[Row]:
    """The rows from ``start`` that fit ``budget`` tokens, padding included; one where not even one fits.

    A batch of ``enough`` tokens ends before a row that would be padded by more than a tenth: more rows would add
    padding, and not make the others any quicker.

    Args:
        rows: As :func:`in_order` puts them.
        start: The first of the batch.
        budget: Tokens of a batch.
        enough: Tokens, padding included, that keep the device busy.
    """
    first = rows[start]
    longest = len(first.token_ids)
    batch: list[Row] = []
    for row in rows[start : start + n_fitting(longest, budget)]:
        padded = len(row.token_ids) < _LEAST_FULL * longest
        if row.shared != first.shared or (padded and len(batch) * longest >= enough):
            break
        batch.append(row)
    return batch


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
