from __future__ import annotations

from collections.abc import Iterator

import pytest
from jsonargparse import ArgumentParser

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.corpora import Corpus, FolderCorpus
from pttrust_lightning.source.labelled import implanted
from pttrust_lightning.source.labelled.implanted import ImplantedBugs
from pttrust_lightning.source.labelled.lines_jsonl import LabelledSource, write_jsonl
from pttrust_lightning.source.mutation.implant import implant_bugs
from pttrust_lightning.types import Exclusions, LabelledSnippet, Program

CODE = "def f(a, b):\n    if a < b:\n        a += 1\n    return g(a, b)[0]\n"


class Fixed(Corpus):
    def __init__(self, *programs: Program) -> None:
        self.fixed = programs

    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        exclusions.add("left out by the corpus", "x")
        return iter(self.fixed)


def many(n: int) -> Fixed:
    return Fixed(*(Program(f"m{i // 2}.py::f{i}", CODE, "python", origin=f"m{i // 2}.py") for i in range(n)))


def read(source: ImplantedBugs) -> tuple[list[LabelledSnippet], Exclusions]:
    exclusions = Exclusions()
    return source.snippets(exclusions), exclusions


def test_snippets_say_where_they_come_from():
    (snippet,), exclusions = read(ImplantedBugs(many(1), operators=["negated_condition"]))
    assert snippet == LabelledSnippet(
        id="m0.py::f0#negated_condition:1",
        problem_id="m0.py",
        language="python",
        task="generation",
        prompt="",
        code=CODE.replace("a < b", "a >= b"),
        wrong_lines=(1,),
        correct=False,
        label_source="implanted:negated_condition",
        bug_type="negated_condition",
    )
    assert exclusions.counts == {"left out by the corpus": 1}


def test_mutants_of_a_program_differ_and_can_be_written(tmp_path):
    snippets, _ = read(ImplantedBugs(many(10), mutants_per_program=5))
    assert len(snippets) == 50
    assert len({snippet.id for snippet in snippets}) == 50
    for i in range(10):
        assert len({snippet.code for snippet in snippets[5 * i : 5 * i + 5]} | {CODE}) == 6
    assert {snippet.problem_id for snippet in snippets} == {f"m{i}.py" for i in range(5)}
    write_jsonl(str(tmp_path / "labels.jsonl"), snippets)


def test_as_many_mutants_as_there_are():
    snippets, _ = read(ImplantedBugs(many(1), mutants_per_program=1000))
    assert 5 < len(snippets) < 30
    assert {snippet.label_source for snippet in snippets} == {
        f"implanted:{name}"
        for name in (
            "wrong_comparison", "off_by_one", "wrong_variable", "negated_condition", "wrong_constant",
            "swapped_arguments", "dropped_statement", "wrong_return",
        )
    }  # fmt: skip


def test_programs_without_a_mutant_are_counted():
    corpus = Fixed(
        Program("a", CODE, "python"),
        Program("b", "def f():\n    pass\n", "python"),
        Program("c", "def f(:\n", "python"),
        Program("d", "class X {}", "java"),
        Program("e", "DISPLAY 1.", "cobol"),
    )
    snippets, exclusions = read(ImplantedBugs(corpus))
    assert [snippet.problem_id for snippet in snippets] == ["a"]
    assert exclusions.counts == {
        "left out by the corpus": 1,
        "no bug can be implanted": 3,
        "no grammar for cobol (implanted bugs)": 1,
    }


def test_all_languages():
    c = "int f(int a, int b)\n{\n    return a < b;\n}\n"
    snippets, _ = read(ImplantedBugs(Fixed(Program("a", CODE, "python"), Program("b", c, "c"))))
    assert [snippet.language for snippet in snippets] == ["python", "c"]
    assert snippets[1].wrong_lines == (2,)


def test_weighted_operators_are_described():
    source = ImplantedBugs(many(30), operators={"wrong_constant": 1, "negated_condition": 9})
    assert source.describe().startswith("9 x negated_condition, 1 x wrong_constant (seed 0) implanted in")
    labels = [snippet.label_source for snippet in read(source)[0]]
    assert labels.count("implanted:negated_condition") > 20


def test_limit_is_a_seeded_sample_in_order():
    everything = [snippet.id for snippet in read(ImplantedBugs(many(40)))[0]]
    drawn, exclusions = read(ImplantedBugs(many(40), limit=10))
    ids = [snippet.id for snippet in drawn]
    assert len(ids) == 10
    assert ids == [id_ for id_ in everything if id_ in ids]
    assert ids != everything[:10]
    assert exclusions.counts["not drawn (limit 10)"] == 30
    assert read(ImplantedBugs(many(40), limit=10))[0] == drawn
    assert read(ImplantedBugs(many(40), limit=10, seed=1))[0] != drawn


def test_a_set_is_made_once_until_the_files_change(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(implanted, "implant_bugs", lambda *given: made.append(given) or implant_bugs(*given))
    (tmp_path / "a.py").write_text(CODE)
    first = read(ImplantedBugs(FolderCorpus(str(tmp_path))))
    first[0].append(first[0][0])  # what is given away may be changed
    again = read(ImplantedBugs(FolderCorpus(str(tmp_path))))
    assert (len(first[0]), len(again[0]), len(made)) == (2, 1, 1)
    assert again[1].counts == first[1].counts
    for settings in ({"seed": 1}, {"include_correct": True}, {"operators": ["negated_condition"]}):
        read(ImplantedBugs(FolderCorpus(str(tmp_path)), **settings))
    assert len(made) == 4
    (tmp_path / "b.py").write_text(CODE.replace("a += 1", "b -= 1"))
    assert len(read(ImplantedBugs(FolderCorpus(str(tmp_path))))[0]) == 2
    assert len(implanted._made) == implanted.REMEMBERED


def test_originals_on_request():
    snippets, _ = read(ImplantedBugs(many(1), include_correct=True))
    assert [(s.correct, bool(s.wrong_lines), s.code == CODE) for s in snippets] == [
        (True, False, True),
        (False, True, False),
    ]
    assert snippets[0].problem_id == snippets[1].problem_id


def test_nothing_to_mutate():
    with pytest.raises(SourceError, match=r"No bug could be implanted .*1 left out: no bug can be implanted \(a\)"):
        read(ImplantedBugs(Fixed(Program("a", "x = 1\n", "python"))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"operators": ["of_by_one"]}, "Unknown operator 'of_by_one'. Valid operators: wrong_comparison, off"),
        ({"operators": []}, "No operator is named"),
        ({"operators": ["delete_line"]}, "Unknown operator 'delete_line'"),
        ({"operators": {"off_by_one": 0.0}}, "off_by_one the weight 0"),
        ({"mutants_per_program": 0}, "mutants_per_program is 0"),
        ({"limit": 0}, "limit is 0"),
    ],
)
def test_bad_settings_are_refused_at_once(settings, message):
    with pytest.raises(ConfigError, match=message):
        ImplantedBugs(many(1), **settings)


def test_is_built_from_yaml_around_a_corpus():
    parser = ArgumentParser()
    parser.add_subclass_arguments(LabelledSource, "labels")
    corpus = {
        "class_path": "pttrust_lightning.source.corpora.StandardLibrary",
        "init_args": {"limit": 5, "min_lines": 4},
    }
    node = {
        "class_path": "pttrust_lightning.source.labelled.implanted.ImplantedBugs",
        "init_args": {"corpus": corpus, "operators": ["off_by_one"], "limit": 3},
    }
    labels = parser.instantiate(parser.parse_object({"labels": node})).labels
    assert labels.describe().startswith("off_by_one (seed 0) implanted in functions of Python")
    node["init_args"]["operators"] = {"off_by_one": 2, "wrong_return": 1.5}
    labels = parser.instantiate(parser.parse_object({"labels": node})).labels
    assert labels.operators == {"off_by_one": 2, "wrong_return": 1.5}
