"""Three steps that overlap: items are made in one thread, worked on in the caller's, and stored in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


def run_pipeline(
    items: Iterator[T],
    work: Callable[[T], U],
    store: Callable[[U], V],
    on_stored: Callable[[V], None],
    stop: Callable[[], None],
    size: Callable[[T], float],
    most: float,
) -> None:
    """Work on every item and store every result, in order.

    One item is made ahead, and one result is being stored while the next item is worked on, where both together are
    within ``most``; otherwise the work waits until the result is stored. So memory is bounded whichever step is
    slowest, and a process that is killed loses work on items of no more than that size, or on the single one that is
    larger. A longer queue would only lose more: storing is either quicker than the work, or the queue is full.

    What any step raises is raised here, unchanged, once both threads have ended. A result that was there before an
    error or an interrupt is stored first; another interrupt does not stop that.

    Args:
        items: Advanced in the producer's thread only.
        work: Called in the caller's thread.
        store: Called in the writer's thread.
        on_stored: Told what each ``store`` returned, in the caller's thread, before the next is stored.
        stop: Asks ``items`` to end early; called when something has failed.
        size: What an item counts for, from when it is worked on until its result is stored.
        most: Of that, what may be under way at once.
    """
    producer = ThreadPoolExecutor(1, thread_name_prefix="cache-producer")
    writer = ThreadPoolExecutor(1, thread_name_prefix="cache-writer")
    storing: Future[V] | None = None
    stored_size = 0.0
    ahead = producer.submit(next, items, None)
    try:
        while (item := ahead.result()) is not None:
            ahead = producer.submit(next, items, None)
            item_size = size(item)
            # what is done is looked at too: a full disk is noticed before the next item is worked on
            if storing is not None and (storing.done() or stored_size + item_size > most):
                on_stored(storing.result())
                storing = None
            result = work(item)
            if storing is not None:
                on_stored(storing.result())
            storing, stored_size = writer.submit(store, result), item_size
            del result, item  # held by the writer alone: let go of as soon as it is stored
        if storing is not None:
            on_stored(storing.result())
    except BaseException as error:
        stop()
        _end(writer, storing)
        failure = storing.exception() if storing is not None else None
        if failure is not None and failure is not error:
            error.add_note(f"Storing what was read before that failed too: {failure}")
        raise
    finally:
        _end(producer, ahead)
        _end(writer, storing)


def _end(executor: ThreadPoolExecutor, last: Future[Any] | None) -> None:
    """Wait for a thread to end what it is at, however often the user interrupts."""
    while True:
        try:
            if last is not None:
                wait([last])  # not by joining the thread: Python 3.11 takes one for ended whose join was interrupted
            executor.shutdown(wait=True)
            return
        except KeyboardInterrupt:
            continue
