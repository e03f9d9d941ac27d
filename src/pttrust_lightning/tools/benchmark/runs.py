"""One run of a benchmark: through Lightning's commands, as a user would call them, and a record of what it came to."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from pttrust_lightning.cache.durable import write_whole
from pttrust_lightning.callbacks.predictions import WritePredictions
from pttrust_lightning.callbacks.run_folder import run_folder
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.metrics.evaluation import LOWER_IS_BETTER
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.tools.benchmark.data import unlabelled_counts
from pttrust_lightning.tools.benchmark.plan import ENCODER, START_FROM, BuiltOn, Candidate, Run, ScoringRun

RECORD = "finished.json"
"""In a run's folder: what it came to, written when it is done."""

Record = dict[str, Any]


def execute(run: Run, exports: Mapping[str, Path], output_dir: Path, lightning: RunLightning) -> Record:
    """Do a run, and leave its record in its folder.

    Args:
        run: The run.
        exports: Folders that the runs before exported, by their names.
        output_dir: The benchmark's folder.
        lightning: Runs a Lightning subcommand.

    Returns:
        What it came to, as plain JSON; paths are relative to the run's folder.

    Raises:
        ConfigError: Stage 2 writes no predictions, or lacks the metric that candidates are compared in.
        PtTrustError: Whatever the run raises.
    """
    folder = output_dir / run.name
    if isinstance(run, ScoringRun):
        found = _score(run, exports, folder, lightning)
    else:
        found = _train(run, exports, folder, lightning)
    record = {"key": run.key, **found}
    data = (json.dumps(record, indent=2) + "\n").encode()
    write_whole(folder / RECORD, data, folder / f"{RECORD}.{os.getpid()}")
    return record


def finished(run: Run, output_dir: Path) -> Record | None:
    """The record of a run that was done before as it would be done now; None where there is none.

    What cannot be read, has another key or misses its files is none: the run is done again.
    """
    folder = output_dir / run.name
    try:
        record: Record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        is_there = record["key"] == run.key and (folder / record["result"]).exists()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if is_there else None


def lower_is_better(metric: str) -> bool:
    """Whether less of a logged metric, such as ``val/loss``, is better."""
    name = metric.rpartition("/")[2]
    return name.endswith("loss") or name in LOWER_IS_BETTER


def _train(run: Run, exports: Mapping[str, Path], folder: Path, lightning: RunLightning) -> Record:
    """A run that others build on: stage 1, or what stage 2 learns first."""
    stage = _fit(run, folder.parent, run.name, _folders(run.built_on, exports), lightning)
    figures = {k.removeprefix("val/"): v for k, v in _figures(stage).items() if k.startswith("val/")}
    export = os.path.relpath(run_folder(stage.trainer) / "export", folder)
    found = {"result": export, "figures": figures}
    return found | ({"unlabelled": unlabelled_counts(stage.datamodule)} if run.stage == "pretrain" else {})


def _score(run: ScoringRun, exports: Mapping[str, Path], folder: Path, lightning: RunLightning) -> Record:
    """Fit every candidate, and test the one that is best on the validation split: the test split has no say.

    Of equally good ones it is the first.
    """
    if len(run.candidates) == 1:
        (candidate,) = run.candidates
        stage = _fit(run, folder.parent, run.name, _options(candidate, exports), lightning)
        return {"result": os.path.relpath(_test(stage), folder), "chosen": {}, "candidates": []}
    sign = 1.0 if lower_is_better(run.choose_by) else -1.0
    tried: list[dict[str, Any]] = []
    stages = []
    for number, candidate in enumerate(run.candidates):
        name = f"{run.name}/choice{number}"
        stages.append(_fit(run, folder.parent, name, _options(candidate, exports), lightning))
        tried.append({"values": candidate.values, run.choose_by: _validation_figure(stages[-1], run.choose_by)})
    best = min(range(len(tried)), key=lambda i: sign * tried[i][run.choose_by])
    result = os.path.relpath(_test(stages[best]), folder)
    return {"result": result, "chosen": run.candidates[best].values, "candidates": tried}


def _options(candidate: Candidate, exports: Mapping[str, Path]) -> list[str]:
    return [*candidate.options, *_folders(candidate.built_on, exports)]


def _folders(built_on: BuiltOn, exports: Mapping[str, Path]) -> list[str]:
    """The options that name what a run builds on."""
    return [
        f"{option}{exports[name]}"
        for option, name in ((ENCODER, built_on.encoder), (START_FROM, built_on.first))
        if name is not None
    ]


def _fit(run: Run, output_dir: Path, name: str, options: Sequence[str], lightning: RunLightning) -> Any:
    """Run ``pttrust fit``, exactly as a user would; the command is shown so that it can be repeated alone."""
    args = ["fit"]
    for config in run.configs:
        args += ["--config", os.path.normpath(config)]
    args += [
        f"--seed_everything={run.seed}",
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.save_dir={output_dir}",
        f"--trainer.logger.name={name}",
        *run.options,
        *options,
    ]
    rank_zero_info(f"\n== {name} ==\npttrust {shlex.join(args)}")
    return lightning(args)


def _test(stage: Any) -> Path:
    """Run ``test`` on the best checkpoint of a fitted stage 2; the scores that it wrote.

    Raises:
        ConfigError: The stage writes no predictions.
    """
    writer = next((c for c in stage.trainer.callbacks if isinstance(c, WritePredictions)), None)
    if writer is None:
        raise ConfigError("Stage 2 writes no predictions. Add callbacks.WritePredictions to its trainer config.")
    path = writer.path(stage.trainer, "test")
    stage.trainer.test(stage.model, datamodule=stage.datamodule, ckpt_path="best", verbose=False, weights_only=True)
    return path


def _validation_figure(stage: Any, metric: str) -> float:
    """A metric of the best checkpoint on the validation split.

    Raises:
        ConfigError: There is no such metric, or it is NaN.
    """
    stage.trainer.validate(stage.model, datamodule=stage.datamodule, ckpt_path="best", verbose=False, weights_only=True)
    figures = _figures(stage)
    if math.isnan(figures.get(metric, math.nan)):
        known = ", ".join(name for name, value in figures.items() if not math.isnan(value))
        raise ConfigError(f"choose_by is {metric!r}, which validation does not give. Choose one of {known}.")
    return figures[metric]


def _figures(stage: Any) -> dict[str, float]:
    return {name: float(value) for name, value in stage.trainer.callback_metrics.items()}
