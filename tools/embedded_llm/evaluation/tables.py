"""Reports on the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

_METRICS = ("hit@1", "mrr", "auroc")


def print_compression(report: dict[str, Any], console: Console) -> None:
    """Bits per byte, one column a language; then what is known of each LLM and of the n-gram model."""
    languages: dict[str, Any] = report["languages"]
    table = _table("Held-out bits per byte", "", *languages, caption="below each value its 95 % interval over files")
    methods = list(next(iter(languages.values()))["methods"])
    for method in methods:
        table.add_row(method, *(_cell(found["methods"][method]["bits_per_byte"]) for found in languages.values()))
    console.print(table)
    first = report["llms"][0]["name"]
    gaps = _table(f"{first} minus each other, bits per byte", "", *languages, caption=_CLEAR)
    for method in (m for m in methods if m != first):
        cells = (_cell(found["first_llm_minus"][method], signed=True) for found in languages.values())
        gaps.add_row(method, *cells)
    console.print(gaps)
    tokens = _table("Tokens", "", "language", "nats a token", "bytes a token", "top-1 accuracy")
    for llm in report["llms"]:
        for language, found in languages.items():
            figures = found["methods"][llm["name"]]
            values = (_number(figures[key]) for key in ("nats_per_token", "bytes_per_token", "top_1"))
            tokens.add_row(llm["name"], language, *values)
    console.print(tokens)
    for language, found in languages.items():
        left_out = "; ".join(f"{n} left out: {reason}" for reason, n in found["left_out"].items())
        console.print(f"{language}: {found['files']} files, {found['bytes']} bytes. {left_out}".rstrip())
        for method, figures in found["methods"].items():
            if "training_bytes" in figures:
                console.print(
                    f"  {method}: counted {figures['training_tokens']} tokens, {figures['training_bytes']} bytes "
                    f"({figures['training_files_left_out']} training files left out); "
                    f"{figures['held_out_files_also_in_training']} held-out files are among them"
                )


def print_bugs(report: dict[str, Any], console: Console) -> None:
    """For each set: where uncertainty puts the wrong lines, all fitted methods, and the comparison by depth."""
    for line in report["sets_not_there"]:
        console.print(line)
    for found in report["sets"]:
        _print_counts(found, console)
        if "not_compared" in found:
            console.print(f"{found['name']}: {found['not_compared']}")
            continue
        _print_uncertainty(found, console)
        _print_methods(found, {llm["name"]: llm for llm in report["llms"]}, console)
        for verdict in found["verdicts"]:
            _print_verdict(found["name"], verdict, console)
    for found in report["sets"]:
        for verdict in found.get("verdicts", []):
            console.print(verdict["sentence"])


def _print_counts(found: dict[str, Any], console: Console) -> None:
    console.print(
        f"\n{found['name']}: {found['snippets']} of {found['snippets_read']} snippets compared "
        f"({found['problems']} problems, {found['lines']} lines, {found['wrong_lines']} wrong)",
        soft_wrap=True,
    )
    for reason, n in found["left_out"].items():
        console.print(f"  {n} left out: {reason}")
    for name, reasons in found["not_rankable_under"].items():
        for reason, n in reasons.items():
            console.print(f"  {n} under {name}: {reason}")
    for name, lines in found["not_read_under"].items():
        for line in lines:
            console.print(f"  {name}: {line}")


def _print_uncertainty(found: dict[str, Any], console: Console) -> None:
    title = f"{found['name']}: wrong lines by mean token surprisal, nothing fitted"
    columns = {"mean rank ↓": "mean_rank", "percentile ↓": "percentile", **{m: m for m in _METRICS}}
    caption = "below each value its 95 % interval over snippets; ↓: the lower, the better"
    table = _table(title, "", *columns, caption=caption)
    for name, figures in found["line_uncertainty"].items():
        table.add_row(name, *(_cell(figures[key]) for key in columns.values()))
    console.print(table)
    for name, figures in found["line_uncertainty_minus"].items():
        gap = _table(f"The first LLM minus {name}", *columns, caption=_CLEAR)
        gap.add_row(*(_cell(figures[key], signed=True) for key in columns.values()))
        console.print(gap)


def _print_methods(found: dict[str, Any], llms: dict[str, Any], console: Console) -> None:
    table = _table(
        f"{found['name']}: cross-validated, the same folds",
        "", *_METRICS,
        caption="below each value its 95 % interval over snippets; default: the block that is read if none is named",
    )  # fmt: skip
    for name, figures in found["methods"].items():
        table.add_row(name, *(_cell(figures[m]) for m in _METRICS))
    for name, probes in found["blocks"].items():
        for probe in probes:
            default = " (default)" if probe["layer"] == llms[name]["default_layer"] else ""
            label = f"{name}, block {probe['layer'] + 1} of {len(probes)}{default}"
            table.add_row(label, *(_cell(probe[m]) for m in _METRICS))
    console.print(table)


def _print_verdict(name: str, verdict: dict[str, Any], console: Console) -> None:
    table = _table(f"{name}: {verdict['llm']} minus {verdict['reference']}", "blocks", *_METRICS, caption=_CLEAR)
    for depth in verdict["depths"]:
        label = f"{depth['layer'] + 1} - {depth['reference_layer'] + 1}"
        table.add_row(label, *(_cell(depth[m], signed=True) for m in _METRICS))
    table.add_row("mean", *(_cell(verdict["mean_difference"][m], signed=True) for m in _METRICS))
    console.print(table)


_CLEAR = "* the 95 % interval leaves out 0"


def _table(title: str, *columns: str, caption: str | None = None) -> Table:
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1), title_justify="left")
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _cell(estimate: dict[str, float | None], signed: bool = False) -> str:
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if low is None or high is None:
        return _number(value, signed)
    mark = "*" if signed and (low > 0 or high < 0) else ""
    interval = f"{_number(low, signed, 3 if signed else 2)} {_number(high, signed, 3 if signed else 2)}"
    return f"{_number(value, signed)}{mark}\n[dim]{interval}[/dim]"


def _number(value: float | None, signed: bool = False, digits: int = 3) -> str:
    if value is None:
        return "n/a"
    digits = digits if abs(value) < 10 else 1
    return f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}"  # + 0.0: no sign on a zero
