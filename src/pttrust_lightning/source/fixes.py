"""Buggy programs and their correct versions: the pairs that labels and stage-1 mutants of real bugs are made from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from pttrust_lightning.source.described import Described
from pttrust_lightning.types import Exclusions


@dataclass(frozen=True, slots=True)
class BugFix:
    """A buggy program and its correct version.

    Attributes:
        id: Unique within its source; stable between runs.
        problem_id: What the program solves, or the file that it is; fixes that share it never straddle a split.
        language: Lower-case name, such as ``python``.
        prompt: Text that precedes either version for the LLM; may be empty.
        buggy: The program before the fix.
        correct: The program after it.
        bug_type: What the source calls the bug, such as ``operator misuse``; may be empty.
    """

    id: str
    problem_id: str
    language: str
    prompt: str
    buggy: str
    correct: str
    bug_type: str = ""


class FixSource(Described, ABC):
    """A source of bug fixes. Subclass it to read fixes of another kind."""

    @abstractmethod
    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        """The fixes, in an order that depends on the source and its settings alone; ids are unique.

        Args:
            exclusions: Where what is left out is counted, by reason.

        Raises:
            SourceError: The source cannot be read.
            SchemaError: A record does not follow the schema.
        """
