"""The table of methods: on the terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pttrust_lightning.metrics.evaluation import LOWER_IS_BETTER, Estimate

SHOWN = ("hit@1", "hit@3", "hit@5", "mrr", "ndcg", "recall@20%lines", "ifa", "auroc", "brier_skill", "ece")
"""Metrics in tables; ``results.json`` has all of them."""

COMPARED = ("hit@1", "mrr", "auroc", "brier_skill")
"""Metrics whose paired differences tables show."""


@dataclass(frozen=True, slots=True)
class Results:
    """What an experiment found.

    Attributes:
        experiment: Its name.
        seed: Of every stage and of the bootstrap.
        data: Counts of what it was found on.
        methods: An estimate of every metric, by method.
        differences: The method minus each other one, by the other's name; paired.
    """

    experiment: str
    seed: int
    data: dict[str, Any]
    methods: dict[str, dict[str, Estimate]]
    differences: dict[str, dict[str, Estimate]]


def write_results(folder: Path, results: Results) -> None:
    """Write ``results.json`` and ``results.md``; the same results give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "experiment": results.experiment,
        "seed": results.seed,
        "data": results.data,
        "methods": _plain(results.methods),
        "pttrust_minus": _plain(results.differences),
    }
    (folder / "results.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")


def markdown(results: Results) -> str:
    """The two tables as Markdown."""
    test = results.data["test"]
    lines = [
        f"`{results.experiment}`, seed {results.seed}: {test['snippets']} test snippets, {test['lines']} lines, "
        f"{test['wrong_lines']} of them wrong; 95 % bootstrap intervals over snippets.",
        "",
        "| method | " + " | ".join(_heading(m) for m in SHOWN) + " |",
        "|---|" + "---|" * len(SHOWN),
    ]
    for name, metrics in results.methods.items():
        lines.append(f"| {name} | " + " | ".join(_cell(metrics[m]) for m in SHOWN) + " |")
    lines += [
        "",
        "| pttrust minus | " + " | ".join(COMPARED) + " |",
        "|---|" + "---|" * len(COMPARED),
    ]
    for name, metrics in results.differences.items():
        lines.append(f"| {name} | " + " | ".join(_cell(metrics[m], signed=True) for m in COMPARED) + " |")
    return "\n".join(lines) + "\n"


def print_results(results: Results, console: Console | None = None) -> None:
    """Show the tables on the terminal; the best value of each metric in bold."""
    console = console or Console()
    test = results.data["test"]
    console.print()
    table = Table(
        title=f"{results.experiment}: {test['snippets']} snippets, {test['lines']} lines, {test['wrong_lines']} wrong",
        caption="value and 95 % interval (bootstrap over snippets); arrow: better that way",
    )
    table.add_column("method", no_wrap=True)
    for metric in SHOWN:
        table.add_column(_heading(metric), justify="right")
    best = {m: _best(results, m) for m in SHOWN}
    for name, metrics in results.methods.items():
        cells = [_two_line_cell(metrics[m]) for m in SHOWN]
        table.add_row(name, *(f"[bold]{c}[/bold]" if name == best[m] else c for m, c in zip(SHOWN, cells, strict=True)))
    console.print(table)
    gap = Table(title="pttrust minus the others, paired", caption="an interval that leaves out 0 is marked *")
    gap.add_column("pttrust minus", no_wrap=True)
    for metric in COMPARED:
        gap.add_column(metric, justify="right")
    for name, metrics in results.differences.items():
        gap.add_row(name, *(_cell(metrics[m], signed=True) for m in COMPARED))
    console.print(gap)


def _best(results: Results, metric: str) -> str:
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    return max(results.methods, key=lambda name: sign * results.methods[name][metric].value)


def _heading(metric: str) -> str:
    return f"{metric} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def _number(value: float, signed: bool = False) -> str:
    if math.isnan(value):
        return "n/a"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _cell(estimate: Estimate, signed: bool = False) -> str:
    mark = "*" if signed and (estimate.low > 0 or estimate.high < 0) else ""
    low, high = _number(estimate.low, signed), _number(estimate.high, signed)
    return f"{_number(estimate.value, signed)}{mark} ({low} to {high})"


def _two_line_cell(estimate: Estimate) -> str:
    return f"{_number(estimate.value)}\n[dim]{_number(estimate.low)}-{_number(estimate.high)}[/dim]"


def _plain(table: dict[str, dict[str, Estimate]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Estimates as JSON objects; JSON has no NaN, so an undefined value is null."""
    return {
        name: {
            metric: {k: None if math.isnan(v) else v for k, v in estimate._asdict().items()}
            for metric, estimate in metrics.items()
        }
        for name, metrics in table.items()
    }
