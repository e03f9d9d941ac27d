"""Real suites: the programs that benchmarks call buggy are wrong here, and the correct ones correct."""

from __future__ import annotations

from collections import Counter

import pytest

from pttrust_lightning.errors import SourceError
from pttrust_lightning.labelling.benchmarks import (
    humanevalpack_candidates,
    humanevalpack_problems,
    quixbugs_candidates,
    quixbugs_problems,
)
from pttrust_lightning.labelling.problems import reference_candidates
from pttrust_lightning.labelling.sandbox import Limits
from pttrust_lightning.labelling.verdicts import run_tests

# Bugs that keep the program from ending, so that the tests never say what is wrong with it.
ENDLESS = {
    "python": {"Python/10", "Python/156", "Python/160"},
    "java": {"Java/10", "Java/39", "Java/76"},
    "javascript": {"JavaScript/10", "JavaScript/155", "JavaScript/156"},
    "quixbugs": {"QuixBugs/bitcount", "QuixBugs/sqrt"},
}
# Endless too, but by filling an array: the memory limit comes first.
FILLS_MEMORY = {"JavaScript/25"}


def suite(shared_data, name):
    if name == "quixbugs":
        folder = str(shared_data / "quixbugs")
        return quixbugs_problems(folder), quixbugs_candidates(folder)
    folder = str(shared_data / "humanevalpack")
    return humanevalpack_problems(folder, name), humanevalpack_candidates(folder, name)


def expected(candidate_id: str, name: str) -> str:
    problem, kind = candidate_id.split("#")
    if kind == "correct":
        return "correct"
    return "timeout" if problem in ENDLESS[name] else "crashed" if problem in FILLS_MEMORY else "wrong"


@pytest.mark.parametrize(("name", "every"), [("python", 12), ("javascript", 16), ("java", 164), ("quixbugs", 4)])
def test_sample(sandbox, toolchain, shared_data, name, every):
    toolchain("python" if name == "quixbugs" else name)
    problems, candidates = suite(shared_data, name)
    chosen = {problem.id for problem in problems[1::every]} - ENDLESS[name]
    runs = list(run_tests(problems, [c for c in candidates if c.problem_id in chosen], sandbox))
    assert len(runs) == 2 * len(chosen)
    assert {run.candidate_id: run.verdict for run in runs} == {
        run.candidate_id: expected(run.candidate_id, name) for run in runs
    }


def test_endless_bug_is_a_timeout_and_not_wrong(sandbox, shared_data):
    problems, candidates = suite(shared_data, "quixbugs")
    chosen = [c for c in candidates if c.id == "QuixBugs/bitcount#buggy"]
    assert next(run_tests(problems, chosen, sandbox, Limits(cpu_seconds=1))).verdict == "timeout"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ENDLESS))
def test_every_program(sandbox, toolchain, shared_data, name):
    toolchain("python" if name == "quixbugs" else name)
    problems, candidates = suite(shared_data, name)
    runs = list(run_tests(problems, candidates, sandbox, Limits(wall_seconds=60)))
    unexpected = {run.candidate_id: run for run in runs if run.verdict != expected(run.candidate_id, name)}
    assert not unexpected
    buggy = Counter(run.verdict for run in runs if run.candidate_id.endswith("#buggy"))
    assert buggy["wrong"] >= 0.95 * buggy.total()


def test_problems_are_complete(shared_data):
    for name, count in (("python", 164), ("java", 164), ("javascript", 164), ("quixbugs", 40)):
        problems, candidates = suite(shared_data, name)
        assert len(problems) == len(reference_candidates(problems)) == count
        assert len(candidates) == len({candidate.id for candidate in candidates}) == 2 * count


def test_quixbugs_problem_says_what_to_write(shared_data):
    gcd = next(p for p in quixbugs_problems(str(shared_data / "quixbugs")) if p.id == "QuixBugs/gcd")
    assert gcd.prompt.startswith("Input:") and "greatest int that divides" in gcd.prompt
    assert not gcd.completes_prompt
    assert "python_programs" not in gcd.test


def test_language_that_is_not_there_is_named(tmp_path):
    (tmp_path / "python.jsonl").write_text('{"task_id": "Python/0"}\n')
    with pytest.raises(SourceError, match="holds no HumanEvalPack problem in java"):
        humanevalpack_problems(str(tmp_path), "java")


def test_folder_that_is_not_quixbugs_is_named(tmp_path):
    with pytest.raises(SourceError, match="holds no python_testcases"):
        quixbugs_problems(str(tmp_path))
