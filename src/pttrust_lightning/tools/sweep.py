"""``pttrust sweep``: a W&B sweep file's search, here and without an account."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import distribution_to_json
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from pttrust_lightning.errors import ConfigError, PtTrustError
from pttrust_lightning.parsing import Parser
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.tools.sweep_file import Sweep, read_sweep

_NAME = "sweep"  # of the one study in a journal


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Run the trials of a sweep one after the other, and show them in one table; interrupted, it goes on."""
    parser = Parser(prog="pttrust sweep", description=run.__doc__)
    parser.add_argument("--config", type=Path, required=True, help="The sweep, as for wandb sweep.")
    parser.add_argument("--trials", type=int, default=20, help="Trials in all, those of earlier calls included.")
    parser.add_argument("--seed", type=int, default=0, help="Of the search.")
    parser.add_argument("--output_dir", type=Path, help="Default: runs/sweep-<name of the file>.")
    parser.add_argument("--extra", type=list[str], default=[], help="Further options of every trial.")
    options = parser.parse_args(list(args))
    folder = options.output_dir or Path("runs") / f"sweep-{options.config.stem}"
    study = search(read_sweep(options.config), folder, options.trials, options.seed, options.extra, lightning)
    write_trials(study, folder / "trials.json")
    print_trials(study)
    print(f"\nWritten: {folder / 'trials.json'}; each trial's run is in {folder}/trial-N/")


def search(
    sweep: Sweep, folder: Path, n_trials: int, seed: int, extra: Sequence[str], lightning: RunLightning
) -> optuna.Study:
    """Run trials until there are as many as asked for.

    Args:
        sweep: What to search.
        folder: Where the trials' runs and the journal of the search are kept.
        n_trials: Trials in all.
        seed: Of the search; each call goes on from it and from what is there.
        extra: Further options of every trial; they win over the sweep's.
        lightning: Runs a Lightning subcommand.

    Returns:
        The study, earlier calls' trials included.

    Raises:
        ConfigError: A trial gives no such metric, or the folder holds another search.
    """
    n_trials = min(n_trials, sweep.run_cap or n_trials)
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _study(sweep, folder, seed)

    for _ in range(len(_ended(study)), n_trials):
        if sweep.method == "grid":
            left = _left_of_grid(study, sweep)
            if not left:
                break
            study.enqueue_trial(left[0])
        trial = study.ask(fixed_distributions=sweep.parameters)
        print(f"\n== trial {trial.number}: {', '.join(f'{k}={v}' for k, v in trial.params.items())} ==")
        arguments = [
            *sweep.arguments(trial.params),
            "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
            f"--trainer.logger.save_dir={folder}",
            f"--trainer.logger.name=trial-{trial.number}",
            *extra,
        ]
        try:
            cli = lightning(arguments)
        except PtTrustError as error:  # settings that do not go together: the trial has failed, the search goes on
            print(f"trial {trial.number} failed: {error}")
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=TrialState.FAIL)
            continue
        study.tell(trial, _metric(cli.trainer.callback_metrics, sweep.metric))
    return study


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that came to an end; those that were interrupted are run anew."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))


def _left_of_grid(study: optuna.Study, sweep: Sweep) -> list[dict[str, Any]]:
    """The combinations that no trial has tried to its end."""
    choices = [distribution.choices for distribution in sweep.parameters.values()]  # type: ignore[attr-defined]
    every = [dict(zip(sweep.parameters, values, strict=True)) for values in itertools.product(*choices)]
    tried = [trial.params for trial in _ended(study)]
    return [values for values in every if values not in tried]


def _study(sweep: Sweep, folder: Path, seed: int) -> optuna.Study:
    """The search that the folder holds, or a new one, also in place of one of which no trial came to an end.

    Raises:
        ConfigError: The folder holds trials of another search: they could not be compared.
    """
    storage = JournalStorage(JournalFileBackend(str(folder / "search.journal")))
    sampler = TPESampler(seed=seed) if sweep.method == "bayes" else RandomSampler(seed)
    direction: Literal["maximize", "minimize"] = "maximize" if sweep.maximise else "minimize"
    asked = {
        "method": sweep.method,
        "metric": sweep.metric,
        "direction": direction,
        "command": sweep.command,
        "parameters": {name: distribution_to_json(d) for name, d in sorted(sweep.parameters.items())},
    }
    if _NAME in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=_NAME, storage=storage, sampler=sampler)
        there = study.user_attrs.get("sweep", {})
        differing = [field for field, value in asked.items() if there.get(field, value) != value]
        if not differing:
            return study
        if _ended(study):
            raise ConfigError(
                f"{folder} holds the trials of a sweep with another '{differing[0]}'. Choose another --output_dir, or "
                "delete that folder."
            )
        optuna.delete_study(study_name=_NAME, storage=storage)
    study = optuna.create_study(study_name=_NAME, storage=storage, sampler=sampler, direction=direction)
    study.set_user_attr("sweep", asked)
    return study


def _metric(metrics: Any, name: str) -> float:
    if name not in metrics:
        raise ConfigError(
            f"The trial logged no {name!r}, the sweep's metric. It logged {', '.join(sorted(map(str, metrics)))}."
        )
    return float(metrics[name])


def _ranked(study: optuna.Study) -> list[FrozenTrial]:
    """The best trial first; those that failed last."""
    sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    return sorted(_ended(study), key=lambda t: (t.value is None, 0.0 if t.value is None else sign * t.value, t.number))


def write_trials(study: optuna.Study, path: Path) -> None:
    """Every trial that came to an end, the best first."""
    records = [
        {"trial": t.number, "value": t.value, "parameters": t.params, "error": t.user_attrs.get("error")}
        for t in _ranked(study)
    ]
    record = {"metric": study.user_attrs["sweep"]["metric"], "direction": study.direction.name.lower()}
    path.write_text(json.dumps({**record, "trials": records}, indent=2) + "\n", encoding="utf-8")


def print_trials(study: optuna.Study, console: Console | None = None) -> None:
    """The same as a table."""
    metric = study.user_attrs["sweep"]["metric"]
    ranked = _ranked(study)
    names = list(dict.fromkeys(name for trial in ranked for name in trial.params))
    table = Table(title=f"{len(ranked)} trials, the best {metric} first")
    for heading in ("trial", metric, *(name.rsplit(".", 1)[-1] for name in names)):
        table.add_column(heading, justify="right")
    for trial in ranked:
        value = "failed" if trial.value is None else f"{trial.value:.4f}"
        table.add_row(str(trial.number), value, *(_shown(trial.params.get(name)) for name in names))
    (console or Console()).print(table)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
