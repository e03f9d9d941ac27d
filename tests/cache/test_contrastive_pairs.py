from __future__ import annotations

import numpy as np
import pytest
import torch

from pttrust_lightning.cache.pairs import EQUAL_STATES, NO_STATE, distinct_pairs, equal_pairs, group_states
from pttrust_lightning.types import Exclusions, LinePair, Mutant, Program, ProgramGroup, ProgramStates


def states(name, numbers, rows):
    return ProgramStates(name, np.array(numbers), torch.tensor([rows], dtype=torch.float32), None, len(numbers))


def group(*mutants):
    """A group of the original ``o`` and mutants of the given pairs."""
    made = [
        Mutant(Program(f"o#{i}", "", "python"), (), tuple(LinePair(*p) for p in pairs))
        for i, pairs in enumerate(mutants)
    ]
    return ProgramGroup(Program("o", "", "python"), tuple(made))


def test_pairs_point_at_the_rows_of_their_lines():
    exclusions = Exclusions()
    found = group_states(
        group([(2, 5), (7, 9)], [(0, 1)]),
        [states("o", [0, 2, 7], [[0], [1], [2]]), states("o#0", [5, 9], [[3], [4]]), states("o#1", [0, 1], [[5], [6]])],
        exclusions,
    )
    assert found.pairs.tolist() == [[1, 3], [2, 4], [0, 6]]
    assert found.group_id == "o"
    assert not exclusions.counts


def test_a_line_without_a_state_takes_its_pairs_along():
    exclusions = Exclusions()
    found = group_states(
        group([(0, 0), (1, 1), (3, 0)], [(0, 0)]),
        [states("o", [0, 1], [[0], [1]]), states("o#0", [0], [[2]])],
        exclusions,
    )
    assert found.pairs.tolist() == [[0, 2]]
    assert exclusions.counts == {NO_STATE: 3}
    assert exclusions.examples[NO_STATE] == ["o#0", "o#1"]


def test_an_original_without_states_leaves_no_pair():
    exclusions = Exclusions()
    found = group_states(group([(0, 0)]), [states("o#0", [0], [[2]])], exclusions)
    assert found.pairs.shape == (0, 2)
    assert exclusions.counts == {NO_STATE: 1}
    assert group_states(group(), [], exclusions).programs == []


def test_pairs_of_equal_states_stay_candidates():
    """Which pairs are equal differs from layer to layer."""
    exclusions = Exclusions()
    found = group_states(
        group([(0, 0), (1, 1)]),
        [states("o", [0, 1], [[1, 2], [1, 2]]), states("o#0", [0, 1], [[1, 2], [2, 1]])],
        exclusions,
    )
    assert found.pairs.tolist() == [[0, 2], [1, 3]]
    assert not exclusions.counts


def test_pairs_of_equal_states_are_counted_and_named_by_group():
    distinct = torch.tensor([True, False, False, True, False])
    exclusions = equal_pairs(distinct, np.array([0, 0, 3, 4, 5]), ["none", "two", "differs", "one"])
    assert exclusions.counts == {EQUAL_STATES: 3}
    assert exclusions.examples == {EQUAL_STATES: ["two", "one"]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_smallest_difference_is_one(dtype):
    tiny = torch.finfo(dtype).smallest_normal
    a = torch.tensor([[1.0, tiny], [1.0, 0.0]], dtype=dtype)
    b = torch.tensor([[1.0, 0.0], [1.0, -0.0]], dtype=dtype)
    assert distinct_pairs(a, b).tolist() == [True, False]


def test_distinct_pairs_need_the_absolute_value():
    a = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [5.0, 5.0]])
    b = torch.tensor([[1.0, 2.0], [2.0, 1.0], [3.0, 4.0], [5.0, 4.0]])
    assert distinct_pairs(a, b).tolist() == [False, True, True, True]
    with pytest.raises(ValueError, match="states_a"):
        distinct_pairs(torch.ones(2, 3), torch.ones(1, 3))
