"""Fills a cache in child processes that are killed: a script, so that nothing but this has run before the forks.

``python kill_script.py random FOLDER KILLS SEED`` kills at random times; ``python kill_script.py steps FOLDER`` kills
between any two steps that make something durable. Both print what they did as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from fake_states import KEY, ROW_BYTES, D, FakeExtractor, make_groups

from pttrust_lightning.cache.writer import cache_contents, fill_cache, finish_cache, open_manifest

UNSAVED_ROWS = 80
STEPS = ("write", "fsync", "replace", "ftruncate", "open", "unlink")


def fill(folder: Path, n_groups: int, rows: int, calls: Path, seconds: float, started: Callable[[], None]) -> None:
    """Fill and finish, with so many rows unsaved; each call of the extractor notes its groups when it begins."""
    extract = FakeExtractor()

    def slow(groups, exclusions):
        note(calls, {"begin": [g.original.id for g in groups]})
        time.sleep(seconds)
        return extract(groups, exclusions)

    groups = make_groups(n_groups)
    started()
    fill_cache(folder, open_manifest(folder, KEY, D, "float32"), groups, slow, rows * ROW_BYTES)
    finish_cache(folder)


def note(path: Path, record: dict) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(record) + "\n")


def child(run: Callable[[], None]) -> int:
    """Start a process that does something and ends; its id."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def outcome(pid: int) -> str:
    """How a child ended."""
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else "crashed"
    return "done" if os.WEXITSTATUS(status) == 0 else "failed"


def note_kill(folder: Path) -> None:
    """Add a line with the groups that were safe when a child was killed."""
    found = cache_contents(folder / "cache")
    note(folder / "calls", {"killed": sorted(found.groups) if found else []})


def kill_at_random(folder: Path, kills: int, seed: int) -> None:
    os.fsync = lambda descriptor: time.sleep(0.005)  # a slow disk: nearly every kill comes while something is stored
    rng, killed = random.Random(seed), 0
    n_groups, longest = 30 * kills, 0.25  # more than can be read between the kills
    while True:
        reading, writing = os.pipe()
        pid = child(
            lambda w=writing: fill(
                folder / "cache", n_groups, UNSAVED_ROWS, folder / "calls", 0.02, lambda: os.write(w, b"x") and None
            )
        )
        os.read(reading, 1)
        if killed < kills:
            time.sleep(rng.uniform(0, longest))
            os.kill(pid, signal.SIGKILL)
        os.close(reading)
        os.close(writing)
        how = outcome(pid)
        if how != "killed":
            break
        note_kill(folder)
        killed += 1
    print(json.dumps({"killed": killed, "end": how}))


def kill_at_steps(folder: Path) -> None:
    """A kill before the n-th step, for every n that there is, and in the middle of every write; in a new folder each.

    After a step is before the next one: nothing else lasts.
    """
    os.fsync = lambda descriptor: None  # the system keeps what a killed process wrote; only the order matters here
    results = []
    for n in range(10**6):
        results.append(kill_once(folder / f"before{n}", "before", n))
        if results[-1]["first"] != "killed":
            break
    for n, result in enumerate(results[:-1]):
        if result["step"] == "write":
            results.append(kill_once(folder / f"half{n}", "half", n))
    print(json.dumps(results))


def kill_once(folder: Path, moment: str, n: int) -> dict:
    folder.mkdir()

    def run(prepare: Callable[[], None]) -> str:
        cache, calls = folder / "cache", folder / "calls"
        return outcome(child(lambda: prepare() or fill(cache, 8, UNSAVED_ROWS, calls, 0, lambda: None)))

    first = run(lambda: kill_at(moment, n, folder))
    if first == "killed":
        note_kill(folder)
    second = run(lambda: None)
    step = (folder / "step").read_text() if first == "killed" else ""
    return {"folder": str(folder), "moment": moment, "first": first, "second": second, "step": step}


def kill_at(moment: str, n: int, folder: Path) -> None:
    """Make the n-th call of the system that lasts the last one."""
    count = [0]

    def patched(name, original):
        def call(*args, **kwargs):
            mine = count[0] == n
            count[0] += 1
            if mine:
                (folder / "step").write_text(name)
                if moment == "half":
                    original(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, patched(name, getattr(os, name)))


if __name__ == "__main__":
    where = Path(sys.argv[2])
    if sys.argv[1] == "random":
        kill_at_random(where, int(sys.argv[3]), int(sys.argv[4]))
    else:
        kill_at_steps(where)
