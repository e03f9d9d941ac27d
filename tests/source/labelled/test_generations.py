from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pttrust_lightning.errors import ConfigError, SchemaError, SourceError
from pttrust_lightning.source.labelled.generations import Generations
from pttrust_lightning.types import Exclusions

HUMANEVAL = [
    {"task_id": f"HumanEval/{n}", "prompt": f"def f{n}(x):\n", "canonical_solution": "    return 1\n"} for n in (0, 7)
]
MBPP = [{"task_id": 11, "text": "Remove it.", "code": "x"}]


def write(file: Path, *rows: dict[str, object]) -> str:
    file.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return str(file)


def sample(task_id: object = "HumanEval/7", passed: object = True, **fields: object) -> dict[str, object]:
    return {"task_id": task_id, "passed": passed, **(fields or {"completion": "    return 2\n"})}


def source(tmp_path: Path, *samples: dict[str, object], **settings: object) -> Generations:
    problems = write(tmp_path / "problems.jsonl", *HUMANEVAL)
    return Generations(**{"samples": write(tmp_path / "samples.jsonl", *samples), "problems": problems} | settings)  # type: ignore[arg-type]


def test_verdicts_and_repaired_versions(tmp_path):
    exclusions = Exclusions()
    generations = source(
        tmp_path,
        sample(),
        sample(passed=False),
        sample(passed=False, completion="    y = x\n    return y\n", reference="    y = -x\n    return y\n"),
        sample("HumanEval/0", None),
        sample("HumanEval/0", completion=" \n"),
        sample("HumanEval/0", reference="    return 3\n", completion="    return 2\n"),
    )
    found = generations.snippets(exclusions)
    assert [(s.id, s.correct, s.wrong_lines, s.label_source) for s in found] == [
        ("HumanEval/7#0", True, (), "tests"),
        ("HumanEval/7#1", False, (), "tests"),
        ("HumanEval/7#2", False, (0,), "diff"),
        ("HumanEval/0#2", True, (), "tests"),
    ]
    assert {(s.prompt, s.problem_id, s.task) for s in found[:3]} == {("def f7(x):\n", "HumanEval/7", "generation")}
    assert exclusions.counts == {"sample without a verdict": 1, "sample without a line of code": 1}
    assert [fix.id for fix in generations.fixes(Exclusions())] == ["HumanEval/7#2"]


def test_a_solution_is_a_whole_program(tmp_path):
    (found,) = source(tmp_path, sample(solution="def f7(x):\n    return 2\n")).snippets(Exclusions())
    assert (found.prompt, found.code) == ("", "def f7(x):\n    return 2\n")


@pytest.mark.parametrize("field", ["text", "prompt"])
@pytest.mark.parametrize("task_id", [11, "Mbpp/11", "11"])
def test_mbpp(tmp_path, field, task_id):
    problems = write(tmp_path / "mbpp.jsonl", {"task_id": 11, field: "Remove it.\nAll."})
    settings = {"benchmark": "mbpp", "problems": problems}
    (found,) = source(tmp_path, sample(task_id, solution="def r(): ..."), **settings).snippets(Exclusions())
    assert (found.id, found.problem_id, found.prompt) == ("MBPP/11#0", "MBPP/11", "# Remove it.\n# All.\n")


def test_editeval(tmp_path):
    problems = write(tmp_path / "e.jsonl", {"task_id": "EditEval/3", "instruction": "Negate.", "input": "f = 1"})
    settings = {"benchmark": "editeval", "problems": problems}
    (found,) = source(tmp_path, sample("EditEval/3"), **settings).snippets(Exclusions())
    assert (found.id, found.task, found.prompt) == ("EditEval/3#0", "editing", "# Negate.\n# f = 1\n")
    with pytest.raises(ConfigError, match=r"editeval cannot be loaded by name. Set problems"):
        Generations("x", "editeval")
    with pytest.raises(ConfigError, match=r"Unknown benchmark 'apps'. Choose one of humaneval, mbpp, editeval"):
        Generations("x", "apps")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (sample("HumanEval/8"), r"samples\.jsonl, record 1, field 'task_id': there is no problem 'HumanEval/8'"),
        (sample("HumanEval/x"), "field 'task_id': 'HumanEval/x' does not end in a number"),
        (sample(passed="yes"), "field 'passed': 'yes' is not a boolean"),
        (sample(passed=1), "field 'passed': 1 is not a boolean"),
        (sample(answer="x"), "field 'completion': missing"),
        (sample(completion=3), "field 'completion': 3 is an integer"),
        (sample(completion="x", reference=[]), r"field 'reference': \[\] is a list"),
        ({"completion": "x"}, "field 'task_id': missing"),
    ],
)
def test_schema_errors(tmp_path, row, message):
    with pytest.raises(SchemaError, match=message):
        source(tmp_path, row).snippets(Exclusions())


def test_repeated_problems_and_no_verdicts(tmp_path):
    twice = write(tmp_path / "twice.jsonl", *HUMANEVAL, *HUMANEVAL)
    with pytest.raises(SchemaError, match=r"twice\.jsonl, record 3, field 'task_id': 'HumanEval/0' is there twice"):
        source(tmp_path, sample(), problems=twice).snippets(Exclusions())
    with pytest.raises(SourceError, match=r"gives no snippet \(1 left out: sample without a verdict"):
        source(tmp_path, sample(passed=None)).snippets(Exclusions())


def test_problems_by_name(tmp_path, monkeypatch):
    calls = []

    def load_dataset(*arguments: str, **options: str) -> list[dict[str, object]]:
        calls.append((arguments, options["split"]))
        return HUMANEVAL if "humaneval" in arguments[0] else MBPP

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    source(tmp_path, sample(), problems=None).snippets(Exclusions())
    source(tmp_path, sample(11), problems=None, benchmark="mbpp").snippets(Exclusions())
    assert calls == [
        (("openai/openai_humaneval",), "test"),
        (("google-research-datasets/mbpp", "full"), "train+test+validation+prompt"),
    ]
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        SourceError, match=r"or set problems to a downloaded JSONL file of github.com/openai/human-eval"
    ):
        source(tmp_path, sample(), problems=None).snippets(Exclusions())
