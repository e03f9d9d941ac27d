"""Which lines differ between two versions of a program, by aligning their lines.

Lines are compared without the white space around them, and blank lines take no part. ``autojunk`` is off: with it,
``difflib`` ignores frequent lines such as ``}`` in programs of 200 lines or more.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pttrust_lightning.source.lines import Line, non_blank_lines
from pttrust_lightning.types import LinePair


def wrong_lines_by_alignment(buggy: str, correct: str) -> tuple[int, ...]:
    """The lines of a buggy program that its correct version does not have, 0-based and strictly increasing.

    Replaced and extra lines are wrong. Where the buggy program lacks lines, the line that took their place is marked:
    the non-blank line after the gap, or the one before it at the program's end. Programs that differ in white space
    alone have no wrong line.
    """
    ours = non_blank_lines(buggy)
    wrong: set[int] = set()
    for tag, start, end, _, _ in _opcodes(ours, non_blank_lines(correct)):
        if tag == "insert" and ours:
            wrong.add(ours[min(start, len(ours) - 1)].number)
        elif tag != "equal":
            wrong.update(line.number for line in ours[start:end])
    return tuple(sorted(wrong))


def line_pairs_by_alignment(before: str, after: str) -> tuple[LinePair, ...]:
    """Contrastive pairs of two versions of a program, strictly increasing in both (METHOD: unlabelled pairs).

    Replaced lines are paired in order, as far as both sides reach. Where one version lacks lines, the line that follows
    the gap is paired with itself: its text is the same in both, what precedes it is not. At the end nothing follows.
    """
    old, new = non_blank_lines(before), non_blank_lines(after)
    pairs = []
    for tag, old_start, old_end, new_start, new_end in _opcodes(old, new):
        if tag == "replace":
            replaced = zip(old[old_start:old_end], new[new_start:new_end], strict=False)
            pairs += [LinePair(a.number, b.number) for a, b in replaced]
        elif tag != "equal" and old_end < len(old) and new_end < len(new):
            pairs.append(LinePair(old[old_end].number, new[new_end].number))
    return tuple(pairs)


def _opcodes(a: list[Line], b: list[Line]) -> Sequence[tuple[str, int, int, int, int]]:
    texts = [line.text.strip() for line in a], [line.text.strip() for line in b]
    return difflib.SequenceMatcher(None, *texts, autojunk=False).get_opcodes()
