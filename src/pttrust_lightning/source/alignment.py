"""Which lines differ between two versions of a program, by aligning their lines.

Lines are compared without the white space around them, and blank lines take no part. ``autojunk`` is off: with it,
``difflib`` ignores frequent lines such as ``}`` in programs of 200 lines or more.
"""

from __future__ import annotations

import difflib

from pttrust_lightning.source.lines import non_blank_lines


def wrong_lines_by_alignment(buggy: str, correct: str) -> tuple[int, ...]:
    """The lines of a buggy program that its correct version does not have, 0-based and strictly increasing.

    Replaced and extra lines are wrong. Where the buggy program lacks lines, the line that took their place is marked:
    the non-blank line after the gap, or the one before it at the program's end. Programs that differ in white space
    alone have no wrong line.
    """
    ours = non_blank_lines(buggy)
    old, new = ([line.text.strip() for line in lines] for lines in (ours, non_blank_lines(correct)))
    wrong: set[int] = set()
    for tag, start, end, _, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "insert" and ours:
            wrong.add(ours[min(start, len(ours) - 1)].number)
        elif tag != "equal":
            wrong.update(line.number for line in ours[start:end])
    return tuple(sorted(wrong))
