"""Answers that cost time or money, kept in a JSONL file: asked for twice, they are computed once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from pttrust_lightning.errors import SourceError
from pttrust_lightning.source.jsonl import Record, read_records

KEY = "key"
"""The field that says what a record answers."""


def content_key(**parts: object) -> str:
    """The SHA-256 of named values, whatever their order; they must be expressible in JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


class AnswerCache:
    """An append-only JSONL of answers by key, for one process and any number of its threads.

    A run that is killed leaves a last line without its end; that line is cut off when the file is next opened, and
    everything before it is kept.

    Args:
        path: The file; it and its folder are made when the first answer is put.

    Raises:
        SourceError: The file cannot be read or written.
        SchemaError: A line that has an end is not a record of such a cache.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._answers: dict[str, dict[str, Any]] = {}
        if path.exists():
            _cut_torn_line(path)
        if path.exists() and path.stat().st_size:
            for record in read_records(str(path)):
                self._answers[record.text(KEY)] = _without_key(record)

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._answers[key]

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer; it is handed to the system as one write, before the next line of the program runs.

        Raises:
            SourceError: The file cannot be written.
        """
        line = (json.dumps({KEY: key, **answer}) + "\n").encode()
        with self._lock:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab", buffering=0) as stream:
                    _append(stream.fileno(), line)
            except OSError as error:
                raise SourceError(
                    f"{self._path} cannot be written ({error.strerror}). Free some space or mend its permissions, then "
                    "run the same command again: what was answered so far is kept."
                ) from error
            self._answers[key] = answer


def _without_key(record: Record) -> dict[str, Any]:
    return {field: value for field, value in record.fields.items() if field != KEY}


def _append(descriptor: int, line: bytes) -> None:
    """Write a line as one piece: where the disk is full, the file is as long as it was."""
    length = os.fstat(descriptor).st_size
    if os.write(descriptor, line) < len(line):
        os.ftruncate(descriptor, length)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _cut_torn_line(path: Path) -> None:
    """Cut off what follows the last line end."""
    try:
        with path.open("rb+") as stream:
            data = stream.read()
            end = data.rfind(b"\n") + 1
            if end < len(data):
                os.ftruncate(stream.fileno(), end)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be opened ({error.strerror}). Mend its permissions, or name another folder."
        ) from error
