"""Problems of public benchmarks, with the right and the wrong program that each comes with."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pttrust_lightning.errors import SourceError
from pttrust_lightning.labelling.problems import Candidate, Problem
from pttrust_lightning.source.jsonl import Record, read_file_or_folder
from pttrust_lightning.source.labelled.humanevalpack import language_and_problem

_HUMANEVALPACK_LANGUAGES = ("python", "java", "javascript", "cpp")

# The one package outside Node.js itself that HumanEvalPack's JavaScript asks for, by what Node.js has.
_JS_MD5 = """module.exports = (text) => require("crypto").createHash("md5").update(text).digest("hex");\n"""

_LOAD_TESTDATA = """import json


def load_json_testcases(algorithm):
    with open("testcases.json", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream if line.strip()]
"""


def humanevalpack_problems(path: str, language: str) -> list[Problem]:
    """HumanEvalPack's problems (OctoPack, arXiv 2308.07124) in one language, with the correct solutions as references.

    Args:
        path: A JSONL file as published, or a folder of such files.
        language: ``python``, ``java``, ``javascript`` or ``cpp``.

    Raises:
        SourceError: The path cannot be read, or holds no problem in that language.
        SchemaError: A record lacks a field.
    """
    return [
        Problem(
            id=record.text("task_id"),
            language=language,
            prompt=record.text("prompt"),
            test=record.text("test"),
            entry_point=record.text("entry_point"),
            reference=record.text("canonical_solution"),
            files={"node_modules/js-md5/index.js": _JS_MD5} if language == "javascript" else {},
            group=language_and_problem(record, record.text("task_id"))[1],
            origin=f"{record.path}:{record.number}",
        )
        for record in _humanevalpack(path, language)
    ]


def humanevalpack_candidates(path: str, language: str) -> list[Candidate]:
    """HumanEvalPack's correct and buggy solutions: ``<task id>#correct`` and ``<task id>#buggy``; errors as above."""
    return [
        Candidate(f"{record.text('task_id')}#{name}", record.text("task_id"), record.text(field), record.path)
        for record in _humanevalpack(path, language)
        for name, field in (("correct", "canonical_solution"), ("buggy", "buggy_solution"))
    ]


def _humanevalpack(path: str, language: str) -> Iterator[Record]:
    found = False
    for record in read_file_or_folder(path, "python.jsonl, java.jsonl"):
        own, _ = language_and_problem(record, record.text("task_id"))
        if own == language and language in _HUMANEVALPACK_LANGUAGES:
            found = True
            yield record
    if not found:
        raise SourceError(
            f"{path} holds no HumanEvalPack problem in {language}. Choose from {', '.join(_HUMANEVALPACK_LANGUAGES)}, "
            "and name the file of that language or the folder of all."
        )


def quixbugs_problems(folder: str) -> list[Problem]:
    """QuixBugs' 40 Python problems (jkoppel/QuixBugs) with its pytest tests and JSON cases.

    What its tests call slow is left out, as its authors do by default. Its Java programs come without tests here.

    Raises:
        SourceError: A file of the benchmark is missing.
    """
    root = Path(folder).expanduser()
    names = _quixbugs_names(root)
    node = _read(root / "python_testcases" / "node.py")
    problems = []
    for name in names:
        program = root / "python_programs" / f"{name}.py"
        test = root / "python_testcases" / f"test_{name}.py"
        cases = root / "json_testcases" / f"{name}.json"
        data = {"load_testdata.py": _LOAD_TESTDATA, "testcases.json": _read(cases)} if cases.exists() else {}
        problems.append(
            Problem(
                id=f"QuixBugs/{name}",
                language="python",
                prompt=_description(_read(program)),
                test=_without_import(test),
                entry_point=name,
                reference=_read(root / "correct_python_programs" / f"{name}.py"),
                files={"node.py": node, **data},
                completes_prompt=False,
                group=name,
                origin=str(test),
            )
        )
    return problems


def quixbugs_candidates(folder: str) -> list[Candidate]:
    """QuixBugs' programs, ``QuixBugs/<name>#correct`` and ``#buggy``; errors as above."""
    root = Path(folder).expanduser()
    return [
        Candidate(f"QuixBugs/{name}#{kind}", f"QuixBugs/{name}", _read(root / where / f"{name}.py"), str(root / where))
        for name in _quixbugs_names(root)
        for kind, where in (("correct", "correct_python_programs"), ("buggy", "python_programs"))
    ]


def _quixbugs_names(root: Path) -> list[str]:
    names = sorted(path.stem.removeprefix("test_") for path in root.glob("python_testcases/test_*.py"))
    if not names:
        raise SourceError(f"{root} holds no python_testcases/test_*.py. Name the folder of a QuixBugs checkout.")
    return names


def _without_import(path: Path) -> str:
    """A test without the statement that imports the program: here the program's names are already there."""
    test = _read(path)
    lines = test.splitlines(keepends=True)
    for node in ast.parse(test).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "pytest.use_correct":
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = ["pytest.run_slow = False\n"]
            return "".join(lines)
    raise SourceError(f"{path} does not ask for pytest.use_correct. Give the tests as QuixBugs publishes them.")


def _description(program: str) -> str:
    """The text at the end of a program, which says what it is to do."""
    texts = [
        node.value.value
        for node in ast.parse(program).body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return texts[-1].strip() + "\n" if texts else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}). Name a checkout of QuixBugs.") from error
