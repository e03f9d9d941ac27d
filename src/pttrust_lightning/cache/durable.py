"""Writes that are on disk before they are counted on, and what to say when the disk refuses them.

Nothing here is specific to states. Every step that makes something durable is one call of ``os``, so that a test can
stop the process between any two of them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pttrust_lightning.errors import CacheError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REMEDY = (
    "Every shard that a journal names is safe, and nothing is half-written. {}, then run the same command again: "
    "it goes on where it stopped."
)


def write_whole(path: Path, data: bytes, temporary: Path) -> None:
    """Write a file so that ``path`` is either absent (or as it was) or whole, whenever the process or machine stops.

    Args:
        path: The final name.
        data: The file's contents.
        temporary: A name in the same folder that no other writer uses; gone afterwards, whatever happens.
    """
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 (tests stop here)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append one line and its end, on disk on return; on an error the file is as long as it was.

    The end of the line is what counts: a process that is killed in between leaves a last line without one.
    """
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        length = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(descriptor, length)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync_folder(path.parent)


def cut(path: Path, length: int) -> None:
    """Shorten a file to its first ``length`` bytes, on disk on return."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, length)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into what a user can act on.

    Raises:
        CacheError: The disk or the quota is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            advice = _REMEDY.format("Free some space there or raise the quota")
            raise CacheError(f"No space is left for {folder} ({error.strerror}). {advice}") from error
        advice = _REMEDY.format("See to it that the folder can be written")
        raise CacheError(f"{folder} cannot be written ({error}). {advice}") from error


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]  # one call writes at most 2 GiB
