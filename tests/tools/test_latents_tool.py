"""``pttrust latents`` as a user meets it: through main(), on a tiny LLM."""

import json

import numpy as np
import pytest
import torch
import yaml

from pttrust_lightning.datamodules import LabelledLines
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.main import main
from pttrust_lightning.models.line_ranker import RankerConfig
from pttrust_lightning.models.risk_model import RiskModel
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from pttrust_lightning.source import JsonlLabelled
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.tools.latents import describe_latents

N = 24


@pytest.fixture
def place(tmp_path, gpt2):
    """Labels, their configuration, and an encoder and a risk model on the tiny LLM's states."""
    records = []
    for i in range(N):
        code = f"def f{i}(x):\n    # adds {i}\n    y = x + {i}\n    return y * {i}\n"
        wrong = [2 + i % 2]
        verdict = {"correct": False, "wrong_lines": wrong}
        if i % 6 == 4:
            verdict = {"correct": True, "wrong_lines": []}
        elif i % 6 == 5:
            verdict = {"correct": False, "wrong_lines": []}  # wrong, but not known where
        record = {"id": f"s{i}", "problem_id": f"p{i}", "language": "python", "task": "generation", "prompt": ""}
        records.append({**record, "code": code, **verdict, "label_source": "human"})
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps(record) + "\n" for record in records))
    init = {"snippets": {"class_path": "JsonlLabelled", "init_args": {"path": str(labels)}}}
    init |= {"cache_dir": str(tmp_path / "cache"), "states": {"llm": str(gpt2)}}
    config = tmp_path / "labels.yaml"
    config.write_text(yaml.safe_dump({"data": {"class_path": "LabelledLines", "init_args": init}}))
    data = LabelledLines(JsonlLabelled(str(labels)), str(tmp_path / "cache"), LineStateConfig(llm=str(gpt2)))
    torch.manual_seed(0)
    encoder = SparseAutoencoder(SparseAutoencoderConfig(data.d_in, n_latents=12, k=3))
    encoder.save(tmp_path / "encoder", torch.randn(4, data.d_in), data.state_provenance)
    save_risk_model(tmp_path / "risk", data, encoder)
    return tmp_path, data


def save_risk_model(folder, data, encoder, **settings):
    model = RiskModel(data.d_in, encoder, RankerConfig(4, 2), **settings)
    model.calibration.fit(np.linspace(-1, 1, 20), np.arange(20) % 3 == 0)
    model.save(
        folder, torch.randn(4, data.d_in + sum((settings.get("features") or {}).values())), data.state_provenance
    )


def run(folder, *options, encoder="encoder"):
    config = [f"--config={folder / 'labels.yaml'}", f"--encoder={folder / encoder}", f"--output={folder / 'out'}"]
    return main(["latents", *config, *options])


def records(folder):
    return [json.loads(line) for line in (folder / "out" / "latents.jsonl").read_text().splitlines()]


def test_the_table_is_of_the_labelled_lines(place, capsys):
    folder, data = place
    assert run(folder, f"--risk_model={folder / 'risk'}", "--top_lines=3") == 0
    said = capsys.readouterr().out
    assert "4 left out: snippet that is wrong, but not known where" in said
    assert "latents.md" in said
    data.setup("test")
    items = [item for part in data.split.values() for item in part]
    items = [item for item in items if item.snippet.correct or item.snippet.wrong_lines]
    assert len(items) == 20
    encoder, _ = SparseAutoencoder.load(folder / "encoder")
    latents = torch.cat([encoder.encode(item.lines.states) for item in items]).detach().numpy()
    labels = np.concatenate([item.labels for item in items]) > 0
    assert labels.sum() == 16
    place_of = [(item.snippet.id, int(line)) for item in items for line in item.lines.line_numbers]
    found = records(folder)
    assert len(found) == 12
    for j, record in enumerate(found):
        fires = latents[:, j] > 0
        assert record["n_fired"] == fires.sum()
        assert record["n_fired_wrong"] == (fires & labels).sum()
        assert (record["logit_drop"] is None) == (not fires.any())
        strongest = [(line["snippet"], line["line"]) for line in record["top_lines"]]
        values = {spot: latents[i, j] for i, spot in enumerate(place_of)}
        assert strongest == sorted(values, key=lambda spot: -values[spot])[: min(3, fires.sum())]
        for line in record["top_lines"]:
            i = int(line["snippet"][1:])
            lines = [f"def f{i}(x):", f"    # adds {i}", f"    y = x + {i}", f"    return y * {i}"]
            assert line["text"] == lines[line["line"]]
            assert line["kind"] == ("comment" if line["line"] == 1 else "code")
            assert line["wrong"] == labels[place_of.index((line["snippet"], line["line"]))]
            assert line["n_alike"] == 1
    figures = {p.name for p in (folder / "out" / "figures").glob("*-light.svg")}
    assert figures == {f"{name}-light.svg" for name in ("firing-rates", "odds-ratios", "risk-shares")}
    page = (folder / "out" / "latents.md").read_text()
    assert page.startswith(f"12 latents on {len(labels)} lines of 20 snippets, 16 lines wrong")
    assert "4 left out" in page


def test_one_split_and_no_risk_model(place):
    folder, data = place
    assert run(folder, "--split=train", "--shown=2") == 0
    data.setup("test")
    known = [s for s in data.split["train"] if s.snippet.correct or s.snippet.wrong_lines]
    page = (folder / "out" / "latents.md").read_text()
    assert f" of {len(known)} snippets" in page and "split train" in page
    assert all(record["variance_share"] is None for record in records(folder))
    assert not list((folder / "out" / "figures").glob("risk-shares*"))


@pytest.mark.parametrize("features", [{"surface": None}, {"surface": None, "uncertainty": None}])
def test_a_risk_model_that_sees_more_than_latents(place, features):
    folder, data = place
    encoder, _ = SparseAutoencoder.load(folder / "encoder")
    widths = {name: data.feature_widths[name] for name in features}
    save_risk_model(folder / "more", data, encoder, features=widths)
    assert run(folder, f"--risk_model={folder / 'more'}") == 0
    if "uncertainty" in features:
        options = ["--data.init_args.uncertainty=false", f"--data.init_args.cache_dir={folder / 'other'}"]
        assert run(folder, f"--risk_model={folder / 'more'}", *options) == 2


def refused(capsys, folder, message, *options, **which):
    assert run(folder, *options, **which) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_what_does_not_fit_together_is_refused(place, capsys):
    folder, data = place
    torch.manual_seed(1)
    other = SparseAutoencoder(SparseAutoencoderConfig(data.d_in, n_latents=12, k=3))
    save_risk_model(folder / "of_other", data, other)
    save_risk_model(folder / "of_none", data, None, raw_states=True)
    for model in ("of_other", "of_none"):
        refused(capsys, folder, "ranks by the latents of another encoder", f"--risk_model={folder / model}")
    other.save(folder / "last", torch.randn(4, data.d_in), {**data.state_provenance, "layer": 77})
    refused(capsys, folder, "was trained on states with layer = 77", encoder="last")
    refused(capsys, folder, "top_lines is -1", "--top_lines=-1")


@pytest.mark.parametrize("kept", [True, False])
def test_lines_of_one_kind_are_refused(place, kept):
    """A split of correct snippets alone, say: no latent can tell its lines apart."""
    folder, data = place
    data.prepare_data()
    data.setup("test")
    items = [item for part in data.split.values() for item in part]
    items = [item for item in items if (item.snippet.correct if kept else not item.snippet.wrong_lines)]
    encoder, _ = SparseAutoencoder.load(folder / "encoder")
    with pytest.raises(ConfigError, match="mine: 0 of 16 lines are wrong"):
        describe_latents(encoder, None, items, "mine", 3)
