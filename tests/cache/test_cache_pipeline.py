from __future__ import annotations

import signal
import threading
import time

import pytest

from pttrust_lightning.cache.pipeline import run_pipeline


def run(
    items=range(10),
    work=lambda x: x,
    store=lambda x: x,
    on_stored=lambda x: None,
    stop=lambda: None,
    size=lambda x: 1,
    most=2,
):
    run_pipeline(iter(items), work, store, on_stored, stop, size, most)


@pytest.fixture(autouse=True)
def _threads_end():
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("cache-")]


def test_every_item_is_worked_on_and_stored_in_order():
    stored, told = [], []
    run(work=lambda x: x * x, store=lambda x: stored.append(x) or -x, on_stored=told.append)
    assert stored == [x * x for x in range(10)]
    assert told == [-x for x in stored]
    run(items=[])


def test_each_step_has_its_thread():
    seen = {"work": set(), "store": set(), "make": set(), "told": set()}

    def note(step, value):
        seen[step].add(threading.current_thread().name)
        return value

    run(
        (note("make", x) for x in range(5)),
        lambda x: note("work", x),
        lambda x: note("store", x),
        lambda x: note("told", x),
    )
    assert all(len(names) == 1 for names in seen.values())
    assert seen["work"] == seen["told"] == {threading.current_thread().name}
    assert len(set.union(*seen.values())) == 3


def test_storing_and_making_overlap_with_work():
    """Each step waits for the others to be at it too: one after the other would never end."""
    barrier = threading.Barrier(2)

    def store(x):
        if x == 0:
            barrier.wait(30)

    def work(x):
        if x == 1:
            barrier.wait(30)
        return x

    run(work=work, store=store)


def test_no_more_than_one_result_waits_for_the_disk():
    worked, stored, most = [], [], []

    def work(x):
        most.append(len(worked) - len(stored))
        worked.append(x)
        return x

    def slow(x):
        time.sleep(0.005)
        stored.append(x)

    run(range(30), work, slow)
    assert max(most) == 1
    assert stored == list(range(30))


@pytest.mark.parametrize("sizes", [[1] * 20, [1, 3, 1, 1, 2, 2, 1, 5, 1, 1, 1], [4, 4, 4], [5, 5, 1, 1]])
def test_no_more_is_under_way_than_was_allowed_but_for_what_is_larger_by_itself(sizes):
    most, under_way, seen, stored = 4, [], [], []

    def work(i):
        under_way.append(sizes[i])
        seen.append(sum(under_way))
        return i

    def slow(i):
        time.sleep(0.005)
        stored.append(i)
        under_way.remove(sizes[i])

    run(range(len(sizes)), work, slow, size=sizes.__getitem__, most=most)
    assert stored == list(range(len(sizes)))
    assert max(seen) <= max(most, *sizes)


class Odd(Exception):
    pass


@pytest.mark.parametrize("step", ["items", "work", "store", "on_stored"])
@pytest.mark.parametrize("error", [Odd("odd"), KeyboardInterrupt(), SystemExit(3), StopIteration()])
@pytest.mark.parametrize("position", [0, 4, 9])
def test_what_a_step_raises_reaches_the_caller_unchanged(step, error, position):
    if isinstance(error, StopIteration) and step == "items":
        pytest.skip("that is how items end")
    stored, stopped = [], []

    def failing(name, note=lambda x: None):
        def call(x):
            if name == step and x == position:
                raise error
            note(x)
            return x

        return call

    with pytest.raises(type(error)) as caught:
        run(
            map(failing("items"), range(10)),
            failing("work"),
            failing("store", stored.append),
            failing("on_stored"),
            lambda: stopped.append(True),
        )
    assert caught.value is error
    assert stopped == [True]
    if step in ("items", "work"):
        assert stored == list(range(position))  # what had been read is stored
    elif step == "store":
        assert stored == list(range(position))  # and nothing after what could not be


def test_a_failure_to_store_on_the_way_out_is_not_lost():
    def store(x):
        time.sleep(0.05)
        raise OSError("disk full")

    def work(x):
        if x == 1:
            raise KeyboardInterrupt
        return x

    with pytest.raises(KeyboardInterrupt) as caught:
        run(work=work, store=store)
    assert caught.value.__notes__ == ["Storing what was read before that failed too: disk full"]


@pytest.mark.parametrize("waiting_for", ["items", "store"])
def test_an_impatient_user_ends_it_and_what_is_being_stored_is_whole(waiting_for):
    """Ctrl-C while the caller waits for a thread, and twice more while it ends."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    asked_to_stop, stored = threading.Event(), []

    def end(step):
        if step == waiting_for:
            asked_to_stop.wait(30)
            time.sleep(0.3)  # longer than the user has patience

    def items():
        yield from range(2)
        end("items")

    def store(x):
        end("store")
        stored.append(x)

    def interrupt():
        for pause in (0.1, 0.1, 0.1):
            time.sleep(pause)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    user = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            user.start()
            run(items(), store=store, stop=asked_to_stop.set)
        user.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert stored == {"items": [0, 1], "store": [0]}[waiting_for]
