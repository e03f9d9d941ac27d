import copy
import json
import math

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from pttrust_lightning.errors import ConfigError, ModelFolderError, NonFiniteError
from pttrust_lightning.losses import RANKING_LOSSES, TEMPERED_LOSSES
from pttrust_lightning.models.risk_model import RiskModel
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from pttrust_lightning.modules import RiskFineTuning
from pttrust_lightning.types import ScoredSnippet

D = 12
PROVENANCE = {"llm": "synthetic", "layer": 1, "line_rule": "newline", "dtype": "float32"}
LOSSES = sorted(RANKING_LOSSES)
CALIBRATIONS = ["isotonic", "temperature"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A stage-1 export that keeps all of a state: latents +e_i and -e_i."""
    model = SparseAutoencoder(SparseAutoencoderConfig(D, n_latents=2 * D, k=D, normalise=False))
    with torch.no_grad():
        model.w_enc.copy_(torch.cat([torch.eye(D), -torch.eye(D)]))
    folder = tmp_path_factory.mktemp("stage1") / "export"
    model.save(folder, torch.randn(4, D), PROVENANCE)
    return str(folder)


def module(encoder, seed=0, **settings):
    seed_everything(seed)
    return RiskFineTuning(encoder, **{"d_in": D, "lr": 5e-3, **settings})


def fitted(trainer, encoder, data, epochs=2, **settings):
    model, run = module(encoder, **settings), trainer(max_epochs=epochs)
    run.fit(model, datamodule=data)
    return model, run


def chance_mrr(batches):
    """Expected reciprocal rank of the one wrong line of each snippet under a random order."""
    lengths = [int(n) for b in batches for n in b.mask.sum(1)]
    return np.mean([sum(1 / r for r in range(1, n + 1)) / n for n in lengths])


def mrr_by_definition(model, batches):
    values = []
    for batch in batches:
        scores = model(batch).detach()
        for s, y, m in zip(scores, batch.labels, batch.mask, strict=True):
            order = s[m].argsort(descending=True)
            values.append(1 / (1 + y[m][order].nonzero()[0].item()))
    return np.mean(values)


def as_dict(scored):
    return {s.snippet_id: [part.tolist() for part in s[1:5]] for s in scored}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_the_planted_signal(loss, trainer, encoder, labelled):
    model, run = fitted(trainer, encoder, labelled, epochs=8, loss=loss)
    mrr = run.callback_metrics["val/mrr"].item()
    assert chance_mrr(labelled.val) == pytest.approx(0.4, abs=0.05)
    assert mrr > 0.8
    assert mrr == pytest.approx(mrr_by_definition(model, labelled.val), abs=1e-5)


def test_without_a_signal_there_is_nothing_to_learn(trainer, encoder, labelled, make_snippet_batch):
    labelled.train = [make_snippet_batch(i, signal=0.0) for i in range(16)]
    labelled.val = [make_snippet_batch(i, signal=0.0) for i in range(100, 110)]
    _, run = fitted(trainer, encoder, labelled, epochs=8)
    assert run.callback_metrics["val/mrr"].item() == pytest.approx(chance_mrr(labelled.val), abs=0.15)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_logged_losses_are_those_of_the_batches(loss, trainer, encoder, labelled):
    model, run = fitted(trainer, encoder, labelled, loss=loss)
    with torch.no_grad():
        values = [RANKING_LOSSES[loss](model(b), b.labels, b.mask).item() for b in labelled.val]
    assert run.callback_metrics["val/loss"].item() == pytest.approx(np.mean(values), rel=1e-5)
    assert {"train/loss", "val/loss", "val/mrr", "val/hit@1", "val/ndcg", "val/auroc", "val/ifa"} <= set(
        run.callback_metrics
    )


def test_squashed_scores_are_those_that_the_loss_sees(trainer, encoder, labelled):
    model, run = fitted(trainer, encoder, labelled, epochs=6, squash_scores=True)
    last = run.callback_metrics
    batches = [(model(b).detach(), b) for b in labelled.val]
    for squash, close in ((True, True), (False, False)):
        losses = [RANKING_LOSSES["neural_ndcg"](s.sigmoid() if squash else s, b.labels, b.mask) for s, b in batches]
        assert (last["val/loss"].item() == pytest.approx(np.mean(losses), abs=1e-5)) == close
    assert last["val/mrr"] > 0.7, "they rank nevertheless"
    scores = np.concatenate([s.scores for batch in run.predict(model, datamodule=labelled) for s in batch])
    assert scores.min() < 0 or scores.max() > 1, "scores stay logits"
    plain = fitted(trainer, encoder, labelled, epochs=6)[1].callback_metrics
    assert last["val/loss"] > 0.11 > plain["val/loss"], "one wrong line a snippet: the cap of 0.885"
    with pytest.raises(ConfigError, match="squash_scores: bce"):
        module(encoder, loss="bce", squash_scores=True)


@pytest.mark.parametrize("loss", TEMPERED_LOSSES)
def test_the_loss_is_taken_at_the_temperature_that_is_set(loss, trainer, encoder, labelled):
    model, run = fitted(trainer, encoder, labelled, loss=loss, loss_temperature=0.3)
    with torch.no_grad():
        given = [(model(b), b.labels, b.mask) for b in labelled.val]
        values = [RANKING_LOSSES[loss](*each, temperature=0.3).item() for each in given]
        own = [RANKING_LOSSES[loss](*each).item() for each in given]
    assert run.callback_metrics["val/loss"].item() == pytest.approx(np.mean(values), rel=1e-5)
    assert np.mean(own) != pytest.approx(np.mean(values), rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "bce", "loss_temperature": 1.0}, "bce has no temperature.*neural_ndcg, approx_ndcg, list_net"),
        ({"loss": "softmax", "loss_temperature": 1.0}, "softmax has no temperature"),
        ({"loss_temperature": 0.0}, "loss_temperature is 0.0. Set it above 0"),
        ({"loss_temperature": math.nan}, "loss_temperature is nan"),
    ],
)
def test_temperatures_that_no_loss_has_are_refused(encoder, settings, message):
    with pytest.raises(ConfigError, match=message):
        module(encoder, **settings)


def test_padding_changes_nothing(encoder, make_snippet_batch):
    model, batch = module(encoder), make_snippet_batch(1)
    filled = batch._replace(states=torch.where(batch.mask[..., None], batch.states, 1e3))
    assert not batch.mask[0].all()
    model.log = lambda *args, **kwargs: None
    assert model.training_step(filled, 0).item() == pytest.approx(model.training_step(batch, 0).item(), rel=1e-6)
    assert model.examples.states().tolist() == batch.states[batch.mask][:8].tolist()


def test_only_the_ranker_is_trained(trainer, encoder, labelled):
    model = module(encoder)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert {id(p) for g in model.configure_optimizers().param_groups for p in g["params"]} == {
        id(p) for p in model.risk_model.ranker.parameters()
    }
    trainer().fit(model, datamodule=labelled)
    for name, value in model.state_dict().items():
        if ".encoder." in name:
            assert torch.equal(value, before[name]), name
        elif ".ranker." in name:
            assert not torch.equal(value, before[name]), name


class Probabilities(Callback):
    """What each epoch's checkpoint should give."""

    def __init__(self, states, path):
        self.states, self.path, self.seen = states, path, []

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.path / f"{trainer.current_epoch}.ckpt")
        with torch.no_grad():
            self.seen.append(pl_module.risk_model(self.states).probabilities)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_each_checkpoint_holds_the_calibration_of_its_moment(
    calibration, tmp_path, trainer, encoder, labelled, make_snippet_batch
):
    states = make_snippet_batch(7).states
    labelled.train = [make_snippet_batch(i, signal=0.7) for i in range(16)]
    labelled.val = [make_snippet_batch(i, signal=0.7) for i in range(100, 106)]
    seen = Probabilities(states, tmp_path)
    trainer([seen], max_epochs=3).fit(module(encoder, calibration=calibration), datamodule=labelled)
    for epoch, expected in enumerate(seen.seen):
        path = tmp_path / f"{epoch}.ckpt"
        fresh = module(encoder, seed=5, calibration=calibration)
        fresh.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
        loaded = RiskFineTuning.load_from_checkpoint(path, encoder=encoder, weights_only=True)
        for model in (fresh, loaded):
            assert torch.equal(model.risk_model(states).probabilities, expected)
    assert not torch.equal(seen.seen[0], seen.seen[2])


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_calibration_is_fitted_to_the_validation_lines(calibration, trainer, encoder, labelled):
    model, _ = fitted(trainer, encoder, labelled, calibration=calibration)
    assert model.risk_model.calibration.name == calibration
    scores, labels = [], []
    for batch in labelled.val:
        scores += model(batch)[batch.mask].tolist()
        labels += batch.labels[batch.mask].tolist()
    expected = type(model.risk_model.calibration)().fit(scores, labels)
    probe = torch.linspace(min(scores), max(scores), 50)
    torch.testing.assert_close(model.risk_model.calibration(probe), expected(probe), rtol=0, atol=1e-4)
    # on the lines that it was fitted to, it is right on average
    assert model.risk_model.calibration(torch.tensor(scores)).mean().item() == pytest.approx(np.mean(labels), abs=0.02)


def test_checkpoints_are_plain(tmp_path, trainer, encoder, labelled):
    _, run = fitted(trainer, encoder, labelled, loss="list_net", hidden=8)
    run.save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    settings = checkpoint["hyper_parameters"]
    plain = {"loss": "list_net", "hidden": 8, "calibration": "temperature"}
    assert {k: settings[k] for k in plain} == plain
    assert "encoder" not in settings, "a folder may move"
    assert checkpoint["encoder_provenance"] == PROVENANCE


def test_states_of_another_width_are_refused(encoder):
    with pytest.raises(ConfigError, match=r"width 12.*width 13"):
        module(encoder, d_in=13)
    assert module(encoder, d_in=None).risk_model.encoder.config.d_in == 12


@pytest.mark.parametrize("field, value", [("layer", 2), ("line_rule", "mean"), ("layer", None), ("dtype", "x")])
def test_states_of_another_provenance_are_refused(field, value, trainer, encoder, labelled):
    given = PROVENANCE | {field: value}
    labelled.state_provenance = {k: v for k, v in given.items() if v is not None}
    with pytest.raises(ConfigError, match=f"{field} = {PROVENANCE[field]!r}, but the data has {value!r}"):
        trainer().fit(module(encoder), datamodule=labelled)
    with pytest.raises(ConfigError, match=field):
        trainer().test(module(encoder), datamodule=labelled, verbose=False)


@pytest.mark.parametrize("field", ["llm", "context_length", "revision"])
def test_what_does_not_change_a_state_may_differ(field, trainer, encoder, labelled):
    labelled.state_provenance = PROVENANCE | {field: "another"}
    trainer(max_epochs=1).fit(module(encoder), datamodule=labelled)


def test_states_without_provenance_are_taken_at_their_word(trainer, encoder, labelled):
    model = module(encoder)
    trainer().fit(model, labelled.train_dataloader(), labelled.val_dataloader())
    assert model.risk_model.calibration.fitted


def test_a_checkpoint_in_the_encoders_place_is_refused(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ModelFolderError, match="Lightning checkpoint"):
        module(str(path))


def test_test_scores_are_those_of_predict(trainer, encoder, labelled):
    model, run = fitted(trainer, encoder, labelled)
    predicted = [s for batch in run.predict(model, datamodule=labelled) for s in batch]
    with torch.no_grad():
        tested = [s for i, b in enumerate(labelled.val) for s in model.test_step(b, i)["scored"]]
    assert as_dict(tested) == as_dict(predicted)
    assert len(predicted) == 24
    assert all(isinstance(s, ScoredSnippet) for s in predicted)


def test_scored_snippets_hold_the_lines_without_padding(trainer, encoder, labelled):
    model, _ = fitted(trainer, encoder, labelled)
    batch = labelled.val[0]
    with torch.no_grad():
        risk = model.risk_model(batch.states)
        predicted = model.predict_step(batch, 0)
    for row, scored in enumerate(predicted):
        n = int(batch.mask[row].sum())
        assert scored.snippet_id == batch.snippet_ids[row]
        assert scored.line_numbers.tolist() == [2 * i + 1 for i in range(n)]
        assert scored.scores.tolist() == risk.scores[row, :n].tolist()
        assert scored.probabilities.tolist() == risk.probabilities[row, :n].tolist()
        assert scored.labels.tolist() == batch.labels[row, :n].tolist()
        assert scored.scores.dtype == np.float64
        assert scored.line_numbers.dtype == np.int64
    assert len({int(n) for n in batch.mask.sum(1)}) > 1


def test_test_logs_what_validation_does(trainer, encoder, labelled):
    model, run = fitted(trainer, encoder, labelled)
    val = {n.removeprefix("val/"): v.item() for n, v in run.callback_metrics.items() if n.startswith("val/")}
    test = run.test(model, datamodule=labelled, verbose=False)[0]
    val.pop("loss")
    assert {n.removeprefix("test/"): v for n, v in test.items()} == pytest.approx(val, rel=1e-6)


def test_the_same_seed_gives_the_same_weights(trainer, encoder, labelled):
    weights = [
        fitted(trainer, encoder, labelled, seed=seed)[0].risk_model.ranker.head.weight.detach() for seed in (3, 3, 4)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_export_is_the_risk_model(calibration, tmp_path, trainer, encoder, labelled):
    model, _ = fitted(trainer, encoder, labelled, calibration=calibration)
    model.export(tmp_path / "risk", PROVENANCE)
    exported, provenance = RiskModel.load(tmp_path / "risk")
    assert provenance == PROVENANCE
    states = labelled.val[0].states
    assert torch.equal(torch.stack(list(exported(states))), torch.stack(list(model.risk_model(states))))
    assert json.loads((tmp_path / "risk" / "config.json").read_text(encoding="utf-8"))["calibration"] == calibration


def test_states_that_are_not_finite_stop_the_validation(trainer, encoder, labelled):
    labelled.val[0].states[0, 0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        trainer().fit(module(encoder), datamodule=labelled)


def test_states_that_are_not_finite_stop_the_training(trainer, encoder, labelled):
    labelled.train[3].states[0, 0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        trainer(max_epochs=1).fit(module(encoder), datamodule=labelled)


def test_validation_lines_of_one_kind_cannot_calibrate(trainer, encoder, labelled):
    for batch in labelled.val:
        batch.labels[batch.mask] = 1.0
    with pytest.raises(ConfigError, match=r"only wrong lines.*Hold out more"):
        fitted(trainer, encoder, labelled)


def test_a_model_that_was_never_validated_is_not_exported(encoder, tmp_path):
    model = module(encoder)
    model.examples.keep(torch.randn(3, model.risk_model.encoder.config.d_in))
    with pytest.raises(ConfigError, match="never calibrated"):
        model.export(tmp_path / "risk", {})


def test_a_model_loaded_from_its_checkpoint_can_be_exported(trainer, encoder, labelled, tmp_path):
    model, run = fitted(trainer, encoder, labelled)
    run.save_checkpoint(tmp_path / "last.ckpt")
    again = RiskFineTuning.load_from_checkpoint(tmp_path / "last.ckpt", encoder=encoder, weights_only=True)
    again.export(tmp_path / "risk", {"llm": "synthetic"})
    loaded, _ = RiskModel.load(tmp_path / "risk")
    states = labelled.val[0].states
    with torch.no_grad():
        assert torch.equal(loaded(states).probabilities, model.risk_model(states).probabilities)


def test_defaults_are_the_papers(encoder):
    settings = RiskFineTuning(encoder).hparams
    paper = {"hidden": 32, "n_layers": 4, "loss": "neural_ndcg", "lr": 1e-4, "weight_decay": 1e-5}
    assert {name: settings[name] for name in paper} == paper
    optimiser = module(encoder, lr=3e-3, weight_decay=0.02).configure_optimizers()
    assert type(optimiser) is torch.optim.Adam
    assert (optimiser.defaults["lr"], optimiser.defaults["weight_decay"]) == (3e-3, 0.02)


SEEN = pytest.mark.parametrize(
    "settings",
    [
        {"features": ["surface"]},
        {"features": ["surface"], "raw_states": True, "sees_other_lines": True},
        {"encoder": None, "raw_states": True},
        {"encoder": None, "features": ["surface"]},
        {"features": ["surface"], "standardise_latents": True},
    ],
    ids=str,
)


def planted_in_features(batches):
    """The signal moves from the states to a column of the features."""
    planted = []
    for batch in batches:
        surface = batch.features["surface"].clone()
        surface[..., 1] += 100 * batch.labels
        noise = torch.randn(batch.states.shape, generator=torch.Generator().manual_seed(len(planted)))
        planted.append(batch._replace(states=noise * batch.mask[..., None], features={"surface": surface}))
    return planted


@SEEN
def test_what_the_ranker_is_shown_beside_the_latents_it_learns_from(trainer, encoder, labelled, settings, tmp_path):
    settings = {"feature_widths": {"surface": 3}, "encoder": encoder, **settings}
    if "features" in settings:
        labelled.train, labelled.val = planted_in_features(labelled.train), planted_in_features(labelled.val)
    model, run = fitted(trainer, settings.pop("encoder"), labelled, epochs=8, **settings)
    assert run.callback_metrics["val/mrr"].item() > 0.7  # by chance .4
    risk = copy.deepcopy(model.risk_model)
    risk.standardiser.mean.fill_(0)
    risk.standardiser.std.fill_(1)
    n_scaled = len(risk.standardiser.mean)
    seen = torch.cat([risk.representations(model.lines(b)[b.mask])[:, -n_scaled:] for b in labelled.train])
    torch.testing.assert_close(model.risk_model.standardiser.mean, seen.mean(0))
    model.export(tmp_path / "export", PROVENANCE)
    loaded, _ = RiskModel.load(tmp_path / "export")
    batch = labelled.val[0]
    expected = model.risk_model(model.lines(batch), batch.mask)
    assert torch.equal(torch.stack(list(loaded(model.lines(batch), batch.mask))), torch.stack(list(expected)))


@SEEN
def test_padding_changes_nothing_whatever_the_ranker_sees(encoder, make_snippet_batch, settings):
    settings = {"feature_widths": {"surface": 3}, "encoder": encoder, **settings}
    model, batch = module(settings.pop("encoder"), **settings), make_snippet_batch(1)
    filled = batch._replace(
        states=torch.where(batch.mask[..., None], batch.states, 1e3),
        features={"surface": torch.where(batch.mask[..., None], batch.features["surface"], 1e3)},
    )
    torch.testing.assert_close(model(filled)[batch.mask], model(batch)[batch.mask])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": ["uncertainty"], "feature_widths": {"surface": 3}}, "knows nothing of uncertainty"),
        ({"features": ["surface"]}, "knows nothing of surface"),
        ({"encoder": None}, "nothing to see"),
        ({"encoder": None, "raw_states": True, "d_in": None}, "Set d_in"),
    ],
)
def test_what_the_ranker_cannot_see_is_refused(encoder, settings, message):
    settings = {"encoder": encoder, **settings}
    with pytest.raises(ConfigError, match=message):
        module(settings.pop("encoder"), **settings)


def test_training_goes_on_from_an_exported_model(trainer, encoder, labelled, tmp_path):
    settings = {"features": ["surface"], "feature_widths": {"surface": 3}}
    first, _ = fitted(trainer, encoder, labelled, epochs=6, **settings)
    first.export(tmp_path / "risk", PROVENANCE)
    again = module(encoder, seed=1, start_from=str(tmp_path / "risk"), **settings)
    batch = labelled.val[0]
    assert torch.equal(again(batch), first(batch))
    scales = again.risk_model.standardiser.mean.clone()
    labelled.train = [b._replace(features={"surface": b.features["surface"] + 9}) for b in labelled.train]
    trainer(max_epochs=1).fit(again, datamodule=labelled)
    assert torch.equal(again.risk_model.standardiser.mean, scales), "the ranker's scales are those it was trained with"
    assert not torch.equal(again(batch), first(batch))
    assert "start_from" not in again.hparams


def test_a_model_of_another_shape_or_encoder_is_not_gone_on_from(trainer, encoder, labelled, tmp_path):
    model, _ = fitted(trainer, encoder, labelled)
    model.export(tmp_path / "risk", PROVENANCE)
    for settings in ({"hidden": 8}, {"n_layers": 2}, {"sees_other_lines": True}, {"raw_states": True}):
        with pytest.raises(ConfigError, match="another shape"):
            module(encoder, start_from=str(tmp_path / "risk"), **settings)
    other = SparseAutoencoder(SparseAutoencoderConfig(D, n_latents=2 * D, k=D, normalise=False))
    other.save(tmp_path / "other", torch.randn(4, D), PROVENANCE)
    with pytest.raises(ConfigError, match="another encoder"):
        module(str(tmp_path / "other"), start_from=str(tmp_path / "risk"))
    with pytest.raises(ConfigError, match="was trained with standardised_limit None"):
        module(encoder, start_from=str(tmp_path / "risk"), standardised_limit=3.0)


def test_data_of_stage_1_is_refused(trainer, encoder, unlabelled):
    with pytest.raises(ConfigError, match=r"cannot use this data: it gives StateBatch\. Give stage 2 LabelledLines"):
        trainer().fit(module(encoder), unlabelled)


# --- to the optimum ---------------------------------------------------------------------------------------------------


AT_ONCE = {"optimizer": "lbfgs", "n_layers": 1, "penalty": 3.0, "raw_states": True}


@pytest.fixture
def at_once(labelled, make_snippet_batch):
    """All training snippets in one batch; their wrong lines cannot be told apart without error."""
    labelled.train = [make_snippet_batch(7, n_snippets=40, signal=0.7)]
    return labelled


def test_lbfgs_comes_to_the_logistic_regression_of_the_lines(trainer, at_once):
    model, run = fitted(trainer, None, at_once, loss="bce", **AT_ONCE)
    (batch,) = at_once.train
    lines = model.risk_model.representations(model.lines(batch)[batch.mask]).double().numpy()
    reference = LogisticRegression(C=1 / 3.0, tol=1e-10, max_iter=10_000).fit(lines, batch.labels[batch.mask] > 0)
    head = model.risk_model.ranker.head
    np.testing.assert_allclose(head.weight.detach().numpy(), reference.coef_, atol=2e-3)
    np.testing.assert_allclose(head.bias.detach().numpy(), reference.intercept_, atol=2e-3)
    assert run.current_epoch == 1, "one epoch is the whole fit"
    penalty = 3.0 / 2 / len(batch.snippet_ids) * head.weight.square().sum()
    loss = RANKING_LOSSES["bce"](model(batch), batch.labels, batch.mask) + penalty
    assert run.callback_metrics["train/loss"].item() == pytest.approx(loss.item(), rel=1e-4)


@pytest.mark.parametrize("loss", ["bce", "softmax", "list_net"])
def test_lbfgs_comes_to_the_same_optimum_from_every_start(loss, trainer, at_once):
    weights = []
    for seed in (0, 1):
        model, _ = fitted(trainer, None, at_once, loss=loss, seed=seed, **AT_ONCE)
        weights.append(model.risk_model.ranker.head.weight.detach().clone())
        (batch,) = at_once.train
        slope = model._loss(model._raw(batch), batch) + model._penalty()
        slope.backward()
        assert model.risk_model.ranker.head.weight.grad.abs().max() < 1e-3  # of float32
    torch.testing.assert_close(*weights, atol=2e-3, rtol=0)


def test_a_penalty_is_a_prior_and_bears_on_few_snippets_more_than_on_many(trainer, at_once, make_snippet_batch):
    few, _ = fitted(trainer, None, at_once, loss="bce", **AT_ONCE)
    (batch,) = at_once.train
    twice = type(batch)(*(torch.cat([part, part]) if isinstance(part, torch.Tensor) else part for part in batch))
    twice = twice._replace(
        snippet_ids=[*batch.snippet_ids, *(f"again {i}" for i in batch.snippet_ids)],
        features={name: torch.cat([part, part]) for name, part in batch.features.items()},
    )
    at_once.train = [twice]
    many, _ = fitted(trainer, None, at_once, loss="bce", **AT_ONCE | {"penalty": 6.0})
    both = [m.risk_model.ranker.head.weight.detach() for m in (few, many)]
    torch.testing.assert_close(*both, atol=2e-3, rtol=0)  # twice the snippets under twice the penalty
    more, _ = fitted(trainer, None, at_once, loss="bce", **AT_ONCE)
    assert more.risk_model.ranker.head.weight.norm() > few.risk_model.ranker.head.weight.norm()


def test_the_penalty_keeps_a_model_near_the_one_that_it_goes_on_from(trainer, at_once, make_snippet_batch, tmp_path):
    first, _ = fitted(trainer, None, at_once, loss="bce", **AT_ONCE)
    first.export(tmp_path / "first", PROVENANCE)
    at_once.train = [make_snippet_batch(8, n_snippets=12, signal=-0.7)]
    settings = {"loss": "bce", **AT_ONCE, "penalty": 20.0}
    on, _ = fitted(trainer, None, at_once, start_from=str(tmp_path / "first"), **settings)
    (batch,) = at_once.train
    lines = on.risk_model.representations(on.lines(batch)[batch.mask]).double().numpy()
    wrong = (batch.labels[batch.mask] > 0).double().numpy()
    start = first.risk_model.ranker.head.weight.detach().double().numpy()[0]

    def objective(parameters):
        weights, scores = parameters[:-1], lines @ parameters[:-1] + parameters[-1]
        return np.logaddexp(0, scores).sum() - scores @ wrong + 20.0 / 2 * np.square(weights - start).sum()

    reference = minimize(objective, np.zeros(len(start) + 1), method="BFGS", options={"gtol": 1e-4}).x
    np.testing.assert_allclose(on.risk_model.ranker.head.weight.detach().numpy()[0], reference[:-1], atol=2e-3)
    alone, _ = fitted(trainer, None, at_once, **settings)
    away = [np.linalg.norm(m.risk_model.ranker.head.weight.detach().numpy()[0] - start) for m in (on, alone)]
    assert away[0] < 0.5 * away[1]


def test_adam_sees_the_penalty_too(trainer, labelled):
    norms = [
        fitted(trainer, None, labelled, raw_states=True, n_layers=1, epochs=6, penalty=penalty)[0]
        .risk_model.ranker.head.weight.norm()
        .item()
        for penalty in (0.0, 1e4)
    ]
    assert norms[1] < 0.5 * norms[0]


def test_lbfgs_on_batches_of_the_training_split_is_refused_with_what_to_do(trainer, labelled):
    with pytest.raises(ConfigError, match=r"16 batches to 1 processes\. Set batch_size: null"):
        fitted(trainer, None, labelled, **AT_ONCE)
    with pytest.raises(ConfigError, match=r"penalty is -1\.0"):
        module(None, raw_states=True, penalty=-1.0)


def test_a_fit_that_does_not_come_to_its_optimum_is_said(trainer, at_once, monkeypatch):
    monkeypatch.setattr("pttrust_lightning.modules.finetuning.LBFGS_EVALUATIONS", 2)
    with pytest.warns(UserWarning, match="did not come to the optimum in 2 steps"):
        fitted(trainer, None, at_once, loss="bce", **AT_ONCE)
