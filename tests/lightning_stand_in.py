"""Answers what a benchmark asks of the Lightning CLI and of its data, and small real data."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import yaml

from pttrust_lightning.callbacks import WritePredictions
from pttrust_lightning.datamodules import UnlabelledStates
from pttrust_lightning.report.predictions import write_predictions
from pttrust_lightning.tools.benchmark.data import StageData, TestLines, choose_baselines
from pttrust_lightning.types import ScoredSnippet

FIGURES = {"val/fvu": 0.1, "val/l0": 4.0, "val/dead_share": 0.2, "val/pair_distance": 0.3, "train/loss": 1.0}
LABELS = [np.eye(6)[i % 6] for i in range(40)]
PARTS = {f"s{i}": ("python", "java")[i // 2 % 2] for i in range(40)}
"""Of what language each snippet is."""


def option(args, name, otherwise=None):
    """The last value of an option."""
    return next((a.partition("=")[2] for a in reversed(args) if a.startswith(f"--{name}=")), otherwise)


class StandIn:
    """Answers `fit` as the Lightning CLI would, and records what it was asked and what was tested.

    Every line's score is its label, plus the fold, but turned around for snippets of a language that was not trained
    on; ``val/loss`` is ten times the learning rate's distance from 0.01.
    """

    def __init__(self, root, writes=True, stop_after=None):
        self.asked, self.tested = [], []
        self.root, self.writes, self.stop_after = root, writes, stop_after

    def __call__(self, args):
        if self.stop_after is not None and len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(args)
        name = option(args, "trainer.logger.name")
        fold = int(option(args, "data.init_args.fold", 0))
        trained_on = json.loads(option(args, "data.init_args.only", '{"train": {}}'))["train"].get("language")
        folder = self.root / name / f"version_{len(list((self.root / name).glob('version_*')))}"
        (folder / "export").mkdir(parents=True)
        trainer = SimpleNamespace(
            loggers=[], log_dir=str(folder), default_root_dir=str(folder), callback_metrics=dict(FIGURES), callbacks=[]
        )
        data = object.__new__(UnlabelledStates)
        data.cache, data.cache_dir = FakeCache(), folder / "cache"
        data.corpus = SimpleNamespace(describe=lambda: "a corpus")
        data.train, data.val = [0], [1]
        if self.writes:
            trainer.callbacks.append(WritePredictions())
        trainer.test = lambda *_, **__: self._test(folder, fold, trained_on)
        loss = abs(float(option(args, "model.init_args.lr", 0)) - 0.01)
        trainer.validate = lambda *_, **__: trainer.callback_metrics.update({"val/loss": loss, "val/mrr": loss})
        return SimpleNamespace(trainer=trainer, model=None, datamodule=data)

    def _test(self, folder, fold, trained_on):
        self.tested.append(folder)
        scored = [
            ScoredSnippet(f"s{i}", np.arange(6), labels * known + fold, labels * 0.5, labels)
            for i, labels in enumerate(LABELS)
            if i % 2 == fold
            for known in [1 if trained_on is None or PARTS[f"s{i}"] in trained_on else -1]
        ]
        write_predictions(folder / "predictions-test.jsonl", scored)

    @property
    def names(self):
        """Of the runs that were asked for."""
        return [option(args, "trainer.logger.name") for args in self.asked]


class FakeCache:
    n_rows, n_pairs = 7, 3

    def __len__(self):
        return 2


class FakeData:
    """In place of BenchmarkData: nothing is read."""

    def __init__(self, pretrain, sets, folds, train_snippets, layers, generalise):
        self.pretrain, self.sets, self.layers, self.generalise = pretrain, sets, layers, generalise

    def baselines(self, asked, args):
        given = SimpleNamespace(uncertainty=True, lookback=False, verdicts="--data.init_args.verdicts=true" in args)
        return choose_baselines(asked, dict.fromkeys(self.sets, given))

    def unlabelled(self, args, point):
        return self._stage(self.pretrain, point)

    def labelled(self, data_set, further, args, point):
        return self._stage((*self.sets[data_set], *further), point)

    def learned_first(self, configs, args, point):
        return self._stage(configs, point)

    def counts(self, data_set):
        return {"snippets": 40, "train_snippets": [12, 13]}

    def _stage(self, configs, point):
        options = () if point.layer is None else (f"--data.init_args.states.layer={point.layer}",)
        return StageData(tuple(configs), options, "fingerprint", {}, "lines", TestLines({}, {}, {}))

    def parts(self, data_set):
        return sorted(set(PARTS.values())) if self.generalise else []

    def test_lines(self, data_set):
        """Two tokens a line; the last line could not be wrong."""
        names = [f"s{i}" for i in range(len(LABELS))]
        return TestLines(dict.fromkeys(names, np.arange(6) < 5), dict.fromkeys(names, np.full(6, 2)), PARTS)


def small_data(folder):
    """Small real data for both stages: `UnlabelledStates.yaml` and `LabelledLines.yaml` name its files."""
    (folder / "code").mkdir()
    records = []
    for i in range(24):
        code = f"a{i} = {i}\nb{i} = a{i} + {i}\nprint(b{i}, {i})\nif a{i} > {i}:\n    b{i} = 0\n"
        (folder / "code" / f"{i}.py").write_text(code)
        records.append({"id": f"s{i}", "problem_id": f"p{i}", "language": "python", "task": "generation", "prompt": ""})
        records[-1] |= {"code": code, "wrong_lines": [i % 3], "correct": False, "label_source": "human"}
    (folder / "labels.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    corpus = {"class_path": "FolderCorpus", "init_args": {"path": str(folder / "code")}}
    labels = {"class_path": "JsonlLabelled", "init_args": {"path": str(folder / "labels.jsonl")}}
    for name, init_args in (("UnlabelledStates", {"corpus": corpus}), ("LabelledLines", {"snippets": labels})):
        init_args |= {"cache_dir": str(folder / f"cache-{name}")}
        (folder / f"{name}.yaml").write_text(yaml.dump({"data": {"class_path": name, "init_args": init_args}}))
    (folder / "other.yaml").write_text("trainer: {max_epochs: 1}\n")
    return folder
