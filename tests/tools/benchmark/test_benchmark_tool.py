"""The benchmark, its runs answered by a stand-in for the Lightning CLI; the real thing runs in test_configs."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from lightning_stand_in import LABELS, StandIn, option

from pttrust_lightning.baselines import BASELINES
from pttrust_lightning.errors import ConfigError, PtTrustError
from pttrust_lightning.report.predictions import read_predictions
from pttrust_lightning.tools.benchmark import Benchmark, Variant, run
from pttrust_lightning.tools.benchmark.command import run_benchmark
from pttrust_lightning.tools.benchmark.data import choose_baselines


def test_stages_are_asked_for_as_a_user_would(tmp_path, without_data, tried):
    results, lightning = tried(
        pretrain_args=["--trainer.max_epochs=3"], seeds=[5], finetune_args=["--model.init_args.lr=1"]
    )
    first, second, third, *baselines, last = lightning.asked
    assert first[:3] == ["fit", "--config", str(tmp_path / "data.yaml")]
    assert third[2] == str(tmp_path / "finetune.yaml")
    assert "--model.init_args.contrastive=none" in second and "--model.init_args.contrastive=none" not in first
    assert all("--seed_everything=5" in asked for asked in lightning.asked)
    assert "--trainer.max_epochs=3" in first and "--trainer.max_epochs=3" not in third
    for asked, variant in ((third, "pttrust"), (last, "sae_no_contrast")):
        assert option(asked, "model.init_args.encoder") == str(
            tmp_path / f"pretrain-{variant}" / "version_0" / "export"
        )
        assert option(asked, "model.init_args.lr") == "1"
    assert [option(asked, "model.init_args.baseline") for asked in baselines] == [
        "random",
        "surface",
        "uncertainty",
        "probe",
        "probe_ranker",
    ]
    assert all(
        option(asked, "model") == "BaselineRanking" and not option(asked, "model.init_args.lr") for asked in baselines
    )
    found = results.data_sets["tried"].table
    assert list(found.methods) == [
        "pttrust",
        "random",
        "surface",
        "uncertainty",
        "probe",
        "probe_ranker",
        "sae_no_contrast",
    ]
    assert found.methods["pttrust"]["hit@1"].value == 1.0
    assert results.data["stage_1_validation"]["pttrust"] == {
        "fvu": 0.1, "l0": 4.0, "dead_share": 0.2, "pair_distance": 0.3
    }  # fmt: skip
    assert found.data["test"] == {"snippets": 20, "lines": 120, "wrong_lines": 20}


def test_results_tell_tokens_and_lines_that_could_be_wrong(tmp_path, without_data, tried):
    found = tried(variants={"one": Variant()}, baselines=["random"], train_snippets=[10])[0].data_sets["tried"]
    of_all = [found.table.methods["random"], found.learning_curve.rows["random"][10]]
    for metrics in of_all:
        assert {"token_recall@10", "full_coverage@50", "hit@1 (eligible)"} <= metrics.keys()
        # the stand-in ranks the wrong line first: 2 tokens a line
        assert metrics["token_recall@10"].value == metrics["full_coverage@50"].value == 1.0
        assert metrics["token_precision@10"].value == pytest.approx(2 / 10)
    # of 20 snippets, the wrong line is the last one in 3: that comes last where it cannot be wrong
    ineligible = sum(labels[5] for labels in LABELS[::2])
    assert of_all[0]["hit@1 (eligible)"].value == pytest.approx(1 - ineligible / 20)
    assert found.table.differences["random"]["token_recall@10"].value == 0.0


def test_folds_test_every_snippet_once_and_are_not_pooled(tmp_path, without_data, tried):
    results, lightning = tried(folds=2, baselines=[])
    assert [name for name in lightning.names if "finetune" in name] == [
        f"finetune-{variant}-fold{fold}" for variant in ("pttrust", "sae_no_contrast") for fold in (0, 1)
    ]
    assert all(option(asked, "data.init_args.folds") == "2" for asked in lightning.asked[2:])
    found = results.data_sets["tried"].table
    assert found.data["test"]["snippets"] == 40
    # The stand-in adds the fold's number to all scores: compared within folds only, wrong lines always come first.
    assert found.methods["pttrust"]["auroc"].value == 1.0
    records = (tmp_path / "predictions" / "tried" / "pttrust.jsonl").read_text().splitlines()
    assert {json.loads(r)["fold"] for r in records} == {0, 1}


def test_only_the_baselines_asked_for_are_fitted(tmp_path, without_data, tried):
    results, _ = tried(baselines=["random"])
    assert list(results.data_sets["tried"].table.methods) == ["pttrust", "random", "sae_no_contrast"]
    assert "cannot be compared with surface" in (tmp_path / "results.md").read_text()


def test_a_stage_2_that_writes_no_predictions_is_refused(tmp_path, without_data, tried):
    with pytest.raises(ConfigError, match=r"callbacks\.WritePredictions"):
        tried(stand_in=StandIn(tmp_path, writes=False))


def test_data_sets_share_stage_1_and_have_tables_of_their_own(tmp_path, without_data, tried):
    sets = {"here": ["other.yaml"], "there": []}
    results, lightning = tried(data_sets=sets, seeds=[3, 4], variants={"one": Variant()}, baselines=["random"])
    assert lightning.names == [
        "pretrain-one-seed3", "pretrain-one-seed4",
        "finetune-one-here-seed3", "finetune-one-here-seed4", "baseline-random-here",
        "finetune-one-there-seed3", "finetune-one-there-seed4", "baseline-random-there",
    ]  # fmt: skip
    assert [a for a in lightning.asked[2] if a.endswith(".yaml")] == [
        str(tmp_path / "finetune.yaml"),
        str(tmp_path / "other.yaml"),
    ]
    assert str(tmp_path / "other.yaml") not in lightning.asked[5]
    encoders = [option(asked, "model.init_args.encoder") for asked in lightning.asked]
    assert encoders[2] == encoders[5] != encoders[3] == encoders[6]
    assert list(results.data_sets) == ["here", "there"]
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["data_sets"].keys() == sets.keys()
    assert record["data_sets"]["there"]["by_seed"].keys() == {"one"}
    table = (tmp_path / "results.md").read_text()
    assert table.index("## here") < table.index("`tried: here`, seeds 3, 4") < table.index("## there")
    assert (tmp_path / "predictions" / "there" / "random.jsonl").is_file()


def test_a_variant_may_learn_from_other_data_first(tmp_path, without_data, tried):
    (tmp_path / "model.yaml").write_text("model: {class_path: RiskFineTuning}\n")
    (tmp_path / "set.yaml").write_text("data: {class_path: LabelledLines}\n")
    (tmp_path / "mutants.yaml").write_text("data: {class_path: LabelledLines}\n")
    on = Variant(
        first=["mutants.yaml"],
        first_args=["--data.init_args.batch_size=7"],
        finetune_args=["--model.init_args.penalty=9", "--data.init_args.batch_size=3"],
    )
    settings = {
        "finetune": ["set.yaml", "model.yaml"],
        "variants": {"one": Variant(), "on": on, "same": Variant(**on, choose=LEARNING_RATES)},
        "baselines": ["random"],
        "folds": 2,
        "seeds": [3, 4],
    }
    _, lightning = tried(**settings)
    asked = dict(zip(lightning.names, lightning.asked, strict=True))
    begun = [name for name in lightning.names if name.startswith("first")]
    assert begun == ["first-on-seed3", "first-on-seed4"], "once for all folds and variants that learn the same"
    first = asked["first-on-seed4"]
    assert [Path(a).name for a in first if a.endswith(".yaml")] == ["model.yaml", "mutants.yaml"]
    assert "--model.init_args.penalty=9" in first
    assert option(first, "data.init_args.batch_size") == "7"
    assert option(asked["finetune-on-seed3-fold0"], "data.init_args.batch_size") == "3"
    assert option(first, "data.init_args.fold") is None
    encoder = option(asked["finetune-on-seed4-fold1"], "model.init_args.encoder")
    assert option(first, "model.init_args.encoder") == encoder
    start = Path(option(asked["finetune-on-seed4-fold1"], "model.init_args.start_from"))
    assert start.is_dir() and start.relative_to(tmp_path).parts[0] == "first-on-seed4"
    assert option(asked["finetune-same-seed4-fold1/choice1"], "model.init_args.start_from") == str(start)
    assert option(asked["finetune-one-seed4-fold1"], "model.init_args.start_from") is None
    assert tried(**settings)[1].names == [], "nothing is done again"
    (tmp_path / "mutants.yaml").write_text("data: {class_path: LabelledLines, init_args: {split_seed: 1}}\n")
    assert {name.split("-seed")[0] for name in tried(**settings)[1].names} == {
        "first-on",
        "finetune-on",
        "finetune-same",
    }


def test_a_variant_may_have_configuration_files_of_its_own(tmp_path, without_data, tried):
    own = Variant(finetune=["other.yaml"])
    _, lightning = tried(variants={"one": Variant(), "two": own}, baselines=["random"])
    files = {
        name: [Path(a).name for a in asked if a.endswith(".yaml")]
        for name, asked in zip(lightning.names, lightning.asked, strict=True)
    }
    assert files["finetune-one"] == files["baseline-random"] == ["finetune.yaml"]
    assert files["finetune-two"] == ["finetune.yaml", "other.yaml"]
    (tmp_path / "other.yaml").write_text("trainer: {max_epochs: 7}\n")
    _, again = tried(variants={"one": Variant(), "two": own}, baselines=["random"])
    assert again.names == ["finetune-two"], "what a variant's file says counts"


def test_each_seed_trains_every_variant_and_the_table_holds_the_mean(tmp_path, without_data, tried):
    results, lightning = tried(seeds=[3, 4], baselines=["random"])
    assert [sum(f"--seed_everything={seed}" in asked for asked in lightning.asked) for seed in (3, 4)] == [5, 4]
    found = results.data_sets["tried"].table
    assert found.by_seed.keys() == {"pttrust", "sae_no_contrast"}  # nothing in this baseline is drawn
    assert found.by_seed["pttrust"]["hit@1"] == [1.0, 1.0]
    assert {p.name for p in (tmp_path / "predictions" / "tried").iterdir()} == {
        *(f"{name}-seed{seed}.jsonl" for name in ("pttrust", "sae_no_contrast") for seed in (3, 4)), "random.jsonl",
    }  # fmt: skip
    table = (tmp_path / "results.md").read_text()
    assert "seeds 3, 4" in table and "| pttrust | 1.000, 1.000 |" in table


def test_a_baseline_whose_fit_is_random_is_fitted_with_each_seed(tmp_path, without_data, tried):
    settings = {"variants": {"one": Variant()}, "finetune_args": ["--data.init_args.verdicts=true"]}
    results, lightning = tried(seeds=[3, 4], baselines=["probe", "attention_probe"], **settings)
    assert [n for n in lightning.names if "baseline" in n] == [
        "baseline-probe", "baseline-attention_probe-seed3", "baseline-attention_probe-seed4",
    ]  # fmt: skip
    assert [option(asked, "seed_everything") for asked in lightning.asked[-3:]] == ["3", "3", "4"]
    assert results.data_sets["tried"].table.by_seed.keys() == {"one", "attention_probe"}
    assert (tmp_path / "predictions" / "tried" / "attention_probe-seed4.jsonl").is_file()


def test_a_single_method_is_compared_with_none(tmp_path, without_data, tried, capsys):
    settings = {"output_dir": str(tmp_path), "finetune": ["tried.yaml"], "variants": {"one": {}}, "baselines": []}
    settings |= {"name": "tried", "pretrain": ["tried.yaml"], "bootstrap_samples": 20, "jobs": 1}
    (tmp_path / "tried.yaml").write_text(yaml.dump(settings))
    run(["--config", str(tmp_path / "tried.yaml")], StandIn(tmp_path))
    assert "minus" not in capsys.readouterr().out + (tmp_path / "results.md").read_text()


def test_variants_of_stage_2_share_stage_1_and_the_first_is_compared(tmp_path, without_data, capsys):
    file = tmp_path / "benchmark.yaml"
    settings = {
        "name": "tried",
        "pretrain": ["benchmark.yaml"],
        "finetune": ["benchmark.yaml"],
        "output_dir": str(tmp_path),
        "bootstrap_samples": 20,
        "jobs": 1,
        "baselines": ["random"],
        "variants": {
            "paper": {},
            "deep": {"finetune_args": ["--model.init_args.n_layers=8"]},
            "flat": {"finetune_args": ["--model.init_args.n_layers=1"]},
            "wide": {"pretrain_args": ["--model.init_args.n_latents=512"]},
            "raw": {"finetune_args": ["--model.init_args.encoder=null", "--model.init_args.raw_states=true"]},
        },
    }
    file.write_text(yaml.dump(settings, sort_keys=False))
    lightning = StandIn(tmp_path)
    run(["--config", str(file)], lightning)
    assert lightning.names == [
        "pretrain-paper", "pretrain-wide",
        "finetune-paper", "baseline-random", "finetune-deep", "finetune-flat", "finetune-wide", "finetune-raw",
    ]  # fmt: skip
    asked = dict(zip(lightning.names, lightning.asked, strict=True))
    assert "--model.init_args.n_layers=1" in asked["finetune-flat"]
    of_paper = str(tmp_path / "pretrain-paper" / "version_0" / "export")
    assert option(asked["finetune-deep"], "model.init_args.encoder") == of_paper
    assert option(asked["finetune-raw"], "model.init_args.encoder") == "null"
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["data_sets"]["tried"]["paper_minus"].keys() == {"random", "deep", "flat", "wide", "raw"}
    assert "paper minus each other method" in capsys.readouterr().out


# --- what is chosen ---------------------------------------------------------------------------------------------------

LEARNING_RATES = {"model.init_args.lr": [0.5, 0.02, 0.1]}


@pytest.mark.parametrize(("by", "best"), [("val/loss", 1), ("val/mrr", 0)])
def test_the_candidate_that_validates_best_is_tested_alone(by, best, tmp_path, without_data, tried):
    """The stand-in gives both metrics the same value, so the least loss is the least MRR."""
    results, lightning = tried(
        choose=LEARNING_RATES, choose_by=by, folds=2, variants={"one": Variant()}, baselines=["random"]
    )
    assert lightning.names[1:4] == [f"finetune-one-fold0/choice{i}" for i in range(3)]
    tested = [folder.relative_to(tmp_path).as_posix() for folder in lightning.tested if "finetune" in str(folder)]
    assert tested == [f"finetune-one-fold{fold}/choice{best}/version_0" for fold in (0, 1)]
    chosen = LEARNING_RATES["model.init_args.lr"][best]
    choices = json.loads((tmp_path / "results.json").read_text())["data_sets"]["tried"]["choices"]
    assert [(c["method"], c["seed"], c["fold"], c["chosen"]) for c in choices] == [
        ("one", 0, fold, {"model.init_args.lr": chosen}) for fold in (0, 1)
    ]
    assert [c[by] for c in choices[0]["candidates"]] == pytest.approx([0.49, 0.01, 0.09])
    assert f"one, seed 0: model.init_args.lr {chosen}, {chosen}" in (tmp_path / "results.md").read_text()
    assert results.data_sets["tried"].table.methods["one"]["hit@1"].value == 1.0


def test_settings_of_both_stages_are_chosen_together(tmp_path, without_data, tried):
    results, lightning = tried(
        choose_pretrain={"model.init_args.k": [8, 16]},
        variants={"one": Variant(choose=LEARNING_RATES), "two": Variant(choose_pretrain={}, choose={})},
        baselines=[],
    )
    assert lightning.names[:3] == ["pretrain-one-choice0", "pretrain-one-choice1", "pretrain-two"]
    of_one = [asked for asked, name in zip(lightning.asked, lightning.names, strict=True) if "finetune-one" in name]
    tried_out = [(option(a, "model.init_args.encoder").split("/")[-3], option(a, "model.init_args.lr")) for a in of_one]
    assert tried_out == [(f"pretrain-one-choice{i}", lr) for i in (0, 1) for lr in ("0.5", "0.02", "0.1")]
    (choice,) = results.data_sets["tried"].choices
    assert choice.chosen == {"model.init_args.k": 8, "model.init_args.lr": 0.02}  # of equally good ones the first


def test_a_metric_that_validation_does_not_give_is_refused(tmp_path, without_data, tried):
    with pytest.raises(ConfigError, match=r"choose_by is 'val/mmr'.*val/loss, val/mrr"):
        tried(choose=LEARNING_RATES, choose_by="val/mmr")


# --- what is varied ---------------------------------------------------------------------------------------------------


def test_a_learning_curve_trains_every_method_on_nested_sizes(tmp_path, without_data, tried):
    results, lightning = tried(train_snippets=[8, 4], variants={"one": Variant()}, baselines=["random"], seeds=[0, 1])
    sizes = [
        (n, option(a, "data.init_args.train_snippets")) for n, a in zip(lightning.names, lightning.asked, strict=True)
    ]
    assert sizes[2:5] == [
        ("finetune-one-seed0", None), ("finetune-one-seed0-4snippets", "4"), ("finetune-one-seed0-8snippets", "8"),
    ]  # fmt: skip
    assert [size for _, size in sizes[8:]] == [None, "4", "8"]
    curve = results.data_sets["tried"].learning_curve
    assert curve.columns == [4, 8, 12]  # 12: the mean of all folds
    assert curve.rows["one"][12] == results.data_sets["tried"].table.methods["one"]
    record = json.loads((tmp_path / "results.json").read_text())["data_sets"]["tried"]["learning_curve"]
    assert record["methods"]["random"]["4"]["auroc"]["value"] == 1.0
    assert "| hit@1 by labelled snippets to train on | 4 | 8 | 12 |" in (tmp_path / "results.md").read_text()
    own = (tmp_path / "predictions" / "tried").glob("one*")
    assert {p.name for p in own} == {f"one{n}-seed{s}.jsonl" for n in ("", "-4snippets", "-8snippets") for s in (0, 1)}


def test_a_matrix_has_what_was_trained_on_by_what_was_tested_on(tmp_path, without_data, tried):
    variants = {"one": Variant()}
    results, lightning = tried(generalise="language", variants=variants, baselines=["random"], folds=2, seeds=[0, 1])
    asked = [(n, option(a, "data.init_args.only")) for n, a in zip(lightning.names, lightning.asked, strict=True)]
    java = '{"train": {"language": ["java"]}, "val": {"language": ["java"]}}'
    assert asked[2:5] == [
        ("finetune-one-seed0-fold0", None),
        ("finetune-one-seed0-fold0-on_java", java),
        ("finetune-one-seed0-fold0-on_python", java.replace("java", "python")),
    ]
    matrices = results.data_sets["tried"].generalisation
    assert (matrices.field, matrices.tested) == ("language", {"java": 20, "python": 20, "all": 40})
    hit = {row: [found["hit@1"].value for found in own.values()] for row, own in matrices.cells["one"].items()}
    assert hit == {"java": [1, 0, 0.5], "python": [0, 1, 0.5], "all": [1, 1, 1]}
    assert matrices.differences["random"]["java"]["python"]["mrr"].value == 0
    assert matrices.cells["one"]["all"]["all"]["hit@1"] == results.data_sets["tried"].table.methods["one"]["hit@1"]
    record = json.loads((tmp_path / "results.json").read_text())["data_sets"]["tried"]["generalisation"]
    assert record["methods"]["one"]["java"]["python"]["hit@1"]["value"] == 0
    assert record["one_minus"].keys() == {"random"}
    java = read_predictions(tmp_path / "predictions" / "tried" / "one-on_java-seed0.jsonl")
    assert len(java) == 40  # tested on all


def test_layers_are_run_by_what_reads_states(tmp_path, without_data, tried):
    results, lightning = tried(layers=[2, 0], variants={"one": Variant()}, baselines=["surface", "probe"])
    assert lightning.names == [
        "pretrain-one_layer2", "pretrain-one_layer0", "finetune-one_layer2", "finetune-one_layer0",
        "baseline-surface", "baseline-probe_layer2", "baseline-probe_layer0",
    ]  # fmt: skip
    assert [option(a, "data.init_args.states.layer") for a in lightning.asked] == ["2", "0", "2", "0", "2", "2", "0"]
    sweep = results.data_sets["tried"].sweep
    assert (sweep.name, sweep.columns, list(sweep.rows)) == ("layer", [2, 0], ["one", "surface", "probe"])
    assert sweep.rows["surface"][2] == sweep.rows["surface"][0]


def test_layers_may_be_put_together(without_data, tried):
    results, lightning = tried(layers=[0, [0, 2]], variants={"one": Variant()}, baselines=["surface"])
    assert [option(a, "data.init_args.states.layer") for a in lightning.asked] == ["0", "(0, 2)", "0", "(0, 2)", "0"]
    found = results.data_sets["tried"]
    assert list(found.table.methods) == ["one_layer0", "one_layer0+2", "surface"]
    assert found.sweep.columns == [0, "0+2"]
    assert found.sweep.rows["one"]["0+2"] == found.table.methods["one_layer0+2"]


def test_line_rules_are_rows_beside_layers_and_columns_without(tmp_path, without_data, tried):
    both, _ = tried(line_rules=["newline", "mean"], layers=[1], variants={"one": Variant()}, baselines=["random"])
    assert list(both.data_sets["tried"].sweep.rows) == ["one_newline", "one_mean", "random"]
    rules, _ = tried(tmp_path / "2", line_rules=["newline", "mean"], variants={"one": Variant()}, baselines=["random"])
    assert rules.data_sets["tried"].sweep.columns == ["newline", "mean"]
    assert list(rules.data_sets["tried"].table.methods) == ["one_newline", "one_mean", "random"]


# --- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", [0, 1, 3, 6])
def test_an_interrupted_benchmark_goes_on_where_it_stopped(stop_after, tmp_path, without_data, tried):
    whole, lightning = tried(tmp_path / "whole", folds=2, baselines=["random"])
    stopped = StandIn(tmp_path / "cut", stop_after=stop_after)
    with pytest.raises(KeyboardInterrupt):
        tried(tmp_path / "cut", stopped, folds=2, baselines=["random"])
    again, rest = tried(tmp_path / "cut", folds=2, baselines=["random"])
    assert stopped.names + rest.names == lightning.names
    assert again == whole
    assert (tmp_path / "cut" / "results.json").read_bytes() == (tmp_path / "whole" / "results.json").read_bytes()
    _, nothing = tried(tmp_path / "cut", folds=2, baselines=["random"])
    assert nothing.names == []


def test_a_run_that_stops_before_its_record_is_done_again(tmp_path, without_data, tried, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pttrust_lightning.cache.durable.os.replace", stop)  # scored, but not recorded
        with pytest.raises(KeyboardInterrupt):
            tried(variants={"one": Variant()}, baselines=[])
    _, again = tried(variants={"one": Variant()}, baselines=[])
    assert again.names == ["pretrain-one", "finetune-one"]
    assert not list(tmp_path.rglob("finished.json.*"))


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"finetune_args": ["--trainer.max_epochs=9"]}, ["finetune-one", "baseline-random"]),
        ({"pretrain_args": ["--trainer.max_epochs=9"]}, ["pretrain-one", "finetune-one"]),
        ({"variants": {"one": Variant(), "two": Variant(finetune_args=["--x=1"])}}, ["finetune-two"]),
        ({"baselines": ["random", "surface"]}, ["baseline-surface"]),
        ({"choose": LEARNING_RATES}, [f"finetune-one/choice{i}" for i in range(3)]),
        ({"train_snippets": [4]}, ["finetune-one-4snippets", "baseline-random-4snippets"]),
        ({"bootstrap_samples": 30}, []),
        ({}, []),
    ],
)
def test_only_what_a_setting_changes_is_run_again(change, redone, tmp_path, without_data, tried):
    settings = {"variants": {"one": Variant()}, "baselines": ["random"]}
    tried(**settings)
    _, again = tried(**{**settings, **change})
    assert again.names == redone


@pytest.mark.parametrize(
    ("spoil", "redone"),
    [
        (lambda f: (f / "finetune.yaml").write_text("trainer: {max_epochs: 2}"), ["finetune-one", "baseline-random"]),
        (lambda f: (f / "data.yaml").write_text("trainer: {max_epochs: 2}"), ["pretrain-one", "finetune-one"]),
        (lambda f: (f / "finetune-one" / "finished.json").write_text("{"), ["finetune-one"]),
        (lambda f: (f / "finetune-one" / "version_0" / "predictions-test.jsonl").unlink(), ["finetune-one"]),
        (lambda f: (f / "pretrain-one" / "version_0" / "export").rmdir(), ["pretrain-one"]),
    ],
)
def test_what_no_longer_matches_is_run_again(spoil, redone, tmp_path, without_data, tried):
    settings = {"variants": {"one": Variant()}, "baselines": ["random"]}
    tried(**settings)
    spoil(tmp_path)
    _, again = tried(**settings)
    assert again.names == redone


def test_another_version_runs_everything_again(tmp_path, without_data, tried, monkeypatch):
    _, first = tried(baselines=["random"])
    monkeypatch.setattr("pttrust_lightning.tools.benchmark.plan.__version__", "another")
    _, again = tried(baselines=["random"])
    assert again.names == first.names


def test_another_model_in_the_same_folder_is_noticed(tmp_path, without_data, tried):
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "model.safetensors").write_text("a")
    options = Variant(finetune_args=[f"--model.init_args.start_from={tmp_path / 'start'}"])
    tried(variants={"one": options}, baselines=[])
    (tmp_path / "start" / "model.safetensors").write_text("b")
    _, again = tried(variants={"one": options}, baselines=[])
    assert again.names == ["finetune-one"]


# --- settings and data that cannot be ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": [1, 1]}, "seeds is .* each once"),
        ({"layers": [1, 1]}, "layers is .* each once"),
        ({"layers": [[1]]}, "Name two or more to put together"),
        ({"layers": [0, [4, 1]]}, r"layers has \[4, 1\]. .* in ascending order"),
        ({"jobs": 0}, "jobs is 0"),
        ({"variants": {}}, "variants are none"),
        ({"variants": {"probe": Variant()}}, "none like a baseline"),
        ({"choose": {"data.init_args.split_seed": [0, 1]}}, "data.init_args.split_seed cannot be chosen"),
        ({"choose": {"model.init_args.lr": []}}, "at least one value"),
        ({"variants": {"one": Variant(choose={"lr": [1]})}}, "lr cannot be chosen"),
        ({"variants": {"a-b": Variant()}}, "'a-b' cannot be a name"),
        ({"data_sets": {"../a": []}}, "'../a' cannot be a name"),
        ({"generalise": "language", "layers": [0]}, "a matrix is of one layer"),
    ],
)
def test_settings_that_no_run_could_use_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Benchmark("tried", ["finetune.yaml"], "out", **settings)


def prepared(folder, lightning, pretrain="UnlabelledStates", finetune="LabelledLines", **settings):
    files = {"pretrain": [f"{pretrain}.yaml", "other.yaml"], "finetune": [f"{finetune}.yaml", "other.yaml"]}
    settings = {"bootstrap_samples": 20, "jobs": 1, **files, **settings}
    return run_benchmark(Benchmark("tried", output_dir=str(folder / "out"), **settings), folder, lightning)


def test_the_states_of_both_stages_are_read_first(data_configs, provenance_free):
    lightning = StandIn(data_configs / "out")
    prepared(data_configs, lightning)
    assert len(lightning.asked) == 9
    for name in ("UnlabelledStates", "LabelledLines"):
        assert json.loads((data_configs / f"cache-{name}" / "manifest.json").read_text())["complete"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"finetune": "UnlabelledStates"}, "Stage 2 needs LabelledLines as its data, not UnlabelledStates"),
        ({"pretrain": "LabelledLines"}, "Stage 1 needs UnlabelledStates"),
        ({"pretrain": "missing"}, r"missing\.yaml cannot be read \(FileNotFoundError\)"),
        (
            {"finetune_args": ["--data.init_args.uncertainty=false"], "baselines": ["uncertainty"]},
            "The baseline 'uncertainty' needs uncertainty: true in the data config of tried",
        ),
        ({"baselines": ["lookback"]}, "The baseline 'lookback' needs lookback: true in the data config of tried"),
        ({"baselines": ["random", "attention_probe"]}, "The baseline 'attention_probe' needs verdicts: true"),
        ({"finetune_args": ["--data.init_args.snippets.init_args.path=nowhere.jsonl"]}, "nowhere.jsonl does not exist"),
        ({"generalise": "language"}, "tried: all snippets are of one language"),
        (
            {"generalise": "task", "finetune_args": ['--data.init_args.only={"test": {"language": ["python"]}}']},
            "tried: generalise decides what is trained on",
        ),
        ({"train_snippets": [3, 99]}, "train_snippets has 99, but a fold of tried trains on 1. snippets"),
    ],
)
def test_data_that_cannot_be_is_refused_before_anything_is_trained(settings, message, data_configs):
    lightning = StandIn(data_configs / "out")
    with pytest.raises(PtTrustError, match=message):
        prepared(data_configs, lightning, **settings)
    assert lightning.asked == []


def test_a_part_that_cannot_be_trained_on_alone_is_refused(data_configs):
    file = data_configs / "labels.jsonl"
    file.write_text(file.read_text().replace('"task": "generation"', '"task": "repair"', 1))
    with pytest.raises(ConfigError, match=r"the (train|val) split of fold 1 has no snippet of task repair"):
        prepared(data_configs, StandIn(data_configs / "out"), generalise="task", folds=2)


def test_without_its_baseline_no_token_probabilities_are_needed(data_configs, provenance_free):
    no_uncertainty = {"finetune_args": ["--data.init_args.uncertainty=false"], "baselines": ["surface"]}
    found = prepared(data_configs, StandIn(data_configs / "out"), **no_uncertainty).data_sets["tried"].table
    assert list(found.methods) == ["pttrust", "surface", "sae_no_contrast"]


@pytest.mark.parametrize("left_out", ["attention_probe", "lookback", "uncertainty"])
def test_baselines_whose_needs_the_data_does_not_meet_are_left_out_and_said(left_out, caplog):
    """Of two sets, one lacks something: tables of one benchmark hold the same methods."""
    options = ("uncertainty", "lookback", "verdicts")
    lacking = SimpleNamespace(**{name: name not in BASELINES[left_out].needs for name in options})
    sets = {"full": SimpleNamespace(**dict.fromkeys(options, True)), "other": lacking}
    caplog.set_level("INFO", logger="lightning.pytorch.utilities.rank_zero")
    assert choose_baselines(None, sets) == [name for name in BASELINES if name != left_out]
    (needed,) = BASELINES[left_out].needs
    said = f"Left out the baseline '{left_out}': there is no {needed}: true in the data config of other"
    assert said in caplog.text and caplog.text.count("Left out") == 1
    with pytest.raises(ConfigError, match=f"'{left_out}' needs {needed}: true in the data config of other"):
        choose_baselines([left_out], sets)


def test_one_pass_reads_all_layers_of_a_line_rule(data_configs, provenance_free):
    lightning = StandIn(data_configs / "out")
    variants = {"states": Variant(finetune_args=["--model.init_args.encoder=null"])}
    prepared(
        data_configs,
        lightning,
        variants=variants,
        baselines=["probe"],
        layers=[3, [0, 3]],
        line_rules=["newline", "mean"],
    )
    manifests = {p.parent.name: json.loads(p.read_text()) for p in data_configs.glob("cache-*/manifest.json")}
    assert manifests.keys() == {"cache-LabelledLines_layers_newline", "cache-LabelledLines_layers_mean"}
    assert all(m["key"]["layers"] == [0, 3] for m in manifests.values())
    assert manifests["cache-LabelledLines_layers_mean"]["key"]["line_rule"] == "mean"
    assert {option(asked, "data.init_args.states.layer") for asked in lightning.asked} == {"3", "[0, 3]"}
    places = [option(asked, "data.init_args.cache_dir").rpartition("_")[2] for asked in lightning.asked]
    assert places == [option(asked, "data.init_args.states.line_rule") for asked in lightning.asked]


def test_new_labels_run_stage_2_again(data_configs, provenance_free):
    lightning, again = StandIn(data_configs / "out"), StandIn(data_configs / "out")
    settings = {"variants": {"one": Variant()}, "baselines": ["surface"]}
    prepared(data_configs, lightning, **settings)
    file = data_configs / "labels.jsonl"
    file.write_text(file.read_text().replace('"wrong_lines": [2]', '"wrong_lines": [3]', 1))
    prepared(data_configs, again, **settings)
    assert again.names == ["finetune-one", "baseline-surface"]
