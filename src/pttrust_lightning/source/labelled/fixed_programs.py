"""Labelled lines of every source that has a buggy program and its correct version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pttrust_lightning.errors import SourceError
from pttrust_lightning.hashing import remembered
from pttrust_lightning.source.alignment import align
from pttrust_lightning.source.fixes import BugFix, FixSource
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.types import Exclusions, LabelledSnippet


class FixedPrograms(LabelledSource, FixSource):
    """Buggy programs whose wrong lines come from aligning each with its correct version.

    Args:
        include_correct: Whether each correct version is a snippet too, without wrong lines.
    """

    task: ClassVar[str] = "repair"
    """What the snippets are written for."""

    settings_to_check: ClassVar[str] = "path"
    """The settings that a message names where nothing is found."""

    def __init__(self, include_correct: bool = False) -> None:
        self.include_correct = include_correct

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The buggy programs in the source's order, each followed by its correct version where that is asked for.

        A correct version has the id of its buggy one and ``#correct``.

        Raises:
            SourceError: The source cannot be read, or holds no snippet.
            SchemaError: A record does not follow the schema.
        """
        snippets = [snippet for fix in self.fixes(exclusions) for snippet in self._labelled(fix, exclusions)]
        if not snippets:
            reasons = "; ".join(exclusions.describe()) or "it holds none"
            raise SourceError(f"{self.describe()} gives no snippet ({reasons}). Check {self.settings_to_check}.")
        return snippets

    def _labelled(self, fix: BugFix, exclusions: Exclusions) -> Iterator[LabelledSnippet]:
        yield from buggy_snippet(fix, self.task, exclusions)
        if self.include_correct and is_blank(fix.correct):
            exclusions.add("correct code without a line of code", fix.id)
        elif self.include_correct:
            yield _snippet(fix, f"{fix.id}#correct", fix.correct, (), self.task)


def buggy_snippet(fix: BugFix, task: str, exclusions: Exclusions) -> Iterator[LabelledSnippet]:
    """The buggy version of a fix with its wrong lines; nothing where no line can be marked, which is counted.

    Args:
        fix: The fix.
        task: What the program was written for.
        exclusions: Where what is left out is counted.
    """
    wrong_lines = _wrong_lines(fix.buggy, fix.correct, fix.language)
    if is_blank(fix.buggy):
        exclusions.add("buggy code without a line of code", fix.id)
    elif not wrong_lines:
        exclusions.add("buggy code does not differ from the correct code", fix.id)
    else:
        yield _snippet(fix, fix.id, fix.buggy, wrong_lines, task)


@remembered
def _wrong_lines(buggy: str, correct: str, language: str | None) -> tuple[int, ...]:
    return align(buggy, correct, language).wrong_lines()


def _snippet(fix: BugFix, id_: str, code: str, wrong_lines: tuple[int, ...], task: str) -> LabelledSnippet:
    return LabelledSnippet(
        id=id_,
        problem_id=fix.problem_id,
        language=fix.language,
        task=task,
        prompt=fix.prompt,
        code=code,
        wrong_lines=wrong_lines,
        correct=not wrong_lines,
        label_source="diff",
        bug_type=fix.bug_type if wrong_lines else "",
    )
