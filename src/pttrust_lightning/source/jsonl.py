r"""Read JSONL records, and say exactly where one is wrong.

A *record* is a line of the file, counted from 1; blank lines are skipped but counted, so that the number in a message
is the line number in an editor. ``\n`` and ``\r\n`` both end a record, and a byte order mark at the start is ignored.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pttrust_lightning.errors import SchemaError, SourceError

_BOM = b"\xef\xbb\xbf"
_KINDS = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "a list", dict: "an object"}


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _without_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise _DuplicateKeyError(key)
        fields[key] = value
    return fields


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object of a JSONL file, with its place for messages.

    Attributes:
        path: The file, as the user wrote it.
        number: 1-based line number in that file.
        fields: The object.
    """

    path: str
    number: int
    fields: dict[str, Any]

    def error(self, field: str, problem: str, remedy: str) -> SchemaError:
        """An error that names this record and ``field``."""
        return SchemaError(self.path, self.number, field, problem, remedy)

    def has(self, field: str) -> bool:
        """Whether the field is there and not null."""
        return self.fields.get(field) is not None

    def text(self, field: str, default: str | None = None) -> str:
        """The string in ``field``, or ``default`` where the field is missing or null.

        Raises:
            SchemaError: The field is missing without a default, no string, or not expressible in UTF-8.
        """
        value = self.fields.get(field)
        if value is None:
            if default is not None:
                return default
            raise self.error(field, self._absent(field), f'Add a string "{field}" to the record.')
        if not isinstance(value, str):
            raise self.error(field, f"{_shown(value)} is {_kind(value)}, not a string", "Write it in quotes.")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise self.error(
                field, "it holds a lone surrogate, which UTF-8 cannot express", "Replace that \\uD8xx escape."
            ) from None
        return value

    def reject_unknown_fields(self, valid: Collection[str]) -> None:
        """Refuse any field not in ``valid``.

        Raises:
            SchemaError: Names the first unknown field and the valid field nearest to it.
        """
        for field in self.fields:
            if field not in valid:
                near = difflib.get_close_matches(field, valid, n=1, cutoff=0.6)
                remedy = f"Did you mean '{near[0]}'? " if near else ""
                raise self.error(field, "unknown field", f"{remedy}Valid fields: {', '.join(valid)}.")

    def reject_misspelt_fields(self, valid: Collection[str]) -> None:
        """Refuse a field that is almost the name of a valid one which the record lacks; let other fields pass.

        Raises:
            SchemaError: Names the field and the valid field it resembles.
        """
        missing = [field for field in valid if field not in self.fields]
        for field in self.fields:
            if field not in valid:
                near = difflib.get_close_matches(field.lower(), missing, n=1, cutoff=0.85)
                if near:
                    raise self.error(field, "unknown field", f"Rename it to '{near[0]}', or remove it.")

    def _absent(self, field: str) -> str:
        if field in self.fields:
            return "it is null"
        near = difflib.get_close_matches(field, self.fields, n=1, cutoff=0.6)
        return f"missing (the record has '{near[0]}')" if near else "missing"


def read_records(path: str) -> Iterator[Record]:
    """Yield the records of a JSONL file, reading it line by line.

    Raises:
        SourceError: The file is missing, a folder, unreadable, empty, or binary.
        SchemaError: A line is not UTF-8, not JSON, not an object, or names a field twice.
    """
    file = _existing_file(path, "JSONL")
    found = False
    try:
        with file.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                line = raw.removeprefix(_BOM) if number == 1 else raw
                if line.strip():
                    yield Record(path, number, _parse(path, number, line))
                    found = True
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}). Check its permissions.") from error
    if not found:
        raise SourceError(f"{path} is empty. Write one JSON object a line into it.")


def read_object(path: str) -> Record:
    """The JSON object that a file holds as a whole, as record 1.

    Raises:
        SourceError: The file is missing, a folder, unreadable, empty, or binary.
        SchemaError: It is not UTF-8, not JSON, not an object, or names a field twice in one object.
    """
    try:
        data = _existing_file(path, "JSON").read_bytes().removeprefix(_BOM)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}). Check its permissions.") from error
    if not data.strip():
        raise SourceError(f"{path} is empty. Write a JSON object into it.")
    return Record(path, 1, _parse(path, 1, data))


def _existing_file(path: str, kind: str) -> Path:
    file = Path(path).expanduser()
    if file.is_dir():
        raise SourceError(f"{path} is a folder, not a {kind} file. Name one file in it.")
    if not file.exists():
        raise SourceError(f"{path} does not exist. Check the path; it is relative to the current folder.")
    return file


def read_file_or_folder(path: str, example: str) -> Iterator[Record]:
    """Yield the records of a JSONL file, or of all JSONL files of a folder in the order of their names.

    Args:
        path: The file or folder.
        example: Files that the folder is expected to hold, for the message.

    Raises:
        SourceError: The folder holds no JSONL file, or a file cannot be used.
        SchemaError: As for :func:`read_records`.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        yield from read_records(path)
        return
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise SourceError(f"{path} holds no .jsonl file. Name the folder of {example}, ...")
    for file in files:
        yield from read_records(str(file))


def _parse(path: str, number: int, line: bytes) -> dict[str, Any]:
    if b"\0" in line:
        raise SourceError(f"{path} is a binary file (it holds NUL bytes). Name a text file in UTF-8.")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SchemaError(
            path, number, "(whole record)", f"byte {error.start} is not UTF-8", "Convert the file to UTF-8."
        ) from None
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicate_keys)
    except _DuplicateKeyError as error:
        raise SchemaError(path, number, error.key, "named twice in one record", "Keep one of the two.") from None
    except (json.JSONDecodeError, RecursionError) as error:
        where = "nested too deep"
        if isinstance(error, json.JSONDecodeError):
            row = f"line {error.lineno}, " if error.lineno > 1 else ""
            where = f"{error.msg.removesuffix(' at')} at {row}column {error.colno}"
        raise SchemaError(
            path, number, "(whole record)", f"not JSON ({where})", "Write one complete JSON object."
        ) from None
    if not isinstance(value, dict):
        raise SchemaError(
            path, number, "(whole record)", f"{_kind(value)}, not an object", 'Write it as {"code": "...", ...}.'
        )
    return value


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "null")


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
