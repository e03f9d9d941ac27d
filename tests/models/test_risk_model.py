import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pttrust_lightning.errors import ConfigError, ModelFolderError
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.models.risk_model import RiskModel
from pttrust_lightning.models.snippet_head import SNIPPET_HEADS
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig

ALL = pytest.mark.parametrize("calibration", sorted(CALIBRATIONS))


def risk_model(calibration="temperature", seed=0):
    torch.manual_seed(seed)
    return RiskModel(10, SparseAutoencoder(SparseAutoencoderConfig(10, n_latents=16, k=4)), calibration=calibration)


def fitted(calibration, seed=0):
    model = risk_model(calibration, seed)
    states = torch.randn(300, 10)
    scores = model.logits(states).detach()
    # the higher the score, the likelier wrong
    noise = torch.randn(300) * scores.std()
    model.calibration.fit(scores.numpy(), (scores + noise > scores.mean()).float().numpy())
    return model, states


def test_logits_are_the_rankers_scores_of_the_sparse_latents():
    model, states = risk_model(), torch.randn(2, 5, 10)
    torch.testing.assert_close(model.logits(states), model.ranker(model.encoder.encode(states)))
    assert model.logits(states).shape == (2, 5)
    assert model.logits(states).std() > 0


@ALL
def test_forward_is_the_calibration_of_the_logits(calibration):
    model, states = fitted(calibration)
    risk = model(states)
    assert torch.equal(risk.scores, model.logits(states))
    assert torch.equal(risk.probabilities, model.calibration(risk.scores))


@ALL
@pytest.mark.parametrize("seed", [0, 2, 10])  # 2 and 10: rounding between knots
def test_probabilities_never_fall_while_scores_rise(calibration, seed):
    model, states = fitted(calibration, seed)
    risk = model(states)
    p = risk.probabilities[risk.scores.argsort()]
    assert (p.diff() >= 0).all()
    assert p[-1] - p[0] > 0.3
    assert p.min() >= 0
    assert p.max() <= 1


def test_an_unfitted_calibration_gives_no_probabilities():
    with pytest.raises(RuntimeError, match="not fitted"):
        risk_model()(torch.randn(3, 10))


def test_the_encoder_stays_as_it_was_when_all_parameters_are_optimised():
    model, states = risk_model(), torch.randn(40, 10)
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model.logits(states).square().mean().backward()
        optimiser.step()
    for name, p in model.named_parameters():
        if name.startswith("encoder."):
            assert not p.requires_grad
            assert p.grad is None
            assert torch.equal(p, before[name]), name
        else:
            assert not torch.equal(p, before[name]), name


def test_states_get_no_gradient_through_the_frozen_encoder():
    states = torch.randn(4, 10, requires_grad=True)
    risk_model().logits(states).sum().backward()
    assert states.grad is None


@ALL
def test_a_state_dict_carries_ranker_and_calibration(calibration):
    model, states = fitted(calibration)
    other = risk_model(calibration, seed=9)
    other.load_state_dict(model.state_dict())
    assert torch.equal(torch.stack(list(other(states))), torch.stack(list(model(states))))


HEADS = pytest.mark.parametrize("head", sorted(SNIPPET_HEADS))


def judging(head, calibration="temperature", seed=0):
    torch.manual_seed(seed)
    encoder = SparseAutoencoder(SparseAutoencoderConfig(10, n_latents=16, k=4))
    model = RiskModel(10, encoder, calibration=calibration, snippet_head=head)
    snippets = torch.randn(60, 5, 10)
    with torch.no_grad():
        raw = model.raw(snippets)
    noisy = raw.snippets + torch.randn(60) * raw.snippets.std()
    model.calibration.fit(raw.lines.flatten(), (torch.rand(300) < 0.3).float())
    assert not model.fitted
    model.snippet_calibration.fit(raw.snippets, (noisy > raw.snippets.mean()).float(), of="snippets")
    assert model.fitted
    return model, snippets


@HEADS
@ALL
def test_a_snippet_head_judges_what_the_ranker_saw(head, calibration):
    model, snippets = judging(head, calibration)
    mask = torch.rand(60, 5) < 0.7
    mask[:, 0] = True
    mask = mask.sort(dim=1, descending=True).values
    risk = model.assess(snippets, mask)
    hidden = model.ranker.penultimate(model.encoder.encode(snippets), mask)
    lines, expected = model.snippet_head(model.ranker.score(hidden), hidden, mask)
    assert torch.equal(risk.snippets.scores, expected)
    assert torch.equal(risk.snippets.probabilities, model.snippet_calibration(expected))
    assert torch.equal(risk.lines.scores, lines)
    assert torch.equal(model(snippets, mask).probabilities, model.calibration(lines))
    p = risk.snippets.probabilities[risk.snippets.scores.argsort()]
    assert (p.diff() >= 0).all() and p[-1] > p[0]


@HEADS
@ALL
def test_the_head_and_its_calibration_are_exported_and_checked(head, calibration, tmp_path):
    model, snippets = judging(head, calibration)
    model.save(tmp_path / "risk", snippets[0], {"llm": "x"})
    loaded, provenance = RiskModel.load(tmp_path / "risk")
    assert provenance == {"llm": "x"}
    for mine, theirs in zip(model.assess(snippets), loaded.assess(snippets), strict=True):
        assert torch.equal(torch.stack(list(mine)), torch.stack(list(theirs)))
    weights = load_file(tmp_path / "risk" / "model.safetensors")
    changed = [n for n in weights if n.startswith(("snippet_calibration.coeff", "snippet_calibration.values"))]
    save_file({n: w * 0.9 if n in changed else w for n, w in weights.items()}, tmp_path / "risk" / "model.safetensors")
    with pytest.raises(ModelFolderError, match="golden vector"):
        RiskModel.load(tmp_path / "risk")


def test_a_folder_from_before_snippet_heads_and_scaled_latents_is_loaded(tmp_path):
    model, states = fitted("temperature")
    model.save(tmp_path / "risk", states[:8], {})
    file = tmp_path / "risk" / "config.json"
    config = json.loads(file.read_text())
    assert config.pop("snippet_head") is None
    assert config.pop("standardise_latents") is False
    assert config.pop("standardised_limit") is None
    file.write_text(json.dumps(config))
    assert RiskModel.load(tmp_path / "risk")[0].assess(states).snippets is None


def test_without_a_head_the_weights_are_those_of_before():
    """A head is made last, so that it takes no draws from the ranker's first weights."""
    plain, judging_too = risk_model(), judging("rank")[0]
    for name, weight in plain.ranker.state_dict().items():
        assert torch.equal(weight, judging_too.ranker.state_dict()[name])


def test_an_unknown_calibration_is_refused():
    with pytest.raises(KeyError):
        risk_model("platt")


def test_the_ranker_sees_latents_then_standardised_states_then_features():
    torch.manual_seed(0)
    encoder = SparseAutoencoder(SparseAutoencoderConfig(10, n_latents=16, k=4))
    lines = torch.randn(7, 13) * 4 + 2
    model = RiskModel(10, encoder, raw_states=True, features={"a": 2, "b": 1})
    model.fit_scales([lines[:3], lines[3:]])
    seen = model.representations(lines)
    scaled = (lines - lines.mean(0)) / lines.std(0, correction=0)
    torch.testing.assert_close(seen, torch.cat([encoder.encode(lines[:, :10]), scaled], dim=1))
    torch.testing.assert_close(model.logits(lines), model.ranker(seen))
    features_only = RiskModel(10, None, features={"a": 3})
    assert torch.equal(features_only.representations(lines), lines[:, 10:])
    scaled_too = RiskModel(10, encoder, features={"a": 3}, standardise_latents=True)
    scaled_too.fit_scales([lines])
    columns = torch.cat([encoder.encode(lines[:, :10]), lines[:, 10:]], dim=1)
    spread = columns.std(0, correction=0)
    expected = (columns - columns.mean(0)) / torch.where(spread > 0, spread, 1.0)
    torch.testing.assert_close(scaled_too.representations(lines), expected)


def test_standardised_columns_are_cut_where_that_is_asked_for(tmp_path):
    torch.manual_seed(0)
    encoder = SparseAutoencoder(SparseAutoencoderConfig(10, n_latents=16, k=4))
    lines = torch.randn(50, 12)
    given = {"raw_states": True, "features": {"a": 2}}
    for latents in (False, True):
        whole = RiskModel(10, encoder, **given, standardise_latents=latents)
        cut = RiskModel(10, encoder, **given, standardise_latents=latents, standardised_limit=1.5)
        for model in (whole, cut):
            model.fit_scales([lines])
        seen = whole.representations(lines)
        expected = seen.clamp(-1.5, 1.5)
        if not latents:
            expected[:, :16] = seen[:, :16]
        assert torch.equal(cut.representations(lines), expected)
        assert not torch.equal(expected, seen)
    cut.calibration.fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0, 1.0]))
    cut.save(tmp_path / "cut", lines[:8], {})
    assert torch.equal(RiskModel.load(tmp_path / "cut")[0].representations(lines), cut.representations(lines))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_must_leave_something(limit):
    with pytest.raises(ConfigError, match="standardised_limit is"):
        RiskModel(10, None, raw_states=True, standardised_limit=limit)


def test_nothing_to_see_and_other_widths_are_refused():
    with pytest.raises(ConfigError, match="standardise_latents"):
        RiskModel(10, None, raw_states=True, standardise_latents=True)
    with pytest.raises(ConfigError, match="nothing to see"):
        RiskModel(10, None)
    with pytest.raises(ConfigError, match="width 10"):
        RiskModel(11, SparseAutoencoder(SparseAutoencoderConfig(10)))
