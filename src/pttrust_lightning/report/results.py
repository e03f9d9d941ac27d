"""The table of methods on one data set: on the terminal, as JSON and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from pttrust_lightning.metrics.evaluation import LOWER_IS_BETTER, Estimate

SHOWN = ("hit@1", "hit@3", "hit@5", "mrr", "ndcg", "recall@20%lines", "ifa", "auroc", "brier_skill", "ece")
"""Metrics in tables; ``results.json`` has all of them."""

COMPARED = ("hit@1", "mrr", "auroc", "brier_skill")
"""Metrics whose paired differences tables show."""

SHOWN_OF_SNIPPETS = ("snippet_auroc", "recall@20%snippets", "aurc", "snippet_brier_skill", "snippet_ece")
"""Metrics in the table of methods that judge whole snippets."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was found on one data set.

    Attributes:
        name: Of the table.
        seeds: Of training; values are means over them.
        data: Counts of what it was found on.
        methods: An estimate of every metric, by method.
        differences: The first method minus each other one, by the other's name; paired.
        by_seed: Of methods trained with several seeds, some metrics of each, in the order of the seeds.
    """

    name: str
    seeds: list[int]
    data: dict[str, Any]
    methods: dict[str, dict[str, Estimate]]
    differences: dict[str, dict[str, Estimate]]
    by_seed: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    @property
    def first(self) -> str:
        """The method that the others are compared with."""
        return next(iter(self.methods))


def record(results: Results) -> dict[str, Any]:
    """The results as plain JSON; an undefined value is null."""
    return {
        "data": results.data,
        "methods": plain(results.methods),
        f"{results.first}_minus": plain(results.differences),
        "by_seed": {
            name: {metric: [None if math.isnan(v) else v for v in values] for metric, values in metrics.items()}
            for name, metrics in results.by_seed.items()
        },
    }


def markdown(results: Results) -> str:
    """The two tables as Markdown."""
    test = results.data["test"]
    lines = [
        f"`{results.name}`, {_seeds(results)}: {test['snippets']} test snippets, {test['lines']} lines, "
        f"{test['wrong_lines']} of them wrong; 95 % bootstrap intervals over snippets"
        f"{' and training runs' if len(results.seeds) > 1 else ''}.{_left_out(test)}"
        f"{_origin(results.data.get('labelled', {}))}",
        "",
        "| method | " + " | ".join(_heading(m) for m in SHOWN) + " |",
        "|---|" + "---|" * len(SHOWN),
    ]
    for name, metrics in results.methods.items():
        lines.append(f"| {name} | " + " | ".join(cell(metrics[m]) for m in SHOWN) + " |")
    if results.differences:
        lines += ["", f"| {results.first} minus | " + " | ".join(COMPARED) + " |", "|---|" + "---|" * len(COMPARED)]
    for name, metrics in results.differences.items():
        lines.append(f"| {name} | " + " | ".join(cell(metrics[m], signed=True) for m in COMPARED) + " |")
    if results.by_seed:
        lines += ["", "| by seed | " + " | ".join(COMPARED) + " |", "|---|" + "---|" * len(COMPARED)]
    for name, metrics_of in results.by_seed.items():
        cells = (", ".join(map(_number, metrics_of[m])) for m in COMPARED)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [*_snippet_tables(results), "", verdict(results)]
    return "\n".join(lines) + "\n"


def _left_out(test: Mapping[str, Any]) -> str:
    """What not every method scored, and so is in no figure; nothing where they all scored the same."""
    if "lines_left_out" not in test:
        return ""
    return (
        f" Left out, for not every method scored them: {test['lines_left_out']} lines, with all lines of "
        f"{test['snippets_left_out']} snippets."
    )


def _origin(labelled: Mapping[str, Any]) -> str:
    """What the labels and the states are, where it is known: the first digits of hashes that ``results.json`` has."""
    if "labels_sha256" not in labelled:
        return ""
    llm = labelled["llm"]
    return (
        f" Labels `{labelled['labels_sha256'][:12]}`, states `{labelled['states_sha256'][:12]}` of the LLM "
        f"{llm['llm']}, weights `{llm['weights_sha256'][:12]}`."
    )


def _snippet_tables(results: Results) -> list[str]:
    """The methods that judge whole snippets, and what sets the first apart from the others; nothing without any."""
    judging = _judging(results.methods)
    if not judging:
        return []
    test = results.data["test"]
    heads = " | ".join(_heading(m) for m in SHOWN_OF_SNIPPETS)
    lines = [
        "",
        f"Whole snippets: {test['judged_snippets']} were judged, {test['judged_wrong_snippets']} of them wrong.",
        "",
        f"| method | {heads} |",
        "|---|" + "---|" * len(SHOWN_OF_SNIPPETS),
    ]
    for name, metrics in judging.items():
        lines.append(f"| {name} | " + " | ".join(cell(metrics[m]) for m in SHOWN_OF_SNIPPETS) + " |")
    compared = _judging(results.differences)
    if compared:
        lines += ["", f"| {results.first} minus | {heads} |", "|---|" + "---|" * len(SHOWN_OF_SNIPPETS)]
    for name, metrics in compared.items():
        lines.append(f"| {name} | " + " | ".join(cell(metrics[m], signed=True) for m in SHOWN_OF_SNIPPETS) + " |")
    return lines


def _judging(methods: dict[str, dict[str, Estimate]]) -> dict[str, dict[str, Estimate]]:
    """Those of the methods that judge whole snippets."""
    return {name: metrics for name, metrics in methods.items() if SHOWN_OF_SNIPPETS[0] in metrics}


def print_results(results: Results, console: Console | None = None) -> None:
    """Show the tables on the terminal, in 80 columns for any number of methods; the best of each metric in bold."""
    console = console or Console()
    test = results.data["test"]
    title = f"{results.name}: {test['snippets']} snippets, {test['lines']} lines, {test['wrong_lines']} wrong"
    half = len(SHOWN) // 2
    console.print()
    console.print(_console_table(results.methods, SHOWN[:half], title=title))
    note = "below each value its 95 % interval; ↓: the lower, the better"
    console.print(_console_table(results.methods, SHOWN[half:], caption=note))
    if left_out := _left_out(test):
        console.print(left_out.strip())
    if results.differences:
        title, note = f"{results.first} minus each other method, paired", "* the 95 % interval leaves out 0"
        console.print(_console_table(results.differences, COMPARED, title=title, caption=note, signed=True))
    if judging := _judging(results.methods):
        title = f"whole snippets: {test['judged_snippets']} judged, {test['judged_wrong_snippets']} wrong"
        console.print(_console_table(judging, SHOWN_OF_SNIPPETS, title=title))
    console.print(verdict(results))


def _console_table(
    methods: dict[str, dict[str, Estimate]],
    shown: Sequence[str],
    title: str = "",
    caption: str = "",
    signed: bool = False,
) -> Table:
    """A row a method, a column a metric; differences are signed, and none of them is the best."""
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 0), collapse_padding=True)
    table.add_column("", no_wrap=True)
    for metric in shown:
        heading = _heading(metric).replace("_", "\n").replace("@20%", "\n@20%")
        table.add_column(heading, justify="right", no_wrap=True)
    best = {} if signed else {metric: _best(methods, metric) for metric in shown}
    for name, metrics in methods.items():
        cells = (two_line_cell(metrics[metric], signed, bold=best.get(metric) == name) for metric in shown)
        table.add_row(name, *cells)
    return table


def verdict(results: Results, control: str = "surface", metric: str = "hit@1") -> str:
    """What the table says of the method, in a sentence: against the control that sees no LLM at all."""
    if control not in results.differences:
        return f"{results.first} cannot be compared with {control}, which sees no LLM state: it is not among these."
    gap = results.differences[control][metric]
    numbers = f"{_number(gap.value, signed=True)} ({_number(gap.low, signed=True)} to {_number(gap.high, signed=True)})"
    if gap.low > 0:
        return f"{results.first} beats {control}, which sees no LLM state, in {metric}: {numbers}."
    if gap.high < 0:
        return f"{results.first} loses to {control}, which sees no LLM state, in {metric}: {numbers}."
    return f"{results.first} and {control}, which sees no LLM state, cannot be told apart in {metric}: {numbers}."


def _seeds(results: Results) -> str:
    return f"seed{'s' if len(results.seeds) > 1 else ''} {', '.join(map(str, results.seeds))}"


def _best(methods: dict[str, dict[str, Estimate]], metric: str) -> str:
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    values = {name: sign * metrics[metric].value for name, metrics in methods.items()}
    return max(values, key=lambda name: -math.inf if math.isnan(values[name]) else values[name])


def _heading(metric: str) -> str:
    return f"{metric} ↓" if metric in LOWER_IS_BETTER else metric


def _number(value: float, signed: bool = False, digits: int = 3) -> str:
    if math.isnan(value):
        return "n/a"
    value = round(value, digits) + 0.0  # + 0.0: no sign on a zero
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def cell(estimate: Estimate, signed: bool = False) -> str:
    """A value with its interval, for Markdown; signed: marked where the interval leaves out 0."""
    mark = "*" if signed and (estimate.low > 0 or estimate.high < 0) else ""
    low, high = _number(estimate.low, signed), _number(estimate.high, signed)
    return f"{_number(estimate.value, signed)}{mark} ({low} to {high})"


def two_line_cell(estimate: Estimate, signed: bool = False, bold: bool = False) -> str:
    """A value above its interval, for the terminal; signed: marked where the interval leaves out 0."""
    mark = "*" if signed and (estimate.low > 0 or estimate.high < 0) else ""
    value = f"{_number(estimate.value, signed)}{mark}"
    low, high = (_number(v, signed, digits=3 if signed else 2) for v in (estimate.low, estimate.high))
    # a dash tells a column's interval from its neighbour's; where numbers have signs these do
    between = " " if signed else "\N{EN DASH}"
    return f"{f'[bold]{value}[/bold]' if bold else value}\n[dim]{low}{between}{high}[/dim]"


def plain(table: dict[str, dict[str, Estimate]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Estimates as JSON objects; JSON has no NaN, so an undefined value is null."""
    return {
        name: {
            metric: {k: None if math.isnan(v) else v for k, v in estimate._asdict().items()}
            for metric, estimate in metrics.items()
        }
        for name, metrics in table.items()
    }
