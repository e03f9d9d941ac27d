from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pttrust_lightning.errors import ConfigError, SchemaError, SourceError
from pttrust_lightning.source.labelled.humanevalpack import HumanEvalPack
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.types import Exclusions, LabelledSnippet


def row(task_id: str, buggy: str = "    x\n    return b\n", correct: str = "    x\n    return a\n") -> dict[str, str]:
    return {
        "task_id": task_id,
        "prompt": f"prompt of {task_id}\n",
        "canonical_solution": correct,
        "buggy_solution": buggy,
        "bug_type": "operator misuse",
    }


def write(file: Path, *rows: dict[str, str]) -> str:
    file.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return str(file)


def read(source: HumanEvalPack) -> tuple[dict[str, LabelledSnippet], Exclusions]:
    exclusions = Exclusions()
    snippets = source.snippets(exclusions)
    return {snippet.id: snippet for snippet in snippets}, exclusions


def test_snippets_of_a_folder_share_problems_across_languages(tmp_path):
    write(tmp_path / "python.jsonl", row("Python/7"), row("Python/8", "    a\n", "  a \n\n"))
    write(tmp_path / "js.jsonl", row("JavaScript/7"))
    write(tmp_path / "cpp.jsonl", row("CPP/7"))
    found, exclusions = read(HumanEvalPack(str(tmp_path)))
    assert found["Python/7"] == LabelledSnippet(
        id="Python/7",
        problem_id="HumanEval/7",
        language="python",
        task="repair",
        prompt="prompt of Python/7\n",
        code="    x\n    return b\n",
        wrong_lines=(1,),
        correct=False,
        label_source="diff",
        bug_type="operator misuse",
    )
    assert {s.id: s.language for s in found.values()} == {
        "Python/7": "python",
        "JavaScript/7": "javascript",
        "CPP/7": "cpp",
    }
    assert {s.problem_id for s in found.values()} == {"HumanEval/7"}
    assert exclusions.counts == {"buggy code does not differ from the correct code": 1}


def test_records_of_other_languages_are_counted(tmp_path):
    write(tmp_path / "all.jsonl", row("Python/7"), row("JavaScript/7"), row("Python/8"))
    found, exclusions = read(HumanEvalPack(str(tmp_path), languages=["javascript"]))
    assert list(found) == ["JavaScript/7"]
    assert exclusions.counts == {"record of another language": 2}
    assert exclusions.examples == {"record of another language": ["Python/7", "Python/8"]}
    assert not read(HumanEvalPack(str(tmp_path)))[1].counts


def test_correct_solutions_on_request(tmp_path):
    path = write(tmp_path / "python.jsonl", row("Python/7"), row("Python/8", "a\n", "a\n"))
    found, _ = read(HumanEvalPack(path, include_correct=True))
    assert list(found) == ["Python/7", "Python/7#correct", "Python/8#correct"]
    correct = found["Python/7#correct"]
    assert (correct.correct, correct.wrong_lines, correct.code) == (True, (), "    x\n    return a\n")


@pytest.mark.parametrize("field", ["task_id", "prompt", "canonical_solution", "buggy_solution"])
def test_missing_fields_are_named(tmp_path, field):
    broken = row("Python/1")
    del broken[field]
    with pytest.raises(SchemaError, match=rf"python\.jsonl, record 2, field '{field}': missing"):
        read(HumanEvalPack(write(tmp_path / "python.jsonl", row("Python/0"), broken)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("Python")], "'Python' is not <language>/<number>"),
        ([row("/7")], "is not <language>/<number>"),
        ([row("Python/x")], "is not <language>/<number>"),
        ([row("Python/7"), row("Python/7")], "record 2, field 'task_id': 'Python/7' is there twice: .* record 1 of"),
    ],
)
def test_bad_task_ids(tmp_path, rows, message):
    with pytest.raises(SchemaError, match=message):
        read(HumanEvalPack(write(tmp_path / "python.jsonl", *rows)))


def test_nothing_to_read(tmp_path):
    with pytest.raises(SourceError, match=r"holds no \.jsonl file\. Name the folder"):
        read(HumanEvalPack(str(tmp_path)))
    path = write(tmp_path / "python.jsonl", row("Python/1"))
    with pytest.raises(
        SourceError, match=r"HumanEvalPack \(java\) .* gives no snippet .*another language.* Check path and languages"
    ):
        read(HumanEvalPack(path, languages=["java"]))
    with pytest.raises(SourceError, match="does not exist"):
        read(HumanEvalPack(str(tmp_path / "no.jsonl")))
    with pytest.raises(ConfigError, match=r"no 'js'\. Choose from python, java, javascript"):
        HumanEvalPack(path, languages=["js"])


def test_by_name_without_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SourceError, match=r"pip install datasets.* or set path to a downloaded JSONL file"):
        read(HumanEvalPack())


def test_by_name_without_network(monkeypatch):
    def load_dataset(*arguments: str, **options: str) -> None:
        raise ConnectionError("no route to the hub\nlong tail")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(SourceError, match=r"\(ConnectionError: no route to the hub\)\. Check the network.* set path"):
        read(HumanEvalPack())


def test_by_name(monkeypatch):
    calls = []

    def load_dataset(*arguments: str, **options: str) -> list[dict[str, str]]:
        calls.append((arguments, options))
        return [row({"python": "Python", "js": "JavaScript"}[arguments[1]] + "/3")]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert list(read(HumanEvalPack())[0]) == ["Python/3"]
    assert list(read(HumanEvalPack(languages=["javascript"]))[0]) == ["JavaScript/3"]
    assert calls == [(("bigcode/humanevalpack", name), {"split": "test"}) for name in ("python", "js")]


def test_the_published_python_problems(shared_data):
    found, exclusions = read(HumanEvalPack(str(shared_data / "humanevalpack" / "python.jsonl")))
    assert len(found) == 164
    assert not exclusions.counts
    assert all(snippet.wrong_lines for snippet in found.values())
    assert sum(len(non_blank_lines(snippet.code)) >= 2 for snippet in found.values()) == 128
    # By hand: a replaced line, an omitted one in the middle, an omitted one before the last return.
    assert found["Python/0"].wrong_lines == (3,)
    assert found["Python/33"].wrong_lines == (1,)
    assert found["Python/5"].wrong_lines == (9,)


def test_the_published_translations(shared_data):
    found, _ = read(HumanEvalPack(str(shared_data / "humanevalpack")))
    languages = [snippet.language for snippet in found.values()]
    assert {language: languages.count(language) for language in set(languages)} == {
        "python": 164,
        "java": 164,
        "javascript": 164,
    }
    assert len({snippet.problem_id for snippet in found.values()}) == 164
