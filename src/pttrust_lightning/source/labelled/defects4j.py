"""Defects4J (Just et al., ISSTA 2014; MIT) in the single-function format of program repair.

The format is that of ``single_function_repair.json`` by Xia et al. (ICSE 2023), one JSON object::

    {"Chart-1": {"buggy": "public ...", "fix": "public ...", "start": 1790, "end": 1822}, ...}
"""

from __future__ import annotations

from collections.abc import Iterator

from pttrust_lightning.source.fixes import BugFix
from pttrust_lightning.source.jsonl import Record, read_object
from pttrust_lightning.source.labelled.fixed_programs import FixedPrograms
from pttrust_lightning.types import Exclusions


class Defects4J(FixedPrograms):
    """Java functions with a real bug; wrong lines by aligning each with the fixed function.

    Only ``buggy`` and ``fix`` are read: ``start``, ``end`` and the like are places in files that are not here.

    Args:
        path: The JSON file.
        include_correct: Whether each fixed function is a snippet too, without wrong lines.
    """

    def __init__(self, path: str, include_correct: bool = False) -> None:
        super().__init__(include_correct)
        self.path = path

    def describe(self) -> str:
        """The name and where it is read from."""
        return f"{self.name} from {self.path}"

    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        """The functions, in file order; ids are bug ids such as ``Chart-1``.

        Raises:
            SourceError: The file cannot be read.
            SchemaError: The file is not of this format, or names a bug twice.
        """
        bugs = read_object(self.path)
        for number, (bug_id, fields) in enumerate(bugs.fields.items(), start=1):
            if not isinstance(fields, dict):
                raise bugs.error(bug_id, "not an object", 'Write it as {"buggy": "...", "fix": "..."}.')
            record = Record(f"{self.path} ({bug_id})", number, fields)
            yield BugFix(
                id=bug_id,
                problem_id=bug_id,
                language="java",
                prompt="",
                buggy=record.text("buggy"),
                correct=record.text("fix"),
            )
