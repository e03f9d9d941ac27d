r"""Labelled snippets in: the labelled-lines JSONL, one snippet a line.

| field | type | where it is missing |
|---|---|---|
| ``id`` | string, unique in the file | refused |
| ``code`` | string with a non-blank line | refused |
| ``wrong_lines`` | 0-based line numbers, strictly increasing, non-blank lines | empty, if ``correct`` is given |
| ``relevance`` | numbers above 0, as many as ``wrong_lines``: how much each matters | 1 each |
| ``correct`` | boolean | true if there is no wrong line |
| ``problem_id`` | string | the ``id`` |
| ``language`` | string; ``Python3``, ``c++``, ``js``, ... by their one name, others in lower case | ``python`` |
| ``task`` | string | ``generation`` |
| ``prompt`` | string | empty |
| ``label_source`` | string | ``human`` |
| ``bug_type`` | string | empty: not known |

``correct: true`` with wrong lines is refused; ``correct: false`` without them is a weak label: nobody judged the lines.
Lines are numbered as ``source.lines`` splits them. Unknown fields are refused; blank lines of the file are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pttrust_lightning.source.jsonl import Record, read_records
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.languages import canonical_language
from pttrust_lightning.source.lines import is_blank, split_lines
from pttrust_lightning.types import Exclusions, LabelledSnippet

FIELDS: tuple[str, ...] = (
    "id",
    "problem_id",
    "language",
    "task",
    "prompt",
    "code",
    "wrong_lines",
    "relevance",
    "correct",
    "label_source",
    "bug_type",
)

SMALLEST_RELEVANCE = 1e-6
"""What is further from 1 than this and its inverse is taken for a mistake, and would get lost in single precision."""


class JsonlLabelled(LabelledSource):
    """Snippets from a labelled-lines JSONL file.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name

    def describe(self) -> str:
        """The file."""
        return f"labelled lines of {self.path}"

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The file's snippets, in file order; none is left out.

        Raises:
            SourceError: The file is missing, empty or binary.
            SchemaError: A record does not follow the schema; names file, record and field.
        """
        return _checked(read_records(self.path))


def write_jsonl(path: str, snippets: Iterable[LabelledSnippet]) -> None:
    """Write snippets as a labelled-lines JSONL that ``JsonlLabelled`` reads back as the same snippets.

    Languages are written by their one name. Text beyond ASCII is escaped, so that no reader can split a record at
    U+2028. Parent folders are made.

    Raises:
        SchemaError: A snippet would not be read back; nothing is written.
    """
    records = [Record(path, number, _fields(snippet)) for number, snippet in enumerate(snippets, start=1)]
    _checked(records)
    file = Path(path).expanduser()
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record.fields) + "\n" for record in records)
    file.write_text(text, encoding="utf-8", newline="\n")


def _fields(snippet: LabelledSnippet) -> dict[str, object]:
    values = asdict(snippet)
    given = [field for field in FIELDS if field != "relevance" or snippet.relevance]
    return {field: list(values[field]) if isinstance(values[field], tuple) else values[field] for field in given}


def _checked(records: Iterable[Record]) -> list[LabelledSnippet]:
    snippets = []
    record_of_id: dict[str, int] = {}
    for record in records:
        snippet = snippet_of(record)
        if snippet.id in record_of_id:
            problem = f"{snippet.id!r} is also the id of record {record_of_id[snippet.id]}"
            raise record.error("id", problem, "Give each snippet its own id.")
        record_of_id[snippet.id] = record.number
        snippets.append(snippet)
    return snippets


def snippet_of(record: Record) -> LabelledSnippet:
    """The snippet that a record describes.

    Raises:
        SchemaError: The record does not follow the schema.
    """
    record.reject_unknown_fields(FIELDS)
    id_ = record.text("id")
    code = record.text("code")
    if is_blank(code):
        raise record.error("code", "it holds no line of code", "Give the snippet's source text, or remove the record.")
    wrong_lines = _wrong_lines(record, code)
    return LabelledSnippet(
        id=id_,
        problem_id=record.text("problem_id", default=id_),
        language=canonical_language(record.text("language", default="python")),
        task=record.text("task", default="generation"),
        prompt=record.text("prompt", default=""),
        code=code,
        wrong_lines=wrong_lines,
        correct=_correct(record, wrong_lines),
        label_source=record.text("label_source", default="human"),
        bug_type=record.text("bug_type", default=""),
        relevance=_relevance(record, len(wrong_lines)),
    )


def _wrong_lines(record: Record, code: str) -> tuple[int, ...]:
    field = "wrong_lines"
    if not record.has(field):
        if not record.has("correct"):
            raise record.error(field, "missing, and so is 'correct'", 'Add "wrong_lines": [...], 0-based.')
        return ()
    value = record.fields[field]
    if not isinstance(value, list):
        raise record.error(field, "not a list", "Write it as a list of 0-based line numbers, such as [3, 4].")
    lines = split_lines(code)
    previous = -1
    for number in value:
        if type(number) is not int:  # a boolean is an int to isinstance
            raise record.error(field, f"{number!r} is not an integer", "Write 0-based line numbers, such as [3, 4].")
        if not 0 <= number < len(lines):
            problem = f"line {number} does not exist; the code has lines 0 to {len(lines) - 1}"
            raise record.error(field, problem, "Count lines from 0.")
        if number <= previous:
            problem = f"{number} follows {previous}; the numbers must increase strictly"
            raise record.error(field, problem, "Sort them and name each once.")
        if is_blank(lines[number].text):
            problem = f"line {number} is blank, and blank lines are never scored"
            raise record.error(field, problem, "Mark the line of code instead; lines count from 0.")
        previous = number
    return tuple(value)


def _relevance(record: Record, n_wrong_lines: int) -> tuple[float, ...]:
    field = "relevance"
    if not record.has(field):
        return ()
    value = record.fields[field]
    if not isinstance(value, list):
        raise record.error(field, "not a list", "Write it as a list of numbers, such as [1, 0.5].")
    if len(value) != n_wrong_lines:
        problem = f"{len(value)} number(s) for {n_wrong_lines} wrong line(s)"
        raise record.error(field, problem, "Give each of wrong_lines one, in the same order.")
    for number in value:
        if type(number) not in (int, float) or not SMALLEST_RELEVANCE <= number <= 1 / SMALLEST_RELEVANCE:
            problem = f"{number!r} is not a number above 0 (from {SMALLEST_RELEVANCE:g} to {1 / SMALLEST_RELEVANCE:g})"
            raise record.error(field, problem, "Leave lines that do not matter out of wrong_lines.")
    return tuple(map(float, value))


def _correct(record: Record, wrong_lines: tuple[int, ...]) -> bool:
    if not record.has("correct"):
        return not wrong_lines
    correct = record.fields["correct"]
    if not isinstance(correct, bool):
        raise record.error("correct", f"{correct!r} is not a boolean", "Write true or false, without quotes.")
    if correct and wrong_lines:
        problem = f"true, but wrong_lines names {len(wrong_lines)} line(s)"
        raise record.error("correct", problem, "Set it to false, or empty wrong_lines.")
    return correct
