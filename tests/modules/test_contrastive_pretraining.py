import math

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything

from pttrust_lightning.errors import ConfigError, ModelFolderError, NonFiniteError
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder
from pttrust_lightning.modules import ContrastivePretraining
from pttrust_lightning.types import StateBatch

D = 12
CONTRASTS = ["margin", "info_nce", "ccs", "none"]


def module(seed=0, **settings):
    seed_everything(seed)
    return ContrastivePretraining(**{"d_in": D, "n_latents": 24, "k": 4, "lr": 5e-3, "warmup_epochs": 1, **settings})


class History(Callback):
    """What was logged after each epoch."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs.append({name: value.item() for name, value in trainer.callback_metrics.items()})


def unit(z):
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    return np.divide(z, norm, out=np.zeros_like(z), where=norm > 0)


def distances(model, batch):
    z = model(batch.states).detach().double().numpy()
    pairs = batch.pairs.numpy()
    return np.linalg.norm(unit(z[pairs[:, 0]]) - unit(z[pairs[:, 1]]), axis=1)


def info_nce_by_definition(a, b, t, hardness=0.0):
    u, n = np.concatenate([a, b]), len(a)
    values = []
    for i in range(2 * n):
        same = [j for j in range(2 * n) if (j < n) == (i < n) and j != i]
        far = u[i] @ u[n:].T if i < n else u[i] @ u[:n].T
        weights = np.exp(hardness * far / t) / np.exp(hardness * far / t).mean()
        total = sum(math.exp(u[i] @ u[j] / t) for j in same) + weights @ np.exp(far / t)
        values.append(-sum(math.log(math.exp(u[i] @ u[p] / t) / total) for p in same) / (n - 1))
    return np.mean(values)


def ccs_by_definition(a, b, weight, bias):
    p, q = (1 / (1 + np.exp(-((u - u.mean(0)) @ weight + bias))) for u in (a, b))
    return np.mean((p - (1 - q)) ** 2 + np.minimum(p, q) ** 2)


@pytest.mark.parametrize("contrastive", CONTRASTS)
def test_loss_terms_are_those_of_the_method(contrastive, make_state_batch):
    model, batch = module(contrastive=contrastive, margin=0.8, temperature=0.5), make_state_batch(0)
    terms = {name: term.item() for name, term in model.losses(batch).items()}
    s = batch.states.double().numpy()
    output = model.autoencoder(batch.states)
    rebuilt = output.reconstruction.detach().double().numpy()
    expected = {"reconstruction": np.mean(((s - rebuilt) ** 2).sum(1) / (s**2).sum(1))}
    z = output.latents.detach().double().numpy()
    a, b = (unit(z[batch.pairs[:, side].numpy()]) for side in (0, 1))
    if contrastive == "margin":
        expected["contrastive"] = np.mean(np.maximum(0, 0.8 - np.linalg.norm(a - b, axis=1)) ** 2)
    elif contrastive == "info_nce":
        expected["contrastive"] = info_nce_by_definition(a, b, 0.5)
    elif contrastive == "ccs":
        weight, bias = model.probe.weight.detach().double().numpy()[0], model.probe.bias.item()
        expected["contrastive"] = ccs_by_definition(a, b, weight, bias)
    assert terms == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert contrastive == "none" or terms["contrastive"] > 0.01


def test_hardness_reaches_info_nce_and_nothing_else(make_state_batch):
    model, batch = module(contrastive="info_nce", temperature=0.5, hardness=1.5), make_state_batch(0)
    z = model(batch.states).detach().double().numpy()
    a, b = (unit(z[batch.pairs[:, side].numpy()]) for side in (0, 1))
    expected = info_nce_by_definition(a, b, 0.5, 1.5)
    assert model.losses(batch)["contrastive"].item() == pytest.approx(expected, rel=1e-5)
    assert expected > info_nce_by_definition(a, b, 0.5) + 0.01
    for settings in ({"contrastive": "margin", "hardness": 1.0}, {"contrastive": "info_nce", "hardness": -1.0}):
        with pytest.raises(ConfigError, match="hardness is"):
            module(**settings)


def test_the_reconstruction_is_the_mean_over_prefixes(make_state_batch):
    model, batch = module(matryoshka=[4, 12, 24]), make_state_batch(0)
    s = batch.states.double().numpy()
    z, sae = model(batch.states).detach().double().numpy(), model.autoencoder
    mean, std = s.mean(1, keepdims=True), s.std(1, keepdims=True) + 1e-6
    costs = []
    for m in (4, 12, 24):
        alone = z[:, :m] @ sae.w_enc.detach().double().numpy()[:m] + sae.b_pre.detach().double().numpy()
        costs.append((((s - (alone * std + mean)) ** 2).sum(1) / (s**2).sum(1)).mean())
    assert model.losses(batch)["reconstruction"].item() == pytest.approx(np.mean(costs), rel=1e-5)
    assert max(costs) > 1.1 * min(costs)


def test_nested_latents_rebuild_more_with_few_of_them(trainer, unlabelled):
    """What Matryoshka is for: the first latents alone rebuild better than those of a plain autoencoder."""
    left = {}
    for prefixes in (None, [4, 24]):
        model = module(matryoshka=prefixes, contrastive="none", k=12)
        trainer(max_epochs=30).fit(model, datamodule=unlabelled)
        sae, s = model.autoencoder, torch.cat([b.states for b in unlabelled.val])
        first = sae.encode(s) * (torch.arange(24) < 4)
        rebuilt = sae.decode(first, sae.standardise(s)[1])
        left[prefixes is None] = ((s - rebuilt).square().sum() / (s - s.mean(0)).square().sum()).item()
    assert left[False] < 0.8 * left[True]


def test_b_pre_starts_at_the_mean_of_the_first_batch_where_asked_for(trainer, unlabelled):
    s = unlabelled.train[0].states.double()
    mean = ((s - s.mean(1, keepdim=True)) / s.std(1, correction=0, keepdim=True)).mean(0).float()
    for start, expected in (("zeros", torch.zeros(D)), ("mean", mean)):
        model = module(b_pre_init=start, lr=0.0)
        trainer(max_epochs=1).fit(model, datamodule=unlabelled)
        torch.testing.assert_close(model.autoencoder.b_pre.detach(), expected, rtol=1e-4, atol=1e-5)


def test_a_resumed_run_keeps_its_b_pre(tmp_path, trainer, unlabelled):
    first = trainer(max_epochs=1)
    first.fit(module(b_pre_init="mean"), datamodule=unlabelled)
    first.save_checkpoint(tmp_path / "last.ckpt")
    trained = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]["autoencoder.b_pre"]
    model = module(b_pre_init="mean", lr=0.0)
    seen = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(pl_module.autoencoder.b_pre.detach().clone())

    trainer([Watch()], max_epochs=2).fit(model, datamodule=unlabelled, ckpt_path=tmp_path / "last.ckpt")
    assert torch.equal(seen[0], trained)


def test_batch_topk_trains_and_exports_its_threshold(tmp_path, trainer, unlabelled):
    history = History()
    model = module(activation="batch_topk", k=4, aux_weight=1 / 32)
    trainer([history], max_epochs=6).fit(model, datamodule=unlabelled)
    assert history.epochs[-1]["val/fvu"] < 0.8 * history.epochs[0]["val/fvu"]
    s = torch.cat([b.states for b in unlabelled.val])
    assert history.epochs[-1]["val/l0"] == pytest.approx((model(s) > 0).sum(1).double().mean().item(), rel=1e-6)
    assert 2 < history.epochs[-1]["val/l0"] < 8
    assert model.autoencoder.threshold > 0
    model.export(tmp_path / "sae", {})
    encoder, _ = SparseAutoencoder.load(tmp_path / "sae")
    assert torch.equal(encoder.threshold, model.autoencoder.threshold)
    assert torch.equal(encoder.encode(s), model(s))


def test_aux_term_lets_dead_latents_model_what_the_live_ones_left_over(make_state_batch):
    model, batch = module(aux_weight=1 / 32, aux_k=3, dead_after=50), make_state_batch(0)
    assert model.losses(batch)["aux"].item() == 0.0  # none is dead yet
    dead = np.zeros(24, dtype=bool)
    dead[[2, 5, 7, 11, 13]] = True
    model.lines_since_fired = torch.from_numpy(np.where(dead, 51, 50))
    sae = model.autoencoder
    w = sae.w_enc.detach().double().numpy()
    s = batch.states.double().numpy()
    standard = (s - s.mean(1, keepdims=True)) / (s.std(1, keepdims=True) + 1e-6)
    activation = np.maximum((standard - sae.b_pre.detach().numpy()) @ w.T + sae.b_enc.detach().numpy(), 0)
    numerator = denominator = 0.0
    for x, h in zip(standard, activation, strict=True):
        live = np.where(np.argsort(np.argsort(-h)) < 4, h, 0) @ w
        strongest = sorted(np.flatnonzero(dead), key=lambda j: -h[j])[:3]
        revived = sum(h[j] * w[j] for j in strongest)
        numerator += ((x - live - revived) ** 2).sum()
        denominator += ((x - live) ** 2).sum()
    assert model.losses(batch)["aux"].item() == pytest.approx(numerator / denominator, rel=1e-4)
    assert "aux" not in module().losses(batch)


def test_contrast_joins_after_the_warm_up(trainer, unlabelled):
    history = History()
    model = module(warmup_epochs=2, contrastive_weight=0.5, lr=1e-3, aux_weight=0.25, dead_after=10**6)
    trainer([history], max_epochs=4).fit(model, datamodule=unlabelled)
    for epoch, logged in enumerate(history.epochs):
        # training batches are of one size, so the means of their totals and of their terms agree
        rec, con, aux = (logged[f"train/{n}_loss"] for n in ("reconstruction", "contrastive", "aux"))
        weight = 0.5 if epoch >= 2 else 0.0
        assert con > 0.01
        assert logged["train/loss"] == pytest.approx(rec + weight * con + 0.25 * aux, rel=1e-4), epoch
        rest = logged["val/reconstruction_loss"] + 0.25 * logged["val/aux_loss"]
        assert logged["val/loss"] - rest == pytest.approx(weight * logged["val/contrastive_loss"], abs=0.02), epoch


def test_warm_up_epochs_train_as_if_there_were_no_contrast(trainer, unlabelled):
    weights = {}
    for name in ("margin", "none"):
        for epochs in (2, 3):
            model = module(contrastive=name, warmup_epochs=2, contrastive_weight=1.0)
            trainer(max_epochs=epochs).fit(model, datamodule=unlabelled)
            weights[name, epochs] = model.autoencoder.w_enc.detach().clone()
    assert torch.equal(weights["margin", 2], weights["none", 2])
    assert not torch.allclose(weights["margin", 3], weights["none", 3], atol=1e-4)


@pytest.mark.parametrize("contrastive", CONTRASTS)
@pytest.mark.parametrize("tied", [True, False])
def test_every_contrast_trains(contrastive, tied, trainer, unlabelled):
    history = History()
    model = module(contrastive=contrastive, tied=tied, contrastive_weight=0.01)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer([history], max_epochs=4).fit(model, datamodule=unlabelled)
    first, last = history.epochs[0], history.epochs[-1]
    assert last["train/reconstruction_loss"] < 0.8 * first["train/reconstruction_loss"]
    assert last["val/fvu"] < 0.8 * first["val/fvu"]
    for name, p in model.named_parameters():
        assert p.isfinite().all(), name
        assert not torch.equal(p, before[name]), name
    assert ("probe.weight" in before) == (contrastive == "ccs")


def test_the_margin_moves_planted_pairs_apart(trainer, unlabelled):
    found = {}
    for contrastive in ("margin", "none"):
        history = History()
        model = module(contrastive=contrastive, warmup_epochs=0, contrastive_weight=1.0, lr=1e-2)
        trainer([history], max_epochs=10).fit(model, datamodule=unlabelled)
        found[contrastive] = history.epochs[-1]["val/pair_distance"]
    assert found["margin"] > found["none"] + 0.1


def clusters(seed):
    """Lines around 24 directions, which 8 live latents cannot rebuild."""
    g = torch.Generator().manual_seed(seed)
    directions = torch.cat([torch.eye(D), -torch.eye(D)])
    states = 3 * directions[torch.randint(24, (48,), generator=g)] + 0.1 * torch.randn(48, D, generator=g)
    return StateBatch(states, torch.zeros(0, 2, dtype=torch.long))


def with_dead_latents(**settings):
    """A module all but 8 of whose latents are too weak to get among the k strongest."""
    model = module(contrastive="none", k=2, lr=1e-2, normalise=False, **settings)
    with torch.no_grad():
        model.autoencoder.w_enc[8:] *= 0.02
        model.autoencoder.b_enc[:8] = 0.5
    return model


@pytest.mark.filterwarnings("ignore:The ``compute`` method")  # no pairs, so no distance
def test_the_aux_loss_revives_dead_latents(trainer, unlabelled):
    unlabelled.train, unlabelled.val = [clusters(i) for i in range(6)], [clusters(9), clusters(10)]
    last = {}
    for weight in (0.0, 1 / 32):
        model = with_dead_latents(aux_weight=weight, aux_k=8, dead_after=100)
        assert not (model(clusters(9).states)[:, 8:] > 0).any()
        history = History()
        trainer([history], max_epochs=10).fit(model, datamodule=unlabelled)
        last[weight] = history.epochs[-1]
    assert last[0.0]["val/dead_share"] == pytest.approx(16 / 24)
    assert last[1 / 32]["val/dead_share"] < 8 / 24
    assert last[1 / 32]["val/fvu"] < 0.7 * last[0.0]["val/fvu"]


def test_lines_since_a_latent_fired_are_counted(trainer, unlabelled):
    unlabelled.train = [clusters(i) for i in range(6)]
    model = with_dead_latents(aux_weight=0.1, dead_after=10**6)
    trainer(max_epochs=1).fit(model, datamodule=unlabelled)
    assert model.lines_since_fired[8:].tolist() == [6 * 48] * 16
    assert model.lines_since_fired[:8].tolist() == [0] * 8


def test_logged_figures_are_those_of_a_direct_computation(trainer, unlabelled):
    history = History()
    model = module(aux_weight=1 / 32)
    trainer([history]).fit(model, datamodule=unlabelled)
    logged = history.epochs[-1]
    assert set(logged) == {
        *(f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", "reconstruction_loss")),
        *(f"{stage}/{name}" for stage in ("train", "val") for name in ("contrastive_loss", "aux_loss")),
        *(f"val/{name}" for name in ("fvu", "l0", "dead_share", "pair_distance")),
    }
    s = torch.cat([b.states for b in unlabelled.val])
    latents = model(s)
    rebuilt = model.autoencoder(s).reconstruction
    fvu = (s - rebuilt).square().sum() / (s - s.mean(0)).square().sum()
    assert logged["val/fvu"] == pytest.approx(fvu.item(), rel=1e-4)
    assert logged["val/l0"] == pytest.approx((latents > 0).sum(1).double().mean().item(), rel=1e-6)
    assert logged["val/dead_share"] == pytest.approx((latents <= 0).all(0).double().mean().item(), rel=1e-6)
    # the mean over pairs, though one batch has 12 of them and the other 5
    apart = np.concatenate([distances(model, b) for b in unlabelled.val])
    assert logged["val/pair_distance"] == pytest.approx(apart.mean(), rel=1e-5)
    rec = ((s - rebuilt).square().sum(1) / s.square().sum(1)).mean()
    assert logged["val/reconstruction_loss"] == pytest.approx(rec.item(), rel=1e-4)
    con = np.mean(np.maximum(0, 1.0 - apart) ** 2)
    assert logged["val/contrastive_loss"] == pytest.approx(con, rel=1e-4)


def test_test_logs_what_validation_does(trainer, unlabelled):
    model, run = module(), trainer()
    run.fit(model, datamodule=unlabelled)
    val = {n.removeprefix("val/"): v.item() for n, v in run.callback_metrics.items() if n.startswith("val/")}
    test = {n.removeprefix("test/"): v for n, v in run.test(model, datamodule=unlabelled, verbose=False)[0].items()}
    assert test == pytest.approx(val, rel=1e-5)


def test_predict_gives_sparse_latents(trainer, unlabelled):
    model = module()
    latents = trainer().predict(model, datamodule=unlabelled)
    assert [z.shape for z in latents] == [(32, 24), (30, 24)]
    assert torch.equal(latents[1], model.autoencoder.encode(unlabelled.val[1].states))


@pytest.mark.parametrize("contrastive", CONTRASTS)
def test_a_batch_without_pairs_trains_reconstruction_only(contrastive, make_state_batch):
    model, batch = module(contrastive=contrastive, warmup_epochs=0), make_state_batch(0)
    terms = model.losses(StateBatch(batch.states, torch.zeros(0, 2, dtype=torch.long)))
    assert ("contrastive" in terms) == (contrastive != "none")
    assert contrastive == "none" or terms["contrastive"].item() == 0.0
    sum(terms.values()).backward()
    for name, p in model.named_parameters():
        assert p.grad is None or p.grad.isfinite().all(), name
    assert model.autoencoder.w_enc.grad.abs().max() > 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("part", ["train", "val"])
def test_states_that_are_not_finite_stop_the_run(value, part, trainer, unlabelled):
    getattr(unlabelled, part)[1].states[3, 2] = value
    with pytest.raises(NonFiniteError, match="states"):
        trainer().fit(module(), datamodule=unlabelled)


def test_a_loss_that_is_not_finite_is_named(make_state_batch):
    model = module()
    with torch.no_grad():
        model.autoencoder.b_pre[0] = math.inf
    with pytest.raises(NonFiniteError, match="reconstruction loss"):
        model.losses(make_state_batch(0))


def test_a_checkpoint_is_plain_and_reproduces_the_module(tmp_path, trainer, unlabelled):
    settings = {"contrastive": "ccs", "tied": False, "aux_weight": 0.1, "activation": "batch_topk"}
    model, run = module(**settings, matryoshka=[8, 24]), trainer()
    run.fit(model, datamodule=unlabelled)
    path = tmp_path / "last.ckpt"
    run.save_checkpoint(path)
    checkpoint = torch.load(path, weights_only=True)
    plain = {"d_in": 12, "n_latents": 24, "k": 4, "matryoshka": [8, 24], **settings}
    assert {k: checkpoint["hyper_parameters"][k] for k in plain} == plain
    again = ContrastivePretraining.load_from_checkpoint(path, weights_only=True)
    batch = unlabelled.val[0]
    assert torch.equal(again(batch.states), model(batch.states))
    assert torch.equal(again.lines_since_fired, model.lines_since_fired)
    assert {k: v.item() for k, v in again.losses(batch).items()} == {
        k: v.item() for k, v in model.losses(batch).items()
    }


def test_the_same_seed_gives_the_same_weights(trainer, unlabelled):
    weights = []
    for seed in (3, 3, 4):
        model = module(seed)
        trainer().fit(model, datamodule=unlabelled)
        weights.append(model.autoencoder.w_enc.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_export_is_the_autoencoder(tmp_path, trainer, unlabelled):
    model = module()
    with pytest.raises(ConfigError, match="Run fit first"):
        model.export(tmp_path / "sae", {})
    trainer().fit(model, datamodule=unlabelled)
    model.export(tmp_path / "sae", {"llm": "synthetic"})
    encoder, provenance = SparseAutoencoder.load(tmp_path / "sae")
    assert provenance == {"llm": "synthetic"}
    states = unlabelled.val[0].states
    assert torch.equal(encoder.encode(states), model(states))
    with pytest.raises(ModelFolderError, match="never overwritten"):
        model.export(tmp_path / "sae", {})


def test_defaults_are_the_papers_but_for_the_margin_and_the_weight():
    settings = ContrastivePretraining(D, n_latents=128).hparams
    paper = {"n_latents": 128, "k": 32, "tied": True, "normalise": True, "lr": 2e-4, "warmup_epochs": 4}
    assert {name: settings[name] for name in paper} == paper
    assert settings["margin"] == 1.0


def test_the_optimiser_is_adamw_over_all_parameters():
    model = module(contrastive="ccs", lr=3e-3, weight_decay=0.02)
    optimiser = model.configure_optimizers()
    assert isinstance(optimiser, torch.optim.AdamW)
    assert (optimiser.defaults["lr"], optimiser.defaults["weight_decay"]) == (3e-3, 0.02)
    assert sum(len(g["params"]) for g in optimiser.param_groups) == len(list(model.parameters()))


def test_data_of_stage_2_is_refused(trainer, labelled):
    with pytest.raises(ConfigError, match=r"cannot use this data: it gives SnippetBatch\. Give stage 1 Unlabelled"):
        trainer().fit(module(), labelled)
