"""The line operators that make unlabelled contrastive pairs (PtTrust, arXiv 2504.14640; METHOD: unlabelled pairs).

- ``switch_inside`` replaces a line by another line of the same program.
- ``switch_outside`` replaces a line by a line of another program in the same language.
- ``delete_line`` removes a line.

A replacement takes the indentation of the line it replaces: the paper does not say, and a line whose indentation alone
gives it away would teach nothing. Everything random is seeded by the seed, the program's id and the round, so that a
program's mutants do not depend on its place in the corpus; the outside lines do depend on which programs there are.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.lines import Line, is_blank, join_lines, split_lines
from pttrust_lightning.source.mutation.outside_lines import DistinctLines, OutsideLines, distinct_lines
from pttrust_lightning.types import LinePair, Mutant, Mutation, Program, ProgramGroup

LINE_OPERATORS: tuple[str, ...] = ("switch_inside", "switch_outside", "delete_line")

ROUNDS: tuple[float, ...] = (0.15, 0.20, 0.25)
"""The paper's shares of mutated lines, one mutant each."""


def make_mutants(
    programs: Iterable[Program],
    outside: OutsideLines,
    operators: Sequence[str] = LINE_OPERATORS,
    rounds: Sequence[float] = ROUNDS,
    seed: int = 0,
) -> Iterator[ProgramGroup]:
    """Give each program its mutants: one group a program, in the order of ``programs``.

    In each round a share of the program's non-blank lines (at least one) is drawn, and each of them is edited by an
    operator drawn uniformly among those that can edit it. At least one non-blank line stays. A group holds fewer
    mutants than rounds where no line could be edited, as in a one-line program with no other to borrow from.

    Args:
        programs: The programs; ids must be unique. Read one at a time.
        outside: Lines of other programs, for ``switch_outside``.
        operators: Names from ``LINE_OPERATORS``.
        rounds: Share of mutated lines of each round, in (0, 1].
        seed: Seed of every random choice.

    Raises:
        ConfigError: An unknown operator, none at all, or a share outside (0, 1].
    """
    unknown = [name for name in operators if name not in LINE_OPERATORS]
    if unknown or not operators:
        problem = f"Unknown line operator {unknown[0]!r}" if unknown else "No line operator is named"
        raise ConfigError(f"{problem}. Valid operators: {', '.join(LINE_OPERATORS)}.")
    for share in rounds:
        if not 0 < share <= 1:
            raise ConfigError(f"rounds holds {share}; give shares of lines above 0 and at most 1, such as 0.15.")
    return _groups(programs, outside, tuple(dict.fromkeys(operators)), tuple(rounds), seed)


def _groups(
    programs: Iterable[Program],
    outside: OutsideLines,
    operators: tuple[str, ...],
    rounds: tuple[float, ...],
    seed: int,
) -> Iterator[ProgramGroup]:
    for program in programs:
        lines = split_lines(program.code)
        mutants = []
        for number, share in enumerate(rounds):
            rng = random.Random(f"{seed}:{number}:{program.id}")
            mutations = _draw_mutations(program, lines, operators, share, outside, rng)
            mutant = _apply(program, lines, mutations, suffix=f"round{number}")
            if mutant is not None:
                mutants.append(mutant)
        yield ProgramGroup(original=program, mutants=tuple(mutants))


def _draw_mutations(
    program: Program,
    lines: list[Line],
    operators: tuple[str, ...],
    share: float,
    outside: OutsideLines,
    rng: random.Random,
) -> dict[int, Mutation]:
    """The edits of one round, by line number, in line order."""
    editable = [line for line in lines if not is_blank(line.text)]
    if not editable:
        return {}
    own = distinct_lines(program)
    n_chosen = min(len(editable), max(1, round(share * len(editable))))
    n_left = len(editable)
    mutations: dict[int, Mutation] = {}
    for line in sorted(rng.sample(editable, n_chosen)):
        content = line.text.strip()
        for operator in rng.sample(operators, len(operators)):  # the first that can edit the line
            if operator == "delete_line":
                if n_left == 1:
                    continue
                n_left -= 1
                mutations[line.number] = Mutation(operator, line.number, line.text, "")
                break
            source: DistinctLines | None = own
            if operator == "switch_outside":
                source = outside.draw_program(program.language, program.id, rng)
            other = source.draw_other(content, rng) if source is not None else None
            if other is not None:
                mutations[line.number] = Mutation(operator, line.number, line.text, line.indentation + other)
                break
    return mutations


def _apply(program: Program, lines: list[Line], mutations: dict[int, Mutation], suffix: str) -> Mutant | None:
    """The mutant that the edits make, or None where it would equal its original."""
    place: dict[int, int] = {}  # line number in the original -> in the mutant
    new_lines: list[tuple[str, str]] = []
    for line in lines:
        mutation = mutations.get(line.number)
        if mutation is not None and mutation.operator == "delete_line":
            continue
        place[line.number] = len(new_lines)
        new_lines.append((line.text if mutation is None else mutation.after, line.terminator))
    code = join_lines(new_lines, final_newline=program.code.endswith("\n"))
    if code == program.code:
        return None
    mutated = Program(
        id=f"{program.id}#{suffix}",
        code=code,
        language=program.language,
        prompt=program.prompt,
        origin=program.origin,
    )
    return Mutant(mutated, tuple(mutations.values()), _pairs(lines, mutations, place))


def _pairs(lines: list[Line], mutations: dict[int, Mutation], place: dict[int, int]) -> tuple[LinePair, ...]:
    """Each replaced line with its replacement; for a deletion, the next non-blank line that is still there.

    That line may be a replaced one, or follow several deleted ones: it makes one pair all the same.
    """
    paired: set[int] = set()
    after_deletion = False
    for line in lines:
        mutation = mutations.get(line.number)
        if mutation is not None and mutation.operator == "delete_line":
            after_deletion = True
        elif not is_blank(line.text):
            if mutation is not None or after_deletion:
                paired.add(line.number)
            after_deletion = False
    return tuple(LinePair(number, place[number]) for number in sorted(paired))
