"""What is in a set, on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pttrust_lightning.report.data_stats import Counts, DataStats


def print_data_stats(stats: DataStats, console: Console | None = None) -> None:
    """Show the tables, in 80 columns."""
    console = console or Console()
    console.print(f"\n{stats.source}", markup=False, highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("", overflow="fold")
    columns = Counts._fields if stats.labelled else ("snippets", "lines")
    for name in columns:
        table.add_column(
            "programs" if name == "snippets" and not stats.labelled else name.replace("_", " "), justify="right"
        )
    _add_row(table, "all", stats.total, columns)
    for by, part in stats.parts.items():
        table.add_section()
        for name, counts in part.items():
            _add_row(table, f"{by}: {name}", counts, columns)
    console.print(table)
    for name, value in _facts(stats).items():
        console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
    for reason, count in stats.left_out.items():
        console.print(f"left out: {count} {reason}", markup=False, highlight=False, soft_wrap=True)


def _add_row(table: Table, name: str, counts: Counts, columns: tuple[str, ...]) -> None:
    table.add_row(escape(name), *(f"{getattr(counts, column):,}" for column in columns))


def _facts(stats: DataStats) -> dict[str, str]:
    """The single figures, by name."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in stats.line_kinds.items())
    lengths = ", ".join(f"{name} {value:g}" for name, value in stats.scored_lines.items())
    facts = {"lines by kind": kinds, "lines a program, blank ones not counted": lengths}
    if stats.labelled:
        wrong = ", ".join(f"{count:,} {kind}" for kind, count in stats.wrong_line_kinds.items() if count)
        facts |= {
            "wrong lines by kind": wrong or "none",
            "problems": f"{stats.problems:,}",
            "correct snippets": f"{stats.correct:,}",
            "wrong snippets without wrong lines": f"{stats.without_lines:,}",
        }
    copies = f"{stats.copies['code']:,} by code, {stats.copies['tokens']:,} by tokens (names, literals, layout apart)"
    return facts | {"copies of an earlier one": copies}
