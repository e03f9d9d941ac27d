"""``pttrust label`` as a user meets it: through main(), in a real sandbox, with a local endpoint as judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judge_stand_in import naming, stand_in

from pttrust_lightning.datamodules import LabelledLines
from pttrust_lightning.labelling.benchmarks import humanevalpack_candidates, humanevalpack_problems
from pttrust_lightning.labelling.problems import Candidate, Problem, write_candidates, write_problems
from pttrust_lightning.main import main
from pttrust_lightning.source import HumanEvalPack, JsonlLabelled
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.types import Exclusions, LabelledSnippet

pytestmark = pytest.mark.usefixtures("sandbox")  # these tests run programs

PROMPT = "def add(a, b):\n"
TEST = "assert add(2, 3) == 5\nassert add(0, 0) == 0\n"
RIGHT = "    total = a\n    total += b\n    return total\n"
WRONG = RIGHT.replace("+= b", "-= b")
OTHER_WAY = "    if a == 0:\n        a = 1\n    x = [a, b]\n    return x[0] * x[1]\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with one problem and six candidates."""
    monkeypatch.chdir(tmp_path)
    write_problems("problems.jsonl", [Problem("add", "python", PROMPT, TEST, "add", RIGHT)])
    codes = {
        "right": RIGHT + "\n",
        "wrong": WRONG,
        "twice": WRONG,
        "other": OTHER_WAY,
        "slow": "    while True: pass\n",
    }
    codes["dead"] = "    import os\n    os.kill(os.getpid(), 9)\n"
    write_candidates("candidates.jsonl", [Candidate(name, "add", code) for name, code in codes.items()])
    return tmp_path


def label(*more: str) -> int:
    return main(["label", "--problems=problems.jsonl", "--output=labels.jsonl", "--timeout=1", *more])


def written(path: str = "labels.jsonl") -> dict[str, LabelledSnippet]:
    return {snippet.id: snippet for snippet in JsonlLabelled(path).snippets(Exclusions())}


def test_from_candidates_to_labelled_lines(folder, capsys):
    assert label("--candidates=candidates.jsonl") == 0
    said = capsys.readouterr().out
    expected = LabelledSnippet("twice", "add", "python", "generation", PROMPT, WRONG, (1,), False, "diff:reference")
    labels = written()
    assert labels["twice"] == expected
    assert {name: (s.correct, s.wrong_lines, s.label_source) for name, s in labels.items()} == {
        "right": (True, (), "tests"),
        "twice": (False, (1,), "diff:reference"),
        "other": (False, (), "tests"),
    }
    assert "Testing 5 candidates of 1 problems, with 1 references" in said
    for row in ("verdict", "crashed", "timeout", "diff:reference", "too far from every correct program"):
        assert row in said
    assert "Written: labels.jsonl, 3 snippets with 1 wrong lines" in said


def test_a_second_run_tests_nothing_and_writes_the_same(folder, monkeypatch):
    assert label("--candidates=candidates.jsonl") == 0
    before = (folder / "labels.jsonl").read_bytes()
    kept = (folder / "labels.jsonl.cache" / "test_runs.jsonl").read_bytes()
    assert label("--candidates=candidates.jsonl") == 0
    assert (folder / "labels.jsonl").read_bytes() == before
    assert (folder / "labels.jsonl.cache" / "test_runs.jsonl").read_bytes() == kept


def test_repaired_programs(folder):
    write_candidates("repaired.jsonl", [Candidate("other", "add", OTHER_WAY.replace("x[0] * x[1]", "a + b"))])
    problem = Problem("add", "python", PROMPT, "assert add(2, 3) == 5\n", "add")
    write_problems("problems.jsonl", [problem])
    assert label("--candidates=candidates.jsonl", "--repaired=repaired.jsonl") == 0
    assert (written()["other"].wrong_lines, written()["other"].label_source) == ((3,), "diff:repaired")
    assert written()["twice"].label_source == "diff:candidate:right"


def test_the_judge_says_its_price_first_and_labels_what_the_diff_cannot(folder, monkeypatch, capsys):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("JUDGE_KEY", "secret-key")
    prices = ["--judge.input_price=1", "--judge.output_price=2", "--judge.api_key_variable=JUDGE_KEY"]
    with stand_in() as endpoint:
        endpoint.answer = lambda asked: naming((4, "    return x[0] * x[1]"))
        judge = ["--candidates=candidates.jsonl", f"--judge.base_url={endpoint.base_url}", "--judge.model=m", *prices]
        assert label(*judge, "--judge.dry_run=true") == 0
        assert "1 requests (0 answers are kept from before)" in capsys.readouterr().out
        assert not (folder / "labels.jsonl").exists()
        assert label(*judge, "--judge.max_cost=0.000001") == 2
        assert "judge.max_cost is 1e-06" in capsys.readouterr().err
        assert not endpoint.asked
        assert label(*judge, "--judge.max_cost=1") == 0
        assert (written()["other"].wrong_lines, written()["other"].label_source) == ((3,), "judge:m")
        assert written()["twice"].label_source == "diff:reference"
        assert label(*judge) == 0
        assert len(endpoint.asked) == 1
    said = capsys.readouterr()
    assert "asked 1 times: 100 prompt tokens, 10 answer tokens, cost 0.0001" in said.out
    texts = [file.read_text() for file in folder.rglob("*") if file.is_file()]
    assert not [text for text in (*texts, said.out, said.err) if "secret-key" in text]


def test_generated_candidates(folder, capsys):
    generate = ["--generate.llm=embedded", "--generate.samples=2", "--generate.max_new_tokens=40"]
    assert label(*generate, "--candidates=candidates.jsonl", "--generate.seed=1") == 0
    first = (folder / "labels.jsonl").read_bytes()
    assert label(*generate, "--candidates=candidates.jsonl", "--generate.seed=1") == 0
    assert (folder / "labels.jsonl").read_bytes() == first
    samples = [json.loads(line) for line in (folder / "labels.jsonl.cache" / "samples.jsonl").open()]
    assert [sample["id"] for sample in samples] == ["add#embedded-0", "add#embedded-1"]


def test_the_data_module_reads_the_labels(folder, gpt2):
    problems = [Problem(f"add{i}", "python", PROMPT, TEST, "add", RIGHT) for i in range(12)]
    wrong = [Candidate(f"c{i}", f"add{i}", WRONG.replace("-= b", f"-= b + {i}")) for i in range(12)]
    write_problems("problems.jsonl", problems)
    write_candidates("candidates.jsonl", [*wrong, Candidate("good", "add0", RIGHT + "\n")])
    assert label("--candidates=candidates.jsonl") == 0
    states = LineStateConfig(llm=str(gpt2), device="cpu")
    data = LabelledLines(JsonlLabelled("labels.jsonl"), str(folder / "states"), states, uncertainty=False)
    data.prepare_data()
    data.setup("fit")
    joined = [item for part in data.split.values() for item in part]
    assert {item.snippet.id for item in joined} == {"good", *(c.id for c in wrong)}
    for item in joined:
        expected = [0, 0, 0] if item.snippet.correct else [0, 1, 0]
        assert item.labels.tolist() == expected
        assert len(item.lines.states) == 3


def test_the_labels_of_a_benchmark_are_its_own(folder, shared_data):
    """HumanEvalPack's own reader aligns each buggy solution with the correct one: the same lines, from another way."""
    file = shared_data / "humanevalpack" / "python.jsonl"
    expected = {s.id: s.wrong_lines for s in HumanEvalPack(str(file)).snippets(Exclusions())}
    problems = humanevalpack_problems(str(file), "python")[:6]
    chosen = {problem.id for problem in problems}
    assert [problem.group for problem in problems] == [f"HumanEval/{i}" for i in range(6)]
    candidates = [c for c in humanevalpack_candidates(str(file), "python") if c.problem_id in chosen]
    write_problems("problems.jsonl", problems)
    write_candidates("candidates.jsonl", candidates)
    assert label("--candidates=candidates.jsonl", "--timeout=5") == 0
    labels = written()
    assert sum(snippet.correct for snippet in labels.values()) == 6
    buggy = {id_.removesuffix("#buggy"): s for id_, s in labels.items() if id_.endswith("#buggy")}
    assert len(buggy) == 6
    for id_, snippet in buggy.items():
        assert not snippet.correct
        assert snippet.wrong_lines == expected[id_]
        assert snippet.problem_id == id_.replace("Python", "HumanEval"), "as HumanEvalPack's own reader groups"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([], "Give --candidates, or an LLM"),
        (["--candidates=missing.jsonl"], "missing.jsonl does not exist"),
        (["--candidates=labels.jsonl"], "labels.jsonl is one of the inputs"),
        (["--candidates=candidates.jsonl", "--max_changed_share=0"], "max_changed_share is 0"),
        (["--candidates=candidates.jsonl", "--jobs=0"], "jobs is 0"),
        (["--candidates=candidates.jsonl", "--memory_mb=0"], "memory_bytes is 0"),
        (["--candidates=candidates.jsonl", "--timeout=0"], "wall_seconds is 0"),
        (["--candidates=candidates.jsonl", "--sandbox=tent"], "no sandbox 'tent'"),
        (["--candidates=candidates.jsonl", "--judge.base_url=http://127.0.0.1:1/v1"], "no judge.model"),
        (["--candidates=candidates.jsonl", "--judge.base_url=host", "--judge.model=m"], "no HTTP address"),
        (["--generate.llm=embedded", "--generate.temperature=0"], "would be the same"),
        (["--generate.llm=./nowhere"], "./nowhere does not exist"),
    ],
)
def test_settings_that_cannot_be_used(folder, capsys, more, problem):
    assert label(*more) == 2
    assert problem in capsys.readouterr().err
    assert not (folder / "labels.jsonl").exists()
