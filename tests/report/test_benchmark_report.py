import io
import json

import pytest
from rich.console import Console

from pttrust_lightning.metrics.evaluation import METRICS, Estimate
from pttrust_lightning.report.benchmark import (
    Axis,
    BenchmarkResults,
    Choice,
    DataSetResults,
    Generalisation,
    benchmark_markdown,
    print_benchmark,
    write_benchmark,
)
from pttrust_lightning.report.results import COMPARED, Results


def estimates(value):
    return {metric: Estimate(value, value - 0.1, value + 0.1) for metric in METRICS}


def found(name, choices=(), learning_curve=None, sweep=None, generalisation=None):
    table = Results(
        name=name,
        seeds=[3],
        data={"test": {"snippets": 11, "lines": 120, "wrong_lines": 13}},
        methods={"pttrust": estimates(0.6), "surface": estimates(0.4)},
        differences={"surface": estimates(0.2)},
    )
    return DataSetResults(table, list(choices), learning_curve, sweep, generalisation)


def results(**data_sets):
    return BenchmarkResults("tiny", [3], {"stage_1_validation": {}}, data_sets or {"tiny": found("tiny")})


def printed(benchmark, width=100):
    stream = io.StringIO()
    print_benchmark(benchmark, Console(file=stream, width=width))
    return stream.getvalue()


CURVE = Axis("labelled snippets", [5, 20], {"pttrust": {5: estimates(0.3), 20: estimates(0.6)}})
LAYERS = Axis("layer", [0, 7], {"probe": {0: estimates(0.25), 7: estimates(0.75)}})
CHOICES = [
    Choice("pttrust", 3, fold, None, None, {"lr": lr}, [{"values": {"lr": lr}, "val/loss": 0.5}])
    for fold, lr in ((0, 0.1), (1, 0.2))
]


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_benchmark(tmp_path / name, results())
    write_benchmark(tmp_path / "b", results())  # again, over the first
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["results.json", "results.md"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "results.md").read_text(encoding="utf-8") == benchmark_markdown(results())


def test_data_sets_are_below_each_other_and_nested_in_json(tmp_path):
    both = results(here=found("tiny: here"), there=found("tiny: there"))
    write_benchmark(tmp_path, both)
    record = json.loads((tmp_path / "results.json").read_text())
    assert (record["benchmark"], record["seeds"], list(record["data_sets"])) == ("tiny", [3], ["here", "there"])
    assert record["data_sets"]["there"]["methods"]["pttrust"]["mrr"]["value"] == 0.6
    for text in ((tmp_path / "results.md").read_text(), printed(both)):
        assert text.index("tiny: here") < text.index("tiny: there")
    assert [line for line in benchmark_markdown(both).splitlines() if line.startswith("#")] == ["## here", "## there"]
    assert "#" not in benchmark_markdown(results())


def test_what_was_varied_is_a_table_a_metric_and_nested_in_json(tmp_path):
    varied = results(tiny=found("tiny", learning_curve=CURVE, sweep=LAYERS))
    write_benchmark(tmp_path, varied)
    record = json.loads((tmp_path / "results.json").read_text())["data_sets"]["tiny"]
    assert record["learning_curve"]["values"] == [5, 20]
    assert record["learning_curve"]["methods"]["pttrust"]["5"]["mrr"]["value"] == 0.3
    assert record["sweep"]["axis"] == "layer" and set(record["sweep"]["methods"]["probe"]["7"]) == set(METRICS)
    table = benchmark_markdown(varied)
    assert "| hit@1 by layer | 0 | 7 |\n|---|---|---|\n| probe | .250 (.150 to .350) | .750 (.650 to .850) |\n" in table
    for metric in COMPARED:
        assert f"{metric} by labelled snippets" in table and f"{metric} by layer" in printed(varied)


def test_matrices_are_shown_for_each_method_and_difference():
    columns = ("go", "rust", "all")
    cells = {row: {column: estimates(0.1 * i) for i, column in enumerate(columns, 1)} for row in columns}
    tested = {"go": 4, "rust": 5, "all": 9}
    matrices = Generalisation("language", tested, {"pttrust": cells, "surface": cells}, {"surface": cells})
    shown = results(tiny=found("tiny", generalisation=matrices))
    text = benchmark_markdown(shown)
    assert "tested on (4 of go, 5 of rust can be ranked)" in text
    assert "| hit@1: pttrust | go | rust | all |\n|---|---|---|---|\n| go | .100 (.000 to .200) | .200" in text
    assert "| mrr: pttrust minus surface | go | rust | all |" in text and "+.200* (+.100 to +.300)" in text
    assert "Rows: language trained on; columns: tested on." in printed(shown)
    assert "hit@1: surface" in printed(shown) and "mrr: pttrust minus surface" in printed(shown)


def test_nothing_varied_leaves_no_trace(tmp_path):
    write_benchmark(tmp_path, results())
    record = json.loads((tmp_path / "results.json").read_text())["data_sets"]["tiny"]
    assert not record.keys() & {"learning_curve", "sweep", "choices", "generalisation"}


@pytest.mark.parametrize("show", [benchmark_markdown, printed])
def test_choices_are_shown_fold_by_fold(show):
    assert "pttrust, seed 3: lr 0.1, 0.2" in show(results(tiny=found("tiny", CHOICES)))


@pytest.mark.parametrize("show", [benchmark_markdown, printed])
def test_what_stage_1_came_to_is_shown_once(show):
    figures = {"loss": 0.03, "fvu": 0.2249, "pair_distance": 0.1789, "l0": 32.0, "dead_share": 0.546}
    both = {"here": found("tiny: here"), "there": found("tiny: there")}
    text = show(BenchmarkResults("tiny", [3], {"stage_1_validation": {"pttrust": figures}}, both))
    assert text.count("Stage 1 on held-out programs:") == 1
    assert "pttrust: FVU 0.225, pair distance 0.179, dead latents 55%" in text
    assert "Stage 1" not in show(results())


def test_choices_are_in_json_with_what_there_was_to_choose_from(tmp_path):
    write_benchmark(tmp_path, results(tiny=found("tiny", CHOICES)))
    first, _ = json.loads((tmp_path / "results.json").read_text())["data_sets"]["tiny"]["choices"]
    assert first == {
        "method": "pttrust", "seed": 3, "fold": 0, "train_snippets": None, "trained_on": None, "chosen": {"lr": 0.1},
        "candidates": [{"values": {"lr": 0.1}, "val/loss": 0.5}],
    }  # fmt: skip
