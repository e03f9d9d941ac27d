from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pttrust_lightning.errors import SchemaError
from pttrust_lightning.labelling.problems import (
    Candidate,
    Problem,
    is_inside,
    read_candidates,
    read_problems,
    reference_candidates,
    write_candidates,
    write_problems,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text("abc_", min_size=1, max_size=5).map(lambda name: f"data/{name}.txt")
problems = st.builds(
    Problem,
    id=text,
    language=st.sampled_from(["python", "java"]),
    prompt=text,
    test=text,
    entry_point=text,
    reference=st.none() | text,
    files=st.dictionaries(names, text, max_size=2),
    completes_prompt=st.booleans(),
    group=text,
)
GOOD = {"id": "1", "language": "python", "prompt": "p", "test": "t"}


@given(st.lists(problems, min_size=1, max_size=4, unique_by=lambda problem: problem.id))
def test_problems_are_read_as_they_were_written(tmp_path_factory, written):
    path = str(tmp_path_factory.mktemp("problems") / "problems.jsonl")
    write_problems(path, written)
    read = read_problems(path)
    for number, (new, old) in enumerate(zip(read, written, strict=True), start=1):
        assert new.origin == f"{path}:{number}"
        assert {f: getattr(new, f) for f in Problem.__slots__ if f != "origin"} == {
            f: getattr(old, f) for f in Problem.__slots__ if f != "origin"
        }


@given(st.lists(st.builds(Candidate, id=text, problem_id=text, code=text), min_size=1, unique_by=lambda c: c.id))
def test_candidates_are_read_as_they_were_written(tmp_path_factory, written):
    path = str(tmp_path_factory.mktemp("candidates") / "candidates.jsonl")
    write_candidates(path, written)
    assert [(c.id, c.problem_id, c.code) for c in read_candidates(path)] == [
        (c.id, c.problem_id, c.code) for c in written
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, r"problems.jsonl, record 2, field 'test': it is null"),
        ({"tests": "x"}, "record 2, field 'tests': unknown field. Did you mean 'test'"),
        ({"completes_prompt": "yes"}, "field 'completes_prompt': not true or false"),
        ({"files": ["a"]}, "field 'files': not an object"),
        ({"files": {"../a": "x"}}, "field 'files': the name '../a' leaves the program's folder"),
        ({"files": {"/etc/a": "x"}}, "leaves the program's folder"),
        ({"id": "1"}, "record 2, field 'id': '1' is record 1's too"),
    ],
)
def test_bad_problem_is_named(tmp_path, change, message):
    path = tmp_path / "problems.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in (GOOD, {**GOOD, "id": "2", **change})))
    with pytest.raises(SchemaError, match=message):
        read_problems(str(path))


def test_program_follows_its_prompt_or_stands_alone():
    assert Problem("1", "python", "def f():\n", "t").program("    return 1\n") == "def f():\n    return 1\n"
    assert Problem("1", "python", "Write f.", "t", completes_prompt=False).program("f = 1\n") == "f = 1\n"


def test_references_are_candidates():
    with_reference = Problem("1", "python", "p", "t", reference="r")
    assert reference_candidates([with_reference, Problem("2", "python", "p", "t")]) == [
        Candidate("1#reference", "1", "r")
    ]


@pytest.mark.parametrize("name", ["", ".", "..", "a/../../b", "/a", "a\0b"])
def test_names_that_leave_the_folder(name):
    assert not is_inside(name)
