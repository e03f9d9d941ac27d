"""A benchmark's tables, one data set below the other: on the terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.report.results import (
    COMPARED,
    Results,
    cell,
    markdown,
    plain,
    print_results,
    record,
    two_line_cell,
)

ALL = "all"
"""The row of what was trained on all parts of a set, and the column of what was tested on them."""

SHOWN_MATRICES = ("hit@1", "mrr")
"""Metrics whose generalisation matrices tables and figures show; ``results.json`` has all but pooled rankings."""

_STAGE_1 = {"fvu": "FVU {:.3f}", "pair_distance": "pair distance {:.3f}", "dead_share": "dead latents {:.0%}"}
"""What of stage 1's figures the tables show, and how."""

Matrix = dict[str, dict[str, dict[str, Estimate]]]
"""Estimates of metrics, by what was trained on and what was tested on."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen on the validation split of a fold.

    Attributes:
        method: For which method.
        seed: Of training.
        fold: The fold; 0 where there is one split.
        train_snippets: How many snippets it learned from; None for all.
        trained_on: Which part of the set it learned from alone; None for all.
        chosen: The values, by option.
        candidates: What there was to choose from, each with its validation metric.
    """

    method: str
    seed: int
    fold: int
    train_snippets: int | None
    trained_on: str | None
    chosen: dict[str, Any]
    candidates: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Every method along something that was varied.

    Attributes:
        name: What was varied.
        columns: Its values, in order.
        rows: Estimates of every metric, by method and value.
    """

    name: str
    columns: list[int | str]
    rows: dict[str, dict[int | str, dict[str, Estimate]]]


@dataclass(frozen=True, slots=True)
class Generalisation:
    """Every method trained on one part of a set, and tested on each (METHOD: generalisation).

    Attributes:
        field: What the parts are told apart by: ``language``, ``task`` or ``data_set``.
        tested: Snippets that can be ranked, by column.
        cells: By method. The last row was trained on all parts, the last column is of all.
        differences: The first method minus each other one, trained and tested alike; paired.
    """

    field: str
    tested: dict[str, int]
    cells: dict[str, Matrix]
    differences: dict[str, Matrix]


@dataclass(frozen=True, slots=True)
class DataSetResults:
    """What was found on one data set.

    Attributes:
        table: Every method.
        choices: What was chosen, fold by fold.
        learning_curve: Methods by the number of labelled snippets; None where that was not varied.
        sweep: Methods by layer or line rule; None likewise.
        generalisation: Methods by what they were trained on and tested on; None likewise.
    """

    table: Results
    choices: list[Choice]
    learning_curve: Axis | None
    sweep: Axis | None
    generalisation: Generalisation | None = None

    @property
    def axes(self) -> list[Axis]:
        """What was varied."""
        return [axis for axis in (self.learning_curve, self.sweep) if axis is not None]


@dataclass(frozen=True, slots=True)
class BenchmarkResults:
    """What a benchmark found.

    Attributes:
        benchmark: Its name.
        seeds: Of training.
        data: What stage 1 was trained on, and what it came to on held-out programs.
        data_sets: By data set.
    """

    benchmark: str
    seeds: list[int]
    data: dict[str, Any]
    data_sets: dict[str, DataSetResults]


def write_benchmark(folder: Path, results: BenchmarkResults) -> None:
    """Write ``results.json`` and ``results.md``; the same results give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "benchmark": results.benchmark,
        "seeds": results.seeds,
        "data": results.data,
        "data_sets": {name: _record(found) for name, found in results.data_sets.items()},
    }
    (folder / "results.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(benchmark_markdown(results), encoding="utf-8")


def benchmark_markdown(results: BenchmarkResults) -> str:
    """All tables as Markdown, a section a data set."""
    parts = []
    for name, found in results.data_sets.items():
        heading = [f"## {name}", ""] if len(results.data_sets) > 1 else []
        lines = [*heading, markdown(found.table)]
        for axis in found.axes:
            lines += [line for metric in COMPARED for line in _axis_lines(axis, metric)]
        if found.generalisation is not None:
            lines += _generalisation_lines(found.generalisation, found.table.first)
        if found.choices:
            lines += [
                "Chosen on the validation split:",
                "",
                *(f"- {line}" for line in _choice_lines(found.choices)),
                "",
            ]
        parts.append("\n".join(lines))
    if stage_1 := _stage_1_lines(results.data["stage_1_validation"]):
        parts.append("\n".join(["Stage 1 on held-out programs:", "", *(f"- {line}" for line in stage_1), ""]))
    return "\n".join(parts)


def print_benchmark(results: BenchmarkResults, console: Console | None = None) -> None:
    """Show the tables on the terminal.

    Where layers or line rules were varied, a table of methods by them takes the place of the one with all methods.
    """
    console = console or Console()
    for found in results.data_sets.values():
        if found.sweep is None:
            print_results(found.table, console)
        for axis in found.axes:
            for metric in COMPARED:
                console.print(_axis_table(axis, metric, found.table.name))
        if found.generalisation is not None:
            console.print(f"Rows: {found.generalisation.field} trained on; columns: tested on.", highlight=False)
            for head, cells, signed in _matrices(found.generalisation, found.table.first):
                console.print(_matrix_table(head, cells, signed))
        for line in _choice_lines(found.choices):
            console.print(f"Chosen on the validation split: {line}", highlight=False)
    for line in _stage_1_lines(results.data["stage_1_validation"]):
        console.print(f"Stage 1 on held-out programs: {line}", highlight=False)


def _record(found: DataSetResults) -> dict[str, Any]:
    content = record(found.table)
    if found.choices:
        content["choices"] = [
            {
                "method": c.method,
                "seed": c.seed,
                "fold": c.fold,
                "train_snippets": c.train_snippets,
                "trained_on": c.trained_on,
                "chosen": c.chosen,
                "candidates": c.candidates,
            }
            for c in found.choices
        ]
    for name, axis in (("learning_curve", found.learning_curve), ("sweep", found.sweep)):
        if axis is not None:
            rows = {row: plain({str(at): metrics for at, metrics in own.items()}) for row, own in axis.rows.items()}
            content[name] = {"axis": axis.name, "values": axis.columns, "methods": rows}
    if (matrices := found.generalisation) is not None:
        content["generalisation"] = {
            "field": matrices.field,
            "tested_snippets": matrices.tested,
            "methods": _plain_matrices(matrices.cells),
            f"{found.table.first}_minus": _plain_matrices(matrices.differences),
        }
    return content


def of_metric(cells: Matrix, metric: str) -> dict[str, dict[str, Estimate]]:
    """A matrix of one metric."""
    return {row: {column: found[metric] for column, found in own.items()} for row, own in cells.items()}


def _plain_matrices(matrices: dict[str, Matrix]) -> dict[str, Any]:
    """By method, trained on, tested on and metric."""
    return {method: {row: plain(own) for row, own in cells.items()} for method, cells in matrices.items()}


def _matrices(matrices: Generalisation, first: str) -> Iterator[tuple[str, dict[str, dict[str, Estimate]], bool]]:
    """Each matrix to show: its heading, its cells, and whether they are differences."""
    for metric in SHOWN_MATRICES:
        for method, cells in matrices.cells.items():
            yield f"{metric}: {method}", of_metric(cells, metric), False
        for method, cells in matrices.differences.items():
            yield f"{metric}: {first} minus {method}", of_metric(cells, metric), True


def _generalisation_lines(matrices: Generalisation, first: str) -> list[str]:
    tested = ", ".join(f"{n} of {column}" for column, n in matrices.tested.items() if column != ALL)
    lines = [
        f"Rows: the {matrices.field} that was trained on; columns: tested on ({tested} can be ranked). No problem is "
        "in both.",
        "",
    ]
    for head, cells, signed in _matrices(matrices, first):
        lines += [f"| {head} | " + " | ".join(cells[ALL]) + " |", "|---|" + "---|" * len(cells)]
        for row, own in cells.items():
            lines.append(f"| {row} | " + " | ".join(cell(estimate, signed) for estimate in own.values()) + " |")
        lines.append("")
    return lines


def _matrix_table(head: str, cells: dict[str, dict[str, Estimate]], signed: bool) -> Table:
    table = Table(title=head, box=box.SIMPLE_HEAD, padding=(0, 0))
    table.add_column("", no_wrap=True)
    for column in cells[ALL]:
        table.add_column(column, justify="right")
    for row, own in cells.items():
        table.add_row(row, *(two_line_cell(estimate, signed) for estimate in own.values()))
    return table


def _axis_lines(axis: Axis, metric: str) -> list[str]:
    lines = [f"| {metric} by {axis.name} | " + " | ".join(map(str, axis.columns)) + " |"]
    lines.append("|---|" + "---|" * len(axis.columns))
    for row, own in axis.rows.items():
        lines.append(f"| {row} | " + " | ".join(cell(own[at][metric]) for at in axis.columns) + " |")
    return [*lines, ""]


def _axis_table(axis: Axis, metric: str, title: str) -> Table:
    table = Table(title=f"{title}: {metric} by {axis.name}", box=box.SIMPLE_HEAD, padding=(0, 0), collapse_padding=True)
    table.add_column("", no_wrap=True)
    for column in axis.columns:
        table.add_column(str(column), justify="right")
    for row, own in axis.rows.items():
        table.add_row(row, *(cell(own[at][metric]).replace(" (", "\n[dim](") + "[/dim]" for at in axis.columns))
    return table


def _stage_1_lines(validation: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A line a run of stage 1: what it leaves unexplained, how far apart pairs are, which latents never fire."""
    return [
        f"{name}: {', '.join(shown.format(figures[figure]) for figure, shown in _STAGE_1.items() if figure in figures)}"
        for name, figures in validation.items()
    ]


def _choice_lines(choices: list[Choice]) -> list[str]:
    """A line a method, seed and size: the values chosen, fold by fold."""
    rows: dict[tuple[str, int, int | None, str | None], list[dict[str, Any]]] = {}
    for c in choices:
        rows.setdefault((c.method, c.seed, c.train_snippets, c.trained_on), []).append(c.chosen)
    lines = []
    for (method, seed, size, part), folds in rows.items():
        of_size = f"{'' if size is None else f', {size} snippets'}{'' if part is None else f', trained on {part}'}"
        values = (f"{name} {', '.join(str(chosen[name]) for chosen in folds)}" for name in folds[0])
        lines.append(f"{method}, seed {seed}{of_size}: {'; '.join(values)}")
    return lines
