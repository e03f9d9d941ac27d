"""What every corpus is: programs in an order that depends on its settings alone, with what it leaves out counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from pttrust_lightning.source.corpora.selection import check_limits, select_groups
from pttrust_lightning.source.described import Described
from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.types import Exclusions, Program, ProgramGroup

MAX_LINE_CHARACTERS = 10_000
"""Longer lines are data or minified code, and would fill an LLM's context alone; their programs are left out."""


class Corpus(Described, ABC):
    """A source of unlabelled programs. Subclass it to read a corpus of another kind."""

    def fingerprint(self) -> str | None:
        """What changes whenever the programs may have changed, without reading them: sizes and times of files.

        None: not known, so that the programs are read to be compared.
        """
        return None

    @abstractmethod
    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The programs, in an order that depends on the corpus and its settings alone.

        Args:
            exclusions: Where what is left out is counted, by reason.

        Raises:
            SourceError: The corpus cannot be read, or holds no usable program.
        """

    def groups(self, exclusions: Exclusions) -> Iterator[ProgramGroup]:
        """The programs, each with the mutants that the corpus itself has of it: none, unless a corpus says otherwise.

        The originals are those of :meth:`programs`, in the same order.

        Args:
            exclusions: Where what is left out is counted, by reason.

        Raises:
            SourceError: The corpus cannot be read, or holds no usable program.
        """
        return (ProgramGroup(program) for program in self.programs(exclusions))


class SampledCorpus(Corpus):
    """A corpus of which programs of some length, or a random sample of them, are used.

    Args:
        limit: Size of a random sample of the programs; all where None.
        seed: Seed of that sample.
        min_lines: Fewest non-blank lines of a program.
        max_lines: Most non-blank lines of a program; no bound where None.
    """

    def __init__(self, limit: int | None, seed: int, min_lines: int, max_lines: int | None) -> None:
        check_limits(limit, min_lines, max_lines)
        self.limit = limit
        self.seed = seed
        self.min_lines = min_lines
        self.max_lines = max_lines

    def settings(self) -> dict[str, object]:
        """All that was set, by name."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def sample(self) -> str:
        """How many programs are drawn, for descriptions."""
        return "all" if self.limit is None else f"{self.limit} at random (seed {self.seed})"

    def select_programs(
        self, read: Callable[[Exclusions], Iterator[Program]], exclusions: Exclusions, source: str
    ) -> Iterator[Program]:
        """:meth:`select` for programs without mutants."""
        groups = self.select(lambda left_out: map(ProgramGroup, read(left_out)), exclusions, source)
        return (group.original for group in groups)

    def select(
        self, read: Callable[[Exclusions], Iterator[ProgramGroup]], exclusions: Exclusions, source: str
    ) -> Iterator[ProgramGroup]:
        """Those of the groups that ``read`` gives that the settings let through; see :func:`select_groups`."""
        return select_groups(
            read,
            exclusions,
            source=source,
            limit=self.limit,
            seed=self.seed,
            min_lines=self.min_lines,
            max_lines=self.max_lines,
        )


def problem_with(code: str, what: str) -> str | None:
    """Why a program cannot be used, if so: nothing in it, not text, or a line too long to score."""
    if is_blank(code):
        return f"empty {what}"
    if "\0" in code:
        return f"binary {what}"
    if max(map(len, code.split("\n"))) > MAX_LINE_CHARACTERS:
        return f"line longer than {MAX_LINE_CHARACTERS} characters"
    return None
