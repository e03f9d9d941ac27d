"""Run the tests of many candidates: in parallel, in order, and each only once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pttrust_lightning.errors import SourceError
from pttrust_lightning.labelling.answer_cache import AnswerCache, content_key
from pttrust_lightning.labelling.problems import Candidate, Problem, TestRun
from pttrust_lightning.labelling.sandbox import Limits, Sandbox
from pttrust_lightning.labelling.suites import Outcome, run_program, suite_files, suite_for

RUNNER_VERSION = 1
"""Raised whenever the same program may get another verdict for a reason that is not in the cache's key."""

_log = logging.getLogger(__name__)


def run_tests(
    problems: Iterable[Problem],
    candidates: Iterable[Candidate],
    sandbox: Sandbox,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    *,
    jobs: int = 0,
    cache: str | Path | None = None,
    progress: bool = False,
) -> Iterator[TestRun]:
    """Yield one run for each candidate, in their order.

    Before the first run of a language its toolchain is tried in the sandbox, so that a broken one fails the whole run
    and judges nobody.

    Args:
        problems: The problems; more than the candidates need is no harm.
        candidates: The programs to judge.
        sandbox: Where they run.
        limits: What each run may use.
        jobs: Runs at one time; 0 for one a CPU.
        cache: A JSONL file of verdicts, made where it is missing. A run that was cut short goes on where it stopped;
            a verdict is used again only for the same program, test, files, limits and versions of the tools.
        progress: Whether to show a bar.

    Raises:
        SourceError: Two problems share an id, a candidate names no problem, or a test cannot be run.
        ToolchainError: A language's tools are missing from the sandbox, or do not work in it.
        SandboxError: The sandbox failed. No verdict is made up; those already in the cache stay.
    """
    by_id = _by_id(problems)
    todo = [(candidate, _problem_of(candidate, by_id)) for candidate in candidates]
    known = AnswerCache(Path(cache).expanduser()) if cache is not None else None
    toolchains = {
        language: suite_for(problem).toolchain(sandbox, limits)
        for language, problem in {problem.language: problem for _, problem in todo}.items()
    }
    for language, versions in toolchains.items():
        _log.info("Tests in %s run in %s with %s", language, sandbox.name, versions.replace("\n", ", "))

    def run(candidate: Candidate, problem: Problem) -> TestRun:
        program = problem.program(candidate.code)
        if known is None:
            return _test_run(candidate, run_program(problem, program, sandbox, limits))
        key = _key(problem, program, limits, toolchains[problem.language], sandbox.name)
        if key not in known:
            known.put(key, dataclasses.asdict(run_program(problem, program, sandbox, limits)))
        return _test_run(candidate, Outcome(**known[key]))

    runs = _in_order([functools.partial(run, *pair) for pair in todo], jobs or len(os.sched_getaffinity(0)))
    yield from tqdm(runs, total=len(todo), desc="tests", unit="program", disable=not progress)


def _in_order(calls: list[Callable[[], Any]], jobs: int) -> Iterator[Any]:
    """Results of ``calls``, in order, a few of them ahead; where one raises, those not begun are given up."""
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="tests") as pool:
        remaining = iter(calls)
        try:
            waiting.extend(pool.submit(call) for call in itertools.islice(remaining, 4 * jobs))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(call) for call in itertools.islice(remaining, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def _by_id(problems: Iterable[Problem]) -> dict[str, Problem]:
    by_id: dict[str, Problem] = {}
    for problem in problems:
        if problem.id in by_id:
            raise SourceError(
                f"Two problems have the id '{problem.id}' ({by_id[problem.id].origin}; {problem.origin}). Rename one."
            )
        by_id[problem.id] = problem
    return by_id


def _problem_of(candidate: Candidate, by_id: dict[str, Problem]) -> Problem:
    if candidate.problem_id not in by_id:
        raise SourceError(
            f"{candidate.origin or 'The candidates'}: '{candidate.id}' is for problem '{candidate.problem_id}', which "
            "is not among the problems. Name the file that holds it."
        )
    return by_id[candidate.problem_id]


def _key(problem: Problem, program: str, limits: Limits, toolchain: str, sandbox: str) -> str:
    files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in suite_files(problem, program).items()}
    return content_key(
        version=RUNNER_VERSION,
        language=problem.language,
        entry_point=problem.entry_point,
        files=files,  # program and test are among them, and so is the runner
        command=suite_for(problem).command,
        limits=dataclasses.asdict(limits),
        toolchain=toolchain,
        sandbox=sandbox,
    )


def _test_run(candidate: Candidate, outcome: Outcome) -> TestRun:
    return TestRun(candidate.id, outcome.verdict, outcome.detail, outcome.seconds, outcome.output)
