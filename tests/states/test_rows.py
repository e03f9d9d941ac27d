from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pttrust_lightning.states.rows import (
    Cost,
    apart,
    attention_mask,
    block_cost,
    collate,
    common_prefix,
    group_rows,
    single_row,
)

TOKENS_ONLY, PAIRS_TOO = Cost(1.0, 0.0), Cost(1.0, 1.0)
PROGRAMS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=5)
PROPERTY = settings(deadline=None, derandomize=True, max_examples=200)


def arrays(programs):
    return [np.array(p, dtype=np.int64) for p in programs]


def rows_of(programs, cost=TOKENS_ONLY, max_length=10**6):
    return list(group_rows([10 + i for i in range(len(programs))], arrays(programs), cost, max_length))


@PROPERTY
@given(PROGRAMS)
def test_every_program_is_found_in_exactly_one_row(programs):
    found = {}
    for row in rows_of(programs):
        for member, columns in zip(row.members, row.columns(), strict=True):
            assert member not in found
            found[member] = row.token_ids[columns].tolist()
    assert found == {10 + i: p for i, p in enumerate(programs)}


@PROPERTY
@given(PROGRAMS)
def test_a_token_sees_exactly_what_precedes_it_in_its_program(programs):
    rows = [row for row in rows_of(programs) if row.shared]
    if not rows:
        return
    inputs = collate(rows, torch.device("cpu"))
    mask = attention_mask(inputs.segments, inputs.visible, torch.float32)
    assert mask.shape == (len(rows), 1, inputs.ids.shape[1], inputs.ids.shape[1])
    for i, row in enumerate(rows):
        for columns in row.columns():
            assert inputs.positions[i, columns].tolist() == list(range(len(columns)))
            for t, column in enumerate(columns):
                assert (mask[i, 0, column] == 0).nonzero().flatten().tolist() == sorted(columns[: t + 1].tolist())
    assert (mask == 0).any(-1).all()  # padding sees something too: a softmax over nothing is not a number


@PROPERTY
@given(PROGRAMS, st.integers(0, 40))
def test_shared_rows_cost_less_and_keep_to_their_length(programs, max_length):
    alone = sum(PAIRS_TOO.alone(len(p)) for p in programs)
    rows = rows_of(programs, PAIRS_TOO, max_length)
    cost = sum((PAIRS_TOO.masked if row.shared else PAIRS_TOO.alone)(len(row.token_ids)) for row in rows)
    assert cost <= alone
    assert all(len(row.token_ids) <= max_length for row in rows if row.shared)


def test_what_programs_share_runs_once():
    (row,) = rows_of([[1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2]])
    assert row.members == (10, 12, 11)  # the shortest suffix first
    assert row.token_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert row.columns()[1].tolist() == [0, 1]


def test_programs_that_share_too_little_run_apart():
    """A long row with a mask computes pairs that no program has."""
    long = list(range(100))
    assert [row.members for row in rows_of([long, [7, *long], [9, *long]], Cost(1.0, 0.1))] == [(10,), (11,), (12,)]
    assert [row.members for row in rows_of([long, [7, *long], [*long, 5]], Cost(1.0, 0.001))] == [(10, 12), (11,)]


def test_a_row_that_would_be_too_long_is_cut_short():
    programs = [[1] * 8, [1] * 7 + [2, 2], [1] * 6 + [3] * 4]
    assert [row.members for row in rows_of(programs, max_length=10)] == [(10, 11), (12,)]


def test_a_shared_row_can_be_taken_apart():
    programs = [[1, 2, 3, 4], [1, 2, 5, 6], [1, 2, 3, 7, 8]]
    (row,) = rows_of(programs)
    found = {r.members[0]: r.token_ids.tolist() for r in apart(row)}
    assert found == {10 + i: p for i, p in enumerate(programs)}
    assert not any(r.shared for r in apart(row))


@pytest.mark.parametrize(
    ("a", "b", "n"),
    [([1, 2], [1, 2], 2), ([1, 2], [1], 1), ([1, 2], [2, 2], 0), ([1, 2, 3], [1, 2, 4], 2), ([], [1], 0)],
)
def test_the_common_prefix_is_the_longest(a, b, n):
    assert common_prefix(*arrays([a, b])) == n


def test_single_rows_are_padded_on_the_right_and_need_no_mask():
    inputs = collate([single_row(0, np.array([5, 6, 7])), single_row(1, np.array([8]))], torch.device("cpu"))
    assert inputs.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert inputs[1:] == (None, None, None)


def test_a_block_costs_its_matrices_and_its_attention():
    cost = block_cost(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8)), width=4)
    assert cost.token == 32
    assert cost.pair == 2 * 4 * 3
