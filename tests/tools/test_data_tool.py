"""``pttrust data stats`` as a user meets it: through main(); no LLM is read."""

import json

import pytest

from pttrust_lightning.datamodules import LabelledLines
from pttrust_lightning.main import main

LABELLED = """
data:
  class_path: LabelledLines
  init_args:
    snippets: {{class_path: JsonlLabelled, init_args: {{path: {path}}}}}
    cache_dir: {path}.cache
    states: {{llm: no/such/llm}}
"""
CORPUS = """
data:
  class_path: {kind}
  init_args:
    corpus: {{class_path: FolderCorpus, init_args: {{path: {path}}}}}
    states: {{llm: no/such/llm}}
    {cache}
"""


def program(name, number):
    """Long enough to be told from others by its tokens."""
    body = "".join(f"    {name} = {name} {'+-*'[(number + i) % 3]} h({name}, {i})\n" for i in range(6 + number))
    return f"def f({name}):\n{body}    return {name}\n"


@pytest.fixture
def labelled(tmp_path):
    """A configuration of twelve labelled snippets: ids and problems from ``first`` on, of the programs numbered so."""

    def write(name, first=0, variable="x"):
        path = tmp_path / f"{name}.jsonl"
        records = [
            {
                "id": f"{name}{i}",
                "problem_id": f"p{i}",
                "language": "py",
                "code": program(variable, i),
                "wrong_lines": [1],
            }
            for i in range(first, first + 12)
        ]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        config = tmp_path / f"{name}.yaml"
        config.write_text(LABELLED.format(path=path))
        return str(config)

    return write


@pytest.fixture
def corpus(tmp_path):
    def write(numbers, kind="UnlabelledStates", copies=1):
        folder = tmp_path / f"code{min(numbers)}"
        folder.mkdir()
        for i in numbers:
            for copy in range(copies):
                (folder / f"m{i}_{copy}.py").write_text(program(f"y{copy}", i))
        config = tmp_path / f"{folder.name}.yaml"
        cache = f"cache_dir: {tmp_path / 'cache'}" if kind == "UnlabelledStates" else "val_fraction: 0.5"
        config.write_text(CORPUS.format(kind=kind, path=folder, cache=cache))
        return str(config)

    return write


def test_what_is_in_a_labelled_set(labelled, tmp_path, capsys):
    output = tmp_path / "new" / "stats.json"
    assert main(["data", "stats", "--config", labelled("a"), "--output", str(output)]) == 0
    record = json.loads(output.read_text())
    lines = sum(8 + i for i in range(12))
    total = {"snippets": 12, "rankable": 12, "lines": lines, "wrong_lines": 12}
    assert record["data"]["total"] == total
    assert record["data"]["parts"]["language"] == {"python": total}
    assert {n: part["snippets"] for n, part in record["data"]["parts"]["split"].items()} == {
        "train": 7,
        "val": 2,
        "test": 3,
    }
    assert record["data"]["overlaps"] == []
    assert set(record) == {"data"}
    shown = capsys.readouterr()
    assert "labelled lines of" in shown.out
    assert not shown.err


@pytest.mark.parametrize("kind", ["UnlabelledStates", "StreamedStates"])
def test_copies_across_the_splits_of_a_corpus_are_warned_of_or_refused(corpus, kind, capsys):
    config = corpus(range(10), kind, copies=3)
    assert main(["data", "stats", "--config", config]) == 0
    shown = capsys.readouterr()
    assert "copies of an earlier one: 0 by code, 20 by tokens" in shown.out
    assert shown.err.startswith("Warning: ")
    assert "in val repeat what is in train" in shown.err
    assert main(["data", "stats", "--config", config, "--strict"]) == 2
    assert "What is tested must not be trained on" in capsys.readouterr().err


def test_a_labelled_set_against_a_corpus(labelled, corpus, capsys):
    args = ["data", "stats", "--config", labelled("a"), "--against"]
    shared, apart = corpus(range(10, 20)), corpus(range(20, 30))
    assert main([*args, apart]) == 0
    assert not capsys.readouterr().err
    assert main([*args, shared]) == 0
    message = capsys.readouterr().err
    assert message.startswith("Warning: 2 of 12 in labelled lines of ")
    assert "a10 = m10_0.py (tokens); a11 = m11_0.py (tokens)" in message
    assert main([*args, shared, "--strict"]) == 2
    assert "pttrust data: 2 of 12 in" in capsys.readouterr().err


def test_two_labelled_sets_must_share_nothing(labelled, tmp_path, capsys):
    args = ["data", "stats", "--config", labelled("a"), "--against"]
    assert main([*args, labelled("b", first=12)]) == 0
    assert main([*args, labelled("c", first=11, variable="z"), f"--output={tmp_path / 's.json'}"]) == 2
    message = capsys.readouterr().err
    assert "1 of 12 in labelled lines of" in message
    assert "(1 by tokens): a11 = c11 (tokens). What is tested must not be trained on" in message
    overlap = json.loads((tmp_path / "s.json").read_text())["overlap"]
    assert (overlap["snippets"], overlap["examples"]) == (1, [["a11", "c11", "tokens"]])


def test_splits_that_leak_are_refused(labelled, tmp_path, monkeypatch, capsys):
    config, records = labelled("a"), tmp_path / "a.jsonl"
    lines = records.read_text().splitlines()
    copy = json.loads(lines[0]) | {"id": "copy", "code": program("renamed", 0), "problem_id": "other"}
    records.write_text("\n".join([*lines, json.dumps(copy)]))
    assert main(["data", "stats", "--config", config]) == 0  # the splits put both into one
    monkeypatch.setattr(LabelledLines, "splits", lambda self, snippets, fingerprints: ["train"] * 12 + ["test"])
    assert main(["data", "stats", "--config", config]) == 2
    assert "1 of 1 in test repeat what is in train (1 by tokens): copy = a0 (tokens)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["data"], "All options: pttrust data --help"),
        (["data", "stats"], "data"),
        (["data", "stats", "--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes_of_the_command_line(args, message, capsys):
    with pytest.raises(SystemExit) as error:
        main(args)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_data_that_cannot_be_read(labelled, tmp_path, capsys):
    config = labelled("a")
    (tmp_path / "a.jsonl").unlink()
    assert main(["data", "stats", "--config", config]) == 2
    assert "a.jsonl does not exist. Check the path" in capsys.readouterr().err
    good = labelled("b", first=12)
    assert main(["data", "stats", "--config", good, "--against", config]) == 2
    assert "a.jsonl does not exist. Check the path" in capsys.readouterr().err


def test_bugs_that_stage_1_is_trained_on_are_not_to_be_tested_on(tmp_path, capsys):
    """A corpus of fixes brings the buggy programs as mutants: they are read by stage 1 as their originals are."""
    file = tmp_path / "bugs.jsonl"
    records = []
    for i in range(8):
        correct = program("x", i)
        record = {"task_id": f"Python/{i}", "prompt": "", "canonical_solution": correct}
        records.append({**record, "buggy_solution": correct.replace("return x", "return h(x, 7)")})
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    bugs = f"{{class_path: HumanEvalPack, init_args: {{path: {file}}}}}"
    states, stage_1, stage_2 = "states: {llm: no/such/llm}", tmp_path / "stage1.yaml", tmp_path / "stage2.yaml"
    corpus = f"{{class_path: BugFixes, init_args: {{source: {bugs}}}}}"
    for config, kind, what in (
        (stage_1, "UnlabelledStates", f"corpus: {corpus}"),
        (stage_2, "LabelledLines", f"snippets: {bugs}"),
    ):
        settings = f"{what}\n    cache_dir: {tmp_path / kind}\n    {states}"
        config.write_text(f"data:\n  class_path: {kind}\n  init_args:\n    {settings}\n")
    args = ["data", "stats", "--config", str(stage_2), "--against", str(stage_1)]
    assert main(args) == 0
    assert "Warning: 8 of 8" in capsys.readouterr().err
    assert main([*args, "--strict"]) == 2
