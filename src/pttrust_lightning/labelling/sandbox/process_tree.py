"""What a process and its descendants use, as the kernel tells it in /proc (proc(5))."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Places in /proc/pid/stat, counted from the field after the name.
_PARENT, _USER_TICKS, _SYSTEM_TICKS = 1, 11, 12

_MEMORY = (b"VmRSS:", b"VmSwap:", b"VmPTE:")
"""Of /proc/pid/status: pages in memory and in swap, and the tables that map them, which sparse access makes large."""


class Usage(NamedTuple):
    """What a tree of processes uses.

    Attributes:
        memory_bytes: Memory of all of them, page tables included; pages that several share count once for each.
        cpu_seconds: CPU time of the one that has used most.
        pids: The processes, each after its parent.
    """

    memory_bytes: int
    cpu_seconds: float
    pids: tuple[int, ...]


def tree_usage(root: int) -> Usage:
    """What process ``root`` and all its descendants use now."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it has just ended
                # The name, in brackets, may hold anything, brackets included.
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                pid = int(folder.name)
                children.setdefault(int(fields[_PARENT]), []).append(pid)
                ticks[pid] = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    tree = [root]
    for pid in tree:
        tree += children.get(pid, ())
    return Usage(
        memory_bytes=sum(map(_memory_bytes, tree)),
        cpu_seconds=max(ticks.get(pid, 0) for pid in tree) / TICKS_PER_SECOND,
        pids=tuple(tree),
    )


def _memory_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(_MEMORY)) * 1024


def files_in(folder: str, pid: int) -> int:
    """How many files the file system holds that process ``pid`` sees at ``folder``; 0 where it sees the one we see."""
    inside = Path(f"/proc/{pid}/root{folder}")
    try:
        if inside.stat().st_dev == Path(folder).stat().st_dev:
            return 0
        system = os.statvfs(inside)
    except OSError:  # it has just ended, or is not set up yet
        return 0
    return system.f_files - system.f_ffree
