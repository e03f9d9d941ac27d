from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from tools.embedded_llm.export import export
from tools.embedded_llm.tokenizer import main as train_tokenizer
from tools.embedded_llm.training.__main__ import main as training
from tools.embedded_llm.training.token_files import main as write_token_files
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).parents[4]
CONFIGS = ROOT / "tools" / "embedded_llm" / "configs"


@pytest.fixture(scope="module")
def made(tiny_corpus, tmp_path_factory):
    """A tokenizer and token files."""
    folder = tmp_path_factory.mktemp("made")
    corpus = ["--corpus", str(tiny_corpus)]
    train_tokenizer([*corpus, "--output", str(folder / "tokenizer"), "--vocab_size", "280"])
    write_token_files([*corpus, "--tokenizer", str(folder / "tokenizer"), "--output", str(folder / "tokens")])
    return folder


def fit(made, run, *more):
    """The committed CPU configuration, made small."""
    training(
        [
            "fit", "--config", str(CONFIGS / "cpu.yaml"), "--config", str(tiny_config(run)),
            "--data.folder", str(made / "tokens"), *more,
        ]
    )  # fmt: skip
    return run / "checkpoints" / "last.ckpt"


def tiny_config(run):
    config = yaml.safe_load((CONFIGS / "cpu.yaml").read_text())
    callbacks = config["trainer"]["callbacks"]
    callbacks[0]["init_args"] = {"path": str(run / "loss.jsonl"), "every_n_steps": 2}
    callbacks[1]["init_args"].update(dirpath=str(run / "checkpoints"), every_n_train_steps=2, save_top_k=-1)
    config = {
        "model": {
            "vocab_size": 280, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "warmup_steps": 2, "decay_steps": 2, "compile": False,
        },
        "data": {"context_length": 16, "batch_size": 2, "weights": {"python": 0.6, "java": 0.4}},
        "trainer": {
            "max_steps": 6, "precision": "32-true", "val_check_interval": 4, "callbacks": callbacks,
            "default_root_dir": str(run),
        },
    }  # fmt: skip
    run.mkdir(parents=True, exist_ok=True)
    path = run / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def weights(checkpoint):
    return torch.load(checkpoint, weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def whole_run(made, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole")
    return fit(made, run)


def test_a_run_writes_its_loss_curve(whole_run):
    lines = [json.loads(line) for line in (whole_run.parents[1] / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train" in line] == [2, 4, 6]
    assert [line["tokens"] for line in lines if "train" in line] == [128, 256, 384]
    held_out = [line["held_out"] for line in lines if "held_out" in line]
    assert [sorted(losses) for losses in held_out] == [["java", "python"]] * 3
    assert held_out[-1]["python"] < held_out[0]["python"]


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(made, whole_run, tmp_path):
    run = whole_run.parents[1]
    parts = tmp_path / "parts"
    parts.mkdir()
    shutil.copy(run / "loss.jsonl", parts)  # a killed run has written lines after its last checkpoint
    resumed = fit(made, parts, "--ckpt_path", str(run / "checkpoints" / "step4.ckpt"))
    for name, weight in weights(whole_run).items():
        assert torch.equal(weight, weights(resumed)[name]), name
    assert (parts / "loss.jsonl").read_text() == (run / "loss.jsonl").read_text()


def test_the_export_is_what_auto_model_loads(made, whole_run, tmp_path):
    size = export(whole_run, made / "tokenizer", tmp_path / "llm")
    assert size == sum(path.stat().st_size for path in (tmp_path / "llm").iterdir())
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "llm", trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "llm", trust_remote_code=False)
    assert model.dtype == torch.bfloat16
    assert model.config.vocab_size == len(tokenizer) == 280
    for name, weight in weights(whole_run).items():
        stored = model.state_dict()[name.removeprefix("language_model.")]
        torch.testing.assert_close(stored.float(), weight, rtol=2**-8, atol=1e-6)


def test_a_tokenizer_of_another_vocabulary_is_refused(whole_run, tiny_corpus, tmp_path):
    train_tokenizer(["--corpus", str(tiny_corpus), "--output", str(tmp_path / "t"), "--vocab_size", "270"])
    with pytest.raises(ValueError, match="270"):
        export(whole_run, tmp_path / "t", tmp_path / "llm")


def test_damaged_weights_are_refused(made, whole_run, tmp_path):
    checkpoint = torch.load(whole_run, weights_only=True)
    checkpoint["state_dict"]["language_model.model.norm.weight"][0] = float("nan")
    torch.save(checkpoint, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=r"norm\.weight is not finite"):
        export(tmp_path / "bad.ckpt", made / "tokenizer", tmp_path / "llm")


def test_a_run_without_an_end_is_refused(made, tmp_path):
    with pytest.raises(ValueError, match="max_steps"):
        fit(made, tmp_path, "--trainer.max_steps", "-1", "--trainer.max_epochs", "1")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_composes(path):
    command = [sys.executable, "-m", "tools.embedded_llm.training", "fit", "--config", str(path), "--print_config"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    config = yaml.safe_load(result.stdout)
    assert config["model"]["vocab_size"] <= 16384
    assert sum(config["data"]["weights"].values()) == pytest.approx(1)


def test_a_configuration_cannot_name_other_modules(made, tmp_path, capsys):
    with pytest.raises(SystemExit):
        fit(made, tmp_path, "--trainer.callbacks+=antigravity.Flight")
    assert "not allowed" in capsys.readouterr().err
