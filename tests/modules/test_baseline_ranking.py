import math

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from pttrust_lightning.baselines import BASELINES, calibrated_scores, with_snippet_scores
from pttrust_lightning.datamodules.labelled import DescribedSnippet, line_features, pad_snippets
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.metrics import evaluate
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.modules import BaselineRanking
from pttrust_lightning.types import LabelledSnippet, LineStates, SnippetStates

D = 5


def snippet(i, correct):
    rng = np.random.default_rng(i)
    labels = np.zeros(int(rng.integers(3, 7)))
    labels[rng.integers(len(labels))] = not correct
    texts = ["while broken():" if wrong and rng.random() < 0.5 else f"x{k} = {k}" for k, wrong in enumerate(labels)]
    code = "\n".join(texts)
    labelled = LabelledSnippet(
        f"s{i}", f"p{i}", "python", "generation", "", code, tuple(np.flatnonzero(labels).tolist()), correct, "human"
    )
    states = rng.normal(size=(len(labels), D)) + labels[:, None]
    uncertainty = rng.normal(size=(len(labels), 3)) - labels[:, None]
    lookback = rng.uniform(0.3, 0.5, size=(len(labels), 4)) - 0.1 * labels[:, None]
    n_tokens = np.full(len(labels), 5)
    lines = LineStates(
        f"s{i}",
        np.arange(len(labels)),
        torch.from_numpy(states).float(),
        uncertainty,
        len(labels),
        n_tokens,
        lookback,
    )
    return SnippetStates(labelled, lines, labels)


class Snippets(LightningDataModule):
    """Labelled snippets as the real DataModule gives them; every third is correct, and given with ``verdicts``."""

    def __init__(self, verdicts=False, provenance=None, uncertainty=True):
        super().__init__()
        self.verdicts, self.uncertainty, self.lookback = verdicts, uncertainty, True
        self.state_provenance = provenance or {"layer": 1, "line_rule": "newline"}
        self.split = {
            name: [snippet(i, correct=i % 3 == 0) for i in range(*ids)]
            for name, ids in (("train", (0, 40)), ("val", (40, 60)), ("test", (60, 80)))
        }

    def given(self, name):
        return [s for s in self.split[name] if self.verdicts or s.rankable]

    def _loader(self, name):
        described = [DescribedSnippet(s, line_features(s)) for s in self.given(name)]
        return DataLoader(described, batch_size=3, collate_fn=pad_snippets)

    def train_dataloader(self):
        return self._loader("train")

    def val_dataloader(self):
        return self._loader("val")

    def test_dataloader(self):
        return self._loader("test")

    predict_dataloader = test_dataloader


def expected(name, calibration, verdicts):
    data = Snippets(verdicts)
    train, validation, test = data.split["train"], data.split["val"], data.given("test")
    fitted = BASELINES[name]().fit(train, validation)
    scored = calibrated_scores(fitted, validation, test, CALIBRATIONS[calibration]())
    if not verdicts:
        return scored
    fitted.fit_verdicts(train, validation)
    return with_snippet_scores(scored, fitted, validation, test, CALIBRATIONS[calibration]())


def assert_same(batches, wanted):
    scored = [s for batch in batches for s in batch]
    assert [s.snippet_id for s in scored] == [s.snippet_id for s in wanted]
    for s, w in zip(scored, wanted, strict=True):
        for part, other in zip(s[1:5], w[1:5], strict=True):
            np.testing.assert_array_equal(part, other)
        assert s[5:9] == w[5:9]  # tokens are known of the one alone


@pytest.mark.parametrize(
    ("calibration", "verdicts"), [("temperature", False), ("temperature", True), ("isotonic", True)]
)
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_checkpoint_scores_as_the_baseline_fitted_by_hand(name, calibration, verdicts, trainer, tmp_path):
    data = Snippets(verdicts)
    if BASELINES[name].lacks(data):
        with pytest.raises(ConfigError, match=f"The baseline '{name}' needs verdicts: true in the data"):
            trainer().fit(BaselineRanking(name), datamodule=data)
        return
    checkpoint = ModelCheckpoint(tmp_path / "kept")
    run = trainer([checkpoint], enable_checkpointing=True, max_epochs=50)
    run.fit(BaselineRanking(name, calibration), datamodule=data)
    assert run.current_epoch == 1, "it stops by itself"
    fresh = BaselineRanking.load_from_checkpoint(checkpoint.best_model_path, weights_only=True)
    wanted = expected(name, calibration, verdicts)
    assert all((s.snippet_probability is not None) is verdicts for s in wanted)
    assert_same(trainer().predict(fresh, datamodule=data), wanted)
    again = trainer()
    again.test(
        BaselineRanking(name, calibration),
        datamodule=data,
        ckpt_path=checkpoint.best_model_path,
        verbose=False,
        weights_only=True,
    )
    metrics = evaluate(wanted, 0).metrics
    for metric in ("hit@1", "mrr", "auroc"):
        assert float(again.callback_metrics[f"test/{metric}"]) == pytest.approx(metrics[metric].value, abs=1e-6)


def test_random_has_the_cross_entropy_of_a_coin(trainer):
    run = trainer()
    run.fit(BaselineRanking("random"), datamodule=Snippets())
    assert float(run.callback_metrics["val/loss"]) == pytest.approx(math.log(2))


def test_correct_snippets_beside_them_change_nothing_about_lines(trainer):
    """What judges snippets too scores, calibrates and measures lines as what does not."""
    plain, judging = BaselineRanking("probe"), BaselineRanking("probe")
    figures = []
    for module, verdicts in ((plain, False), (judging, True)):
        run = trainer()
        run.fit(module, datamodule=Snippets(verdicts))
        figures.append({name: float(value) for name, value in run.callback_metrics.items()})
    assert figures[0] == figures[1]
    assert torch.equal(plain.calibration.coefficients, judging.calibration.coefficients)
    assert judging.snippet_calibration.fitted and not plain.snippet_calibration.fitted


def test_validating_a_checkpoint_calibrates_snippets_again(trainer, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path)
    fitted = BaselineRanking("surface")
    trainer([checkpoint], enable_checkpointing=True).fit(fitted, datamodule=Snippets(verdicts=True))
    again = BaselineRanking("surface")
    run = {"ckpt_path": checkpoint.best_model_path, "verbose": False, "weights_only": True}
    trainer().validate(again, datamodule=Snippets(verdicts=True), **run)
    for name in ("calibration", "snippet_calibration"):
        assert torch.equal(getattr(again, name).coefficients, getattr(fitted, name).coefficients)


def test_data_without_what_the_baseline_needs_is_refused(trainer):
    with pytest.raises(ConfigError, match="The baseline 'uncertainty' needs uncertainty: true in the data"):
        trainer().fit(BaselineRanking("uncertainty"), datamodule=Snippets(uncertainty=False))


def test_the_test_split_teaches_nothing(trainer):
    spoiled = Snippets()
    for s in spoiled.split["test"]:
        s.lines.states[:] = 0
        s.labels[:] = s.labels[::-1].copy()
    plain, other = BaselineRanking("probe"), BaselineRanking("probe")
    trainer().fit(plain, datamodule=Snippets())
    trainer().fit(other, datamodule=spoiled)
    for name, values in plain.baseline.state().items():
        np.testing.assert_array_equal(values, other.baseline.state()[name])
    assert torch.equal(plain.calibration.coefficients, other.calibration.coefficients)


@pytest.mark.parametrize(("name", "refused"), [("probe", True), ("surface", False)])
def test_what_reads_states_refuses_those_of_another_layer(name, refused, trainer, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path)
    trainer([checkpoint], enable_checkpointing=True).fit(BaselineRanking(name), datamodule=Snippets())
    other = Snippets(provenance={"layer": 2, "line_rule": "newline"})
    run = {"datamodule": other, "ckpt_path": checkpoint.best_model_path, "verbose": False, "weights_only": True}
    if refused:
        with pytest.raises(ConfigError, match="'probe' was fitted on states with layer = 1, but the data has 2"):
            trainer().test(BaselineRanking(name), **run)
    else:
        trainer().test(BaselineRanking(name), **run)


def test_a_name_that_is_none_and_data_without_labels_are_refused(trainer, unlabelled):
    with pytest.raises(ConfigError, match=r"no baseline 'chance'\. Choose one of random"):
        BaselineRanking("chance")
    with pytest.raises(ConfigError, match="Batches holds no labelled snippets"):
        trainer().fit(BaselineRanking("random"), datamodule=unlabelled)


def test_options_are_the_baselines_own():
    given = BaselineRanking("probe", options={"components": 3, "cs": [0.5]}).baseline
    data = Snippets()
    own = BASELINES["probe"](components=3, cs=[0.5]).fit(data.split["train"], data.split["val"])
    given.fit(data.split["train"], data.split["val"])
    for s in data.split["test"]:
        np.testing.assert_array_equal(given.score(s), own.score(s))
        assert (given.score(s) != BASELINES["probe"]().fit(data.split["train"], data.split["val"]).score(s)).any()
    with pytest.raises(ConfigError, match=r"'probe' takes no depth, width\. It takes: cs, components"):
        BaselineRanking("probe", options={"width": 3, "depth": 1})
    with pytest.raises(ConfigError, match=r"'random' takes no components\. It takes: none"):
        BaselineRanking("random", options={"components": 3})
