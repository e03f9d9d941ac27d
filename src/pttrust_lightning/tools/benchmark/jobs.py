"""Does the runs of a benchmark, several at a time, and none that is finished."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_info

from pttrust_lightning.errors import RunError, own_error
from pttrust_lightning.tools.benchmark.plan import Run
from pttrust_lightning.tools.benchmark.runs import Record, finished

Work = Callable[[Run], Record]
"""Does a run. Where runs are done in processes of their own it must be picklable."""


class Jobs:
    """Does runs in so many processes; in this one where it is one.

    Each process is new (spawned) and uses one CPU thread, as stages do by their callback; what it prints goes to
    ``logs/`` in the benchmark's folder. It ends with this one, also where this one is killed.

    Args:
        n: Number of processes.
        output_dir: The benchmark's folder.
    """

    def __init__(self, n: int, output_dir: Path) -> None:
        self._n, self._output_dir = n, output_dir
        self._pool = ProcessPoolExecutor(n, get_context("spawn"), _start) if n > 1 else None

    def close(self) -> None:
        """End the processes; what they are doing is finished and kept, what they have not begun is left."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def do(self, what: str, runs: Sequence[Run], work: Work) -> dict[str, Record]:
        """Do the runs that are not finished, and say what that costs.

        Args:
            what: What they are, for messages.
            runs: The runs; none needs another's result.
            work: Does one.

        Returns:
            What each came to, by its name, in the order of the runs.

        Raises:
            RunError: A run in another process failed; the others that had begun are finished.
            PtTrustError: Whatever a run in this process raises.
        """
        found = {run.name: finished(run, self._output_dir) for run in runs}
        todo = [run for run in runs if found[run.name] is None]
        fits = sum(run.n_fits for run in todo)
        rank_zero_info(
            f"\n== {what}: {fits} fits in {len(todo)} runs, {min(self._n, max(len(todo), 1))} at a time; "
            f"{len(runs) - len(todo)} runs are finished already =="
        )
        done, started = 0, time.monotonic()
        for run, record in self._each(todo, work):
            found[run.name] = record
            done += run.n_fits
            left = (fits - done) * (time.monotonic() - started) / done / 60
            rank_zero_info(f"[{done}/{fits}] {run.name}; about {left:.1f} minutes left")
        return {name: record for name, record in found.items() if record is not None}

    def _each(self, todo: Sequence[Run], work: Work) -> Iterator[tuple[Run, Record]]:
        if self._pool is None:
            yield from ((run, work(run)) for run in todo)
            return
        logs = self._output_dir / "logs"
        futures = {self._pool.submit(_logged, partial(work, run), logs / f"{run.name}.log"): run for run in todo}
        try:
            for future in as_completed(futures):
                run = futures[future]
                try:
                    yield run, future.result()
                except BrokenProcessPool as error:
                    raise RunError(
                        f"{run.name}: a process ended by force, perhaps for lack of memory. Set jobs lower, and run "
                        f"the same command again: what is finished is kept. What they said is in {logs}."
                    ) from error
        finally:  # what has begun ends first: a caller that goes on after a failure must not begin it a second time
            for future in futures:
                future.cancel()
            wait(futures)


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start() -> None:
    """Prepare a process of the pool."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's processes wait for work for ever where the one that gives it was killed: its siblings keep the queue."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _logged(work: Callable[[], Record], log: Path) -> Record:
    """Do a run with all output in a file.

    Raises:
        RunError: Instead of what the run raised, which another process could perhaps not take; names the file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with _output_to(log):
        try:
            return work()
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            own = own_error(error)
            text = str(own) if own else f"{type(error).__name__}: {error}."
            raise RunError(f"{log.stem}: {text} All that it said is in {log}.") from None


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send this process's output to a file, also what libraries and already made handlers write."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(1), os.dup(2)]
    with log.open("w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in enumerate(before, start=1):
                os.dup2(copy, number)
                os.close(copy)
