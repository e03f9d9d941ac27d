"""No method may know what it is asked: with shuffled labels every one scores chance, with true ones it does not.

Labels are shuffled among the lines of each snippet, before the split; verdicts among the snippets. A method that still
ranks the lines, or judges the snippets, has seen the labels that it is tested on. What learns from verdicts sees no
line label at all: it finds the true lines, and shuffled labels are chance to it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from torch.utils.data import DataLoader

from pttrust_lightning.baselines import BASELINES, calibrated_scores, with_snippet_scores
from pttrust_lightning.datamodules.labelled import DescribedSnippet, line_features, pad_snippets
from pttrust_lightning.losses import RANKING_LOSSES
from pttrust_lightning.metrics import evaluate
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from pttrust_lightning.modules import RiskFineTuning
from pttrust_lightning.source.surface import SURFACE_FEATURES
from pttrust_lightning.states.uncertainty import UNCERTAINTY_FEATURES
from pttrust_lightning.types import LabelledSnippet, LineStates, SnippetStates

D, LINES = 12, 6
HEADS = 8
WIDTHS = {
    "surface": len(SURFACE_FEATURES),
    "uncertainty": len(UNCERTAINTY_FEATURES),
    "lookback": HEADS,
    "prompt_difference": D,
}
METHODS = {
    "pttrust": {},
    "isotonic": {"calibration": "isotonic"},
    **{loss: {"loss": loss} for loss in RANKING_LOSSES if loss != "neural_ndcg"},
    "sae_no_contrast": {},
    "mutants_first": {"penalty": 1.0},
    "lookback": {"features": ["lookback"]},
    "prompt_difference": {"features": ["prompt_difference"]},
    "other_lines": {"sees_other_lines": True},
    "everything": {"raw_states": True, "features": ["surface", "uncertainty"]},
    "to_the_optimum": {
        "features": ["surface", "uncertainty"],
        "standardise_latents": True,
        "n_layers": 1,
        "loss": "bce",
        "optimizer": "lbfgs",
        "penalty": 10.0,
    },
    **{f"snippet_{head}": {"snippet_head": head} for head in ("rank", "mean", "max")},
    # alone, the last line knows nothing of the rest
    "snippet_last": {"snippet_head": "last", "sees_other_lines": True},
    "noisy_or": {"supervision": "verdicts", "snippet_head": "noisy_or"},
    "attention": {"supervision": "verdicts", "snippet_head": "attention"},
}
JUDGING = tuple(name for name, settings in METHODS.items() if "snippet_head" in settings)


def snippet(i, shuffled, correct=False):
    """One wrong line: it is longer than the others, its states lie in a direction, and the LLM is unsure of it.

    Beside that, the LLM looks back less, and the prompt makes less of a difference.
    """
    rng = np.random.default_rng([i, 0])
    wrong = -1 if correct else int(rng.integers(LINES))
    labels = (np.arange(LINES) == wrong).astype(float)
    states = torch.from_numpy(rng.normal(size=(LINES, D)) + 3 * labels[:, None] * np.eye(D)[0]).float()
    uncertainty = rng.normal(size=(LINES, 3)) + labels[:, None] * np.array([-3, -3, 3])
    lookback = rng.uniform(0.4, 0.6, size=(LINES, HEADS)) - 0.3 * labels[:, None]
    difference = rng.normal(size=(LINES, D)) * (1 - labels[:, None])
    code = "\n".join(f"x{i}_{k} = " + "+".join("1" * (9 if k == wrong else 3)) for k in range(LINES))
    if shuffled:
        labels = np.random.default_rng([i, 1]).permutation(labels)
    labelled = LabelledSnippet(
        f"s{i}", f"p{i}", "python", "generation", "", code, tuple(np.flatnonzero(labels).tolist()), correct, "human"
    )
    n_tokens = np.full(LINES, 5)
    lines = LineStates(f"s{i}", np.arange(LINES), states, uncertainty, LINES, n_tokens, lookback, difference)
    return SnippetStates(labelled, lines, labels)


class Labelled(LightningDataModule):
    def __init__(self, shuffled, start=0):
        super().__init__()
        every = [snippet(start + i, shuffled) for i in range(360)]
        self.train, self.val, self.test = every[:160], every[160:220], every[220:]
        right = [snippet(start + i, shuffled, correct=True) for i in range(360, 720)]
        self.judged = {"train": self.train + right[:160], "val": self.val + right[160:220]}
        self.judged["test"] = self.test + right[220:]

    batch_size = 8

    def loader(self, part, shuffle=False):
        described = [DescribedSnippet(s, line_features(s)) for s in part]
        return DataLoader(described, batch_size=self.batch_size, shuffle=shuffle, collate_fn=pad_snippets)

    def train_dataloader(self):
        return self.loader(self.train, shuffle=True)

    def val_dataloader(self):
        return self.loader(self.val)


class Judged(Labelled):
    """The same beside as many correct snippets; verdicts may be shuffled, line labels are true."""

    verdicts = True

    def __init__(self, shuffled_labels=False, shuffled_verdicts=False):
        super().__init__(shuffled_labels)
        parts = [s for part in self.judged.values() for s in part]
        verdicts = [s.snippet.correct for s in parts]
        if shuffled_verdicts:
            verdicts = np.random.default_rng(0).permutation(verdicts).tolist()
        told = {
            s.snippet.id: dataclasses.replace(s, snippet=dataclasses.replace(s.snippet, correct=correct))
            for s, correct in zip(parts, verdicts, strict=True)
        }
        self.train, self.val, self.test = ([told[s.snippet.id] for s in part] for part in self.judged.values())


def scored_by_baseline(name, data):
    fitted = BASELINES[name]().fit(data.train, data.val)
    return calibrated_scores(fitted, data.val, data.test, CALIBRATIONS["temperature"]())


def pretrained(data, folder):
    """An autoencoder that reconstructs the states of the programs to train on; it sees no labels."""
    states = torch.cat([s.lines.states for s in data.train])
    encoder = SparseAutoencoder(SparseAutoencoderConfig(D, n_latents=2 * D, k=D, normalise=False))
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(encoder(states).reconstruction, states).backward()
        optimizer.step()
    encoder.save(folder, states[:4], {})


def fitted(settings, data, encoder):
    model = RiskFineTuning(str(encoder), D, WIDTHS, lr=3e-3, **settings)
    if model.optimizer == "lbfgs":
        data.batch_size = len(data.train)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=8, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(model, datamodule=data)
    return model, trainer


def scored_by_ranker(method, data, folder):
    seed_everything(0)
    settings = dict(METHODS[method])
    if method == "sae_no_contrast":
        pretrained(data, folder / "encoder")
    else:
        encoder = SparseAutoencoder(SparseAutoencoderConfig(D, n_latents=2 * D, k=D, normalise=False))
        encoder.save(folder / "encoder", torch.randn(4, D), {})
    if method == "mutants_first":
        first, _ = fitted({}, Labelled(shuffled=False, start=1000), folder / "encoder")
        first.risk_model.save(folder / "first", torch.randn(4, D), {})
        settings["start_from"] = str(folder / "first")
    model, trainer = fitted(settings, data, folder / "encoder")
    batches = trainer.predict(model, data.loader(data.test))
    return [s for batch in batches for s in batch]


def scored_by(method, data, folder):
    if method in BASELINES:
        return scored_by_baseline(method, data)
    folder.mkdir()
    return scored_by_ranker(method, data, folder)


@pytest.mark.parametrize("method", [*(name for name in BASELINES if name != "random"), *METHODS])
def test_shuffled_labels_score_chance(method, tmp_path):
    hits = {}
    for shuffled in (False, True):
        data = Judged(shuffled) if method in JUDGING or method == "attention_probe" else Labelled(shuffled)
        scored = scored_by(method, data, tmp_path / str(shuffled))
        hits[shuffled] = evaluate(scored, 0).metrics["hit@1"].value
    chance, error = 1 / LINES, (1 / LINES * (1 - 1 / LINES) / 140) ** 0.5
    assert hits[False] > chance + 8 * error, "the signal is there, so a leak would show"
    assert abs(hits[True] - chance) < 3 * error


@pytest.mark.parametrize("method", [*(name for name in BASELINES if name != "random"), *JUDGING])
def test_shuffled_verdicts_are_judged_by_chance(method, tmp_path):
    aurocs = {}
    for shuffled in (False, True):
        data = Judged(shuffled_verdicts=shuffled)
        scored = scored_by(method, data, tmp_path / str(shuffled))
        if method in BASELINES:
            judge = BASELINES[method]().fit(data.train, data.val).fit_verdicts(data.train, data.val)
            scored = with_snippet_scores(scored, judge, data.val, data.test, CALIBRATIONS["temperature"]())
        aurocs[shuffled] = evaluate(scored, 0).metrics["snippet_auroc"].value
    error = (281 / (12 * 140 * 140)) ** 0.5  # of the AUROC of 140 and 140 snippets, under chance
    assert aurocs[False] > 0.5 + 8 * error, "the signal is there, so a leak would show"
    assert abs(aurocs[True] - 0.5) < 3 * error
