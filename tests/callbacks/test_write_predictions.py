import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import CSVLogger

from pttrust_lightning.callbacks import WritePredictions
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.report.predictions import read_predictions
from pttrust_lightning.types import ScoredSnippet


def snippet(i):
    rng = np.random.default_rng(i)
    n = 3 + i % 4
    return ScoredSnippet(
        f"snippet {i} \u2028 é",
        np.arange(n) * 2,
        rng.normal(size=n) * 10.0 ** rng.integers(-300, 300),
        rng.random(n).astype(np.float32).astype(np.float64),
        (rng.random(n) < 0.3).astype(np.float64),
    )


SNIPPETS = [snippet(i) for i in range(5)]


class Scorer(LightningModule):
    """Scores the snippets whose numbers a batch holds."""

    fails = False

    def test_step(self, batch, batch_idx):
        if self.fails and batch_idx:
            raise RuntimeError("no second batch")
        return {"scored": [SNIPPETS[i] for i in batch]}

    def predict_step(self, batch, batch_idx):
        return [SNIPPETS[i] for i in batch]


def batches(*numbers):
    return torch.utils.data.DataLoader([torch.tensor(n) for n in numbers], batch_size=None)


def assert_same(found, expected):
    assert [s.snippet_id for s in found] == [s.snippet_id for s in expected]
    for a, b in zip(found, expected, strict=True):
        for x, y in zip(a[1:5], b[1:5], strict=True):
            assert x.dtype == y.dtype
            assert x.tolist() == y.tolist()


def test_what_test_and_predict_scored_reads_back_exactly(tmp_path, trainer):
    writer = WritePredictions()
    run = trainer([writer])
    run.test(Scorer(), batches([0, 1], [2]), verbose=False)
    run.predict(Scorer(), batches([3], [4, 0]))
    assert writer.path(run, "test") == tmp_path / "predictions-test.jsonl"
    assert_same(read_predictions(tmp_path / "predictions-test.jsonl"), SNIPPETS[:3])
    assert_same(read_predictions(tmp_path / "predictions-predict.jsonl"), [SNIPPETS[i] for i in (3, 4, 0)])


def test_a_second_run_starts_afresh(tmp_path, trainer):
    run = trainer([WritePredictions("lines")], logger=CSVLogger(tmp_path, name="runs"))
    run.test(Scorer(), batches([0], [1]), verbose=False)
    run.test(Scorer(), batches([2]), verbose=False)
    assert_same(read_predictions(tmp_path / "runs" / "version_0" / "lines-test.jsonl"), SNIPPETS[2:3])


def test_a_run_that_failed_leaves_no_scores_to_the_next(tmp_path, trainer):
    scorer, run = Scorer(), trainer([WritePredictions()])
    scorer.fails = True
    with pytest.raises(RuntimeError, match="no second batch"):
        run.test(scorer, batches([0], [1]), verbose=False)
    assert not list(tmp_path.iterdir())
    scorer.fails = False
    run.test(scorer, batches([2]), verbose=False)
    assert_same(read_predictions(tmp_path / "predictions-test.jsonl"), SNIPPETS[2:3])


@pytest.mark.parametrize("output", [None, torch.ones(2, 3), {"loss": 1}])
def test_other_outputs_are_passed_over(output, tmp_path, trainer):
    class Other(Scorer):
        def test_step(self, batch, batch_idx):
            return output

    trainer([WritePredictions()]).test(Other(), batches([0]), verbose=False)
    assert not list(tmp_path.iterdir())


def test_a_fast_dev_run_writes_nothing(tmp_path, monkeypatch, trainer):
    monkeypatch.chdir(tmp_path)
    trainer([WritePredictions()], fast_dev_run=True).test(Scorer(), batches([0]), verbose=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_several_processes_are_refused_rather_than_losing_scores(stage, trainer, monkeypatch):
    run = trainer([WritePredictions()])
    monkeypatch.setattr(type(run), "world_size", 2)
    with pytest.raises(ConfigError, match=r"--trainer\.devices=1"):
        run.callbacks[0].setup(run, Scorer(), stage)
    run.callbacks[0].setup(run, Scorer(), "fit")
