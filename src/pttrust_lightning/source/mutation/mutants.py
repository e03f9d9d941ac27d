"""Mutants for stage 1: unlabelled contrastive pairs, by line and semantic operators behind one interface.

Everything random is seeded by the seed, the program's id and the round, so that a program's mutants do not depend on
its place in the corpus; the outside lines do depend on which programs there are.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.lines import Line, is_blank, join_lines, split_lines
from pttrust_lightning.source.mutation.line_operators import edit_line
from pttrust_lightning.source.mutation.operators import LINE_OPERATORS, Operators, drawn_order, operator_weights
from pttrust_lightning.source.mutation.outside_lines import DistinctLines, OutsideLines, distinct_lines
from pttrust_lightning.source.mutation.semantic.edits import propose_edits
from pttrust_lightning.source.mutation.semantic.facts import facts_of
from pttrust_lightning.source.mutation.semantic.line_edits import LineEdit, line_edit
from pttrust_lightning.source.mutation.semantic.validity import Validity
from pttrust_lightning.types import LinePair, Mutant, Program, ProgramGroup

ROUNDS: tuple[float, ...] = (0.15, 0.20, 0.25)
"""The paper's shares of mutated lines, one mutant each."""


def make_mutants(
    programs: Iterable[Program],
    outside: OutsideLines,
    operators: Operators = LINE_OPERATORS,
    rounds: Sequence[float] = ROUNDS,
    seed: int = 0,
) -> Iterator[ProgramGroup]:
    """Give each program its mutants: one group a program, in the order of ``programs``; see :func:`add_mutants`.

    Args:
        programs: The programs; ids must be unique. Read one at a time.
        outside: Lines of other programs, for ``switch_outside``.
        operators: Names from ``OPERATORS``, drawn equally often, or a weight for each.
        rounds: Share of mutated lines of each round, in (0, 1].
        seed: Seed of every random choice.

    Raises:
        ConfigError: An unknown operator, none at all, a weight that is none, or a share outside (0, 1].
    """
    operator_weights(operators)  # here there must be some
    return add_mutants(map(ProgramGroup, programs), outside, operators, rounds, seed)


def add_mutants(
    groups: Iterable[ProgramGroup],
    outside: OutsideLines,
    operators: Operators = LINE_OPERATORS,
    rounds: Sequence[float] = ROUNDS,
    seed: int = 0,
) -> Iterator[ProgramGroup]:
    """Add mutants of its original to each group, after the mutants that it has; none where no operator is named.

    In each round as many lines as a share of the non-blank lines (at least one) are drawn among those that an operator
    can edit, and each is edited by an operator drawn by weight among those that can edit it. At least one non-blank
    line stays. A group holds fewer mutants than rounds where no line could be edited, as in a one-line program with no
    other to borrow from.

    A mutant whose edits are all semantic parses, and differs beyond comments and white space: edits that would break
    that are left out. Where a line operator had a hand in it, nothing is promised.

    Args:
        groups: Programs with ids that must be unique, and mutants that they may have already. Read one at a time.
        outside: Lines of other programs, for ``switch_outside``.
        operators: Names from ``OPERATORS``, drawn equally often, or a weight for each.
        rounds: Share of mutated lines of each round, in (0, 1].
        seed: Seed of every random choice.

    Raises:
        ConfigError: An unknown operator, a weight that is none, or a share outside (0, 1].
    """
    if not operators:
        return iter(groups)
    weights = operator_weights(operators)
    for share in rounds:
        if not 0 < share <= 1:
            raise ConfigError(f"rounds holds {share}; give shares of lines above 0 and at most 1, such as 0.15.")
    return _groups(groups, outside, weights, tuple(rounds), seed)


class _Offers(NamedTuple):
    """What semantic operators can do to a program.

    Attributes:
        edits: Line number -> operator -> its edits that begin there.
        validity: Judges the mutants; None where there is no edit.
    """

    edits: dict[int, dict[str, list[LineEdit]]]
    validity: Validity | None


def _groups(
    groups: Iterable[ProgramGroup],
    outside: OutsideLines,
    weights: Mapping[str, float],
    rounds: tuple[float, ...],
    seed: int,
) -> Iterator[ProgramGroup]:
    semantic = [name for name in weights if name not in LINE_OPERATORS]
    for group in groups:
        program = group.original
        lines = split_lines(program.code)
        offers = _offers(program, semantic)
        mutants = list(group.mutants)
        for number, share in enumerate(rounds):
            rng = random.Random(f"{seed}:{number}:{program.id}")
            edits = _draw_edits(program, lines, weights, share, outside, offers, rng)
            edits = _valid(program, lines, edits, offers)
            code, place = _applied(program, lines, edits)
            if code != program.code:
                mutated = Program(
                    id=f"{program.id}#round{number}",
                    code=code,
                    language=program.language,
                    prompt=program.prompt,
                    origin=program.origin,
                )
                mutants.append(Mutant(mutated, tuple(e.mutation for e in edits), _pairs(lines, _changes(edits), place)))
        yield ProgramGroup(original=program, mutants=tuple(mutants))


def _offers(program: Program, operators: Sequence[str]) -> _Offers:
    edits: dict[int, dict[str, list[LineEdit]]] = defaultdict(lambda: defaultdict(list))
    facts = facts_of(program) if operators else None
    if facts is None:
        return _Offers(edits, None)
    for edit in propose_edits(facts, operators):
        change = line_edit(facts, edit)
        if change is not None:
            edits[min(change.changed)][edit.operator].append(change)
    return _Offers(edits, Validity(facts) if edits else None)


def _draw_edits(
    program: Program,
    lines: list[Line],
    weights: Mapping[str, float],
    share: float,
    outside: OutsideLines,
    offers: _Offers,
    rng: random.Random,
) -> list[LineEdit]:
    """The edits of one round, no two of one line, in line order."""
    n_left = sum(not is_blank(line.text) for line in lines)
    by_line = any(operator in LINE_OPERATORS for operator in weights)
    editable = [line for line in lines if not is_blank(line.text) and (by_line or line.number in offers.edits)]
    n_chosen = min(len(editable), max(1, round(share * n_left)))
    own = distinct_lines(program) if by_line else DistinctLines(program.id, ())
    edits: list[LineEdit] = []
    taken: set[int] = set()
    for line in sorted(rng.sample(editable, n_chosen)):
        if line.number in taken:  # by an edit of several lines
            continue
        for operator in drawn_order(weights, rng):  # the first that can edit the line
            if operator == "delete_line" and n_left == 1:
                continue
            edit: LineEdit | None = None
            if operator in LINE_OPERATORS:
                mutation = edit_line(operator, program, line, own, outside, rng)
                if mutation is not None:
                    edit = LineEdit(mutation, {line.number: mutation.after or None})
            elif found := offers.edits.get(line.number, {}).get(operator):
                edit = found[rng.randrange(len(found))]
            if edit is None or not taken.isdisjoint(edit.changed):
                continue
            n_gone = sum(text is None and not is_blank(lines[number].text) for number, text in edit.changed.items())
            if n_gone < n_left:
                n_left -= n_gone
                taken |= edit.changed.keys()
                edits.append(edit)
                break
    return edits


def _valid(program: Program, lines: list[Line], edits: list[LineEdit], offers: _Offers) -> list[LineEdit]:
    """The edits, without those that would keep an all-semantic mutant from parsing."""
    validity = offers.validity
    if validity is None or any(edit.mutation.operator in LINE_OPERATORS for edit in edits):
        return edits
    if not edits or validity.holds(_applied(program, lines, edits)[0]):
        return edits
    kept: list[LineEdit] = []
    for edit in edits:
        if validity.holds(_applied(program, lines, [*kept, edit])[0]):
            kept.append(edit)
    return kept


def _changes(edits: Iterable[LineEdit]) -> dict[int, str | None]:
    return {number: text for edit in edits for number, text in edit.changed.items()}


def _applied(program: Program, lines: list[Line], edits: Iterable[LineEdit]) -> tuple[str, dict[int, int]]:
    """The mutant's code, and where in it each line of the original is."""
    changes = _changes(edits)
    place: dict[int, int] = {}
    new_lines: list[tuple[str, str]] = []
    for line in lines:
        text = changes.get(line.number, line.text)
        if text is not None:
            place[line.number] = len(new_lines)
            new_lines.append((text, line.terminator))
    return join_lines(new_lines, final_newline=program.code.endswith("\n")), place


def _pairs(lines: list[Line], changes: Mapping[int, str | None], place: Mapping[int, int]) -> tuple[LinePair, ...]:
    """Each changed line with its new text; for a deletion, the next non-blank line that is still there.

    That line may be a changed one, or follow several deleted ones: it makes one pair all the same.
    """
    paired: set[int] = set()
    after_deletion = False
    for line in lines:
        if line.number in changes and changes[line.number] is None:
            after_deletion = True
        elif not is_blank(line.text):
            if line.number in changes or after_deletion:
                paired.add(line.number)
            after_deletion = False
    return tuple(LinePair(number, place[number]) for number in sorted(paired))
