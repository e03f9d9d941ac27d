"""What several methods all scored: another LLM, or the same without the prompt, reads further into a long program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pttrust_lightning.types import IntArray, ScoredSnippet


class CommonLines(NamedTuple):
    """The same lines of the same snippets, as each run scored them.

    Attributes:
        runs: In the order given; snippets in the order of each run.
        snippets_left_out: Snippets of which no line was scored by all runs, but some by one.
        lines_left_out: Lines that a run scored and another did not, those of these snippets included.
    """

    runs: list[list[ScoredSnippet]]
    snippets_left_out: int
    lines_left_out: int


def on_common_lines(runs: Sequence[Sequence[ScoredSnippet]]) -> CommonLines:
    """Cut each run's snippets down to the lines that all of them scored.

    Args:
        runs: The test snippets of each run, every id once in a run.
    """
    common: dict[str, IntArray] = {}
    every: dict[str, IntArray] = {}
    scored_by: dict[str, int] = {}
    for run in runs:
        for snippet in run:
            name, numbers = snippet.snippet_id, snippet.line_numbers
            common[name] = np.intersect1d(common.get(name, numbers), numbers)
            every[name] = np.union1d(every.get(name, numbers), numbers)
            scored_by[name] = scored_by.get(name, 0) + 1
    kept = {name: numbers for name, numbers in common.items() if scored_by[name] == len(runs) and len(numbers)}
    n_kept, n_every = (sum(map(len, numbers.values())) for numbers in (kept, every))
    cut = [[_on(s, kept[s.snippet_id]) for s in run if s.snippet_id in kept] for run in runs]
    return CommonLines(cut, len(every) - len(kept), n_every - n_kept)


def _on(snippet: ScoredSnippet, numbers: IntArray) -> ScoredSnippet:
    """The snippet with only the lines of these numbers."""
    kept = np.isin(snippet.line_numbers, numbers)
    return snippet._replace(
        line_numbers=snippet.line_numbers[kept],
        scores=snippet.scores[kept],
        probabilities=snippet.probabilities[kept],
        labels=snippet.labels[kept],
        line_tokens=None if snippet.line_tokens is None else snippet.line_tokens[kept],
    )
