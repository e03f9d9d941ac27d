"""The local search, with a stand-in for the Lightning CLI; the shipped sweeps run in test_configs."""

import json
from types import SimpleNamespace

import optuna
import pytest
import torch
import yaml

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.tools.sweep import run
from pttrust_lightning.tools.sweep_file import read_sweep

SWEEP = {
    "program": "pttrust",
    "method": "random",
    "metric": {"name": "val/mrr", "goal": "maximize"},
    "parameters": {
        "model.init_args.lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
        "model.init_args.k": {"values": [4, 8, None, True]},
        "model.init_args.n": {"min": 1, "max": 5},
    },
    "command": ["${env}", "pttrust", "fit", "--config", "a.yaml", "${args}", "--last=1"],
}


def written(folder, **changes):
    path = folder / "tried.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in {**SWEEP, **changes}.items() if v is not None}))
    return path


class StandIn:
    """Scores a trial by its n; with n = 3 its settings do not go together; interrupts where asked."""

    def __init__(self, interrupt_at=None):
        self.asked, self.interrupt_at = [], interrupt_at

    def __call__(self, args):
        self.asked.append(args)
        if len(self.asked) == self.interrupt_at:
            raise KeyboardInterrupt
        n = int(next(a.split("=")[1] for a in args if a.startswith("--model.init_args.n=")))
        if n == 3:
            raise ConfigError("n is 3.")
        return SimpleNamespace(trainer=SimpleNamespace(callback_metrics={"val/mrr": torch.tensor(n / 10)}))


def test_options_are_written_as_an_agent_would(tmp_path):
    sweep = read_sweep(written(tmp_path))
    values = {"model.init_args.lr": 0.01, "model.init_args.k": None, "model.init_args.n": 2, "x": True, "y": "1.5"}
    assert sweep.arguments(values) == [
        "fit", "--config", "a.yaml", "--model.init_args.lr=0.01", "--model.init_args.k=null", "--model.init_args.n=2",
        "--x=true", "--y='1.5'", "--last=1",
    ]  # fmt: skip
    assert sweep.maximise and sweep.metric == "val/mrr"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"value": 3}, optuna.distributions.CategoricalDistribution([3])),
        ({"values": ["a", "b"]}, optuna.distributions.CategoricalDistribution(["a", "b"])),
        ({"min": 1, "max": 5}, optuna.distributions.IntDistribution(1, 5)),
        ({"min": 0.0, "max": 1.0}, optuna.distributions.FloatDistribution(0.0, 1.0)),
        (
            {"min": 0.0, "max": 1.0, "distribution": "q_uniform", "q": 0.25},
            optuna.distributions.FloatDistribution(0.0, 1.0, step=0.25),
        ),
        (
            {"min": 0.1, "max": 1.0, "distribution": "log_uniform_values"},
            optuna.distributions.FloatDistribution(0.1, 1.0, log=True),
        ),
    ],
)
def test_parameters_mean_what_they_mean_to_wandb(tmp_path, spec, expected):
    assert read_sweep(written(tmp_path, parameters={"x": spec})).parameters == {"x": expected}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"method": "guess"}, "method"),
        ({"metric": {"goal": "maximize"}}, "metric"),
        ({"metric": {"name": "a", "goal": "up"}}, "metric.goal"),
        ({"parameters": {}}, "parameters"),
        ({"parameters": {"x": {"min": 2, "max": 1}}}, "parameters.x"),
        ({"parameters": {"x": {"min": 1, "max": 2, "distribution": "normal"}}}, "parameters.x"),
        ({"parameters": {"x": {"min": 0, "max": 2, "distribution": "log_uniform_values"}}}, "parameters.x"),
        ({"parameters": {"x": {"values": []}}}, "parameters.x"),
        ({"method": "grid"}, "parameters"),
        ({"command": ["pttrust", "fit"]}, "command"),
        ({"command": ["pttrust", "test", "${args}"]}, "command"),
        ({"early_terminate": {"type": "hyperband"}}, "early_terminate"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_the_field(tmp_path, changes, field):
    with pytest.raises(ConfigError, match=f"field '{field}'"):
        read_sweep(written(tmp_path, **changes))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sweep(tmp_path / "nowhere.yaml")


def records(folder):
    return json.loads((folder / "out" / "trials.json").read_text())["trials"]


def test_trials_are_ranked_and_failed_ones_are_said(tmp_path, capsys):
    lightning = StandIn()
    arguments = [f"--config={written(tmp_path)}", f"--output_dir={tmp_path / 'out'}", "--extra=[--a=1]"]
    run([*arguments, "--trials=12"], lightning)
    found = records(tmp_path)
    assert len(found) == len(lightning.asked) == 12
    values = [t["value"] for t in found]
    scored = [v for v in values if v is not None]
    assert scored == sorted(scored, reverse=True) and values[: len(scored)] == scored
    assert 0 < len(scored) < 12, "some trials drew n = 3"
    assert {t["error"] for t in found if t["value"] is None} == {"n is 3."}
    assert all(t["parameters"]["model.init_args.n"] == round(t["value"] * 10) for t in found if t["value"])
    assert all(args[-1] == "--a=1" for args in lightning.asked)
    assert "failed: n is 3." in capsys.readouterr().out


def test_an_interrupted_search_goes_on(tmp_path):
    arguments = [f"--config={written(tmp_path)}", f"--output_dir={tmp_path / 'out'}", "--trials=6"]
    first = StandIn(interrupt_at=4)
    with pytest.raises(KeyboardInterrupt):
        run(arguments, first)
    second = StandIn()
    run(arguments, second)
    assert len(second.asked) == 3  # what had ended is kept, what was interrupted is run anew
    assert len(records(tmp_path)) == 6
    names = [a for args in first.asked + second.asked for a in args if a.startswith("--trainer.logger.name=")]
    assert len(set(names)) == len(names), "no run writes into another's folder"


def test_a_grid_tries_everything_once(tmp_path):
    grid = {"model.init_args.n": {"values": [1, 2, 4]}, "y": {"values": ["a", "b"]}}
    lightning = StandIn()
    run(
        [f"--config={written(tmp_path, method='grid', parameters=grid)}", f"--output_dir={tmp_path / 'out'}"], lightning
    )
    assert len({tuple(args) for args in lightning.asked}) == len(lightning.asked) == 6


def test_a_search_that_failed_before_its_first_trial_ended_gives_way_to_the_mended_one(tmp_path):
    misspelt = written(tmp_path, metric={"name": "val/mr", "goal": "maximize"})
    with pytest.raises(ConfigError, match=r"logged no 'val/mr'.* It logged val/mrr"):
        run([f"--config={misspelt}", f"--output_dir={tmp_path / 'out'}", "--trials=1"], StandIn())
    run([f"--config={written(tmp_path)}", f"--output_dir={tmp_path / 'out'}", "--trials=2"], StandIn())
    assert len(records(tmp_path)) == 2


def test_a_folder_holds_one_search(tmp_path):
    run([f"--config={written(tmp_path)}", f"--output_dir={tmp_path / 'out'}", "--trials=1"], StandIn())
    other = written(tmp_path, metric={"name": "val/loss"})
    with pytest.raises(ConfigError, match="another 'metric'"):
        run([f"--config={other}", f"--output_dir={tmp_path / 'out'}"], StandIn())


def test_a_metric_that_no_trial_logs_is_refused(tmp_path):
    file = written(tmp_path, metric={"name": "val/mmr"})
    with pytest.raises(ConfigError, match=r"no 'val/mmr'.*logged val/mrr"):
        run([f"--config={file}", f"--output_dir={tmp_path / 'out'}"], StandIn())
