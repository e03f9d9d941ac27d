"""From a group's line pairs to rows of its states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from pttrust_lightning.cache.schema import GroupStates
from pttrust_lightning.types import Exclusions, IntArray, ProgramGroup, ProgramStates

NO_STATE = "contrastive pair with a line that has no state"
EQUAL_STATES = "contrastive pair of equal states"


def group_states(group: ProgramGroup, states: Sequence[ProgramStates], exclusions: Exclusions) -> GroupStates:
    """Gather the states of a group's programs and find the rows of its candidate pairs.

    Candidates are the pairs whose two lines have states. Those of equal states carry no signal; which those are differs
    from layer to layer, so they are marked (:func:`distinct_pairs`) and dropped when a layer is read.

    Args:
        group: The original and its mutants.
        states: States of those of them that have any, in the group's order.
        exclusions: Where pairs without a state are counted.
    """
    row_of: dict[str, dict[int, int]] = {}
    first_row = 0
    for lines in states:
        row_of[lines.program_id] = {int(n): first_row + i for i, n in enumerate(lines.line_numbers)}
        first_row += len(lines.line_numbers)
    original_rows = row_of.get(group.original.id, {})
    rows: list[tuple[int, int]] = []
    for mutant in group.mutants:
        mutant_rows = row_of.get(mutant.program.id, {})
        for pair in mutant.pairs:
            a, b = original_rows.get(pair.original_line), mutant_rows.get(pair.mutant_line)
            if a is None or b is None:
                exclusions.add(NO_STATE, mutant.program.id)
            else:
                rows.append((a, b))
    return GroupStates(group.original.id, list(states), np.array(rows, dtype=np.int64).reshape(-1, 2))


def distinct_pairs(states_a: Tensor, states_b: Tensor) -> Tensor:
    """Which pairs carry a signal: ``sum_d |a_d - b_d| > 0``.

    A mutation that leaves the state of a line as it was (the same line again) cannot be told apart. The absolute
    value matters: plain differences can add up to 0 or less for states that do differ. For finite states the sum is
    positive exactly where any value differs, which is what is computed: narrow types cannot round it away.

    Args:
        states_a: States of the original lines, ``(P, D)``.
        states_b: States of the mutants' lines, ``(P, D)``.

    Returns:
        True where the two states differ, ``(P,)``.

    Raises:
        ValueError: If the shapes differ or are not ``(P, D)``.
    """
    if states_a.shape != states_b.shape or states_a.ndim != 2:
        raise ValueError(
            "states_a and states_b must have one shape of 2 dimensions, got "
            f"{tuple(states_a.shape)} and {tuple(states_b.shape)}"
        )
    return (states_a != states_b).any(dim=-1)


def equal_pairs(distinct: Tensor, pair_offset: IntArray, group_ids: Sequence[str]) -> Exclusions:
    """The pairs of equal states, counted and named by their groups.

    Args:
        distinct: True where a pair's states differ, ``(K,)``.
        pair_offset: Group g has the pairs ``pair_offset[g] : pair_offset[g + 1]``.
        group_ids: The groups' ids.
    """
    exclusions = Exclusions()
    until = np.concatenate([[0], np.cumsum(~distinct.numpy())])  # equal pairs before each pair
    for name, count in zip(group_ids, np.diff(until[pair_offset]).tolist(), strict=True):
        exclusions.add(EQUAL_STATES, name, count)
    return exclusions
