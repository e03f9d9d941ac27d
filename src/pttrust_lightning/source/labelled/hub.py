"""Public data sets: from a local file or folder, or by name from the Hugging Face Hub."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from pttrust_lightning.errors import SourceError
from pttrust_lightning.source.jsonl import Record, read_file_or_folder


class PublicDataset(NamedTuple):
    """Where a public data set is.

    Attributes:
        name: On the Hub, ``owner/name``.
        split: Its split.
        origin: Where else its files can be had, for messages.
        files: Names of files that a local folder is expected to hold, for messages.
    """

    name: str
    split: str
    origin: str
    files: str

    def records(self, path: str | None, configuration: str | None = None, setting: str = "path") -> Iterator[Record]:
        """The records of a local copy, or of the data set itself where there is none.

        Args:
            path: A JSONL file, or a folder of such files; where None, the data set is loaded by name through the
                ``datasets`` package.
            configuration: Which part of the data set is loaded by name; the only one where None.
            setting: What ``path`` is called in the configuration, for messages.

        Raises:
            SourceError: The file, the folder or the data set cannot be read.
            SchemaError: A line of a file is no JSON object.
        """
        if path is None:
            return self._downloaded(configuration, setting)
        return read_file_or_folder(path, self.files)

    def _downloaded(self, configuration: str | None, setting: str) -> Iterator[Record]:
        remedy = f"or set {setting} to a downloaded JSONL file of {self.origin}."
        try:
            datasets: Any = importlib.import_module("datasets")
        except ImportError as error:
            raise SourceError(
                f"Loading {self.name} by name needs: pip install datasets. Install it, {remedy}"
            ) from error
        shown = self.name if configuration is None else f"{self.name} ({configuration})"
        parts = () if configuration is None else (configuration,)
        try:
            rows = datasets.load_dataset(self.name, *parts, split=self.split)
        except Exception as error:  # three libraries and a network can fail here, each with errors of its own
            problem = f"{type(error).__name__}: {error}".split("\n")[0]
            raise SourceError(
                f"{shown} could not be loaded ({problem}). Check the network connection, {remedy}"
            ) from error
        for number, row in enumerate(rows, start=1):
            yield Record("/".join((self.name, *parts)), number, dict(row))


def with_unique_ids(records: Iterator[Record], field: str) -> Iterator[tuple[str, Record]]:
    """Each record after its id.

    Args:
        records: The records of one source.
        field: The field that holds the id: a string, or a whole number as in MBPP.

    Raises:
        SchemaError: An id is missing, of another kind, empty, or there twice.
    """
    first: dict[str, Record] = {}
    for record in records:
        value = record.fields.get(field)
        id_ = str(value) if type(value) is int else record.text(field)
        if not id_.strip():
            raise record.error(field, "it is empty", "Give each record an id of its own.")
        if id_ in first:
            where = f"it is also the id of record {first[id_].number} of {first[id_].path}"
            raise record.error(field, f"{id_!r} is there twice: {where}", "Name only one copy of the data set.")
        first[id_] = record
        yield id_, record


def as_comment(text: str, language: str) -> str:
    """A problem's statement as comment lines that can precede code.

    Args:
        text: The statement; may hold several lines.
        language: The language of the code.
    """
    mark = "#" if language == "python" else "//"
    return "".join(f"{mark} {line}".rstrip() + "\n" for line in text.strip().replace("\r\n", "\n").split("\n"))
