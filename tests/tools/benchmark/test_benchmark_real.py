"""The benchmark through the real command line, on small data."""

import json
from pathlib import Path

import pytest
import yaml
from lightning_stand_in import small_data

from pttrust_lightning.baselines import BASELINES
from pttrust_lightning.main import main

CONFIGS = Path(__file__).parents[3] / "configs"
JUDGED = ["--data.init_args.verdicts=true", "--data.init_args.lookback=true", "--data.init_args.val_fraction=0.3"]
PRETRAIN = [
    "UnlabelledStates.yaml",
    *(str(CONFIGS / f"{n}.yaml") for n in ("model/contrastive_pretraining", "trainer/pretrain")),
]


def settings(folder, **changes):
    """A benchmark of a ranker on raw states, which needs no stage 1, and every baseline; two folds."""
    given = {
        "name": "small",
        "finetune": [
            "LabelledLines.yaml",
            *(str(CONFIGS / f"{n}.yaml") for n in ("model/risk_finetuning", "trainer/finetune")),
        ],
        "finetune_args": ["--trainer.max_epochs=2"],
        "variants": {"raw": {"finetune_args": ["--model.init_args.encoder=null", "--model.init_args.raw_states=true"]}},
        "folds": 2,
        "jobs": 1,
        "bootstrap_samples": 20,
        "output_dir": str(folder / "out"),
    } | changes
    (folder / "small.yaml").write_text(yaml.dump(given))
    return ["benchmark", f"--config={folder / 'small.yaml'}"]


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Every method of the paper's table; every second snippet is correct, all are judged, and all have a prompt."""
    folder = small_data(tmp_path_factory.mktemp("done"))
    records = lines(folder / "labels.jsonl")
    for i, r in enumerate(records):
        r["prompt"] = f"# set b{i}, and print it\n"
    for r in records[::2]:
        r |= {"wrong_lines": [], "correct": True}
    (folder / "labels.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    judged = [*JUDGED, "--trainer.max_epochs=2", "--model.init_args.snippet_head=rank"]
    no_contrast = {"pretrain_args": ["--model.init_args.contrastive=none"]}
    methods = {"variants": {"pttrust": {}, "sae_no_contrast": no_contrast}, "baselines": list(BASELINES)}
    stage_1 = {"pretrain": PRETRAIN, "pretrain_args": ["--trainer.max_epochs=2", "--model.init_args.warmup_epochs=1"]}
    assert main(settings(folder, finetune_args=judged, **stage_1, **methods)) == 0
    return folder / "out"


def test_pttrust_test_gives_what_the_benchmark_reports(done, tmp_path):
    """Of the method and of every baseline, in every fold; of lines and of whole snippets."""
    for method in ("pttrust", "sae_no_contrast", *BASELINES):
        reported = lines(done / "predictions" / "small" / f"{method}.jsonl")
        for fold in (0, 1):
            run = done / f"{'baseline' if method in BASELINES else 'finetune'}-{method}-fold{fold}" / "version_0"
            (checkpoint,) = (run / "checkpoints").iterdir()
            again = [
                f"--config={run / 'config.yaml'}",
                f"--ckpt_path={checkpoint}",
                f"--trainer.logger.save_dir={tmp_path / 'again'}",
            ]
            assert main(["test", *again]) == 0
            (scored,) = (tmp_path / "again" / run.parent.name).rglob("predictions-test.jsonl")
            assert all(0 <= s["snippet_probability"] <= 1 for s in lines(scored))
            assert [{**s, "fold": fold} for s in lines(scored)] == [s for s in reported if s["fold"] == fold]


@pytest.mark.parametrize("name", ["probe", "probe_ranker", "attention_probe"])
def test_a_baseline_fitted_by_a_user_gives_what_the_benchmark_reports(name, done, tmp_path):
    configs = [done.parent / "LabelledLines.yaml", CONFIGS / "model/baseline.yaml", CONFIGS / "trainer/baseline.yaml"]
    given = [*(f"--config={c}" for c in configs), "--data.init_args.folds=2", "--data.init_args.fold=1"]
    given += [*JUDGED, f"--model.init_args.baseline={name}"]
    given += ["--trainer.logger=CSVLogger", f"--trainer.logger.save_dir={tmp_path}"]
    assert main(["fit", *given, "--trainer.logger.name=mine"]) == 0
    (checkpoint,) = (tmp_path / "mine").rglob("*.ckpt")
    assert main(["test", *given, "--trainer.logger.name=tested", f"--ckpt_path={checkpoint}"]) == 0
    (scored,) = (tmp_path / "tested").rglob("predictions-test.jsonl")
    reported = lines(done / "predictions" / "small" / f"{name}.jsonl")
    assert [{**s, "fold": 1} for s in lines(scored)] == [s for s in reported if s["fold"] == 1]


def test_processes_give_the_same_bytes(data_configs):
    folder = data_configs
    small = {
        "pretrain": PRETRAIN,
        "pretrain_args": ["--trainer.max_epochs=1"],
        "variants": {
            "pttrust": {},
            "raw": {"finetune_args": ["--model.init_args.encoder=null", "--model.init_args.raw_states=true"]},
        },
        "baselines": ["probe"],
    }
    for jobs in (1, 2):
        assert main(settings(folder, **small, jobs=jobs, output_dir=str(folder / f"jobs{jobs}"))) == 0
    for file in ("results.json", "results.md", "predictions/small/pttrust.jsonl", "predictions/small/probe.jsonl"):
        assert (folder / "jobs1" / file).read_bytes() == (folder / "jobs2" / file).read_bytes()
    assert not (folder / "jobs1" / "logs").exists()
    assert "epoch 1/2" in (folder / "jobs2" / "logs" / "finetune-raw-fold0.log").read_text()


def test_methods_that_score_other_lines_are_compared_on_those_of_all(data_configs, capsys):
    """One reads the LLM's whole context, another a short one: the longer programs lose lines, and keep their folds."""
    raw = ["--model.init_args.encoder=null", "--model.init_args.raw_states=true"]
    short = ["--data.init_args.states.context_length=42", f"--data.init_args.cache_dir={data_configs / 'short'}"]
    variants = {"whole": {"finetune_args": raw}, "short": {"finetune_args": [*raw, *short]}}
    assert main(settings(data_configs, variants=variants, baselines=["random"])) == 0
    out = data_configs / "out"
    own, compared = {}, {}
    for name in variants:
        (compared[name],) = [lines(out / "predictions" / "small" / f"{name}.jsonl")]
        files = [f for fold in (0, 1) for f in (out / f"finetune-{name}-fold{fold}").rglob("predictions-test.jsonl")]
        own[name] = {s["id"]: set(s["lines"]) for f in files for s in lines(f)}
    assert len(own["whole"]) == len(own["short"]) == 24
    common = {name: own["whole"][name] & own["short"][name] for name in own["whole"]}
    left_out = sum(len(own["whole"][name]) - len(numbers) for name, numbers in common.items())
    assert 0 < left_out < 48
    for name in variants:
        assert {s["id"]: set(s["lines"]) for s in compared[name]} == {n: c for n, c in common.items() if c}
    test = json.loads((out / "results.json").read_text())["data_sets"]["small"]["data"]["test"]
    assert (test["lines_left_out"], test["snippets_left_out"]) == (left_out, sum(not c for c in common.values()))
    said = f"{left_out} lines"
    assert said in (out / "results.md").read_text()
    assert said in capsys.readouterr().out


def test_grades_change_what_is_learned_and_the_run(data_configs):
    """Every snippet has two wrong lines, the second of which counts as much, more, or less."""
    found = []
    for grade in (None, 3.0, 0.2):
        records = lines(data_configs / "labels.jsonl")
        for i, r in enumerate(records):
            r["wrong_lines"] = [i % 3, 3]
            r["relevance"] = grade and [1.0, grade]
        (data_configs / "labels.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        assert main(settings(data_configs, baselines=["random"])) == 0
        found.append(json.loads((data_configs / "out" / "results.json").read_text())["data_sets"]["small"])
    plain, more, less = (f["methods"]["raw"] for f in found)
    assert len({f["data"]["labelled"]["labels_sha256"] for f in found}) == 3
    assert len({metrics["ndcg"]["value"] for metrics in (plain, more, less)}) == 3
    assert len({f["methods"]["random"]["hit@1"]["value"] for f in found}) == 1, "any above 0 is wrong"
    assert len({f["methods"]["random"]["ndcg"]["value"] for f in found}) == 3


def test_the_test_split_has_no_say_in_what_is_chosen(data_configs):
    """Other labels of the test split change what is reported, and neither the choice nor what it was chosen by."""
    choose = {"model.init_args.lr": [1e-4, 1e-1], "model.init_args.hidden": [4, 8]}
    single = {"folds": None, "choose": choose, "choose_by": "val/mrr", "baselines": ["random"]}
    found = []
    for name in ("plain", "permuted"):
        assert main(settings(data_configs, **single, output_dir=str(data_configs / name))) == 0
        found.append(json.loads((data_configs / name / "results.json").read_text())["data_sets"]["small"])
        tested = {s["id"] for s in lines(data_configs / name / "predictions" / "small" / "raw.jsonl")}
        file = data_configs / "labels.jsonl"
        records = lines(file)
        for r in records:
            r["wrong_lines"] = [4 - r["wrong_lines"][0]] if r["id"] in tested else r["wrong_lines"]
        file.write_text("".join(json.dumps(r) + "\n" for r in records))
    assert found[0]["choices"] == found[1]["choices"]
    assert len({c["val/mrr"] for c in found[0]["choices"][0]["candidates"]}) > 1, "there is something to choose"
    assert found[0]["methods"]["raw"] != found[1]["methods"]["raw"]
    labels, states = ([f["data"]["labelled"][f"{of}_sha256"] for f in found] for of in ("labels", "states"))
    assert labels[0] != labels[1] and states[0] == states[1]
    assert found[0]["data"]["labelled"]["llm"]["llm"] == "embedded"


def test_the_validation_split_has_a_say(data_configs):
    """What the test above would not see if nothing were compared: of two settings, one that cannot learn loses."""
    dead = {"model.init_args.lr": [0.0, 3e-2]}
    assert main(settings(data_configs, choose=dead, baselines=[], finetune_args=["--trainer.max_epochs=8"])) == 0
    found = json.loads((data_configs / "out" / "results.json").read_text())["data_sets"]["small"]["choices"]
    for choice in found:
        losses = {c["values"]["model.init_args.lr"]: c["val/loss"] for c in choice["candidates"]}
        assert choice["chosen"]["model.init_args.lr"] == min(losses, key=losses.get)
    assert [c["chosen"]["model.init_args.lr"] for c in found] == [3e-2, 3e-2]


def test_a_matrix_over_tasks(data_configs):
    """Each cell again from the predictions that it was made of, by the tasks that the labels name."""
    records = lines(data_configs / "labels.jsonl")
    for i, r in enumerate(records):
        r["task"] = ("generation", "translation")[i % 4 // 2]
    (data_configs / "labels.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    many = ["--data.init_args.val_fraction=0.1", "--trainer.max_epochs=1"]  # both tasks in every split
    assert main(settings(data_configs, generalise="task", baselines=["random", "surface"], finetune_args=many)) == 0
    out = data_configs / "out"
    found = json.loads((out / "results.json").read_text())["data_sets"]["small"]["generalisation"]
    assert found["field"] == "task"
    assert found["tested_snippets"] == {"generation": 12, "translation": 12, "all": 24}
    task = {r["id"]: r["task"] for r in records}
    for trained_on, suffix in (("generation", "-on_generation"), ("translation", "-on_translation"), ("all", "")):
        scored = lines(out / "predictions" / "small" / f"surface{suffix}.jsonl")
        for tested in ("generation", "translation"):
            own = [s for s in scored if task[s["id"]] == tested]
            first = []
            for s in own:
                best = [k for k, score in enumerate(s["scores"]) if score == max(s["scores"])]
                first.append(sum(s["labels"][k] > 0 for k in best) / len(best))
            cell = found["methods"]["surface"][trained_on][tested]
            assert len(own) == 12 and cell["hit@1"]["value"] == pytest.approx(sum(first) / 12)


def test_stage_1_can_be_tested_too(data_configs, tmp_path):
    configs = [data_configs / "UnlabelledStates.yaml", CONFIGS / "model/contrastive_pretraining.yaml"]
    given = [*(f"--config={c}" for c in configs), "--trainer.max_epochs=1", "--trainer.logger=CSVLogger"]
    given += [f"--trainer.logger.save_dir={tmp_path}", "--trainer.logger.name=run"]
    assert main(["fit", *given]) == 0
    run = tmp_path / "run" / "version_0"
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert main(["test", f"--config={run / 'config.yaml'}", f"--ckpt_path={checkpoint}"]) == 0


def test_a_data_set_may_change_what_the_data_before_it_says(tmp_path):
    """As `pttrust fit` takes them: what the later file does not name stays as it was."""
    folder = small_data(tmp_path)
    change = {"class_path": "LabelledLines", "init_args": {"uncertainty": False, "cache_dir": str(tmp_path / "other")}}
    (folder / "change.yaml").write_text(yaml.dump({"data": change}))
    finetune = [str(CONFIGS / f"{n}.yaml") for n in ("model/risk_finetuning", "trainer/finetune")]
    sets = {"first": ["LabelledLines.yaml"], "second": ["LabelledLines.yaml", "change.yaml"]}
    arguments = settings(folder, finetune=finetune, data_sets=sets, baselines=["surface"])
    assert main(arguments) == 0
    results = json.loads((folder / "out" / "results.json").read_text())["data_sets"]
    first, second = (results[name] for name in sets)
    assert first["methods"] == second["methods"]
    assert (tmp_path / "other" / "manifest.json").is_file()
    manifests = [
        json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("cache-LabelledLines", "other")
    ]
    assert [m["key"]["uncertainty"] for m in manifests] == [True, False]
