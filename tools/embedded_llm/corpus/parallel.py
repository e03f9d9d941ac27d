"""Files spread over processes that all know the benchmarks; results come in the order of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from types import TracebackType
from typing import TypeVar

from tools.embedded_llm.corpus.contamination import BenchmarkIndex, read_benchmarks

_CHUNK = 64
_BLOCK = 4096
"""Items handed out at a time: a pool would otherwise hold a copy of the whole corpus."""

T = TypeVar("T")
R = TypeVar("R")

_index: BenchmarkIndex | None = None


def benchmark_index() -> BenchmarkIndex | None:
    """The benchmarks that this process compares files with; None where nothing is compared."""
    return _index


def _start(benchmarks: str | None) -> None:
    global _index
    _index = None if benchmarks is None else read_benchmarks(benchmarks)


class Pool:
    """Processes that apply functions to many files; this process alone where ``workers`` is 1.

    Args:
        workers: Number of processes.
        benchmarks: Folder of the benchmarks; None to compare with none.
    """

    def __init__(self, workers: int, benchmarks: str | None) -> None:
        self._workers = workers
        self._benchmarks = benchmarks
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        _start(self._benchmarks)  # here too: a missing benchmark is refused before any file is read
        if self._workers > 1:
            self._executor = ProcessPoolExecutor(self._workers, initializer=_start, initargs=(self._benchmarks,))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _start(None)
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """``function`` of every item, in order."""
        if self._executor is None:
            yield from map(function, items)
            return
        remaining = iter(items)
        while block := list(islice(remaining, _BLOCK)):
            yield from self._executor.map(function, block, chunksize=_CHUNK)
