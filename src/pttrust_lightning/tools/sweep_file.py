"""Weights & Biases sweep files, read so that the same search can run without them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from pttrust_lightning.errors import ConfigError

Method = Literal["random", "grid", "bayes"]

ARGS = "${args}"
_KNOWN = ("program", "method", "metric", "parameters", "command", "run_cap", "name", "description", "project", "entity")
_LAUNCHERS = ("${env}", "/usr/bin/env", "${interpreter}", "python", "${program}", "pttrust")


@dataclass(frozen=True, slots=True)
class Sweep:
    """A search over the options of ``pttrust fit``.

    Attributes:
        method: ``random``, ``grid`` or ``bayes``.
        metric: What trials are compared by.
        maximise: Whether more of it is better.
        parameters: Where each option's values come from, by its dotted name.
        command: Arguments of ``pttrust``, with ``ARGS`` where the trial's options go.
        run_cap: Most trials; None leaves it to the caller.
    """

    method: Method
    metric: str
    maximise: bool
    parameters: dict[str, BaseDistribution]
    command: list[str]
    run_cap: int | None

    def arguments(self, values: Mapping[str, Any]) -> list[str]:
        """The arguments of one trial: dotted keys, as an agent of W&B would give them."""
        own = [f"--{name}={_in_yaml(value)}" for name, value in values.items()]
        return [part for item in self.command for part in (own if item == ARGS else [item])]


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        ConfigError: It cannot be read, or asks for what only W&B can do; names the field and the remedy.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The sweep {path} cannot be read ({type(error).__name__}: {error}).") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is not a sweep: write fields such as method, metric, parameters and command.")
    for field in content:
        if field not in _KNOWN:
            raise ConfigError(f"{path}, field '{field}': not known here. Known: {', '.join(_KNOWN)}.")
    if content.get("method") not in get_args(Method):
        raise ConfigError(
            f"{path}, field 'method': {content.get('method')!r}. Choose one of {', '.join(get_args(Method))}."
        )
    method: Method = content["method"]
    metric = content.get("metric")
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        raise ConfigError(f"{path}, field 'metric': write its name and goal, such as val/mrr and maximize.")
    if metric.get("goal", "minimize") not in ("minimize", "maximize"):
        raise ConfigError(f"{path}, field 'metric.goal': {metric['goal']!r}. Choose minimize or maximize.")
    parameters = content.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        raise ConfigError(f"{path}, field 'parameters': name at least one option, such as model.init_args.lr.")
    found = {name: _distribution(path, name, spec) for name, spec in parameters.items()}
    if method == "grid" and not all(isinstance(d, CategoricalDistribution) for d in found.values()):
        raise ConfigError(f"{path}, field 'parameters': a grid needs 'values' or 'value' for each. Or use random.")
    return Sweep(
        method, metric["name"], metric.get("goal") == "maximize", found, _command(path, content), content.get("run_cap")
    )


def _command(path: Path, content: dict[str, Any]) -> list[str]:
    command = content.get("command")
    if not isinstance(command, list) or ARGS not in command:
        raise ConfigError(
            f"{path}, field 'command': write it as a list, such as [pttrust, fit, --config, ..., {ARGS}]. The options "
            f"go where {ARGS} stands (dotted, with hyphens in front: other forms are none of pttrust's)."
        )
    arguments = [str(item) for item in command]
    while arguments and arguments[0] in _LAUNCHERS:
        arguments.pop(0)
    if arguments[:1] != ["fit"]:
        raise ConfigError(f"{path}, field 'command': it must run pttrust fit.")
    return arguments


def _distribution(path: Path, name: str, spec: Any) -> BaseDistribution:
    """Where a parameter's values come from, in W&B's terms, as Optuna has it."""

    def error(problem: str) -> ConfigError:
        return ConfigError(f"{path}, field 'parameters.{name}': {problem}.")

    if not isinstance(spec, dict):
        raise error("write 'value', 'values', or 'min' and 'max'")
    if "value" in spec:
        return CategoricalDistribution([spec["value"]])
    if "values" in spec:
        if not isinstance(spec["values"], list) or not spec["values"]:
            raise error("'values' must be a list that is not empty")
        return CategoricalDistribution(spec["values"])
    low, high = spec.get("min"), spec.get("max")
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not -math.inf < low <= high < math.inf:
        raise error("'min' and 'max' must be numbers, the smaller one first")
    whole = isinstance(low, int) and isinstance(high, int)
    kind = spec.get("distribution", "int_uniform" if whole else "uniform")
    match kind:
        case "int_uniform":
            if not whole:
                raise error("int_uniform needs whole numbers")
            return IntDistribution(int(low), int(high))
        case "uniform":
            return FloatDistribution(low, high)
        case "q_uniform":
            return FloatDistribution(low, high, step=spec.get("q", 1))
        case "log_uniform_values":
            if low <= 0:
                raise error("log_uniform_values needs bounds above 0")
            return FloatDistribution(low, high, log=True)
    raise error(f"distribution {kind!r}: choose int_uniform, uniform, q_uniform or log_uniform_values")


def _in_yaml(value: Any) -> str:
    """A value as the command line reads it back: null for None, true for True."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("\n...\n").strip()
