from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonargparse import ArgumentParser

from pttrust_lightning.errors import SchemaError, SourceError
from pttrust_lightning.source.labelled.lines_jsonl import FIELDS, JsonlLabelled, LabelledSource, write_jsonl
from pttrust_lightning.source.languages import canonical_language
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.types import Exclusions, LabelledSnippet

PROPERTY = settings(deadline=None, derandomize=True)
ENCODABLE = st.text(st.characters(codec="utf-8"), max_size=20)
GRADE = st.floats(min_value=1e-6, max_value=1e6)
FULL = {
    "id": "s1",
    "problem_id": "p1",
    "language": "java",
    "task": "repair",
    "prompt": "int f(",
    "code": "a\n\nb\n",
    "wrong_lines": [0, 2],
    "relevance": [1, 0.5],
    "correct": False,
    "label_source": "diff",
    "bug_type": "wrong bound",
}


def read(file: Path) -> list[LabelledSnippet]:
    return JsonlLabelled(str(file)).snippets(Exclusions())


def written(tmp_path: Path, *records: object) -> Path:
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


@st.composite
def snippets(draw: st.DrawFn) -> LabelledSnippet:
    code = draw(ENCODABLE.filter(lambda text: bool(text.strip())))
    numbers = [line.number for line in non_blank_lines(code)]
    wrong = tuple(sorted(draw(st.sets(st.sampled_from(numbers)))))
    return LabelledSnippet(
        id=draw(ENCODABLE),
        problem_id=draw(ENCODABLE),
        language=canonical_language(canonical_language(draw(ENCODABLE))),
        task=draw(ENCODABLE),
        prompt=draw(ENCODABLE),
        code=code,
        wrong_lines=wrong,
        correct=False if wrong else draw(st.booleans()),
        label_source=draw(ENCODABLE),
        bug_type=draw(ENCODABLE),
        relevance=draw(st.just(()) | st.tuples(*[GRADE] * len(wrong))),
    )


@PROPERTY
@given(st.lists(snippets(), min_size=1, max_size=4, unique_by=lambda s: s.id))
def test_what_is_written_is_read_back(tmp_path_factory, drawn):
    file = tmp_path_factory.mktemp("round_trip") / "new" / "labels.jsonl"
    write_jsonl(str(file), drawn)
    assert read(file) == drawn
    assert file.read_bytes().isascii()
    assert len(file.read_text().splitlines()) == len(drawn)


def test_all_fields(tmp_path):
    (snippet,) = read(written(tmp_path, FULL))
    assert snippet == LabelledSnippet(
        "s1", "p1", "java", "repair", "int f(", "a\n\nb\n", (0, 2), False, "diff", "wrong bound", relevance=(1.0, 0.5)
    )
    assert set(FULL) == set(FIELDS)


def test_defaults(tmp_path):
    records = [
        {"id": "a", "code": "x", "wrong_lines": [0]},
        {"id": "b", "code": "x", "wrong_lines": []},
        {"id": "c", "code": "x", "correct": True, "prompt": None},
        {"id": "d", "code": "x", "correct": False, "language": "Python"},
    ]
    found = read(written(tmp_path, *records))
    assert found[0] == LabelledSnippet("a", "a", "python", "generation", "", "x", (0,), False, "human")
    assert [(s.wrong_lines, s.correct) for s in found[1:]] == [((), True), ((), True), ((), False)]
    assert found[3].language == "python"


def without(field: str) -> dict[str, object]:
    return {key: value for key, value in FULL.items() if key != field}


@pytest.mark.parametrize(
    ("record", "field", "message"),
    [
        (without("id"), "id", r"missing \(the record has 'problem_id'\)|missing\. Add a string"),
        (without("code"), "code", "missing"),
        (FULL | {"wrong_line": [0]}, "wrong_line", "unknown field. Did you mean 'wrong_lines'"),
        (FULL | {"zzz": 0}, "zzz", "unknown field. Valid fields: id, problem_id"),
        (FULL | {"code": "\n \n"}, "code", "no line of code"),
        (FULL | {"code": ["a"]}, "code", "is a list, not a string"),
        (FULL | {"code": "\ud800"}, "code", "lone surrogate"),
        (FULL | {"id": 3}, "id", "3 is an integer, not a string"),
        (FULL | {"task": True}, "task", "true is a boolean, not a string"),
        (FULL | {"wrong_lines": 0}, "wrong_lines", "not a list"),
        (FULL | {"wrong_lines": "0"}, "wrong_lines", "not a list"),
        (FULL | {"wrong_lines": [True]}, "wrong_lines", "True is not an integer"),
        (FULL | {"wrong_lines": [0.0]}, "wrong_lines", "0.0 is not an integer"),
        (FULL | {"wrong_lines": [-1]}, "wrong_lines", "line -1 does not exist"),
        (FULL | {"wrong_lines": [3]}, "wrong_lines", "line 3 does not exist; the code has lines 0 to 2. Count lines"),
        (FULL | {"wrong_lines": [1]}, "wrong_lines", "line 1 is blank"),
        (FULL | {"wrong_lines": [2, 0]}, "wrong_lines", "0 follows 2; the numbers must increase strictly"),
        (FULL | {"wrong_lines": [0, 0]}, "wrong_lines", "0 follows 0"),
        (FULL | {"relevance": 1}, "relevance", "not a list"),
        (FULL | {"relevance": [1]}, "relevance", r"1 number\(s\) for 2 wrong line\(s\)"),
        (FULL | {"relevance": [1, True]}, "relevance", "True is not a number above 0"),
        (FULL | {"relevance": [1, "2"]}, "relevance", "'2' is not a number above 0"),
        (FULL | {"relevance": [1, 0]}, "relevance", "0 is not a number above 0 .*Leave lines"),
        (FULL | {"relevance": [1, float("nan")]}, "relevance", "nan is not a number above 0"),
        (FULL | {"relevance": [1, 1e-9]}, "relevance", r"1e-09 is not a number above 0 \(from 1e-06 to 1e\+06\)"),
        (FULL | {"relevance": [1, float("inf")]}, "relevance", "inf is not a number above 0"),
        (FULL | {"correct": True}, "correct", r"true, but wrong_lines names 2 line\(s\)"),
        (FULL | {"correct": "false"}, "correct", "'false' is not a boolean"),
        (FULL | {"correct": 0}, "correct", "0 is not a boolean"),
        ({"id": "a", "code": "x"}, "wrong_lines", "missing, and so is 'correct'"),
        (FULL | {"id": "first"}, "id", "'first' is also the id of record 1"),
    ],
)
def test_schema_errors_name_file_record_and_field(tmp_path, record, field, message):
    first = {"id": "first", "code": "x", "wrong_lines": [0]}
    file = written(tmp_path, first, record)
    with pytest.raises(SchemaError, match=rf"labels\.jsonl, record 2, field '{field}': .*{message}"):
        read(file)


def test_byte_order_mark_crlf_and_blank_lines(tmp_path):
    file = tmp_path / "labels.jsonl"
    record = json.dumps({"id": "a", "code": "x\r\ny", "wrong_lines": [1]}).encode()
    file.write_bytes(b"\xef\xbb\xbf" + record + b"\r\n\r\n" + record.replace(b'"a"', b'"b"'))
    assert [(s.id, s.code, s.wrong_lines) for s in read(file)] == [("a", "x\r\ny", (1,)), ("b", "x\r\ny", (1,))]


def test_a_line_of_a_megabyte(tmp_path):
    code = "x = '" + "é" * 1_000_000 + "'\nreturn"
    (snippet,) = read(written(tmp_path, {"id": "a", "code": code, "wrong_lines": [1]}))
    assert snippet.code == code


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"labels\.jsonl is empty\. Write one JSON object"),
        (b"\n\r\n", r"labels\.jsonl is empty"),
        (b"\x7fELF\0\0", "binary file"),
        (b'{"id": "\xe4"}', r"record 1, .* is not UTF-8\. Convert the file"),
        (b'{"id": "a"', r"record 1, .* not JSON \("),
        (b"nonsense", r"record 1, .* not JSON \("),
        (b"null", "null, not an object"),
    ],
)
def test_files_that_are_no_labels(tmp_path, content, message):
    file = tmp_path / "labels.jsonl"
    file.write_bytes(content)
    with pytest.raises((SourceError, SchemaError), match=message):
        read(file)


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match=r"no\.jsonl does not exist"):
        read(tmp_path / "no.jsonl")


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    file = tmp_path / "labels.jsonl"
    snippet = LabelledSnippet("a", "a", "python", "t", "", "x\n", (0,), False, "human")
    with pytest.raises(SchemaError, match="record 2, field 'id'"):
        write_jsonl(str(file), [snippet, snippet])
    assert not file.exists()


def test_is_built_from_yaml():
    parser = ArgumentParser()
    parser.add_subclass_arguments(LabelledSource, "labels")
    node = {"class_path": "pttrust_lightning.source.labelled.JsonlLabelled", "init_args": {"path": "x.jsonl"}}
    labels = parser.instantiate(parser.parse_object({"labels": node})).labels
    assert (labels.name, labels.path) == ("x.jsonl", "x.jsonl")
