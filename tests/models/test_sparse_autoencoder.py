import numpy as np
import pytest
import torch

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.losses import normalised_reconstruction
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig, top_k

EPS = 1e-6


def autoencoder(seed=0, **settings):
    """One whose every parameter matters: random biases, and a decoder of its own where untied."""
    torch.manual_seed(seed)
    model = SparseAutoencoder(SparseAutoencoderConfig(**{"d_in": 12, "n_latents": 20, "k": 5, **settings})).double()
    with torch.no_grad():
        model.b_enc.normal_(std=0.3)
        model.b_pre.normal_(std=0.3)
        if model.w_dec is not None:
            model.w_dec.normal_()
    return model


def states(n=30, d=12, seed=1, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) * rng.uniform(0.1, 30, (n, 1)) + rng.normal(scale=10, size=(n, 1))
    return torch.from_numpy(rows).to(dtype)


def by_the_paper(model, s):
    """METHOD, section 3, a row at a time."""
    w_enc, b_enc, b_pre = (p.detach().numpy() for p in (model.w_enc, model.b_enc, model.b_pre))
    w_dec = w_enc.T if model.w_dec is None else model.w_dec.detach().numpy()
    latents, rebuilt = [], []
    for row in s.numpy():
        mean, std = (row.mean(), row.std() + EPS) if model.config.normalise else (0.0, 1.0)
        active = np.maximum(w_enc @ ((row - mean) / std - b_pre) + b_enc, 0)
        z = np.zeros_like(active)
        for j in sorted(range(len(active)), key=lambda j: -active[j])[: model.config.k]:
            z[j] = active[j]
        latents.append(z)
        rebuilt.append((w_dec @ z + b_pre) * std + mean)
    return np.array(latents), np.array(rebuilt)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
def test_forward_follows_the_papers_equations(tied, normalise):
    model, s = autoencoder(tied=tied, normalise=normalise), states()
    output = model(s)
    latents, rebuilt = by_the_paper(model, s)
    assert (latents > 0).sum(1).max() == 5
    np.testing.assert_allclose(output.latents.detach().numpy(), latents, atol=1e-10)
    np.testing.assert_allclose(output.reconstruction.detach().numpy(), rebuilt, atol=1e-9)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_encode_and_forward_give_the_same_latents(k, normalise):
    model, s = autoencoder(k=k, normalise=normalise), states()
    output = model(s)
    assert torch.equal(model.encode(s), output.latents)
    assert torch.equal(model.pre_activations(s), output.pre_activations)
    # a padded batch of snippets is encoded as its lines are
    assert torch.allclose(model.encode(s.reshape(5, 6, 12)).reshape(30, 20), output.latents, atol=1e-12)


def test_at_most_k_latents_are_active_and_none_is_negative():
    model = autoencoder()
    latents = model.encode(states(200))
    active = (latents != 0).sum(1)
    assert active.max() == 5
    assert latents.min() == 0
    with torch.no_grad():
        model.b_enc.fill_(-100.0)
    assert not model.encode(states(200)).any()


def test_k_of_all_latents_keeps_every_positive_one():
    model, s = autoencoder(k=20), states()
    assert torch.equal(model.encode(s), model.pre_activations(s).relu())
    assert (model.encode(s) > 0).sum(1).max() > 5


def test_top_k_keeps_the_largest_where_they_were():
    values = torch.tensor([[0.0, 3.0, 1.0, 2.0], [0.5, 0.0, 0.0, 0.0]])
    assert top_k(values, 2).tolist() == [[0.0, 3.0, 0.0, 2.0], [0.5, 0.0, 0.0, 0.0]]
    assert top_k(values, 4).tolist() == values.tolist()
    with pytest.raises(ValueError, match="5"):
        top_k(values, 5)


def test_latents_that_span_the_states_rebuild_them_in_their_own_units():
    """Latents +e_i and -e_i: ReLU keeps each number in one of them, so nothing is lost."""
    d = 6
    model = SparseAutoencoder(SparseAutoencoderConfig(d, n_latents=2 * d, k=d)).double()
    with torch.no_grad():
        model.w_enc.copy_(torch.cat([torch.eye(d), -torch.eye(d)]))
        model.b_pre.normal_(std=0.5)
    s = states(d=d) * 1000
    output = model(s)
    assert s.abs().max() > 10_000
    torch.testing.assert_close(output.reconstruction, s, rtol=1e-9, atol=1e-6)


def test_standardisation_is_undone_by_its_statistics():
    s = states()
    standardised, statistics = autoencoder().standardise(s)
    torch.testing.assert_close(standardised.mean(-1), torch.zeros(30, dtype=s.dtype), rtol=0, atol=1e-9)
    torch.testing.assert_close(standardised.std(-1, correction=0), torch.ones(30, dtype=s.dtype), rtol=1e-5, atol=0)
    torch.testing.assert_close(standardised * statistics.std + statistics.mean, s)
    same, nothing = autoencoder(normalise=False).standardise(s)
    assert torch.equal(same, s)
    assert set(nothing.mean.flatten().tolist()) == {0.0}
    assert set(nothing.std.flatten().tolist()) == {1.0}


@pytest.mark.parametrize("scale, shift", [(100.0, 0.0), (0.01, 0.0), (1.0, -50.0), (7.0, 300.0)])
def test_latents_do_not_depend_on_scale_and_offset_of_a_state(scale, shift):
    model, s = autoencoder(), states()
    before, after = model(s), model(scale * s + shift)
    torch.testing.assert_close(after.latents, before.latents, rtol=0, atol=1e-3)
    torch.testing.assert_close(
        after.reconstruction, scale * before.reconstruction + shift, rtol=1e-4, atol=1e-3 * scale
    )
    plain = autoencoder(normalise=False)
    assert not torch.allclose(plain.encode(scale * s + shift), plain.encode(s), atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e4])
@pytest.mark.parametrize("normalise", [True, False])
def test_constant_rows_give_finite_values_and_gradients(value, normalise):
    model = autoencoder(normalise=normalise, tied=False).float()
    s = states(4, dtype=torch.float32)
    s[1] = value
    s.requires_grad_()
    output = model(s)
    loss = normalised_reconstruction(s, output.reconstruction) + output.latents.sum()
    loss.backward()
    assert output.latents.isfinite().all()
    assert output.reconstruction.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
    assert s.grad.isfinite().all()


def test_a_tied_decoder_is_trained_through_both_its_uses():
    model, s = autoencoder(), states()
    normalised_reconstruction(s, model(s).reconstruction).backward()
    both = model.w_enc.grad.clone()
    untied = autoencoder(tied=False)
    with torch.no_grad():
        for name in ("w_enc", "b_enc", "b_pre"):
            getattr(untied, name).copy_(getattr(model, name))
        untied.w_dec.copy_(model.w_enc.T)
    normalised_reconstruction(s, untied(s).reconstruction).backward()
    torch.testing.assert_close(both, untied.w_enc.grad + untied.w_dec.grad.T)
    assert untied.w_dec.grad.abs().max() > 0


@pytest.mark.parametrize("tied", [True, False])
def test_a_fresh_encoder_has_unit_directions_and_a_transposed_decoder(tied):
    model = SparseAutoencoder(SparseAutoencoderConfig(12, n_latents=20, k=5, tied=tied))
    torch.testing.assert_close(model.w_enc.norm(dim=1), torch.ones(20))
    assert (model.w_dec is None) == tied
    assert tied or torch.equal(model.w_dec, model.w_enc.T)
    assert not model.b_enc.any()
    assert not model.b_pre.any()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"d_in": 1}, "d_in is 1"),
        ({"d_in": 8, "k": 0}, "k is 0"),
        ({"d_in": 8, "n_latents": 16, "k": 17}, "k is 17, but must lie between 1 and n_latents = 16"),
        ({"d_in": 8, "n_latents": 0, "k": 0}, "k is 0"),
    ],
)
def test_shapes_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SparseAutoencoderConfig(**settings)


def test_defaults_are_the_papers():
    config = SparseAutoencoderConfig(64)
    assert (config.n_latents, config.k, config.tied, config.normalise) == (128, 32, True, True)
