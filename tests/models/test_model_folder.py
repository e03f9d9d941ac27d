import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from pttrust_lightning.errors import ModelFolderError
from pttrust_lightning.models.folder import CONFIG_NAME, WEIGHTS_NAME
from pttrust_lightning.models.line_ranker import RankerConfig
from pttrust_lightning.models.risk_model import RiskModel
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig

PROVENANCE = {"llm": "a-model", "layer": 2, "line_rule": "newline", "revision": None, "weights_sha256": "00ff"}


def encoder(tied=True, normalise=True, **settings):
    torch.manual_seed(0)
    model = SparseAutoencoder(SparseAutoencoderConfig(10, 16, 4, tied, normalise, **settings))
    torch.nn.init.normal_(model.b_pre)
    torch.nn.init.normal_(model.b_enc)
    if model.w_dec is not None:
        torch.nn.init.normal_(model.w_dec)
    if model.threshold is not None:
        model.train()(states(5, 40))
    return model


def states(seed=1, n=8):
    return torch.randn(n, 10, generator=torch.Generator().manual_seed(seed)) * 5


def risk_model(calibration="temperature"):
    model = RiskModel(10, encoder(), RankerConfig(6, 3), calibration)
    scores = model.logits(states(2, 200)).detach()
    wrong = scores + scores.std() * torch.randn(200) > scores.mean()
    model.calibration.fit(scores.numpy(), wrong.float().numpy())
    return model


def saved(folder, model, golden=None):
    model.save(folder, states() if golden is None else golden, PROVENANCE)
    return folder


@pytest.fixture
def exported(tmp_path):
    return saved(tmp_path / "sae", encoder())


def edit_config(folder, **changes):
    path = folder / CONFIG_NAME
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v != "missing"}), encoding="utf-8")


def edit_weights(folder, name, change):
    tensors = load_file(folder / WEIGHTS_NAME)
    tensors[name] = change(tensors[name])
    save_file(tensors, folder / WEIGHTS_NAME)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
def test_an_autoencoder_comes_back_bit_by_bit(tmp_path, tied, normalise):
    model = encoder(tied, normalise)
    again, provenance = SparseAutoencoder.load(saved(tmp_path / "sae", model))
    assert again.config == model.config
    assert provenance == PROVENANCE
    for a, b in zip(again(states(3)), model(states(3)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("settings", [{"activation": "batch_topk"}, {"matryoshka": (4, 16)}])
def test_activation_and_prefixes_come_back_too(tmp_path, settings):
    model = encoder(tied=False, **settings)
    again, _ = SparseAutoencoder.load(saved(tmp_path / "sae", model))
    assert again.config == model.config
    assert again.state_dict().keys() == model.state_dict().keys()
    for a, b in zip(again.eval()(states(3)), model.eval()(states(3)), strict=True):
        assert torch.equal(a, b)
    risk = RiskModel(10, model, RankerConfig(6, 3))
    risk.calibration.fit(states(2).flatten().numpy(), (states(2) > 0).flatten().numpy())
    loaded, _ = RiskModel.load(saved(tmp_path / "risk", risk))
    assert torch.equal(loaded.train().logits(states(3)), risk.logits(states(3)))


def test_a_changed_threshold_is_noticed(tmp_path):
    folder = saved(tmp_path / "sae", encoder(activation="batch_topk"))
    edit_weights(folder, "threshold", lambda t: t * 1.01)
    with pytest.raises(ModelFolderError, match="golden vector"):
        SparseAutoencoder.load(folder)


def test_folders_from_before_there_was_a_choice_of_activations_still_load(exported):
    config = json.loads((exported / CONFIG_NAME).read_text(encoding="utf-8"))["model"]
    old = {name: config[name] for name in ("d_in", "n_latents", "k", "tied", "normalise")}
    assert set(config) - set(old) == {"activation", "matryoshka"}
    edit_config(exported, model=old)
    again, _ = SparseAutoencoder.load(exported)
    assert again.config == encoder().config
    assert torch.equal(again.encode(states(3)), encoder().encode(states(3)))


@pytest.mark.parametrize("calibration", ["temperature", "isotonic"])
def test_a_risk_model_comes_back_bit_by_bit(tmp_path, calibration):
    model = risk_model(calibration)
    again, provenance = RiskModel.load(saved(tmp_path / "risk", model))
    assert provenance == PROVENANCE
    assert again.calibration.name == calibration
    probe = states(3, 100)
    assert torch.equal(torch.stack(list(again(probe))), torch.stack(list(model(probe))))
    assert torch.unique(model(probe).probabilities).numel() > 3
    assert not any(p.requires_grad for p in again.encoder.parameters())


def test_a_folder_says_what_it_is_in_plain_json(exported):
    config = json.loads((exported / CONFIG_NAME).read_text(encoding="utf-8"))
    assert config["kind"] == "sparse_autoencoder"
    assert config["format_version"] == 1
    assert config["provenance"] == PROVENANCE
    assert sorted(p.name for p in exported.iterdir()) == [CONFIG_NAME, WEIGHTS_NAME]


def test_an_unfitted_risk_model_is_not_saved(tmp_path):
    with pytest.raises(RuntimeError, match="not fitted"):
        saved(tmp_path / "risk", RiskModel(10, encoder()))
    assert not (tmp_path / "risk").exists()


@pytest.mark.parametrize("name", ["w_enc", "b_enc", "b_pre", "w_dec"])
def test_a_changed_weight_of_an_autoencoder_is_noticed(tmp_path, name):
    folder = saved(tmp_path / "sae", encoder(tied=False))
    edit_weights(folder, name, lambda w: w * 1.05)
    with pytest.raises(ModelFolderError, match="golden vector") as error:
        SparseAutoencoder.load(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    "name", ["encoder.w_enc", "ranker.body.0.weight", "ranker.head.bias", "calibration.coefficients"]
)
def test_a_changed_weight_of_a_risk_model_is_noticed(tmp_path, name):
    folder = saved(tmp_path / "risk", risk_model())
    edit_weights(folder, name, lambda w: w * 1.1)
    with pytest.raises(ModelFolderError, match="golden vector"):
        RiskModel.load(folder)


def test_a_changed_isotonic_knot_is_noticed(tmp_path):
    folder = saved(tmp_path / "risk", risk_model("isotonic"))
    edit_weights(folder, "calibration.values", lambda v: v * 0.9)
    with pytest.raises(ModelFolderError, match="golden vector"):
        RiskModel.load(folder)


def test_rounding_of_another_machine_is_not_a_changed_weight(exported):
    edit_weights(exported, "w_enc", lambda w: w * (1 + 1e-6))
    SparseAutoencoder.load(exported)


def test_a_model_of_another_kind_is_refused(tmp_path, exported):
    with pytest.raises(ModelFolderError, match="holds a 'sparse_autoencoder', but a 'risk_model' is needed"):
        RiskModel.load(exported)
    with pytest.raises(ModelFolderError, match="holds a 'risk_model', but a 'sparse_autoencoder' is needed"):
        SparseAutoencoder.load(saved(tmp_path / "risk", risk_model()))


@pytest.mark.parametrize("cls", [SparseAutoencoder, RiskModel])
def test_a_lightning_checkpoint_is_refused_with_what_to_give_instead(tmp_path, cls):
    path = tmp_path / "epoch=1.ckpt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ModelFolderError, match="Lightning checkpoint") as error:
        cls.load(path)
    assert str(path) in str(error.value)
    assert "folder" in str(error.value)


def test_a_folder_without_config_is_named(tmp_path, exported):
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(ModelFolderError, match=f"no {CONFIG_NAME}") as error:
            SparseAutoencoder.load(folder)
        assert str(folder) in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "{}", "null", '"sparse_autoencoder"'])
def test_a_config_that_is_none_is_named(exported, text):
    (exported / CONFIG_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ModelFolderError, match=CONFIG_NAME) as error:
        SparseAutoencoder.load(exported)
    assert str(exported) in str(error.value)


@pytest.mark.parametrize("version", [0, 2, "1", "missing"])
def test_another_format_version_is_named(exported, version):
    edit_config(exported, format_version=version)
    with pytest.raises(ModelFolderError, match="field 'format_version'"):
        SparseAutoencoder.load(exported)


@pytest.mark.parametrize("field", ["model", "provenance"])
def test_a_missing_field_of_an_autoencoder_is_named(exported, field):
    edit_config(exported, **{field: "missing"})
    with pytest.raises(ModelFolderError, match=field) as error:
        SparseAutoencoder.load(exported)
    assert str(exported) in str(error.value)


@pytest.mark.parametrize("field", ["encoder", "ranker", "calibration", "provenance"])
def test_a_missing_field_of_a_risk_model_is_named(tmp_path, field):
    folder = saved(tmp_path / "risk", risk_model())
    edit_config(folder, **{field: "missing"})
    with pytest.raises(ModelFolderError, match=field):
        RiskModel.load(folder)


@pytest.mark.parametrize(
    "model",
    [
        {"d_in": 10, "n_latents": 17, "k": 4},
        {"d_in": 10, "n_latents": 16, "k": 4, "tied": False},
        {"d_in": 10, "n_latents": 16, "k": 40},
        {"d_in": 10, "width": 16},
        {"d_in": 10, "n_latents": 16, "k": 4, "activation": "batch_topk"},
        {"d_in": 10, "n_latents": 16, "k": 4, "activation": "relu"},
        {"d_in": 10, "n_latents": 16, "k": 4, "matryoshka": [4]},
        {"d_in": 10, "n_latents": 16, "k": 4, "matryoshka": 4},
        [10, 16, 4],
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_refused(exported, model):
    edit_config(exported, model=model)
    with pytest.raises(ModelFolderError, match="config and weights do not fit") as error:
        SparseAutoencoder.load(exported)
    assert str(exported) in str(error.value)


def test_an_unknown_calibration_in_a_config_is_refused(tmp_path):
    folder = saved(tmp_path / "risk", risk_model())
    edit_config(folder, calibration="platt")
    with pytest.raises(ModelFolderError, match="platt"):
        RiskModel.load(folder)


def test_damaged_weights_are_named(exported):
    path = exported / WEIGHTS_NAME
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"garbage" * 10):
        path.write_bytes(damaged)
        with pytest.raises(ModelFolderError, match="cannot be read") as error:
            SparseAutoencoder.load(exported)
        assert str(path) in str(error.value)
    path.unlink()
    with pytest.raises(ModelFolderError, match="cannot be read"):
        SparseAutoencoder.load(exported)


def test_weights_without_golden_vector_are_refused(exported):
    tensors = load_file(exported / WEIGHTS_NAME)
    del tensors["golden.output"]
    save_file(tensors, exported / WEIGHTS_NAME)
    with pytest.raises(ModelFolderError, match=r"golden\.output"):
        SparseAutoencoder.load(exported)


def test_an_exported_model_is_never_overwritten(exported):
    before = {p.name: p.read_bytes() for p in exported.iterdir()}
    with pytest.raises(ModelFolderError, match="never overwritten") as error:
        saved(exported, encoder(tied=False))
    assert str(exported) in str(error.value)
    assert {p.name: p.read_bytes() for p in exported.iterdir()} == before


def test_a_file_in_the_folders_place_is_not_overwritten(tmp_path):
    path = tmp_path / "sae"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ModelFolderError, match="never overwritten"):
        saved(path, encoder())
    assert path.read_text(encoding="utf-8") == "mine"


def test_an_empty_folder_is_used_and_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    SparseAutoencoder.load(saved(tmp_path / "empty", encoder()))
    SparseAutoencoder.load(saved(tmp_path / "a" / "b", encoder()))


def test_a_folder_can_be_moved(tmp_path, exported):
    moved = shutil.copytree(exported, tmp_path / "elsewhere")
    shutil.rmtree(exported)
    again, _ = SparseAutoencoder.load(moved)
    assert torch.equal(again.encode(states()), encoder().encode(states()))


def test_a_run_in_the_place_of_its_export_is_refused_with_the_export_named(tmp_path):
    saved(tmp_path / "run" / "export", encoder())
    with pytest.raises(ModelFolderError, match=r"it has no config\.json\. Give .*run/export\."):
        SparseAutoencoder.load(tmp_path / "run")
    with pytest.raises(ModelFolderError, match=r"Give an exported folder\."):
        SparseAutoencoder.load(tmp_path)
