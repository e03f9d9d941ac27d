"""Implant one plausible bug into a correct program, and know which line it is on.

No line but the wrong ones changes. ``semantic`` says what the operators do, and what they never edit.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.source.mutation.operators import SEMANTIC_OPERATORS, Operators, operator_weights
from pttrust_lightning.source.mutation.semantic.edit import Edit
from pttrust_lightning.source.mutation.semantic.edits import propose_edits
from pttrust_lightning.source.mutation.semantic.facts import Facts, facts_of
from pttrust_lightning.source.mutation.semantic.line_edits import LineEdit, line_edit
from pttrust_lightning.source.mutation.semantic.validity import Validity
from pttrust_lightning.types import Mutation, Program


class ImplantedBug(NamedTuple):
    """A program with one bug.

    Attributes:
        program: The mutant; its id is ``<original id>#<operator>:<line>``, the line that of ``mutation``.
        wrong_lines: 0-based line numbers in the mutant, strictly increasing.
        mutation: The edit, with the line it starts on in the original.
    """

    program: Program
    wrong_lines: tuple[int, ...]
    mutation: Mutation


def candidate_mutants(program: Program, operators: Operators = SEMANTIC_OPERATORS) -> Iterator[ImplantedBug]:
    """Every mutant that the operators can make of a program: it parses, and differs beyond comments and white space.

    Raises:
        ConfigError: An unknown operator, none at all, or a weight that is none.
    """
    weights = operator_weights(operators, SEMANTIC_OPERATORS)
    facts = facts_of(program)
    if facts is None:
        return
    validity = Validity(facts)
    for edit in propose_edits(facts, weights):
        bug = _apply(program, facts, edit, validity)
        if bug is not None:
            yield bug


def implant_bugs(
    program: Program, seed: int, count: int, operators: Operators = SEMANTIC_OPERATORS
) -> list[ImplantedBug]:
    """Up to ``count`` mutants of a program, each with one bug, all different, no two by one operator on one line.

    For each, the operator is drawn by its weight among those that still have an edit to offer, then the edit,
    uniformly: so rare operators are not drowned by those that fit everywhere. The draws depend on the seed and the
    program's id alone.

    Raises:
        ConfigError: An unknown operator, none at all, or a weight that is none.
    """
    weights = operator_weights(operators, SEMANTIC_OPERATORS)
    facts = facts_of(program)
    edits: dict[str, list[Edit]] = defaultdict(list)
    for edit in propose_edits(facts, weights) if facts is not None else ():
        edits[edit.operator].append(edit)
    bugs: list[ImplantedBug] = []
    if facts is None or not edits:
        return bugs
    rng = random.Random(f"{seed}:{program.id}")
    validity = Validity(facts)
    seen: set[str] = set()
    while edits and len(bugs) < count:
        names = sorted(edits)
        (operator,) = rng.choices(names, [weights[name] for name in names])
        edit = edits[operator].pop(rng.randrange(len(edits[operator])))
        if not edits[operator]:
            del edits[operator]
        bug = _apply(program, facts, edit, validity)
        if bug is not None and seen.isdisjoint({bug.program.id, bug.program.code}):
            seen |= {bug.program.id, bug.program.code}
            bugs.append(bug)
    return bugs


def _apply(program: Program, facts: Facts, edit: Edit, validity: Validity) -> ImplantedBug | None:
    """The mutant, or None where it is not valid or no line could be called wrong."""
    change = line_edit(facts, edit)
    wrong = () if change is None else _wrong_lines(facts, edit, change)
    if change is None or not wrong:
        return None
    code = (facts.data[: edit.start] + edit.replacement + facts.data[edit.end :]).decode("utf-8")
    if not validity.holds(code):
        return None
    mutant = Program(
        id=f"{program.id}#{edit.operator}:{change.mutation.line}",
        code=code,
        language=program.language,
        prompt=program.prompt,
        origin=program.origin,
    )
    return ImplantedBug(mutant, wrong, change.mutation)


def _wrong_lines(facts: Facts, edit: Edit, change: LineEdit) -> tuple[int, ...]:
    """The lines whose text is another one; for a drop, the line that took its place."""
    if not edit.drops_lines:
        return tuple(change.changed)
    first, last = min(change.changed), max(change.changed)
    function_end = facts.function_at(edit.dropped_from).end
    last_line = facts.line_of(function_end - 1)
    for number in (*range(last + 1, last_line + 1), *range(first - 1, -1, -1)):
        if not is_blank(facts.lines[number].text):  # in the function after the gap, or else before it
            return (number if number < first else number - len(change.changed),)
    return ()
