"""The paper's line operators (PtTrust, arXiv 2504.14640; METHOD: unlabelled pairs).

- ``switch_inside`` replaces a line by another line of the same program.
- ``switch_outside`` replaces a line by a line of another program in the same language.
- ``delete_line`` removes a line.

A replacement takes the indentation of the line it replaces: the paper does not say, and a line whose indentation alone
gives it away would teach nothing. What these operators make need not parse.
"""

from __future__ import annotations

import random

from pttrust_lightning.source.lines import Line
from pttrust_lightning.source.mutation.outside_lines import DistinctLines, OutsideLines
from pttrust_lightning.types import Mutation, Program


def edit_line(
    operator: str, program: Program, line: Line, own: DistinctLines, outside: OutsideLines, rng: random.Random
) -> Mutation | None:
    """Edit one line by one line operator; None where there is no other line to take.

    Args:
        operator: A name from ``LINE_OPERATORS``.
        program: The program that the line is from.
        line: The line, not blank.
        own: The program's own lines.
        outside: Lines of other programs.
        rng: Decides which line is taken.
    """
    if operator == "delete_line":
        return Mutation(operator, line.number, line.text, "", (line.start, line.terminator_end))
    source: DistinctLines | None = own
    if operator == "switch_outside":
        source = outside.draw_program(program.language, program.id, rng)
    other = source.draw_other(line.text.strip(), rng) if source is not None else None
    if other is None:
        return None
    return Mutation(operator, line.number, line.text, line.indentation + other, (line.start, line.end))
