"""Programs of a JSONL file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pttrust_lightning.source.corpora.base import SampledCorpus, problem_with
from pttrust_lightning.source.corpora.selection import file_fingerprint
from pttrust_lightning.source.jsonl import read_records
from pttrust_lightning.source.languages import canonical_language
from pttrust_lightning.types import Exclusions, Program


class JsonlCorpus(SampledCorpus):
    """Programs from a JSONL file: one object a line with ``code``, and optionally ``language``, ``id``, ``prompt``.

    Other fields are ignored, but one that is almost the name of a missing field is refused as a misspelling. Languages
    may go by any of their names (``Python3``, ``c++``, ``js``).

    Args:
        path: The file.
        default_language: Language of the records that name none.
        limit: Size of a random sample of the programs; all where null.
        seed: Seed of that sample.
        min_lines: Fewest non-blank lines of a program.
        max_lines: Most non-blank lines of a program; no bound where null.
    """

    FIELDS = ("code", "language", "id", "prompt")

    def __init__(
        self,
        path: str,
        default_language: str = "python",
        limit: int | None = None,
        seed: int = 0,
        min_lines: int = 1,
        max_lines: int | None = None,
    ) -> None:
        super().__init__(limit, seed, min_lines, max_lines)
        self.path = path
        self.default_language = default_language

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name

    def describe(self) -> str:
        """The file and the sample."""
        return f"records of {self.path}, {self.sample()}"

    def fingerprint(self) -> str | None:
        """The file's size and time, and the settings."""
        return file_fingerprint([Path(self.path)], self.settings())

    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The records as programs; a record without an id is named ``file.jsonl:<line>``.

        Raises:
            SourceError: The file is missing, empty or binary, or holds no usable program.
            SchemaError: A record does not follow the schema, or repeats an id.
        """
        return self.select_programs(self._read, exclusions, self.path)

    def _read(self, exclusions: Exclusions) -> Iterator[Program]:
        record_of_id: dict[str, int] = {}
        for record in read_records(self.path):
            record.reject_misspelt_fields(self.FIELDS)
            id_ = record.text("id", default=f"{self.name}:{record.number}")
            if id_ in record_of_id:
                problem = f"{id_!r} is also the id of record {record_of_id[id_]}"
                raise record.error("id", problem, "Give each record its own id.")
            record_of_id[id_] = record.number
            program = Program(
                id=id_,
                code=record.text("code"),
                language=canonical_language(record.text("language", default=self.default_language)),
                prompt=record.text("prompt", default=""),
                origin=self.name,
            )
            unusable = problem_with(program.code, "record")
            if unusable is None:
                yield program
            else:
                exclusions.add(unusable, id_)
