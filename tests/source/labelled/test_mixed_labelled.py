import pytest

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source import JsonlLabelled, MixedLabelled
from pttrust_lightning.source.labelled.lines_jsonl import write_jsonl
from pttrust_lightning.types import Exclusions, LabelledSnippet


def snippet(i, language):
    return LabelledSnippet(f"s{i}", f"p{i}", language, "repair", "", f"x = {i}\n", (0,), False, "human")


@pytest.fixture
def sources(tmp_path):
    for name, language in (("here", "python"), ("there", "java")):
        write_jsonl(str(tmp_path / f"{name}.jsonl"), [snippet(i, language) for i in range(3)])
    return {name: JsonlLabelled(str(tmp_path / f"{name}.jsonl")) for name in ("here", "there")}


def test_each_snippet_knows_its_set_and_problems_stay_tied(sources):
    found = MixedLabelled(sources).snippets(Exclusions())
    assert [s.id for s in found] == [f"{name}/s{i}" for name in ("here", "there") for i in range(3)]
    assert [(s.data_set, s.language, s.problem_id) for s in found[2:4]] == [
        ("here", "python", "p2"), ("there", "java", "p0"),
    ]  # fmt: skip
    assert found[0].code == "x = 0\n" and found[0].wrong_lines == (0,)


def test_it_says_what_it_reads(sources):
    mixed = MixedLabelled(sources)
    assert mixed.name == "here + there"
    assert mixed.describe() == f"here: {sources['here'].describe()}; there: {sources['there'].describe()}"


@pytest.mark.parametrize(("names", "message"), [([], "sources is empty"), (["a/b"], "'a/b' cannot be a set's name")])
def test_sets_that_cannot_be_are_refused(sources, names, message):
    with pytest.raises(ConfigError, match=message):
        MixedLabelled({name: sources["here"] for name in names})
