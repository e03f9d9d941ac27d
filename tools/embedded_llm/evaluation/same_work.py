"""The snippets and lines that every compared LLM can be asked about, so that all are measured on the same work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pttrust_lightning.datamodules.splits import merge_groups
from pttrust_lightning.types import (
    Exclusions,
    FloatArray,
    IntArray,
    LabelledSnippet,
    LineStates,
    ProgramStates,
    SnippetStates,
)

NOT_READ = "snippet without a line that could be read"
ONE_LINE = "snippet with fewer than two non-blank lines"
FEW_LINES = "snippet with fewer than two lines within the context"
NO_WRONG_LINE = "snippet without a wrong line within the context"
LINES_CUT = "line beyond the smallest context (of a snippet that is compared)"
WRONG_LINES_CUT = "wrong line beyond the smallest context (of a snippet that is compared)"


@dataclass(frozen=True, slots=True)
class SameWork:
    """What is compared.

    Attributes:
        snippets: Snippets that can be ranked under every LLM.
        labels: 1 where a line is wrong, over the lines that every LLM read, ``(T,)`` for each snippet.
        readings: What each LLM made of just those lines, in the snippets' order.
        exclusions: Snippets that an LLM cannot rank, by the LLM's name; one snippet may be counted under several.
        left_out: Snippets and lines that are not compared, all told.
    """

    snippets: list[LabelledSnippet]
    labels: list[FloatArray]
    readings: dict[str, list[ProgramStates]]
    exclusions: dict[str, Exclusions]
    left_out: Exclusions

    def groups(self) -> list[str]:
        """What must not straddle a split: problems, joined where two hold the same text."""
        return merge_groups([s.problem_id for s in self.snippets], [(s.prompt, s.code) for s in self.snippets])

    def states(self, llm: str, block: int) -> list[SnippetStates]:
        """The snippets beside their states after one block, as the package's baselines take them."""
        return [
            SnippetStates(
                snippet, LineStates(snippet.id, r.line_numbers, r.states[block], r.uncertainty, r.n_lines), labels
            )
            for snippet, r, labels in zip(self.snippets, self.readings[llm], self.labels, strict=True)
        ]


def same_work(snippets: Sequence[LabelledSnippet], readings: Mapping[str, Mapping[str, ProgramStates]]) -> SameWork:
    """Keep what every LLM can rank: two lines or more within its context, one of them wrong.

    Args:
        snippets: What was read.
        readings: What each LLM made of each snippet, by LLM and by snippet id.
    """
    exclusions = {name: Exclusions() for name in readings}
    work = SameWork([], [], {name: [] for name in readings}, exclusions, Exclusions())
    for snippet in snippets:
        reasons = {name: _not_rankable(snippet, of_llm.get(snippet.id)) for name, of_llm in readings.items()}
        for name, reason in reasons.items():
            if reason is not None:
                exclusions[name].add(reason, snippet.id)
        if any(reasons.values()):
            work.left_out.add("snippet that not every LLM can rank", snippet.id)
            continue
        # Lines are cut from the end, so the lines of the smallest context are in all the others.
        shortest = min((of_llm[snippet.id].line_numbers for of_llm in readings.values()), key=len)
        labels = np.isin(shortest, snippet.wrong_lines).astype(np.float64)
        n_lines = next(iter(readings.values()))[snippet.id].n_lines
        work.left_out.add(LINES_CUT, snippet.id, n_lines - len(shortest))
        work.left_out.add(WRONG_LINES_CUT, snippet.id, len(snippet.wrong_lines) - int(labels.sum()))
        work.snippets.append(snippet)
        work.labels.append(labels)
        for name, of_llm in readings.items():
            work.readings[name].append(_at_lines(of_llm[snippet.id], shortest))
    return work


def _at_lines(reading: ProgramStates, line_numbers: IntArray) -> ProgramStates:
    """The same of some of its lines."""
    assert reading.uncertainty is not None
    rows = np.flatnonzero(np.isin(reading.line_numbers, line_numbers))
    return ProgramStates(
        reading.program_id,
        reading.line_numbers[rows],
        reading.states[:, rows],
        reading.uncertainty[rows],
        reading.n_lines,
    )


def _not_rankable(snippet: LabelledSnippet, reading: ProgramStates | None) -> str | None:
    """Why an LLM cannot rank the snippet's lines; None if it can."""
    if reading is None:
        return NOT_READ
    if reading.n_lines < 2:
        return ONE_LINE
    if len(reading.line_numbers) < 2:
        return FEW_LINES
    return None if np.isin(reading.line_numbers, snippet.wrong_lines).any() else NO_WRONG_LINE
