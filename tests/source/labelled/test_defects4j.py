from __future__ import annotations

import json
from pathlib import Path

import pytest

from pttrust_lightning.errors import SchemaError, SourceError
from pttrust_lightning.source.labelled.defects4j import Defects4J
from pttrust_lightning.types import Exclusions, LabelledSnippet

BUGGY = "    public boolean f(Object x) {\r\n        // null?\r\n        return x != null;\r\n    }"
FIX = "    public boolean f(Object x) {\n        return x == null;\n    }"
BUGS = {
    "Chart-1": {"buggy": BUGGY, "start": 10, "end": 13, "fix": FIX},
    "Lang-2": {"buggy": "int a() { return 1; }", "fix": "int a() { return 2; }", "loc": "x"},
    "Math-3": {"buggy": FIX, "fix": FIX},
}


def write(file: Path, content: object) -> str:
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return str(file)


def test_functions(tmp_path):
    exclusions = Exclusions()
    source = Defects4J(write(tmp_path / "bugs.json", BUGS))
    first, second = source.snippets(exclusions)
    assert first == LabelledSnippet(
        id="Chart-1",
        problem_id="Chart-1",
        language="java",
        task="repair",
        prompt="",
        code=BUGGY,
        wrong_lines=(2,),
        correct=False,
        label_source="diff",
    )
    assert (second.id, second.wrong_lines) == ("Lang-2", (0,))
    assert exclusions.examples == {"buggy code does not differ from the correct code": ["Math-3"]}
    assert [fix.id for fix in source.fixes(Exclusions())] == list(BUGS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"Chart-1": {"buggy": "x"}}', r"bugs\.json \(Chart-1\), record 1, field 'fix': missing"),
        ('{"A-1": {"buggy": "x", "fix": "y"}, "B-2": {"buggy": 1}}', r"\(B-2\), record 2, field 'buggy': 1 is an int"),
        ('{"A-1": "x"}', "field 'A-1': not an object"),
        ('{"A-1": {}, "A-1": {}}', "field 'A-1': named twice"),
        ('[{"buggy": "x"}]', "a list, not an object"),
        ('{"A-1":\n {"buggy": }}', r"not JSON \(Expecting value at line 2, column 12\)"),
    ],
)
def test_schema_errors(tmp_path, content, message):
    (tmp_path / "bugs.json").write_text(content)
    with pytest.raises(SchemaError, match=message):
        Defects4J(str(tmp_path / "bugs.json")).snippets(Exclusions())


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"{\0}", "binary file"), (b"{}", r"gives no snippet \(it holds none\). Check path")],
)
def test_unusable_files(tmp_path, content, message):
    (tmp_path / "bugs.json").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        Defects4J(str(tmp_path / "bugs.json")).snippets(Exclusions())


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        Defects4J(str(tmp_path / "no.json")).snippets(Exclusions())
    with pytest.raises(SourceError, match="is a folder, not a JSON file"):
        Defects4J(str(tmp_path)).snippets(Exclusions())
