"""Lines of other programs, to be put in place of a program's own: a bounded sample of a corpus of any size."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from pttrust_lightning.hashing import hash64
from pttrust_lightning.source.lines import split_lines
from pttrust_lightning.types import Program

MAX_LINES = 100_000
"""Distinct lines kept of each language: tens of megabytes, and more than a corpus of mutants can use up."""


@dataclass(frozen=True, slots=True)
class DistinctLines:
    """A program's distinct stripped lines, sorted."""

    program_id: str
    contents: tuple[str, ...]

    def draw_other(self, content: str, rng: random.Random) -> str | None:
        """One of the lines, uniformly, but never ``content``; None where there is no other."""
        position = bisect_left(self.contents, content)
        present = position < len(self.contents) and self.contents[position] == content
        n_others = len(self.contents) - present
        if n_others == 0:
            return None
        index = rng.randrange(n_others)
        return self.contents[index + (present and index >= position)]


def distinct_lines(program: Program) -> DistinctLines:
    """The program's distinct stripped lines."""
    stripped = (line.text.strip() for line in split_lines(program.code))
    return DistinctLines(program.id, tuple(sorted({content for content in stripped if content})))


@dataclass(slots=True)
class _Language:
    """The programs of one language whose hashes are lowest, as many as the bound on lines allows."""

    heap: list[tuple[int, str]] = field(default_factory=list)  # (-hash, id): the highest hash first
    kept: dict[str, DistinctLines] = field(default_factory=dict)
    n_lines: int = 0
    limit: int | None = None  # lowest hash that was given up: nothing from there on comes back
    ordered: list[DistinctLines] | None = None


class OutsideLines:
    """Whole programs to draw lines from, by language: a sample that does not depend on the corpus's order.

    A program is kept where its hash is low enough that all programs up to it hold at most ``max_lines`` lines. Corpora
    below the bound are kept whole.

    Args:
        max_lines: Most distinct lines of one language.
    """

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        self._max_lines = max_lines
        self._languages: dict[str, _Language] = {}

    @classmethod
    def of(cls, programs: Iterable[Program]) -> OutsideLines:
        """The lines of programs that are at hand."""
        lines = cls()
        for program in programs:
            lines.add(program)
        return lines

    def add(self, program: Program) -> None:
        """Take a program of the corpus into account."""
        language = self._languages.setdefault(program.language, _Language())
        place = hash64(program.id)
        if language.limit is not None and place >= language.limit:
            return
        lines = distinct_lines(program)
        language.kept[program.id] = lines
        heapq.heappush(language.heap, (-place, program.id))
        language.n_lines += len(lines.contents)
        language.ordered = None
        while language.n_lines > self._max_lines and len(language.heap) > 1:
            highest, id_ = heapq.heappop(language.heap)
            language.limit = -highest
            language.n_lines -= len(language.kept.pop(id_).contents)

    def draw_program(self, language: str, program_id: str, rng: random.Random) -> DistinctLines | None:
        """Another program of the language, uniformly among those kept; None where there is none."""
        found = self._languages.get(language)
        if found is None:
            return None
        if found.ordered is None:
            found.ordered = sorted(found.kept.values(), key=lambda lines: lines.program_id)
        pool = found.ordered
        if program_id not in found.kept:
            return pool[rng.randrange(len(pool))]
        if len(pool) < 2:
            return None
        own = bisect_left(pool, program_id, key=lambda lines: lines.program_id)
        index = rng.randrange(len(pool) - 1)
        return pool[index + (index >= own)]
