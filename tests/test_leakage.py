"""No method may know what it is asked: with shuffled labels every one scores chance, with true ones it does not.

Labels are shuffled among the lines of each snippet, before the split. A method that still ranks them well has seen the
labels that it is tested on.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from torch.utils.data import DataLoader

from pttrust_lightning.baselines import BASELINES, calibrated_scores
from pttrust_lightning.datamodules.labelled import DescribedSnippet, line_features, pad_snippets
from pttrust_lightning.metrics import evaluate
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from pttrust_lightning.modules import RiskFineTuning
from pttrust_lightning.source.surface import SURFACE_FEATURES
from pttrust_lightning.states.uncertainty import UNCERTAINTY_FEATURES
from pttrust_lightning.types import LabelledSnippet, LineStates, SnippetStates

D, LINES = 12, 6
WIDTHS = {"surface": len(SURFACE_FEATURES), "uncertainty": len(UNCERTAINTY_FEATURES)}
METHODS = {
    "pttrust": {},
    "other_lines": {"sees_other_lines": True},
    "everything": {"raw_states": True, "features": ["surface", "uncertainty"]},
}


def snippet(i, shuffled):
    """One wrong line: it is longer than the others, its states lie in a direction, and the LLM is unsure of it."""
    rng = np.random.default_rng([i, 0])
    wrong = int(rng.integers(LINES))
    labels = np.eye(LINES)[wrong]
    states = torch.from_numpy(rng.normal(size=(LINES, D)) + 3 * labels[:, None] * np.eye(D)[0]).float()
    uncertainty = rng.normal(size=(LINES, 3)) + labels[:, None] * np.array([-3, -3, 3])
    code = "\n".join(f"x{i}_{k} = " + "+".join("1" * (9 if k == wrong else 3)) for k in range(LINES))
    if shuffled:
        labels = np.random.default_rng([i, 1]).permutation(labels)
    labelled = LabelledSnippet(
        f"s{i}", f"p{i}", "python", "generation", "", code, tuple(np.flatnonzero(labels).tolist()), False, "human"
    )
    return SnippetStates(labelled, LineStates(f"s{i}", np.arange(LINES), states, uncertainty, LINES), labels)


class Labelled(LightningDataModule):
    def __init__(self, shuffled):
        super().__init__()
        every = [snippet(i, shuffled) for i in range(360)]
        self.train, self.val, self.test = every[:160], every[160:220], every[220:]

    def loader(self, part, shuffle=False):
        described = [DescribedSnippet(s, line_features(s)) for s in part]
        return DataLoader(described, batch_size=8, shuffle=shuffle, collate_fn=pad_snippets)

    def train_dataloader(self):
        return self.loader(self.train, shuffle=True)

    def val_dataloader(self):
        return self.loader(self.val)


def scored_by_baseline(name, data):
    fitted = BASELINES[name]().fit(data.train, data.val)
    return calibrated_scores(fitted, data.val, data.test, CALIBRATIONS["temperature"]())


def scored_by_ranker(settings, data, folder):
    seed_everything(0)
    encoder = SparseAutoencoder(SparseAutoencoderConfig(D, n_latents=2 * D, k=D, normalise=False))
    encoder.save(folder / "encoder", torch.randn(4, D), {})
    model = RiskFineTuning(str(folder / "encoder"), D, WIDTHS, lr=3e-3, **settings)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=8, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(model, datamodule=data)
    batches = trainer.predict(model, data.loader(data.test))
    return [s for batch in batches for s in batch]


@pytest.mark.parametrize("method", [*(name for name in BASELINES if name != "random"), *METHODS])
def test_shuffled_labels_score_chance(method, tmp_path):
    hits = {}
    for shuffled in (False, True):
        data = Labelled(shuffled)
        if method in BASELINES:
            scored = scored_by_baseline(method, data)
        else:
            (tmp_path / str(shuffled)).mkdir()
            scored = scored_by_ranker(METHODS[method], data, tmp_path / str(shuffled))
        hits[shuffled] = evaluate(scored, 0).metrics["hit@1"].value
    chance, error = 1 / LINES, (1 / LINES * (1 - 1 / LINES) / 140) ** 0.5
    assert hits[False] > chance + 8 * error, "the signal is there, so a leak would show"
    assert abs(hits[True] - chance) < 3 * error
