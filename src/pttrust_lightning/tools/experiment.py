"""``pttrust experiment``: both stages, the baselines and the table, from one file."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch.utilities import rank_zero_info

from pttrust_lightning.baselines import BASELINES, calibrated_scores
from pttrust_lightning.callbacks.predictions import WritePredictions
from pttrust_lightning.callbacks.run_folder import run_folder
from pttrust_lightning.datamodules.labelled import LabelledLines
from pttrust_lightning.datamodules.unlabelled import UnlabelledStates
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.metrics.evaluation import Evaluation, evaluate, paired_differences
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.report.predictions import read_predictions, write_predictions
from pttrust_lightning.report.results import Results, print_results, write_results
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.tools.extract import prepare
from pttrust_lightning.types import ScoredSnippet

PTTRUST = "pttrust"
SAE_NO_CONTRAST = "sae_no_contrast"
"""The method with lambda = 0 in stage 1: what the contrast is worth."""


@dataclass(frozen=True)  # no slots: jsonargparse reads defaults with vars()
class Experiment:
    """One experiment: two stages and every baseline on the same split.

    Attributes:
        name: Its name in tables.
        pretrain: Configuration files of stage 1, as for ``pttrust fit``; relative to the experiment's file.
        finetune: Configuration files of stage 2.
        output_dir: Folder of all its runs and of ``results.json``.
        seed: Of training and of the bootstrap. Splits, mutations and samples have seeds of their own, in the data
            configurations, so that other training seeds meet the same data.
        folds: Cross-validate stage 2 in so many folds by problem; null for one split.
        baselines: Which baselines to fit.
        bootstrap_samples: Resamples of the test snippets behind the intervals; training noise is not in them.
        pretrain_args: Further options of stage 1, such as ``--trainer.max_epochs=2``.
        finetune_args: Further options of stage 2.

    Raises:
        ConfigError: A setting that no run could use.
    """

    name: str
    pretrain: list[str]
    finetune: list[str]
    output_dir: str
    seed: int = 0
    folds: int | None = None
    baselines: list[str] = field(default_factory=lambda: list(BASELINES))
    bootstrap_samples: int = 1000
    pretrain_args: list[str] = field(default_factory=list)
    finetune_args: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check before hours are spent."""
        if unknown := set(self.baselines) - BASELINES.keys():
            raise ConfigError(f"Unknown baselines {sorted(unknown)}. Choose from {', '.join(BASELINES)}.")
        if self.bootstrap_samples < 1:
            raise ConfigError(f"bootstrap_samples is {self.bootstrap_samples}. Set it to at least 1.")
        if self.folds is not None and self.folds < 2:
            raise ConfigError(f"folds is {self.folds}. Set it to at least 2, or leave it out for one split.")


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Pre-train with and without contrast, fine-tune on both, fit the baselines, and compare them on the test split."""
    parser = ArgumentParser(prog="pttrust experiment", description=run.__doc__)
    parser.add_argument("--config", action="config", required=True, help="The experiment's file.")
    parser.add_class_arguments(Experiment)
    parsed = parser.parse_args(list(args))
    file = Path(str(parsed.config[-1]))
    options = {k: v for k, v in parsed.as_dict().items() if k != "config"}
    results = run_experiment(Experiment(**options), file.parent, lightning)
    folder = Path(options["output_dir"])
    write_results(folder, results)
    print_results(results)
    print(f"\nWritten: {folder / 'results.json'}, {folder / 'results.md'}, {folder / 'predictions'}/")


def run_experiment(experiment: Experiment, config_folder: Path, lightning: RunLightning) -> Results:
    """Run every stage and method of an experiment.

    Args:
        experiment: What to run.
        config_folder: What its configuration files are relative to.
        lightning: Runs a Lightning subcommand.

    Returns:
        Estimates of every method, on the same snippets.

    Raises:
        ConfigError: A stage's data is not of the stage's kind, or the stage writes no predictions.
        PtTrustError: The data cannot be read; before anything is trained.
    """
    _prepare_data(experiment, config_folder)
    encoders, stage_1 = {}, {}
    pretraining: Any = None
    for method, options in ((PTTRUST, []), (SAE_NO_CONTRAST, ["--model.init_args.contrastive=none"])):
        pretraining = _fit(
            experiment, config_folder, experiment.pretrain, f"pretrain-{method}",
            [*experiment.pretrain_args, *options], lightning,
        )  # fmt: skip
        encoders[method] = run_folder(pretraining.trainer) / "export"
        stage_1[method] = _epoch_figures(pretraining.trainer)
    scored: dict[str, list[ScoredSnippet]] = {name: [] for name in (PTTRUST, *experiment.baselines, SAE_NO_CONTRAST)}
    data: dict[str, Any] = {"unlabelled": _unlabelled_counts(pretraining.datamodule), "stage_1_validation": stage_1}
    for fold in range(experiment.folds or 1):
        fold_args = [f"--data.init_args.folds={experiment.folds}", f"--data.init_args.fold={fold}"]
        for method, encoder in encoders.items():
            name = f"finetune-{method}" + (f"-fold{fold}" if experiment.folds else "")
            options = [f"--model.init_args.encoder={encoder}", *(fold_args if experiment.folds else [])]
            stage = _fit(
                experiment, config_folder, experiment.finetune, name, [*experiment.finetune_args, *options], lightning
            )
            scored[method] += [s._replace(fold=fold) for s in _test(stage)]
            labelled: LabelledLines = stage.datamodule
        data["labelled"] = _labelled_counts(labelled, experiment.folds)
        test = labelled.rankable("test")
        for name in experiment.baselines:
            rank_zero_info(f"Fitting the baseline '{name}'")
            fitted = BASELINES[name]().fit(labelled.split["train"], labelled.split["val"])
            scores = calibrated_scores(fitted, labelled.split["val"], test, CALIBRATIONS["temperature"]())
            scored[name] += [s._replace(fold=fold) for s in scores]
    for name, snippets in scored.items():
        write_predictions(Path(experiment.output_dir) / "predictions" / f"{name}.jsonl", snippets)
    return _compare(experiment, data, scored)


def _prepare_data(experiment: Experiment, config_folder: Path) -> None:
    """Read the states of both stages, before anything is trained: what is missing shows now, not after stage 1."""
    for name, configs, args, kind in (
        ("stage 2", experiment.finetune, experiment.finetune_args, LabelledLines),
        ("stage 1", experiment.pretrain, experiment.pretrain_args, UnlabelledStates),
    ):
        rank_zero_info(f"\n== data of {name} ==")
        contents = [_read_config(config_folder / c) for c in configs]
        data = next((c["data"] for c in reversed(contents) if isinstance(c, dict) and "data" in c), None)
        given = [] if data is None else [f"--data={json.dumps(data)}"]
        prepared = prepare([*given, *(a for a in args if a.startswith("--data"))])
        if not isinstance(prepared, kind):
            raise ConfigError(
                f"{name.capitalize()} of {experiment.name} needs {kind.__name__} as its data, not "
                f"{type(prepared).__name__}. Change its data config."
            )
        if isinstance(prepared, LabelledLines) and "uncertainty" in experiment.baselines and not prepared.uncertainty:
            raise ConfigError(
                "The baseline 'uncertainty' needs token probabilities. Set uncertainty: true in the data config of "
                "stage 2, or leave it out of baselines."
            )


def _read_config(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"The configuration {os.path.normpath(file)} cannot be read ({type(error).__name__}). Files named in an "
            "experiment are relative to the experiment's own."
        ) from error


def _fit(
    experiment: Experiment,
    config_folder: Path,
    configs: Sequence[str],
    name: str,
    options: Sequence[str],
    lightning: RunLightning,
) -> Any:
    """Run ``pttrust fit``, exactly as a user would; the command is shown so that it can be repeated alone."""
    args = ["fit"]
    for config in configs:
        args += ["--config", os.path.normpath(config_folder / config)]
    args += [
        f"--seed_everything={experiment.seed}",
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.save_dir={experiment.output_dir}",
        f"--trainer.logger.name={name}",
        *options,
    ]
    rank_zero_info(f"\n== {name} ==\npttrust {shlex.join(args)}")
    return lightning(args)


def _test(stage: Any) -> list[ScoredSnippet]:
    """Run ``test`` on the best checkpoint of a fitted stage 2, and read the scores that it wrote."""
    writer = next((c for c in stage.trainer.callbacks if isinstance(c, WritePredictions)), None)
    if writer is None:
        raise ConfigError("Stage 2 writes no predictions. Add callbacks.WritePredictions to its trainer config.")
    path = writer.path(stage.trainer, "test")
    stage.trainer.test(stage.model, datamodule=stage.datamodule, ckpt_path="best", verbose=False, weights_only=True)
    return read_predictions(path)


def _epoch_figures(trainer: Any) -> dict[str, float]:
    """What stage 1 came to on held-out programs, in the last epoch."""
    figures = {k.removeprefix("val/"): float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    return {name: figures[name] for name in ("fvu", "l0", "dead_share", "pair_distance")}


def _compare(experiment: Experiment, data: dict[str, Any], scored: dict[str, list[ScoredSnippet]]) -> Results:
    evaluations: dict[str, Evaluation] = {
        name: evaluate(snippets, experiment.bootstrap_samples, experiment.seed) for name, snippets in scored.items()
    }
    differences = {
        name: paired_differences(scored[PTTRUST], snippets, experiment.bootstrap_samples, experiment.seed)
        for name, snippets in scored.items()
        if name != PTTRUST
    }
    evaluation = evaluations[PTTRUST]
    data["test"] = {
        "snippets": evaluation.n_snippets,
        "lines": evaluation.n_lines,
        "wrong_lines": evaluation.n_wrong_lines,
    }
    return Results(
        experiment=experiment.name,
        seed=experiment.seed,
        data=data,
        methods={name: e.metrics for name, e in evaluations.items()},
        differences=differences,
    )


def _unlabelled_counts(datamodule: UnlabelledStates) -> dict[str, Any]:
    cache = datamodule.cache
    return {
        "corpus": datamodule.corpus.describe(),
        "programs": len(cache),
        "train_programs": len(datamodule.train),
        "val_programs": len(datamodule.val),
        "line_states": cache.n_rows,
        "pairs": cache.n_pairs,
        "left_out": dict(sorted(datamodule.left_out_of_cache().counts.items())),
        "llm": json.loads(json.dumps(datamodule.state_provenance)),
    }


def _labelled_counts(datamodule: LabelledLines, folds: int | None) -> dict[str, Any]:
    parts = datamodule.split
    every = [s for part in parts.values() for s in part]
    sources = sorted({s.snippet.label_source for s in every})
    return {
        "snippets": len(every),
        "problems": len({s.snippet.problem_id for s in every}),
        "folds": folds,
        **{f"{name}_snippets": len(part) for name, part in parts.items() if not folds},
        "lines": sum(len(s.labels) for s in every),
        "wrong_lines": int(sum((s.labels > 0).sum() for s in every)),
        "by_label_source": {src: sum(s.snippet.label_source == src for s in every) for src in sources},
        "left_out": dict(sorted((datamodule.left_out_of_cache().counts + datamodule.exclusions.counts).items())),
    }
