import pytest
import torch

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.models.risk_model import RiskModel
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


def test_an_unknown_calibration_is_refused():
    with pytest.raises(KeyError):
        risk_model("platt")


def test_the_ranker_sees_latents_then_standardised_states_then_features():
    torch.manual_seed(0)
    encoder = SparseAutoencoder(SparseAutoencoderConfig(10, n_latents=16, k=4))
    lines = torch.randn(7, 13) * 4 + 2
    model = RiskModel(10, encoder, raw_states=True, features={"a": 2, "b": 1})
    model.standardiser.fit(lines)
    seen = model.representations(lines)
    scaled = (lines - lines.mean(0)) / lines.std(0, correction=0)
    torch.testing.assert_close(seen, torch.cat([encoder.encode(lines[:, :10]), scaled], dim=1))
    torch.testing.assert_close(model.logits(lines), model.ranker(seen))
    features_only = RiskModel(10, None, features={"a": 3})
    assert features_only.standardised_columns(lines).shape == (7, 3)
    assert torch.equal(features_only.representations(lines), lines[:, 10:])


def test_nothing_to_see_and_other_widths_are_refused():
    with pytest.raises(ConfigError, match="nothing to see"):
        RiskModel(10, None)
    with pytest.raises(ConfigError, match="width 10"):
        RiskModel(11, SparseAutoencoder(SparseAutoencoderConfig(10)))
