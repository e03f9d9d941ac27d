from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tools.embedded_llm.evaluation.ranks import mean_surprisal, mean_wrong_rank, percentile


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5).filter(lambda x: any(y for _, y in x))
)
def test_expected_rank_over_all_orders_of_tied_lines(lines):
    scores, labels = (np.array(column, dtype=float) for column in zip(*lines, strict=True))
    orders = [o for o in permutations(range(len(lines))) if all(np.diff(scores[list(o)]) <= 0)]
    ranks = [np.mean([rank for rank, line in enumerate(o, 1) if labels[line]]) for o in orders]
    assert mean_wrong_rank(scores, labels) == pytest.approx(np.mean(ranks))


def test_chance_is_the_middle():
    rank = mean_wrong_rank(np.zeros(9), np.eye(9)[3])
    assert rank == 5 and percentile(rank, 9) == 50
    assert percentile(1, 9) == 0 and percentile(9, 9) == 100


def test_surprisal_is_minus_the_mean_log_probability():
    assert mean_surprisal(np.array([[-2.0, -5, 1], [-1.0, -3, 2]])).tolist() == [2, 1]
