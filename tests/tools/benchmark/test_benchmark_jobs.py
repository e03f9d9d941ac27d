"""Runs in processes of their own, and what they leave when they fail."""

import json
import os
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from pttrust_lightning.errors import RunError, SchemaError
from pttrust_lightning.tools.benchmark.jobs import Jobs, usable_cpus
from pttrust_lightning.tools.benchmark.plan import Run


def runs(n):
    return [Run("pretrain", f"run{i}", (), (), i, f"key{i}") for i in range(n)]


def work(run, folder, seconds=0.0):
    """What is picked up in another process: it says something, leaves a record, and may fail."""
    print(f"{run.name} works")
    os.write(2, b"and a library complains\n")
    if run.seed == 2 and not (folder / "mended").exists():
        raise SchemaError("labels.jsonl", 3, "id", "is missing", "Add it.")
    if run.seed == 3 and not (folder / "mended").exists():
        sys.exit(2)
    time.sleep(seconds)
    (folder / run.name).mkdir()
    record = {"key": run.key, "result": ".", "process": os.getpid()}
    (folder / run.name / "finished.json").write_text(json.dumps(record))
    return record


@pytest.mark.parametrize("n", [1, 2])
def test_a_failure_is_said_and_what_is_finished_is_kept(n, tmp_path, capfd):
    jobs = Jobs(n, tmp_path)
    try:
        with pytest.raises(SchemaError if n == 1 else RunError, match=r"labels\.jsonl, record 3, field 'id'") as failed:
            jobs.do("stage 1", runs(3), partial(work, folder=tmp_path))
        if n > 1:
            assert str(tmp_path / "logs" / "run2.log") in str(failed.value)
            with pytest.raises(RunError, match="run3: SystemExit: 2"):
                jobs.do("more", runs(4)[3:], partial(work, folder=tmp_path))
        (tmp_path / "mended").touch()
        again = jobs.do("stage 1", runs(4), partial(work, folder=tmp_path))
    finally:
        jobs.close()
    assert list(again) == ["run0", "run1", "run2", "run3"]
    own = {record["process"] == os.getpid() for record in again.values()}
    assert own == {n == 1}
    said = capfd.readouterr()
    assert ("run0 works" in said.out) == (n == 1)
    if n > 1:
        log = (tmp_path / "logs" / "run0.log").read_text().splitlines()
        assert sorted(log) == ["and a library complains", "run0 works"]
        assert "SchemaError" not in said.err, "its traceback is in the log"


def test_what_had_begun_is_finished_before_a_failure_is_said(tmp_path):
    slow = partial(work, folder=tmp_path, seconds=1.0)
    jobs = Jobs(2, tmp_path)
    try:
        with pytest.raises(RunError, match="run2"):
            jobs.do("stage 1", [*runs(3)[::-1], *runs(12)[4:]], slow)
        begun = {log.stem for log in (tmp_path / "logs").iterdir()} - {"run2"}
        assert begun == {record.parent.name for record in tmp_path.glob("*/finished.json")}
        assert 1 <= len(begun) < 10, "the rest is left"
    finally:
        jobs.close()


def test_nothing_is_done_twice_and_the_cost_is_said(tmp_path, caplog):
    caplog.set_level("INFO")
    jobs = Jobs(1, tmp_path)
    jobs.do("stage 1", runs(1), partial(work, folder=tmp_path))
    found = jobs.do("stage 1", runs(2), partial(work, folder=tmp_path))
    assert list(found) == ["run0", "run1"]
    assert "stage 1: 1 fits in 1 runs, 1 at a time; 1 runs are finished already" in caplog.text
    assert "[1/1] run1; about 0.0 minutes left" in caplog.text


def die(run):
    os._exit(1)


def test_a_process_that_dies_is_said(tmp_path):
    jobs = Jobs(2, tmp_path)
    try:
        with pytest.raises(RunError, match="run0: a process ended by force, perhaps for lack of memory"):
            jobs.do("stage 1", runs(1), die)
    finally:
        jobs.close()


def said_and_slow(run, folder):
    (folder / f"{run.name}-{os.getpid()}").touch()
    time.sleep(600)


def run_jobs(folder):
    Jobs(2, folder).do("stage 1", runs(2), partial(said_and_slow, folder=folder))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes by /proc")
def test_processes_end_where_the_benchmark_is_killed(tmp_path):
    parent = get_context("spawn").Process(target=run_jobs, args=(tmp_path,))
    parent.start()
    begun = waited_for(lambda: [int(p.name.partition("-")[2]) for p in tmp_path.glob("run*-*")], lambda f: len(f) == 2)
    assert len(begun) == 2
    parent.kill()
    parent.join()
    left = waited_for(lambda: [pid for pid in begun if is_running(pid)], lambda found: not found)
    assert left == [], "they would wait for ever"


def waited_for(look, enough, seconds=60):
    end = time.monotonic() + seconds
    while not enough(found := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def is_running(pid):
    """Whether there is such a process that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_there_is_a_cpu():
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)
