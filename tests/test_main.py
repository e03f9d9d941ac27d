"""The command line as a user meets it: `pttrust` in this process, through main()."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pttrust_lightning.cache.writer import cache_contents
from pttrust_lightning.main import main
from pttrust_lightning.modules import ContrastivePretraining
from pttrust_lightning.states.extractor import LineStateExtractor

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.fixture
def corpus(tmp_path):
    """Twelve small programs, no two alike."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for i in range(12):
        lines = [f"def f{i}(x, y):", f"    total = x + {i}", "    for k in range(y):", f"        total += k * {i + 1}"]
        (folder / f"p{i:02d}.py").write_text("\n".join([*lines, "    return total", ""]))
    return folder


@pytest.fixture
def labelled(tmp_path):
    """Twelve labelled snippets of twelve problems."""
    path = tmp_path / "labelled.jsonl"
    with path.open("w") as stream:
        for i in range(12):
            code = f"def g{i}(a, b):\n    c = a - {i}\n    if c > b:\n        return c\n    return b\n"
            record = {"id": f"s{i}", "problem_id": f"p{i}", "language": "python", "task": "generation", "prompt": ""}
            record |= {"code": code, "wrong_lines": [1 + i % 3], "correct": False, "label_source": "human"}
            stream.write(json.dumps(record) + "\n")
    return path


def pretrain_args(corpus, cache, out, *more):
    return [
        "fit",
        "--data=pttrust_lightning.datamodules.UnlabelledStates",
        "--data.corpus=pttrust_lightning.source.FolderCorpus",
        f"--data.corpus.path={corpus}",
        f"--data.cache_dir={cache}",
        "--data.states.context_length=256",
        f"--config={CONFIGS / 'model' / 'contrastive_pretraining.yaml'}",
        f"--config={CONFIGS / 'trainer' / 'pretrain.yaml'}",
        "--trainer.max_epochs=1",
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.save_dir={out}",
        "--trainer.logger.name=pretrain",
        *more,
    ]


def finetune_args(labelled, cache, encoder, out, *more):
    return [
        "fit",
        "--data=pttrust_lightning.datamodules.LabelledLines",
        "--data.snippets=pttrust_lightning.source.JsonlLabelled",
        f"--data.snippets.path={labelled}",
        f"--data.cache_dir={cache}",
        "--data.states.context_length=256",
        f"--config={CONFIGS / 'model' / 'risk_finetuning.yaml'}",
        f"--config={CONFIGS / 'trainer' / 'finetune.yaml'}",
        f"--model.init_args.encoder={encoder}",
        "--trainer.max_epochs=2",
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.save_dir={out}",
        "--trainer.logger.name=finetune",
        *more,
    ]


def test_both_stages_fit_test_and_predict(corpus, labelled, tmp_path, capsys):
    out = tmp_path / "runs"
    assert main(pretrain_args(corpus, tmp_path / "states1", out)) == 0
    encoder = out / "pretrain" / "version_0" / "export"
    assert {p.name for p in encoder.iterdir()} == {"config.json", "model.safetensors"}
    shape = json.loads((encoder / "config.json").read_text())["model"]
    assert shape["d_in"] == 256, "the width of the states must reach the built model"

    finetune = finetune_args(labelled, tmp_path / "states2", encoder, out)
    assert main(finetune) == 0
    run = out / "finetune" / "version_0"
    config = (run / "config.yaml").read_text()
    best = next((run / "checkpoints").glob("*.ckpt"))
    for command in ("validate", "test", "predict"):
        assert main([command, f"--config={run / 'config.yaml'}", f"--ckpt_path={best}"]) == 0
    assert (run / "config.yaml").read_text() == config, "test must not overwrite fit's configuration"
    written = list((out / "finetune").rglob("predictions-test.jsonl"))
    assert len(written) == 1
    records = [json.loads(line) for line in written[0].read_text().splitlines()]
    assert records and all(len(r["scores"]) == len(r["lines"]) == 5 for r in records)

    # The stage-1 folder may move: the checkpoint holds the encoder's weights.
    moved = encoder.rename(tmp_path / "moved")
    again = ["test", f"--config={run / 'config.yaml'}", f"--ckpt_path={best}", f"--model.init_args.encoder={moved}"]
    assert main(again) == 0
    scores = [p.read_text() for p in sorted((out / "finetune").rglob("predictions-test.jsonl"))]
    assert len(scores) == 2 and scores[0] == scores[1]
    moved.rename(encoder)

    # A second run from the same directory gets a folder of its own.
    assert main(finetune) == 0
    assert len(list((out / "finetune").glob("version_*/config.yaml"))) == 2
    assert (run / "config.yaml").read_text() == config


def test_an_interrupted_pretraining_goes_on_as_if_nothing_had_happened(corpus, tmp_path):
    out = tmp_path / "runs"

    def fit(name, epochs, *more):
        arguments = pretrain_args(corpus, tmp_path / "states", out, "--model.init_args.warmup_epochs=1", *more)
        arguments.append("--data.programs_per_batch=2")
        assert main([*arguments, f"--trainer.max_epochs={epochs}", f"--trainer.logger.name={name}"]) == 0
        run = out / name / "version_0"
        return load_file(run / "export" / "model.safetensors")["w_enc"], next((run / "checkpoints").glob("*.ckpt"))

    whole, _ = fit("whole", 5)
    first, checkpoint = fit("first", 2)
    resumed, _ = fit("resumed", 5, f"--ckpt_path={checkpoint}")
    assert (resumed - whole).abs().max() < 1e-5 < 1e-3 < (first - whole).abs().max()


def test_an_interrupted_finetuning_goes_on(corpus, labelled, tmp_path):
    out = tmp_path / "runs"
    assert main(pretrain_args(corpus, tmp_path / "states1", out)) == 0
    encoder = out / "pretrain" / "version_0" / "export"
    arguments = finetune_args(labelled, tmp_path / "states2", encoder, out)
    assert main(arguments) == 0
    checkpoint = next((out / "finetune" / "version_0" / "checkpoints").glob("*.ckpt"))
    assert main([*arguments, "--trainer.max_epochs=4", f"--ckpt_path={checkpoint}"]) == 0
    epochs = (out / "finetune" / "version_1" / "metrics.csv").read_text()
    assert torch.load(checkpoint, weights_only=True)["epoch"] < 2 and "\n3," in epochs and "\n0," not in epochs


def test_interrupted_training_says_how_it_goes_on(corpus, tmp_path, monkeypatch, capsys):
    def interrupted(self, batch, batch_idx):
        raise KeyboardInterrupt

    monkeypatch.setattr(ContrastivePretraining, "training_step", interrupted)
    assert main(pretrain_args(corpus, tmp_path / "cache", tmp_path / "runs")) == 130
    said = capsys.readouterr().err
    assert "pttrust fit: interrupted" in said and "--ckpt_path RUN/checkpoints/" in said
    assert "run it again" not in said, "that would train anew"


def test_classes_may_be_given_by_name_alone(corpus, tmp_path):
    arguments = ["fit", "--model=ContrastivePretraining", "--data=UnlabelledStates", "--data.corpus=FolderCorpus"]
    arguments += [f"--data.corpus.path={corpus}", f"--data.cache_dir={tmp_path / 'states'}", "--model.k=8"]
    assert main([*arguments, f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epochs=1"]) == 0
    assert list(tmp_path.rglob("config.yaml"))


def test_stage_2_refuses_a_stage_1_checkpoint(corpus, labelled, tmp_path, capsys):
    out = tmp_path / "runs"
    assert main(pretrain_args(corpus, tmp_path / "states1", out)) == 0
    run = out / "pretrain" / "version_0"
    checkpoint = next((run / "checkpoints").glob("*.ckpt"))
    capsys.readouterr()

    assert main(finetune_args(labelled, tmp_path / "states2", checkpoint, out)) == 2
    message = capsys.readouterr().err
    assert "is a file, not an exported model folder" in message and "Lightning checkpoint" in message

    arguments = finetune_args(labelled, tmp_path / "states2", run / "export", out, f"--ckpt_path={checkpoint}")
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert "was written by ContrastivePretraining, but this run is of RiskFineTuning" in message


def test_stage_1_is_not_predicted_for_nothing(corpus, tmp_path, capsys):
    out = tmp_path / "runs"
    assert main(pretrain_args(corpus, tmp_path / "states", out)) == 0
    run = out / "pretrain" / "version_0"
    checkpoint = next((run / "checkpoints").glob("*.ckpt"))
    assert main(["predict", f"--config={run / 'config.yaml'}", f"--ckpt_path={checkpoint}"]) == 2
    message = capsys.readouterr().err
    assert "Nothing would write what is predicted" in message and "pttrust latents" in message


@pytest.mark.parametrize("command", ["test", "predict"])
@pytest.mark.parametrize(
    ("given", "message"),
    [([], "No checkpoint is given"), (["--ckpt_path=no.ckpt"], "The checkpoint no.ckpt does not exist")],
)
def test_a_checkpoint_that_is_not_there_is_said_before_anything_is_read(
    command, given, message, corpus, tmp_path, capsys
):
    arguments = pretrain_args(corpus, tmp_path / "cache", tmp_path / "runs", *given)
    assert main([command, *arguments[1:]]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_a_damaged_checkpoint_is_refused(corpus, tmp_path, capsys):
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(b"not a checkpoint")
    assert main(pretrain_args(corpus, tmp_path / "states", tmp_path, f"--ckpt_path={broken}")) == 2
    assert "broken.ckpt is not a Lightning checkpoint" in capsys.readouterr().err


def test_a_checkpoint_that_would_run_code_is_refused(corpus, tmp_path, capsys):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    hostile = tmp_path / "hostile.ckpt"
    torch.save({"hyper_parameters": Hostile()}, hostile)
    assert main(pretrain_args(corpus, tmp_path / "states", tmp_path, f"--ckpt_path={hostile}")) == 2
    assert not (tmp_path / "ran").exists()


def test_a_cache_of_other_settings_is_refused_by_field_name(corpus, tmp_path, capsys):
    cache = tmp_path / "states"
    assert main(pretrain_args(corpus, cache, tmp_path)) == 0
    capsys.readouterr()
    assert main(pretrain_args(corpus, cache, tmp_path, "--data.states.layer=2")) == 2
    assert "made with layers = [1], but this run asks for [2]" in capsys.readouterr().err
    assert main(pretrain_args(corpus, cache, tmp_path, "--data.mutation_seed=1")) == 2
    assert "mutation_seed" in capsys.readouterr().err


def test_stage_2_refuses_states_of_another_layer_than_the_encoder(corpus, labelled, tmp_path, capsys):
    assert main(pretrain_args(corpus, tmp_path / "states1", tmp_path)) == 0
    encoder = tmp_path / "pretrain" / "version_0" / "export"
    capsys.readouterr()
    arguments = finetune_args(labelled, tmp_path / "states2", encoder, tmp_path, "--data.states.layer=3")
    assert main(arguments) == 2
    assert "trained on states with layer = 1, but the data has 3" in capsys.readouterr().err


def test_an_unknown_layer_is_refused(corpus, tmp_path, capsys):
    assert main(pretrain_args(corpus, tmp_path / "states", tmp_path, "--data.states.layer=99")) == 2
    assert "layer 99 does not exist: this LLM has blocks 0 to 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty file"), (b"\x00\x01\x02" * 50, "binary file"), (b"\xff\xfe\xfa", "not UTF-8 text")],
)
def test_bad_files_are_counted_and_said(corpus, tmp_path, capsys, content, reason):
    (corpus / "bad.py").write_bytes(content)
    (corpus / "crlf.py").write_bytes(b"def f(x):\r\n    return x\r\n\r\nprint(f(1))")
    arguments = pretrain_args(corpus, tmp_path / "states", tmp_path)
    data = [a for a in arguments if a.startswith("--data")]
    assert main(["extract", *data]) == 0
    manifest = json.loads((tmp_path / "states" / "manifest.json").read_text())
    assert manifest["source_excluded"][reason]["count"] == 1
    assert "bad.py" in str(manifest["source_excluded"][reason]["examples"])
    assert "crlf.py" in cache_contents(tmp_path / "states").groups


def test_an_interrupted_extraction_keeps_what_it_has(corpus, tmp_path, monkeypatch, capsys):
    data = [a for a in pretrain_args(corpus, tmp_path / "states", tmp_path) if a.startswith("--data")]
    extract, calls = LineStateExtractor.extract, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return extract(self, *args)

    monkeypatch.setattr(LineStateExtractor, "extract", interrupted)
    assert main(["extract", *data, "--data.shard_megabytes=0.02"]) == 130
    assert "run it again" in capsys.readouterr().err
    assert len(cache_contents(tmp_path / "states").entries) == 1
    assert main(["extract", *data, "--data.shard_megabytes=0.02"]) == 0
    contents = cache_contents(tmp_path / "states")
    assert len(calls) == len(contents.entries) + 1 > 2, "only the interrupted shard was read again"
    assert len(contents.groups) == 12


def test_extract_again_reads_nothing(corpus, tmp_path, monkeypatch):
    data = [a for a in pretrain_args(corpus, tmp_path / "states", tmp_path) if a.startswith("--data")]
    assert main(["extract", *data]) == 0
    monkeypatch.setattr(
        "pttrust_lightning.datamodules.cached_states.LineStateExtractor",
        lambda *_: pytest.fail("the LLM was loaded for a complete cache"),
    )
    assert main(["extract", *data]) == 0


def test_yaml_cannot_import_other_modules(corpus, tmp_path, capsys):
    (tmp_path / "evil_module_of_a_config.py").write_text("raise SystemExit('ran')")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pttrust_lightning.main import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "fit", "--model=evil_module_of_a_config.Model"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 2
    assert "ran" not in result.stderr.split("evil_module_of_a_config")[0]
    assert "not allowed" in result.stderr or "denied" in result.stderr, result.stderr


@pytest.mark.parametrize("args", [[], ["--help"], ["--version"]])
def test_usage(args, capsys):
    assert main(args) == 0
    assert "pttrust" in capsys.readouterr().out


def test_an_unknown_command_names_the_known_ones(capsys):
    assert main(["fti"]) == 2
    message = capsys.readouterr().err
    assert "unknown command 'fti'" in message and "benchmark" in message and "fit" in message


def test_a_typo_in_an_option_is_refused(corpus, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(pretrain_args(corpus, tmp_path / "states", tmp_path, "--data.cache_dri=x"))
    assert error.value.code == 2
    assert "cache_dri" in capsys.readouterr().err


OWN_CORPUS = """
from pttrust_lightning.source import Corpus
from pttrust_lightning.types import Program

class Mine(Corpus):
    name = "mine"

    def describe(self):
        return "mine"

    def programs(self, exclusions):
        for i in range(4):
            yield Program(f"p{i}", f"a = {i}\\nb = a + {i}\\nprint(b)\\n", "python")
"""


@pytest.mark.parametrize("allowed", [True, False])
def test_own_classes_are_imported_where_the_environment_allows_it(tmp_path, allowed):
    (tmp_path / "my_corpora.py").write_text(OWN_CORPUS)
    environment = {**os.environ, "PTTRUST_IMPORTS": "my_corpora" if allowed else ""}
    command = [sys.executable, "-m", "pttrust_lightning.main", "extract", "--data=UnlabelledStates"]
    command += ["--data.corpus=my_corpora.Mine", "--data.cache_dir=states"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == allowed, done.stderr
    assert (tmp_path / "states" / "manifest.json").is_file() == allowed


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data.states.device=cud", "The device 'cud' cannot be used"),
        ("--data.programs_per_batch=0", "programs_per_batch is 0"),
        ("--data.states.batch_tokens=0", "batch_tokens is 0"),
        ("--data.storage_dtype=float64", "storage_dtype"),
        ("--model.init_args.margin=-1", "margin -1.0"),
        ("--model.init_args.k=999", "k is 999"),
        ("--data.corpus.path=nowhere", "nowhere"),
        ("--data.states.llm=./nowhere", "nowhere"),
        ("--data.states.context_length=100000", "context_length 100000"),
        ("--data.val_fraction=1.0", "val_fraction 1.0"),
    ],
)
def test_settings_that_cannot_be_are_named(corpus, tmp_path, capsys, option, message):
    try:
        assert main(pretrain_args(corpus, tmp_path / "states", tmp_path, option)) == 2
    except SystemExit as error:  # refused while parsing
        assert error.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [("--folds=1", "folds is 1"), ("--bootstrap_samples=0", "bootstrap_samples is 0"), ('--baselines=["x"]', "x")],
)
def test_a_benchmark_that_cannot_be_is_refused_before_it_trains(option, message, capsys, tmp_path):
    config = f"--config={CONFIGS / 'benchmark' / 'quickstart.yaml'}"
    try:
        assert main(["benchmark", config, f"--output_dir={tmp_path / 'out'}", option]) == 2
    except SystemExit as error:
        assert error.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_warm_up_that_never_ends_is_said(corpus, tmp_path):
    with pytest.warns(UserWarning, match="trains without the contrastive term"):
        assert main(pretrain_args(corpus, tmp_path / "states", tmp_path)) == 0
