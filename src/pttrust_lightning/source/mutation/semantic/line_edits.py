"""Edits of bytes as changes of lines."""

from __future__ import annotations

from typing import NamedTuple

from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.source.mutation.semantic.edit import Edit
from pttrust_lightning.source.mutation.semantic.facts import Facts
from pttrust_lightning.types import Mutation


class LineEdit(NamedTuple):
    """What an edit does to a program's lines.

    Attributes:
        mutation: Its provenance.
        changed: Line number in the original -> its new text, or None for a line that goes; in line order.
    """

    mutation: Mutation
    changed: dict[int, str | None]


def line_edit(facts: Facts, edit: Edit) -> LineEdit | None:
    """The edit as a change of lines; None where it would leave a line blank, which no one could call wrong."""
    first = facts.line_of(edit.start)
    last = max(first, facts.line_of(edit.end - 1))
    lines = facts.lines[first : last + 1]
    span = (edit.start, edit.end)
    before = "\n".join(line.text for line in lines)
    if edit.drops_lines:
        mutation = Mutation(edit.operator, first, before, "", span)
        return LineEdit(mutation, {line.number: None for line in lines})
    new = facts.data[lines[0].start : edit.start] + edit.replacement + facts.data[edit.end : lines[-1].end]
    texts = [text.removesuffix("\r") for text in new.decode("utf-8").split("\n")]
    changed: dict[int, str | None] = {
        line.number: text for line, text in zip(lines, texts, strict=True) if line.text != text
    }
    if not changed or any(is_blank(text or "") for text in changed.values()):
        return None
    return LineEdit(Mutation(edit.operator, first, before, "\n".join(texts), span), changed)
