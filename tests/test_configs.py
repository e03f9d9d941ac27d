"""Every file in configs/ runs, through main(), on a small share of its own data."""

import copy
import functools
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from tiny_llms import save_llm

from pttrust_lightning.baselines import BASELINES
from pttrust_lightning.main import main
from pttrust_lightning.tools.sweep_file import read_sweep

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
FILES = {f.relative_to(CONFIGS).as_posix(): f for f in sorted(CONFIGS.rglob("*.yaml"))}
PUBLIC = ROOT.parent / "shared"
HUMANEVALPACK = PUBLIC / "data" / "humanevalpack" / "python.jsonl"
STARTER = PUBLIC / "models" / "starter-code-lm"
DEBUGBENCH = PUBLIC / "data" / "debugbench" / "java.jsonl"


def in_folder(folder):
    return [file for name, file in FILES.items() if name.startswith(f"{folder}/")]


def few_programs(source, name):
    """Options that shrink a source of the standard library's functions: of few files, few functions."""
    if "implanted" not in name:
        return [f"{source}.init_args.limit=48", f"{source}.init_args.portion=[0.0,0.05]"]
    limit = 160 if "verdicts" in name else 48
    return [f"{source}.init_args.limit={limit}", f"{source}.init_args.corpus.init_args.portion=[0.5,0.55]"]


STREAMED = [f for f in in_folder("data") if f.stem.endswith("_streamed")]


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory):
    """In place of many sets in many languages: the first records of two."""
    folder = tmp_path_factory.mktemp("sets")
    sources = {}
    for name, kind, file, n in (
        ("first", "HumanEvalPack", HUMANEVALPACK, 24),
        ("second", "DebugBench", DEBUGBENCH, 90),
    ):
        if not file.is_file():
            pytest.skip(f"needs ../shared/data/{file.parent.name}")
        with file.open(encoding="utf-8") as lines:
            (folder / file.name).write_text("".join(itertools.islice(lines, n)), encoding="utf-8")
        sources[name] = {"class_path": kind, "init_args": {"path": str(folder / file.name)}}
        if kind == "DebugBench":
            sources[name]["init_args"]["with_prompt"] = True

    def options(include_correct, implanted=False):
        own = {n: {**s, "init_args": s["init_args"] | {"include_correct": include_correct}} for n, s in sources.items()}
        if implanted:  # Python of two tasks
            library = {"class_path": "StandardLibrary", "init_args": {"unit": "function", "portion": [0.5, 0.55]}}
            second = {"class_path": "ImplantedBugs", "init_args": {"corpus": library, "limit": 48}}
            own = {"first": own["first"], "second": second}
        return f"--data.init_args.snippets.init_args.sources={json.dumps(own)}"

    return options


EVERY = {"debugbench": 4, "humanevalpack": 2}
"""One of how many records of a public set the tests read."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder to run in: beside it, as beside the project, a share of the public sets; caches shared by the tests."""
    place = tmp_path_factory.mktemp("project") / "here"
    place.mkdir()
    shared = place.parent / "shared"
    (shared / "data").mkdir(parents=True)
    for folder in (PUBLIC / "models", *PUBLIC.glob("data/*")):
        there = shared / folder.relative_to(PUBLIC)
        if folder.name not in EVERY:
            there.symlink_to(folder)
            continue
        there.mkdir()
        for file in folder.glob("*.jsonl"):
            records = file.read_text(encoding="utf-8").splitlines(keepends=True)[:: EVERY[folder.name]]
            (there / file.name).write_text("".join(records), encoding="utf-8")
    save_llm(place / "runs" / "untrained_llm", "qwen2")
    return place


@pytest.fixture(scope="module")
def small(tmp_path_factory, request):
    """Options that shrink each data config, by the class that it names."""
    cache = tmp_path_factory.mktemp("caches")

    def options(file, prefix="--data"):
        data = yaml.safe_load(file.read_text())["data"]
        cached = [] if file in STREAMED else [f"{prefix}.init_args.cache_dir={cache / file.stem}"]
        for source in ("corpus", "snippets"):
            inner = data["init_args"].get(source, {})
            if "limit" in inner.get("init_args", {}):
                cached += few_programs(f"{prefix}.init_args.{source}", file.stem)
            if "sources" in inner.get("init_args", {}):
                cached.append(request.getfixturevalue("two_sets")("verdicts" in file.stem, file.stem == "two_tasks"))
        return cached

    return options


@pytest.fixture(scope="module")
def encoder(small, tmp_path_factory):
    """A stage-1 model from the shipped configs."""
    out = tmp_path_factory.mktemp("encoder")
    assert main(["fit", *stage_1(small), "--trainer.max_epochs=1", *logged(out)]) == 0
    return out / "run" / "version_0" / "export"


def stage_1(small):
    files = [CONFIGS / "data/stdlib_states.yaml", CONFIGS / "model/contrastive_pretraining.yaml"]
    return [*(f"--config={f}" for f in [*files, CONFIGS / "trainer/pretrain.yaml"]), *small(files[0])]


def stage_2(small, encoder):
    files = [CONFIGS / "data/implanted_bugs.yaml", CONFIGS / "model/risk_finetuning.yaml"]
    configs = [f"--config={f}" for f in [*files, CONFIGS / "trainer/finetune.yaml"]]
    return [*configs, *small(files[0]), f"--model.init_args.encoder={encoder}"]


def logged(out):
    return [
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.save_dir={out}",
        "--trainer.logger.name=run",
    ]


def test_every_folder_of_configs_is_tested_here():
    known = {"benchmark", "data", "debug", "llm", "logger", "model", "sweep", "trainer"}
    assert {name.split("/")[0] for name in FILES} == known
    assert {f.stem for f in in_folder("llm")} == {"starter", "untrained"}  # by benchmark/llms.yaml
    # by the tests below; the paper's by benchmark/paper.yaml, and by test_paper_configuration.py setting by setting
    assert {f.stem for f in in_folder("model")} == {
        "baseline",
        "contrastive_pretraining",
        "risk_combined",
        "risk_finetuning",
        "risk_finetuning_verdicts",
        "paper",
        "paper_risk",
    }
    assert {f.stem for f in in_folder("trainer")} == {
        "baseline",
        "pretrain",
        "finetune",
        "paper_pretrain",
        "paper_finetune",
    }
    paper = (CONFIGS / "benchmark" / "paper.yaml").read_text()
    for part in ("model/paper", "model/paper_risk", "trainer/paper_pretrain", "trainer/paper_finetune"):
        assert f"- ../{part}.yaml\n" in paper


@pytest.mark.parametrize("file", [f for f in in_folder("data") if f not in STREAMED], ids=lambda f: f.stem)
def test_data(file, small, workplace, monkeypatch):
    if file.stem.startswith("humanevalpack") and not HUMANEVALPACK.is_file():
        pytest.skip("needs ../shared/data/humanevalpack/python.jsonl")
    monkeypatch.chdir(workplace)  # its path is relative to the project
    assert main(["extract", f"--config={file}", *small(file)]) == 0


@pytest.mark.parametrize("file", STREAMED, ids=lambda f: f.stem)
def test_data_without_a_cache(file, small, tmp_path):
    files = [f"--config={f}" for f in (file, CONFIGS / "model/contrastive_pretraining.yaml")]
    assert main(["fit", *files, *small(file), "--trainer.max_epochs=1", *logged(tmp_path)]) == 0


def test_stage_1(encoder):
    config = json.loads((encoder / "config.json").read_text())
    shape = {"d_in": 256, "n_latents": 128, "k": 32, "tied": True, "normalise": True}
    assert config["model"] == {**shape, "activation": "topk", "matryoshka": None}
    assert config["provenance"]["layer"] == 1


def test_stage_2(small, encoder, tmp_path):
    assert main(["fit", *stage_2(small, encoder), "--trainer.max_epochs=1", *logged(tmp_path)]) == 0
    assert (tmp_path / "run" / "version_0" / "export" / "model.safetensors").is_file()


def test_stage_2_on_all_that_is_known_of_a_line(small, encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    files = [CONFIGS / "data/six_sets.yaml", CONFIGS / "model/risk_combined.yaml", CONFIGS / "trainer/finetune.yaml"]
    arguments = [*(f"--config={f}" for f in files), *small(files[0]), f"--model.init_args.encoder={encoder}"]
    assert main(["fit", *arguments, "--data.init_args.batch_size=null", *logged(tmp_path)]) == 0
    exported = json.loads((tmp_path / "run" / "version_0" / "export" / "config.json").read_text())
    assert exported["ranker"]["n_layers"] == 1
    assert exported["standardise_latents"]
    assert list(exported["features"]) == ["surface", "uncertainty"]


def test_stage_2_from_verdicts(small, encoder, tmp_path, monkeypatch):
    """Implanted bugs beside the correct programs stand in for a benchmark."""
    monkeypatch.chdir(ROOT)
    options = [o.replace("risk_finetuning.yaml", "risk_finetuning_verdicts.yaml") for o in stage_2(small, encoder)]
    options = [o for o in options if "cache_dir" not in o] + [f"--data.init_args.cache_dir={tmp_path / 'cache'}"]
    options += ["--data.init_args.verdicts=true", "--data.init_args.snippets.init_args.include_correct=true"]
    assert main(["fit", *options, "--trainer.max_epochs=1", *logged(tmp_path)]) == 0
    exported = json.loads((tmp_path / "run" / "version_0" / "export" / "config.json").read_text())
    assert exported["snippet_head"] == "noisy_or"


def test_a_baseline(small, tmp_path):
    files = [CONFIGS / "data/implanted_bugs.yaml", CONFIGS / "model/baseline.yaml", CONFIGS / "trainer/baseline.yaml"]
    arguments = [*(f"--config={f}" for f in files), *small(files[0]), "--model.init_args.baseline=surface"]
    assert main(["fit", *arguments, *logged(tmp_path)]) == 0
    assert len(list((tmp_path / "run" / "version_0" / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize("file", in_folder("logger"), ids=lambda f: f.stem)
def test_logger(file, small, tmp_path, monkeypatch):
    if file.stem == "tensorboard":
        pytest.importorskip("tensorboard", reason='needs the extra: pip install "pttrust-lightning[tensorboard]"')
    monkeypatch.setenv("WANDB_MODE", "offline")
    out = f"--trainer.logger.init_args.save_dir={tmp_path}"
    for _ in range(2):  # a second run from the same place finds a folder of its own
        assert main(["fit", *stage_1(small), f"--config={file}", "--trainer.max_epochs=1", out]) == 0
    saved = sorted(tmp_path.rglob("config.yaml"))
    exported = sorted(tmp_path.rglob("export/config.json"))
    runs = {p.parent for p in saved if "export" not in p.parts and p.parent.name != "files"}
    assert len(runs) == 2, saved
    assert {p.parent.parent for p in exported} == runs
    assert {p.parent.parent for p in tmp_path.rglob("figures/firing_rates-light.svg")} == runs


@pytest.mark.parametrize("file", in_folder("debug"), ids=lambda f: f.stem)
def test_debug(file, small, encoder, tmp_path):
    assert main(["fit", *stage_1(small), f"--config={file}", *logged(tmp_path)]) == 0
    assert main(["fit", *stage_2(small, encoder), f"--config={file}", *logged(tmp_path)]) == 0


ONE_SET = '--data_sets={"humanevalpack":["../data/humanevalpack.yaml"]}'
WITH_LOOKBACK = '--data_sets={"humanevalpack":["../data/humanevalpack_lookback.yaml"]}'

SHRUNK = {
    "generalisation": ['--baselines=["random","surface"]'],
    "humanevalpack": ['--baselines=["random","uncertainty"]'],
    "label_counts": ["--train_snippets=[10]", '--baselines=["random"]'],
    "layers": ["--layers=[3,[0,3]]", '--line_rules=["newline","mean"]', '--baselines=["random","probe"]'],
    "learning_curve": [
        "--train_snippets=[10]",
        '--choose={"model.init_args.lr":[1e-4,1e-2]}',
        ONE_SET,
        '--baselines=["random","surface"]',
    ],
    "llms": ['--baselines=["random","uncertainty"]'],
    "rankers": [WITH_LOOKBACK, '--baselines=["random","lookback"]'],
    "prompt": ['--baselines=["random"]'],
    "snippet_risk": ['--baselines=["random","attention_probe"]'],
    "stage_1": [ONE_SET, '--baselines=["random","probe_ranker"]'],
    "stage_1_six_sets": ['--baselines=["random"]'],
    "tasks": ['--baselines=["random"]'],
    "unseen_sets": ['--baselines=["random","probe"]'],
    "verdicts": ["--train_snippets=[6]"],
    "what_the_ranker_sees": [WITH_LOOKBACK, '--baselines=["random"]'],
}
"""What makes a benchmark small, beside fewer programs, epochs, folds and seeds. The variants are tried here:
every baseline is run by every_method."""


MIXED = {
    "every_method",
    "generalisation",
    "label_counts",
    "layers",
    "llms",
    "prompt",
    "stage_1_six_sets",
    "tasks",
    "unseen_sets",
}
"""Benchmarks whose data is many sets in many languages."""


CHOOSE_FROM_ONE = {"generalisation", "llms", "tasks", "unseen_sets", "what_the_ranker_sees"}
"""Benchmarks whose variants choose from one value here: that anything is chosen is seen by learning_curve."""


def benchmark_args(file, out, two_sets=""):
    text = file.read_text()
    cut = {"pretrain": ["--trainer.max_epochs=2"], "finetune": ["--trainer.max_epochs=2"]}
    cut["pretrain"] += few_programs("--data.init_args.corpus", "stdlib_states")
    cut["pretrain"].append("--model.init_args.warmup_epochs=1")  # or two epochs would leave the contrast out
    if file.stem in MIXED:
        cut["finetune"].append(two_sets)
    if file.stem == "unseen_sets":
        only = {"train": ["first"], "val": ["first"], "test": ["second"]}
        cut["finetune"].append(f"--data.init_args.only={json.dumps({k: {'data_set': v} for k, v in only.items()})}")
    if "- ../data/implanted_bugs" in text:
        name = "implanted_bugs_verdicts" if "_verdicts" in text else "implanted_bugs"
        cut["finetune"] += few_programs("--data.init_args.snippets", name)
    written = yaml.safe_load(text).get("variants", {})
    variants = copy.deepcopy(written)
    for variant in variants.values():
        if file.stem in CHOOSE_FROM_ONE and "choose" in variant:
            variant["choose"] = {name: values[:1] for name, values in variant["choose"].items()}
        if "first" in variant:
            variant["first_args"] += few_programs("--data.init_args.snippets", "implanted_bugs")
    return [
        "benchmark",
        f"--config={file}",
        *([f"--variants={json.dumps(variants)}"] if variants != written else []),
        f"--output_dir={out}",
        "--bootstrap_samples=50",
        "--jobs=1",
        "--seeds=[0]",
        *(["--folds=2"] if "folds:" in text else []),
        *(f"--{stage}_args+={json.dumps(options)}" for stage, options in cut.items()),
        *SHRUNK.get(file.stem, []),
    ]


@pytest.mark.parametrize("file", in_folder("benchmark"), ids=lambda f: f.stem)
def test_benchmark(file, workplace, tmp_path, monkeypatch, capsys, request):
    if "folds:" in file.read_text() and not HUMANEVALPACK.is_file():
        pytest.skip("needs ../shared/data")
    monkeypatch.chdir(workplace)
    if file.stem == "llms" and not STARTER.is_dir():
        pytest.skip("needs ../shared/models/starter-code-lm")
    named = [FILES[name] for name in re.findall(r"\.\./(data/\w+\.yaml)", file.read_text())]
    read = [yaml.safe_load(data.read_text())["data"]["init_args"] for data in named]
    judged, lookback = (any(data.get(what, False) for data in read) for what in ("verdicts", "lookback"))
    mixed = request.getfixturevalue("two_sets")(judged, file.stem == "tasks") if file.stem in MIXED else ""
    if file.stem != "quickstart":  # figures take seconds: every kind is drawn by test_benchmark_figures
        monkeypatch.setattr("pttrust_lightning.tools.benchmark.command.write_figures", lambda *_: None)
    arguments = benchmark_args(file, tmp_path, mixed)
    settings = {a.split("=")[0].strip("-"): a.partition("=")[2] for a in arguments[1:]}
    assert main(arguments) == 0
    results = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    written = yaml.safe_load(file.read_text())
    variants = list(written.get("variants", ["pttrust", "sae_no_contrast"]))
    baselines = json.loads(settings.get("baselines", "null")) or written.get("baselines")
    baselines = baselines or [
        n for n in BASELINES if (lookback or n != "lookback") and (judged or n != "attention_probe")
    ]
    sets = json.loads(settings.get("data_sets", "null")) or written.get("data_sets") or {written["name"]: []}
    layers = ("3", "0+3")
    points = [f"_layer{n}_{rule}" for n in layers for rule in ("newline", "mean")] if "layers" in written else [""]
    read_states = {*variants, *(name for name in baselines if BASELINES[name].reads_states)}
    methods = {f"{m}{p}" if m in read_states else m for m in (*variants, *baselines) for p in points}
    assert results["data_sets"].keys() == sets.keys()
    for name, found in results["data_sets"].items():
        assert found["methods"].keys() == methods
        for metrics in found["methods"].values():
            for metric in ("hit@1", "hit@3", "hit@5", "mrr", "auroc", "brier_skill"):
                assert metrics[metric].keys() == {"value", "low", "high"}
                assert metrics[metric]["low"] <= metrics[metric]["value"] + 0.2
                assert metrics[metric]["low"] <= metrics[metric]["high"]
            assert {"token_recall@10", "full_coverage@50", "hit@1 (eligible)"} <= metrics.keys()
        assert found["methods"]["random"]["auroc"]["value"] == 0.5
        scored = (tmp_path / "predictions" / name / f"{variants[0]}{points[0]}.jsonl").read_text().splitlines()
        ids = [json.loads(line)["id"] for line in scored]
        test = found["data"]["test"]
        assert len(ids) == len(set(ids)) == test["judged_snippets" if judged else "snippets"] > 0
        judging = {method for method, metrics in found["methods"].items() if "snippet_auroc" in metrics}
        of_lines_alone = set(variants) if file.stem == "every_method" else {"lines_alone"}
        assert judging == (methods - of_lines_alone if judged else set())
        if "folds" in written and not mixed:
            assert len(ids) > 0.6 * found["data"]["labelled"]["snippets"], "each is tested in one of the folds"
    if "pretrain" in written:
        assert results["data"]["unlabelled"]["pairs"] > 0
        assert re.fullmatch("[0-9a-f]{64}", results["data"]["unlabelled"]["states_sha256"])
        stage_1 = results["data"]["stage_1_validation"]
        assert len({figures["pair_distance"] for figures in stage_1.values()}) == len(stage_1) > 0
    tables = (tmp_path / "results.md").read_text()
    assert all(f"| {method} |" in tables for method in methods)
    assert ("Whole snippets" in tables) is judged
    said = capsys.readouterr().out
    assert any((tmp_path / "figures").rglob("*.svg")) == (file.stem == "quickstart")
    if "layers" in written:
        sweep = found["sweep"]
        assert (sweep["axis"], sweep["values"]) == ("layer", [3, "0+3"])
        by_rule = {f"{name}_{rule}" for name in read_states for rule in ("newline", "mean")}
        assert sweep["methods"].keys() == by_rule | (methods & {"random", "surface", "uncertainty"})
        for at in layers:
            assert sweep["methods"]["probe_mean"][at] == found["methods"][f"probe_layer{at}_mean"]
        assert "hit@1 by layer" in said
    else:
        assert f"{variants[0]} minus" in said
    if "generalise" in written:
        matrices = found["generalisation"]["methods"]
        assert matrices.keys() == methods
        one, two = ("generation", "repair") if file.stem == "tasks" else ("first", "second")
        assert all(list(cells) == list(cells["all"]) == [one, two, "all"] for cells in matrices.values())
        assert matrices[variants[0]][one][two] != matrices[variants[0]][two][two]
        assert matrices["random"][one][two]["hit@1"] == matrices["random"][two][two]["hit@1"]
    if "train_snippets" in written:
        curve = found["learning_curve"]["methods"]
        assert curve.keys() == methods
        few, many = map(str, found["learning_curve"]["values"])
        assert curve[variants[0]][few] != curve[variants[0]][many]
        if "choose" in written:
            assert {c["method"] for c in found["choices"]} == set(variants)
            assert "Chosen on the validation split" in said


@pytest.mark.slow
def test_the_same_seed_gives_the_same_results(tmp_path):
    """Twice from nothing, each in a process and with caches of its own: byte for byte the same."""
    quickstart = CONFIGS / "benchmark" / "quickstart.yaml"
    written = []
    for name in ("first", "second"):
        place = tmp_path / name
        place.mkdir()
        code = "import sys; from pttrust_lightning.main import main; sys.exit(main())"
        environment = {**os.environ, "PYTHONHASHSEED": str(len(written))}
        command = [sys.executable, "-c", code, *benchmark_args(quickstart, "out")]
        subprocess.run(command, check=True, cwd=place, env=environment, capture_output=True)
        written.append((place / "out" / "results.json").read_bytes())
    assert written[0] == written[1]


SWEEPS = pytest.mark.parametrize("file", in_folder("sweep"), ids=lambda f: f.stem)


@SWEEPS
def test_a_sweep_follows_the_schema_of_wandb(file):
    schema = json.loads((Path(__file__).parent / "conf" / "wandb_sweep_schema.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    sweep = yaml.safe_load(file.read_text())
    assert list(validator.iter_errors(sweep)) == []
    assert list(validator.iter_errors({**sweep, "method": "guess"})), "the schema refuses what it should"


def shrunk(file, small, encoder, out):
    """The options that make a trial of a shipped sweep small, and its configuration's place."""
    command = yaml.safe_load(file.read_text())["command"]
    data = next(ROOT / c for c in command if "/data/" in c)
    own = [*small(data), "--trainer.max_epochs=1"]
    if any("ENCODER" in c for c in command):
        own.append(f"--model.init_args.encoder={encoder}")
    if "layer" in file.stem:  # a cache of its own: it holds every layer
        own = [o for o in own if "cache_dir" not in o] + [f"--data.init_args.cache_dir={out / 'layers'}"]
    return own


@SWEEPS
def test_two_trials_of_a_sweep_as_an_agent_would_run_them(file, small, encoder, tmp_path, monkeypatch):
    """One after the other, from one directory, with W&B offline."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(ROOT)
    sweep = read_sweep(file)
    own = [*shrunk(file, small, encoder, tmp_path), f"--trainer.logger.init_args.save_dir={tmp_path}"]
    for choice in (0, -1):
        values = {name: (d.choices[choice] if hasattr(d, "choices") else d.low) for name, d in sweep.parameters.items()}
        assert main([*sweep.arguments(values), *own]) == 0
    runs = sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert len(runs) == 2
    configs = [yaml.safe_load(p.read_text()) for p in sorted(tmp_path.rglob("config.yaml")) if p.parent.name != "files"]
    key = next(iter(sweep.parameters)).split(".")
    seen = [functools.reduce(lambda c, k: c[k], key, config) for config in configs]
    assert len(seen) == 2 and seen[0] != seen[1]


@SWEEPS
def test_the_same_search_without_an_account(file, small, encoder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    options = json.dumps(shrunk(file, small, encoder, tmp_path))
    command = ["sweep", f"--config={file}", f"--output_dir={tmp_path / 'sweep'}", f"--extra={options}"]
    assert main([*command, "--trials=1"]) == 0
    assert main([*command, "--trials=2"]) == 0  # goes on
    record = json.loads((tmp_path / "sweep" / "trials.json").read_text())
    assert sorted(trial["trial"] for trial in record["trials"]) == [0, 1]
    values = [trial["value"] for trial in record["trials"]]
    assert values == sorted(values, reverse=record["direction"] == "maximize")
    assert record["metric"] in capsys.readouterr().out
    assert (tmp_path / "sweep" / "trial-1" / "version_0" / "config.yaml").is_file()
