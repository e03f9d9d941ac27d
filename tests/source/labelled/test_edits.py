from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pttrust_lightning.errors import ConfigError, SchemaError, SourceError
from pttrust_lightning.source.labelled.edits import CanItEdit, EditEval
from pttrust_lightning.types import Exclusions, LabelledSnippet


def edit_eval(**changes: object) -> dict[str, object]:
    return {
        "task_id": "EditEval/2",
        "instruction": "Return the integer part.\r\nNot the rest.",
        "context": "",
        "input": "def f(x):\n    return x % 1",
        "output": "def f(x):\n    return int(x)  # no rounding",
        "test": "def check(): ...",
        "META": {"author": "kx"},
    } | changes


def can_it_edit(**changes: object) -> dict[str, object]:
    return {
        "id": 7,
        "name": "f",
        "before": "def f(x):\n    return x\n",
        "after": "import math\n\ndef f(x):\n    return x\n",
        "instruction_descriptive": "Import math.",
        "instruction_lazy": "math",
        "taxonomy": {"topic": "Math"},
    } | changes


def write(file: Path, *rows: dict[str, object], end: str = "\n") -> str:
    file.write_bytes("".join(json.dumps(r) + end for r in rows).encode())
    return str(file)


def test_edit_eval(tmp_path):
    path = write(tmp_path / "edit_eval.jsonl", edit_eval(), edit_eval(task_id="EditEval/3", output="x"), end="\r\n")
    first, second = EditEval(path).snippets(Exclusions())
    assert first == LabelledSnippet(
        id="EditEval/2",
        problem_id="EditEval/2",
        language="python",
        task="editing",
        prompt="# Return the integer part.\n# Not the rest.\n",
        code="def f(x):\n    return x % 1",
        wrong_lines=(1,),
        correct=False,
        label_source="diff",
    )
    assert second.wrong_lines == (0, 1)
    assert EditEval(str(tmp_path), include_correct=True).snippets(Exclusions())[1].id == "EditEval/2#correct"


def test_can_it_edit(tmp_path):
    path = write(tmp_path / "test.jsonl", can_it_edit())
    (snippet,) = CanItEdit(path).snippets(Exclusions())
    assert (snippet.id, snippet.prompt, snippet.wrong_lines) == ("CanItEdit/7", "# Import math.\n", (0,))
    assert CanItEdit(path, instruction="lazy").snippets(Exclusions())[0].prompt == "# math\n"
    with pytest.raises(ConfigError, match=r"Unknown instruction 'short'. Choose one of descriptive, lazy"):
        CanItEdit(path, instruction="short")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "rows", "message"),
    [
        (EditEval, [edit_eval(), edit_eval()], r"x\.jsonl, record 2, field 'task_id': 'EditEval/2' is there twice"),
        (EditEval, [edit_eval(output=None)], "record 1, field 'output': it is null"),
        (EditEval, [edit_eval(input=["x"])], r"field 'input': \[\"x\"\] is a list, not a string"),
        (EditEval, [edit_eval(task_id=" ")], "field 'task_id': it is empty"),
        (CanItEdit, [can_it_edit(), can_it_edit()], "record 2, field 'id': '7' is there twice"),
        (CanItEdit, [can_it_edit(id=True)], "field 'id': true is a boolean"),
        (CanItEdit, [{"id": 1, "before": "x"}], "field 'instruction_descriptive': missing"),
    ],
)
def test_schema_errors(tmp_path, source, rows, message):
    with pytest.raises(SchemaError, match=message):
        source(write(tmp_path / "x.jsonl", *rows)).snippets(Exclusions())


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b'{"task_id": "\0"}', "binary file")])
def test_unreadable_files(tmp_path, content, message):
    (tmp_path / "x.jsonl").write_bytes(content)
    for source in (EditEval, CanItEdit):
        with pytest.raises(SourceError, match=message):
            source(str(tmp_path / "x.jsonl")).snippets(Exclusions())


def test_by_name(monkeypatch):
    calls = []

    def load_dataset(*arguments: str, **options: str) -> list[dict[str, object]]:
        calls.append((arguments, options))
        return [can_it_edit()]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert CanItEdit().snippets(Exclusions())[0].id == "CanItEdit/7"
    assert calls == [(("nuprl/CanItEdit",), {"split": "test"})]
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SourceError, match="Loading nuprl/CanItEdit by name needs: pip install datasets"):
        CanItEdit().snippets(Exclusions())
