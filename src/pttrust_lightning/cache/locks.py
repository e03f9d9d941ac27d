"""Who may write to a cache at once. The system lets go of every lock when its process ends, however it ends.

Three locks, all in the cache's folder:

- ``writer-{rank}.lock``: held by a rank while it writes, so that no two runs write as the same rank;
- ``writers.lock``: shared by all ranks that write, and held alone by whoever may take it that no rank does. Its text is
  the number of ranks: two runs that divide the groups differently would both read some of them;
- ``entry.lock``: held for the moment in which a rank joins, so that the first one in is known to be the first.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from pttrust_lightning.cache.durable import storing
from pttrust_lightning.errors import CacheError

T = TypeVar("T")


@contextmanager
def joined(folder: Path, rank: int, world_size: int, start: Callable[[bool], T]) -> Iterator[T]:
    """Hold the cache as one rank of several; yields what ``start`` returns.

    Args:
        folder: The cache's folder.
        rank: The rank to write as.
        world_size: Number of ranks.
        start: Called before any other rank can join; told whether no rank is writing at this moment.

    Raises:
        CacheError: This rank, or a run with another number of ranks, is writing already.
    """
    with (folder / f"writer-{rank}.lock").open("w") as own, (folder / "writers.lock").open("a+") as shared:
        if not _take(own, fcntl.LOCK_EX):
            raise CacheError(
                f"Another process is filling {folder} as rank {rank}. Wait for it, or choose another cache_dir."
            )
        with _entry(folder):
            alone = _take(shared, fcntl.LOCK_EX)
            if alone:
                with storing(folder):
                    os.ftruncate(shared.fileno(), 0)
                    os.write(shared.fileno(), str(world_size).encode())
            else:
                _take(shared, fcntl.LOCK_SH)  # those who hold it share it: _entry lets nobody else in here
                if (theirs := os.pread(shared.fileno(), 20, 0).decode()) != str(world_size):
                    raise CacheError(
                        f"Another run is filling {folder} with {theirs} ranks, this one has {world_size}. "
                        "Wait for it, or choose another cache_dir."
                    )
            started = start(alone)
            _take(shared, fcntl.LOCK_SH)
        yield started


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the cache while no rank writes, and let none join.

    Raises:
        CacheError: A rank is writing.
    """
    with (folder / "writers.lock").open("a+") as shared, _entry(folder):
        if not _take(shared, fcntl.LOCK_EX):
            raise CacheError(
                f"A process is still filling {folder}. Finish the cache when every rank has ended (after a barrier)."
            )
        yield


@contextmanager
def _entry(folder: Path) -> Iterator[None]:
    with (folder / "entry.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _take(stream: IO[str], kind: int) -> bool:
    """Take a lock, or change how it is held; False where others hold it in a way that does not allow that."""
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
