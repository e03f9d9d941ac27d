from __future__ import annotations

import itertools
import json

import pytest

from pttrust_lightning.errors import SandboxError, SourceError, ToolchainError
from pttrust_lightning.labelling.problems import Candidate, Problem
from pttrust_lightning.labelling.sandbox import Completed, Limits, Sandbox
from pttrust_lightning.labelling.verdicts import run_tests

PROBLEMS = [
    Problem("even", "python", "def even(n):\n", "assert even(2) and not even(3)", origin="problems.jsonl:1"),
    Problem("one", "javascript", "", "console.assert(one === 1)"),
]
CANDIDATES = [
    Candidate("a", "even", "    return n % 2 == 0\n"),
    Candidate("b", "one", "const one = 2\n"),
    Candidate("c", "even", "    return True\n"),
    Candidate("d", "one", "const one = 1\n"),
    Candidate("e", "even", "    import time; time.sleep(0.2); return n % 2 == 0\n"),
    Candidate("f", "even", "    return False\n"),
]
EXPECTED = [("a", "correct"), ("b", "wrong"), ("c", "wrong"), ("d", "correct"), ("e", "correct"), ("f", "wrong")]


class Counting(Sandbox):
    """A sandbox that counts its runs, and fails after some."""

    def __init__(self, inner: Sandbox, fail_after: int = 10**6) -> None:
        self.inner, self.fail_after, self.runs = inner, fail_after, itertools.count(1)
        self.name, self.started = inner.name, 0

    def _run(self, command, files, limits, stdin) -> Completed:
        self.started = next(self.runs)
        if self.started > self.fail_after:
            raise SandboxError("the sandbox is gone")
        return self.inner._run(command, files, limits, stdin)


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_candidate_has_its_verdict_in_order(sandbox, toolchain, jobs):
    toolchain("javascript")
    runs = list(run_tests(PROBLEMS, CANDIDATES, sandbox, jobs=jobs))
    assert [(run.candidate_id, run.verdict) for run in runs] == EXPECTED
    assert all(run.seconds > 0 for run in runs)


def test_second_run_takes_its_verdicts_from_the_cache(sandbox, toolchain, tmp_path):
    toolchain("javascript")
    cache = tmp_path / "new" / "verdicts.jsonl"
    first = list(run_tests(PROBLEMS, CANDIDATES, sandbox, cache=cache))
    counting = Counting(sandbox)
    assert list(run_tests(PROBLEMS, list(reversed(CANDIDATES)), counting, cache=cache)) == first[::-1]
    assert counting.started == 2 * 4  # the trial of two toolchains: one to find the tool, two programs, the version
    again = list(run_tests(PROBLEMS, CANDIDATES, counting, Limits(wall_seconds=29), cache=cache))
    assert counting.started == 2 * 8 + len(CANDIDATES), "other limits may give other verdicts"
    assert [run.verdict for run in again] == [run.verdict for run in first]


def test_cut_short_run_goes_on_where_it_stopped(sandbox, toolchain, tmp_path):
    toolchain("javascript")
    cache = tmp_path / "verdicts.jsonl"
    failing = Counting(sandbox, fail_after=8 + 3)
    with pytest.raises(SandboxError, match="the sandbox is gone"):
        list(run_tests(PROBLEMS, CANDIDATES, failing, jobs=1, cache=cache))
    assert len(cache.read_text().splitlines()) == 3
    with cache.open("a") as stream:
        stream.write('{"key": "torn')
    counting = Counting(sandbox)
    runs = list(run_tests(PROBLEMS, CANDIDATES, counting, jobs=1, cache=cache))
    assert [(run.candidate_id, run.verdict) for run in runs] == EXPECTED
    assert counting.started == 8 + 3
    assert all(json.loads(line)["verdict"] for line in cache.read_text().splitlines())


def test_other_test_or_program_is_run_anew(sandbox, tmp_path):
    cache = tmp_path / "verdicts.jsonl"
    problem, candidate = Problem("p", "python", "", "assert x == 1", entry_point="x"), Candidate("c", "p", "x = 1")
    assert next(run_tests([problem], [candidate], sandbox, cache=cache)).verdict == "correct"
    other_test = Problem("p", "python", "", "assert x == 2", entry_point="x")
    assert next(run_tests([other_test], [candidate], sandbox, cache=cache)).verdict == "wrong"
    assert next(run_tests([problem], [Candidate("c", "p", "x = 3")], sandbox, cache=cache)).verdict == "wrong"
    other_file = Problem("p", "python", "", "assert x == 1", entry_point="x", files={"more.txt": ""})
    assert next(run_tests([other_file], [candidate], sandbox, cache=cache)).verdict == "correct"
    assert len(cache.read_text().splitlines()) == 4


def test_candidate_without_a_problem_is_named(sandbox):
    with pytest.raises(SourceError, match=r"c\.jsonl:3: 'x' is for problem 'odd', which is not among the problems"):
        list(run_tests(PROBLEMS, [Candidate("x", "odd", "", "c.jsonl:3")], sandbox))


def test_problems_that_share_an_id_are_refused(sandbox):
    with pytest.raises(SourceError, match="Two problems have the id 'even'"):
        list(run_tests([PROBLEMS[0], PROBLEMS[0]], [], sandbox))


def test_broken_toolchain_stops_before_any_verdict(sandbox, tmp_path):
    class NothingWorks(Counting):
        def _run(self, command, files, limits, stdin):
            return super()._run(["/bin/sh", "-c", 'echo "$0"', command[3]], {}, limits, stdin)

    with pytest.raises(ToolchainError, match="python tools do not work"):
        list(run_tests(PROBLEMS, CANDIDATES, NothingWorks(sandbox), cache=tmp_path / "verdicts.jsonl"))
    assert not (tmp_path / "verdicts.jsonl").exists()


def test_no_candidates_no_runs(sandbox):
    counting = Counting(sandbox)
    assert list(run_tests(PROBLEMS, [], counting)) == []
    assert counting.started == 0
