"""Problems with tests, candidate programs for them, and what running the tests said.

A problem's JSONL record: ``id``, ``language``, ``prompt`` and ``test``; optional ``entry_point``, ``reference``,
``files`` (an object of file name to text), ``completes_prompt`` and ``group``. A candidate's record: ``id``,
``problem_id`` and ``code``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from pttrust_lightning.source.jsonl import Record, read_records

Verdict = Literal["correct", "wrong", "timeout", "crashed"]
"""What a test run said of a program.

- ``correct``: every test ran and passed.
- ``wrong``: a test failed, the program raised an exception or ended itself before the tests finished, or it does not
  compile.
- ``timeout``: the limit on wall or CPU time was reached. It says nothing on the program: slow is not wrong.
- ``crashed``: the run died otherwise: a signal, the memory limit, the output limit.
"""

PROBLEM_FIELDS = ("id", "language", "prompt", "test", "entry_point", "reference", "files", "completes_prompt", "group")
CANDIDATE_FIELDS = ("id", "problem_id", "code")


@dataclass(frozen=True, slots=True)
class Problem:
    """A programming problem with the tests that decide on a program.

    Attributes:
        id: Unique within its set.
        language: Lower-case name, such as ``python``.
        prompt: What an LLM is given: statement, signature.
        test: Code that follows the program and fails where the program is wrong. :mod:`.suites` says what each
            language makes of it.
        entry_point: The function or class that is tested; may be empty.
        reference: Code known to be right, of the same form as a candidate's; None where there is none.
        files: Text of further files beside the program, by relative name.
        completes_prompt: Whether ``code`` of a candidate goes on where the prompt ends, as in HumanEval. Else the code
            is a whole program without the prompt.
        group: What the problem is in any language, such as ``HumanEval/7``; the labels' splits go by it. Empty: its id.
        origin: Where the problem came from, for messages; may be empty.
    """

    id: str
    language: str
    prompt: str
    test: str
    entry_point: str = ""
    reference: str | None = None
    files: Mapping[str, str] = field(default_factory=dict, hash=False)
    completes_prompt: bool = True
    group: str = ""
    origin: str = ""

    def program(self, code: str) -> str:
        """The text of the whole program that a candidate's ``code`` makes."""
        return self.prompt + code if self.completes_prompt else code


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program offered as a solution.

    Attributes:
        id: Unique within its set.
        problem_id: The problem it is for.
        code: What follows the problem's prompt, or the whole program (:attr:`Problem.completes_prompt`).
        origin: Where the candidate came from, for messages; may be empty.
    """

    id: str
    problem_id: str
    code: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class TestRun:
    """What running a problem's tests said of one candidate.

    Attributes:
        candidate_id: The candidate.
        verdict: The answer.
        detail: Why, in a few words: ``assertion``, ``exception: KeyError``, ``does not compile``, ``memory limit``, ...
        seconds: Wall time of the run.
        output: The end of what it printed, at most a few kB.
    """

    __test__ = False  # not a test of this project's, for pytest

    candidate_id: str
    verdict: Verdict
    detail: str
    seconds: float
    output: str


def read_problems(path: str) -> list[Problem]:
    """Read problems from a JSONL file.

    Raises:
        SourceError: The file cannot be used.
        SchemaError: A record does not follow the schema, or repeats an id.
    """
    return list(_distinct(path, _problem))


def read_candidates(path: str) -> list[Candidate]:
    """Read candidates from a JSONL file.

    Raises:
        SourceError: The file cannot be used.
        SchemaError: A record does not follow the schema, or repeats an id.
    """
    return list(_distinct(path, _candidate))


def write_problems(path: str, problems: Iterable[Problem]) -> None:
    """Write problems so that :func:`read_problems` reads the same (but for their origin)."""
    _write(path, ({name: getattr(problem, name) for name in PROBLEM_FIELDS} for problem in problems))


def write_candidates(path: str, candidates: Iterable[Candidate]) -> None:
    """Write candidates so that :func:`read_candidates` reads the same (but for their origin)."""
    _write(path, ({name: getattr(candidate, name) for name in CANDIDATE_FIELDS} for candidate in candidates))


def reference_candidates(problems: Iterable[Problem]) -> list[Candidate]:
    """The problems' own solutions as candidates, ``<problem id>#reference``.

    A suite whose reference does not pass its own tests judges nothing: run these first.
    """
    return [Candidate(f"{p.id}#reference", p.id, p.reference, p.origin) for p in problems if p.reference is not None]


def _problem(record: Record) -> Problem:
    record.reject_unknown_fields(PROBLEM_FIELDS)
    return Problem(
        id=record.text("id"),
        language=record.text("language"),
        prompt=record.text("prompt"),
        test=record.text("test"),
        entry_point=record.text("entry_point", ""),
        reference=record.text("reference") if record.has("reference") else None,
        files=_files(record),
        completes_prompt=_flag(record, "completes_prompt", default=True),
        group=record.text("group", ""),
        origin=f"{record.path}:{record.number}",
    )


def _candidate(record: Record) -> Candidate:
    record.reject_unknown_fields(CANDIDATE_FIELDS)
    origin = f"{record.path}:{record.number}"
    return Candidate(record.text("id"), record.text("problem_id"), record.text("code"), origin)


def _files(record: Record) -> dict[str, str]:
    files = record.fields.get("files") or {}
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise record.error("files", "not an object of file name to text", 'Write it as {"data.json": "..."}.')
    for name in files:
        if not is_inside(name):
            raise record.error("files", f"the name {name!r} leaves the program's folder", "Use a plain relative name.")
    return files


def is_inside(name: str) -> bool:
    """Whether a relative file name stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _flag(record: Record, name: str, default: bool) -> bool:
    value = record.fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise record.error(name, "not true or false", "Write true or false, without quotes.")
    return value


Item = TypeVar("Item", Problem, Candidate)


def _distinct(path: str, parse: Callable[[Record], Item]) -> Iterator[Item]:
    first: dict[str, int] = {}
    for record in read_records(path):
        item = parse(record)
        if item.id in first:
            raise record.error("id", f"{item.id!r} is record {first[item.id]}'s too", "Give each its own id.")
        first[item.id] = record.number
        yield item


def _write(path: str, records: Iterable[Mapping[str, Any]]) -> None:
    with Path(path).expanduser().open("w", encoding="utf-8", newline="\n") as stream:
        for record in records:
            stream.write(json.dumps(dict(record), ensure_ascii=False) + "\n")
