from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pttrust_lightning.errors import ConfigError, SchemaError, SourceError
from pttrust_lightning.source.labelled.debugbench import (
    MULTIPLE_BUG_TYPES,
    SEMANTIC_BUG_TYPES,
    SYNTAX_BUG_TYPES,
    DebugBench,
)
from pttrust_lightning.types import Exclusions, LabelledSnippet


def item(slug: str, bug_type: str = "condition error", language: str = "python3", **changes: str) -> dict[str, str]:
    return {
        "id": f"{language}/{bug_type}/{slug}",
        "language": language,
        "bug_type": bug_type,
        "slug": slug,
        "description": f"What {slug} asks.\n\nMore.",
        "solution": "def f(x):\n    return x",
        "buggy_code": "def f(x):\n    return -x\n",
    } | changes


def write(file: Path, *items: dict[str, str]) -> str:
    file.write_text("".join(json.dumps(i) + "\n" for i in items), encoding="utf-8")
    return str(file)


def read(source: DebugBench) -> tuple[dict[str, LabelledSnippet], Exclusions]:
    exclusions = Exclusions()
    snippets = source.snippets(exclusions)
    return {snippet.id: snippet for snippet in snippets}, exclusions


def test_snippets_of_a_folder_share_problems_across_languages(tmp_path):
    write(tmp_path / "python3.jsonl", item("two-sum"))
    write(tmp_path / "java.jsonl", item("two-sum", "operation error", "java"))
    write(tmp_path / "cpp.jsonl", item("two-sum", language="cpp"))
    found, exclusions = read(DebugBench(str(tmp_path)))
    assert found["python/condition error/two-sum"] == LabelledSnippet(
        id="python/condition error/two-sum",
        problem_id="two-sum",
        language="python",
        task="repair",
        prompt="",
        code="def f(x):\n    return -x\n",
        wrong_lines=(1,),
        correct=False,
        label_source="diff",
        bug_type="condition error",
    )
    assert {s.language for s in found.values()} == {"python", "java", "cpp"}
    assert {s.problem_id for s in found.values()} == {"two-sum"}
    assert not exclusions.counts


def test_kinds_of_bugs(tmp_path):
    path = write(tmp_path / "x.jsonl", item("a"), item("b", "missing colons"), item("c", "double"))
    for kind, slug in (("semantic", "a"), ("syntax", "b"), ("multiple", "c")):
        found, exclusions = read(DebugBench(path, bug_types=kind))
        assert [s.problem_id for s in found.values()] == [slug]
        assert exclusions.counts == {"record of another bug type": 2}
    assert len(read(DebugBench(path, bug_types="all"))[0]) == 3
    assert len({*SEMANTIC_BUG_TYPES, *SYNTAX_BUG_TYPES, *MULTIPLE_BUG_TYPES}) == 18


def test_what_is_left_out_is_counted(tmp_path):
    path = write(
        tmp_path / "x.jsonl",
        item("a"),
        item("a", language="java"),
        item("same", buggy_code="  def f(x):\n      return x\n\n"),
        item("blank", buggy_code=" \n"),
    )
    found, exclusions = read(DebugBench(path, ["python"]))
    assert list(found) == ["python/condition error/a"]
    assert exclusions.counts == {
        "record of another language": 1,
        "buggy code does not differ from the correct code": 1,
        "buggy code without a line of code": 1,
    }


def test_a_problem_may_stand_several_times(tmp_path):
    path = write(tmp_path / "x.jsonl", item("a"), item("a", buggy_code="def g(x):\n    return x\n"), item("a"))
    found, _ = read(DebugBench(path))
    assert list(found) == [f"python/condition error/a{suffix}" for suffix in ("", "#2", "#3")]
    assert {s.problem_id for s in found.values()} == {"a"}


@pytest.mark.parametrize(("language", "mark"), [("python3", "#"), ("java", "//"), ("cpp", "//")])
def test_the_description_as_a_comment(tmp_path, language, mark):
    path = write(tmp_path / "x.jsonl", item("a", language=language, description="First.\r\n\nLast. "))
    (snippet,) = read(DebugBench(path, with_prompt=True))[0].values()
    assert snippet.prompt == f"{mark} First.\n{mark}\n{mark} Last.\n"
    assert snippet.wrong_lines == (1,), "lines are those of the code alone"


@pytest.mark.parametrize("field", ["language", "bug_type", "slug", "solution", "buggy_code"])
def test_missing_fields_are_named(tmp_path, field):
    broken = item("b")
    del broken[field]
    with pytest.raises(SchemaError, match=rf"x\.jsonl, record 2, field '{field}': missing"):
        read(DebugBench(write(tmp_path / "x.jsonl", item("a"), broken)))


def test_a_description_is_needed_only_where_it_is_read(tmp_path):
    without = item("a")
    del without["description"]
    path = write(tmp_path / "x.jsonl", without)
    assert len(read(DebugBench(path))[0]) == 1
    with pytest.raises(SchemaError, match="field 'description': missing"):
        read(DebugBench(path, with_prompt=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "python"}, "'python' is none of python3, java, cpp"),
        ({"bug_type": "condition"}, "'condition' is none of DebugBench's bug types"),
        ({"slug": " "}, "field 'slug': it is empty"),
    ],
)
def test_bad_fields(tmp_path, changes, message):
    with pytest.raises(SchemaError, match=message):
        read(DebugBench(write(tmp_path / "x.jsonl", item("a") | changes)))


def test_nothing_to_read(tmp_path):
    with pytest.raises(SourceError, match=r"holds no \.jsonl file\. Name the folder"):
        read(DebugBench(str(tmp_path)))
    path = write(tmp_path / "python3.jsonl", item("a"))
    with pytest.raises(
        SourceError, match=r"DebugBench \(java, semantic\) .* gives no snippet .* Check path, languages and bug_types"
    ):
        read(DebugBench(path, ["java"]))
    with pytest.raises(
        SourceError, match=r"DebugBench \(syntax\) .* gives no snippet \(1 left out: record of another bug type"
    ):
        read(DebugBench(path, bug_types="syntax"))
    with pytest.raises(SourceError, match="does not exist"):
        read(DebugBench(str(tmp_path / "no.jsonl")))
    with pytest.raises(ConfigError, match=r"no 'python3'\. Choose from python, java, cpp"):
        DebugBench(path, ["python3"])
    with pytest.raises(ConfigError, match=r"Unknown bug_types 'semantics'\. Choose one of semantic, syntax"):
        DebugBench(path, bug_types="semantics")


def test_by_name_with_the_fields_of_the_hub(monkeypatch):
    renamed = item("a")
    renamed |= {"subtype": renamed.pop("bug_type"), "question": renamed.pop("description")}
    calls = []

    def load_dataset(*arguments: str, **options: str) -> list[dict[str, str]]:
        calls.append((arguments, options))
        return [renamed]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    (snippet,) = read(DebugBench(with_prompt=True))[0].values()
    assert (snippet.id, snippet.prompt[:14]) == ("python/condition error/a", "# What a asks.")
    assert calls == [(("Rtian/DebugBench",), {"split": "test"})]
    renamed["subtype"] = "typo"
    with pytest.raises(SchemaError, match=r"Rtian/DebugBench, record 1, field 'subtype': 'typo' is none of"):
        read(DebugBench())


def test_what_it_is_called(tmp_path):
    assert DebugBench("x").describe() == "DebugBench (semantic) from x"
    assert DebugBench("x", ["python"], "all").name == "DebugBench (python, all)"


def test_the_published_programs(shared_data):
    found, exclusions = read(DebugBench(str(shared_data / "debugbench")))
    languages = [s.language for s in found.values()]
    assert {name: languages.count(name) for name in set(languages)} == {"python": 209, "java": 200, "cpp": 220}
    reason = "buggy code does not differ from the correct code"
    assert exclusions.counts.keys() == {"record of another bug type", reason}
    # By hand: an unclosed docstring swallows the whole program.
    assert {id_.rpartition("/")[2] for id_ in exclusions.examples[reason]} == {"maximum-depth-of-n-ary-tree"}
    # By hand: k+1 for k in the last line.
    assert found["python/condition error/the-kth-factor-of-n"].wrong_lines == (9,)
    # By hand: the correct solution has a comment on 14 further lines, which are not wrong without it.
    name = "python/condition error/check-if-string-is-transformable-with-substring-sort-operations"
    assert found[name].wrong_lines == (23,)
    correct = read(DebugBench(str(shared_data / "debugbench"), ["java"], include_correct=True))[0]
    assert sum(s.correct for s in correct.values()) == 200
    everything, exclusions = read(DebugBench(str(shared_data / "debugbench"), bug_types="all"))
    assert len(everything) + exclusions.counts.total() == 741 + 686 + 690
