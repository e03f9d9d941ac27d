"""``pttrust compare`` as a user meets it: on files of scores, against the metrics themselves."""

import numpy as np
import pytest

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.main import main
from pttrust_lightning.metrics import paired_differences
from pttrust_lightning.report.predictions import write_predictions
from pttrust_lightning.tools.compare import compare_methods, scores_of
from pttrust_lightning.types import ScoredSnippet

N = 30


def scored(seed, ids="python", n=N):
    """Snippets of five lines, one of them wrong; lines and labels are the same for every seed."""
    rng = np.random.default_rng(seed)
    return [
        ScoredSnippet(
            snippet_id=f"{ids if i % 2 else 'java'} {i}",
            line_numbers=np.arange(5),
            scores=rng.normal(size=5),
            probabilities=rng.random(5),
            labels=(np.arange(5) == i % 5).astype(np.float64),
            fold=i % 3,
        )
        for i in range(n)
    ]


@pytest.fixture
def runs(tmp_path):
    """A benchmark's folder: one data set, three methods, one of them trained with two seeds."""
    place = tmp_path / "runs" / "predictions" / "first"
    for name, seed in (("a", 0), ("b", 1), ("a-20snippets", 2), ("c-seed3", 3), ("c-seed4", 4)):
        write_predictions(place / f"{name}.jsonl", scored(seed))
    return tmp_path / "runs"


def test_the_tables_are_those_of_the_metrics(runs, tmp_path, capsys):
    assert main(["compare", "a", "b", "a-20snippets", f"--runs={runs}", f"--output={tmp_path / 'o' / 'c.md'}"]) == 0
    said = (tmp_path / "o" / "c.md").read_text()
    gap = paired_differences(scored(0), scored(1))["mrr"]
    low, high = (f"{v:+.3f}".replace("0.", ".") for v in (gap.low, gap.high))
    assert f"({low} to {high})" in said.split("| a minus |")[1].split("| b |")[1].splitlines()[0]
    assert "30 test snippets, 150 lines, 30 of them wrong" in said
    assert "a-20snippets" in capsys.readouterr().out


def test_some_snippets_alone(runs):
    methods = {name: scores_of(name, str(runs)) for name in ("a", "b")}
    found = compare_methods(methods, ["java"], 50, 0)
    of_a, of_b = ([s for s in scored(seed) if s.snippet_id.startswith("java")] for seed in (0, 1))
    assert found.data["test"]["snippets"] == N / 2
    assert found.differences["b"] == paired_differences(of_a, of_b, 50)
    with pytest.raises(ConfigError, match=r"no snippet's id begins with rust\. There are ids such as java 0"):
        compare_methods(methods, ["rust"], 50, 0)


def test_training_seeds_are_averaged(runs):
    found = compare_methods({name: scores_of(name, str(runs)) for name in ("a", "c")}, None, 50, 0)
    of_each = [paired_differences(scored(0), scored(seed), 0)["auroc"].value for seed in (3, 4)]
    assert found.differences["c"]["auroc"].value == pytest.approx(np.mean(of_each))


def test_data_sets_are_put_together_and_their_lines_not_compared(runs):
    high = [s._replace(scores=s.scores + 100) for s in scored(5)]  # another scale
    for name in ("a", "b"):
        write_predictions(runs / "predictions" / "second" / f"{name}.jsonl", high)
    both = scores_of("a", str(runs))[0]
    assert len({s.snippet_id for s in both}) == 2 * N
    assert both[0].snippet_id == "first: java 0"
    assert {s.fold for s in both} == set(range(6))
    assert scores_of("a", str(runs), ["first"])[0][0].snippet_id == "java 0"
    with pytest.raises(ConfigError, match=r"second has no a-20snippets\. It has a, b"):
        scores_of("a-20snippets", str(runs))
    with pytest.raises(ConfigError, match=r"no data set secnd\. Did you mean 'second'"):
        scores_of("a", str(runs), ["secnd"])


def test_files_need_no_folder(tmp_path, capsys):
    files = [tmp_path / "one.jsonl", tmp_path / "other.jsonl"]
    for seed, file in enumerate(files):
        write_predictions(file, scored(seed))
    assert main(["compare", *map(str, files)]) == 0
    assert "30 snippets, 150 lines, 30 wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["a", "b"], "Say whose method it is: --runs FOLDER"),
        (["a", "a", "--runs=RUNS"], "Name two different methods"),
        (["a", "B", "--runs=RUNS"], "has no B"),
        (["a", "b", "--runs=nowhere"], "is missing. Give the output_dir of a benchmark that has ended"),
        (["a", "gone.jsonl", "--runs=RUNS"], "gone.jsonl: there is no such file"),
        (["a", "b", "--runs=RUNS", "--bootstrap_samples=0"], "Set it to at least 1"),
    ],
)
def test_what_cannot_be_compared_is_said(runs, options, said, capsys):
    assert main(["compare", *(o.replace("RUNS", str(runs)) for o in options)]) == 2
    assert said in capsys.readouterr().err


def test_methods_of_other_snippets_are_refused(runs, capsys):
    write_predictions(runs / "predictions" / "first" / "few.jsonl", scored(0, n=N - 1))
    assert main(["compare", "a", "few", f"--runs={runs}"]) == 2
    assert "1 snippets were scored by one method only, such as python 29" in capsys.readouterr().err
