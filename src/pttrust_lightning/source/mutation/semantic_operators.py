"""Implant one plausible bug into a correct Python program, and know which line it is on.

- ``wrong_comparison``: another boundary or direction (``<`` for ``<=``).
- ``off_by_one``: an index, bound, compared or added number that is one too high or too low.
- ``wrong_variable``: another parameter, or a variable assigned before.
- ``negated_condition``: the opposite test of an ``if``, ``while``, conditional expression or comprehension.
- ``swapped_arguments``: two neighbouring positional arguments in the wrong order.
- ``dropped_statement``: a statement of up to three lines that is not there.
- ``wrong_constant``: another truth value, number, or string out of those that the function compares with.

No line but the wrong ones changes. ``semantic_edits`` says what is never edited. An edit that changes nothing is not
proposed where the text shows it, but tests alone could tell the rest.
"""

from __future__ import annotations

import ast
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.corpora.python_functions import parse_python
from pttrust_lightning.source.lines import Line, is_blank, split_lines
from pttrust_lightning.source.mutation.semantic_edits import Edit, propose_edits
from pttrust_lightning.types import Mutation, Program

SEMANTIC_OPERATORS: tuple[str, ...] = (
    "wrong_comparison",
    "off_by_one",
    "wrong_variable",
    "negated_condition",
    "swapped_arguments",
    "dropped_statement",
    "wrong_constant",
)


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


def candidate_edits(program: Program, operators: Sequence[str] = SEMANTIC_OPERATORS) -> list[Edit]:
    """All edits that the operators propose, in source order and without repeats; a few may turn out not to parse.

    Raises:
        ConfigError: An unknown operator, or none at all.
    """
    check_operators(operators)
    tree = parse_python(program.code) if program.language == "python" else None
    if tree is None:
        return []
    edits = {edit for edit in propose_edits(program.code, tree) if edit.operator in operators}
    return sorted(edits, key=lambda edit: (edit.start, edit.end, edit.operator, edit.replacement))


def candidate_mutants(program: Program, operators: Sequence[str] = SEMANTIC_OPERATORS) -> Iterator[ImplantedBug]:
    """Every mutant that the operators can make of a program: it parses, and its syntax tree is another one.

    Raises:
        ConfigError: An unknown operator, or none at all.
    """
    edits = candidate_edits(program, operators)
    original = _dump(program.code)
    for edit in edits:
        bug = _apply(program, edit, original)
        if bug is not None:
            yield bug


def implant_bugs(
    program: Program, seed: int, count: int, operators: Sequence[str] = SEMANTIC_OPERATORS
) -> list[ImplantedBug]:
    """Up to ``count`` mutants of a program, each with one bug, all different, no two by one operator on one line.

    For each, the operator is drawn uniformly among those that still have an edit to offer, then the edit: so rare
    operators are not drowned by those that fit everywhere. The draws depend on the seed and the program's id alone.

    Raises:
        ConfigError: An unknown operator, or none at all.
    """
    rng = random.Random(f"{seed}:{program.id}")
    edits: dict[str, list[Edit]] = defaultdict(list)
    for edit in candidate_edits(program, operators):
        edits[edit.operator].append(edit)
    original = _dump(program.code) if edits else ""
    bugs: list[ImplantedBug] = []
    seen: set[str] = set()
    while edits and len(bugs) < count:
        operator = rng.choice(sorted(edits))
        edit = edits[operator].pop(rng.randrange(len(edits[operator])))
        if not edits[operator]:
            del edits[operator]
        bug = _apply(program, edit, original)
        if bug is not None and seen.isdisjoint({bug.program.id, bug.program.code}):
            seen |= {bug.program.id, bug.program.code}
            bugs.append(bug)
    return bugs


def check_operators(operators: Sequence[str]) -> None:
    """Refuse names that are none of ``SEMANTIC_OPERATORS``.

    Raises:
        ConfigError: An unknown operator, or none at all.
    """
    unknown = [name for name in operators if name not in SEMANTIC_OPERATORS]
    if unknown or not operators:
        problem = f"Unknown semantic operator {unknown[0]!r}" if unknown else "No semantic operator is named"
        raise ConfigError(f"{problem}. Valid operators: {', '.join(SEMANTIC_OPERATORS)}.")


def _dump(code: str) -> str:
    tree = parse_python(code)
    return "" if tree is None else ast.dump(tree)


def _apply(program: Program, edit: Edit, original_dump: str) -> ImplantedBug | None:
    """The mutant, or None where it does not parse or means the same to the parser."""
    source = program.code.encode("utf-8")
    code = (source[: edit.start] + edit.replacement + source[edit.end :]).decode("utf-8")
    dump = _dump(code)
    if dump in ("", original_dump):
        return None
    old, new = split_lines(program.code), split_lines(code)
    first = _line_at(old, edit.start)
    last = max(first, _line_at(old, edit.end - 1))
    if edit.operator == "dropped_statement":
        wrong = _line_in_place_of(new, first, last_line=edit.last_line - (last - first + 1))
        after = ""
    else:  # no such edit adds or removes a newline, so line numbers stay
        wrong = tuple(i for i in range(first, last + 1) if old[i].text != new[i].text)
        after = "\n".join(line.text for line in new[first : last + 1])
    if not wrong:
        return None
    before = "\n".join(line.text for line in old[first : last + 1])
    mutant = Program(
        id=f"{program.id}#{edit.operator}:{first}",
        code=code,
        language=program.language,
        prompt=program.prompt,
        origin=program.origin,
    )
    return ImplantedBug(mutant, wrong, Mutation(edit.operator, first, before, after))


def _line_at(lines: list[Line], offset: int) -> int:
    return bisect_right(lines, offset, key=lambda line: line.start) - 1


def _line_in_place_of(lines: list[Line], gap: int, last_line: int) -> tuple[int, ...]:
    """The non-blank line after the gap within the function, or else the one before it."""
    after = range(gap, min(last_line + 1, len(lines)))
    before = range(gap - 1, -1, -1)
    for number in (*after, *before):
        if not is_blank(lines[number].text):
            return (number,)
    return ()
