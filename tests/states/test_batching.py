from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.states.batching import by_length, in_order, next_batch, padded_tokens
from pttrust_lightning.states.rows import Row, single_row


def make_row(number, length, shared):
    row = single_row(number, np.zeros(length, dtype=np.int64))
    return Row((number, -1), row.token_ids, (0, 1), (length, 1)) if shared else row


ROWS = st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=20).map(
    lambda rows: [make_row(i, length, shared) for i, (length, shared) in enumerate(rows)]
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(ROWS, st.integers(1, 200), st.integers(1, 200))
def test_batches_hold_every_row_once_and_keep_to_the_budget(rows, budget, enough):
    rows = in_order(rows)
    start, seen = 0, []
    while start < len(rows):
        batch = next_batch(rows, start, budget, enough)
        assert len(batch) == 1 or padded_tokens(batch) <= budget
        assert len({row.shared for row in batch}) == 1
        seen += [row.members[0] for row in batch]
        start += len(batch)
    assert seen == [row.members[0] for row in rows]
    assert sorted(seen) == list(range(len(rows)))


def test_a_batch_that_is_large_enough_ends_where_padding_would_begin():
    rows = in_order([make_row(i, n, False) for i, n in enumerate((100, 98, 91, 80, 79, 40, 39))])

    def lengths(enough):
        found, start = [], 0
        while start < len(rows):
            batch = next_batch(rows, start, 1000, enough)
            found.append([len(row.token_ids) for row in batch])
            start += len(batch)
        return found

    assert lengths(1) == [[100, 98, 91], [80, 79], [40, 39]]
    assert lengths(300) == [[100, 98, 91], [80, 79, 40, 39]]
    assert lengths(301) == [[100, 98, 91, 80], [79, 40, 39]]
    assert lengths(1000) == [[100, 98, 91, 80, 79, 40, 39]]


def test_the_longest_run_first():
    lengths = [len(row.token_ids) for row in in_order([make_row(i, n, False) for i, n in enumerate((3, 9, 5))])]
    assert lengths == [9, 5, 3]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(st.text(min_size=1, max_size=30), max_size=20), st.integers(1, 100))
def test_anything_can_be_batched_by_its_length(texts, budget):
    batches = [list(batch) for batch in by_length(texts, len, budget)]
    assert [text for batch in batches for text in batch] == sorted(texts, key=len, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(text) for text in batch) <= budget
