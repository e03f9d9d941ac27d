"""What the latents say, on disk: a table for machines (JSONL) and a page for people (Markdown)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from pttrust_lightning.interpretation.association import METHOD as ASSOCIATION_METHOD
from pttrust_lightning.interpretation.effects import METHOD as EFFECTS_METHOD
from pttrust_lightning.interpretation.table import LatentRow
from pttrust_lightning.source.languages import LineKind

TABLE_NAME, PAGE_NAME = "latents.jsonl", "latents.md"


class SourceLine(NamedTuple):
    """A scored line.

    Attributes:
        snippet: The snippet's id.
        line: Its 0-based number there.
        text: Its text.
        wrong: Whether it is known to be wrong.
        kind: ``code``, ``comment`` or ``punctuation``; see :func:`~pttrust_lightning.source.languages.line_kinds`.
    """

    snippet: str
    line: int
    text: str
    wrong: bool
    kind: LineKind


class LatentReport(NamedTuple):
    """A table of latents.

    Attributes:
        rows: A row a latent.
        lines: The lines that they were seen on; a row's ``strongest`` are places in it.
        source: Where the lines come from.
        left_out: What was left out, a sentence a reason.
    """

    rows: Sequence[LatentRow]
    lines: Sequence[SourceLine]
    source: str
    left_out: Sequence[str]


def write_latents(folder: Path, report: LatentReport, shown: int) -> None:
    """Write ``latents.jsonl``, a record a latent, and ``latents.md``; the same report gives the same bytes.

    Args:
        folder: Made where it is missing.
        report: What to write.
        shown: Latents on the page: those with the least p, then those with the largest share of the logit's variance.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TABLE_NAME).open("w", encoding="utf-8") as stream:
        for row in report.rows:
            stream.write(json.dumps(_record(row, report.lines), ensure_ascii=False, allow_nan=False) + "\n")
    (folder / PAGE_NAME).write_text(markdown(report, shown), encoding="utf-8")


def _record(row: LatentRow, lines: Sequence[SourceLine]) -> dict[str, Any]:
    """A row as JSON: null where a figure cannot be known, the lines by name."""
    record = {name: value for name, value in asdict(row).items() if name not in ("strongest", "n_alike", "activations")}
    record = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in record.items()}
    named = zip(row.strongest, row.activations, row.n_alike, strict=True)
    top_lines = [{**lines[i]._asdict(), "activation": value, "n_alike": alike} for i, value, alike in named]
    return {**record, "top_lines": top_lines}


def markdown(report: LatentReport, shown: int) -> str:
    """The page for people: what was looked at, the latents most associated with being wrong, their lines."""
    rows, lines = report.rows, report.lines
    with_model = rows[0].logit_drop is not None
    n_wrong, n_code = sum(line.wrong for line in lines), sum(line.kind == "code" for line in lines)
    wrong_code = sum(line.wrong and line.kind == "code" for line in lines)
    n_snippets = len({line.snippet for line in lines})
    tested = [row for row in rows if not math.isnan(row.q)]
    never = sum(row.n_fired == 0 for row in rows)
    always = len(rows) - len(tested) - never
    found, found_in_code = ([row for row in tested if getattr(row, q) < 0.05] for q in ("q", "code_q"))
    page = [
        f"{len(rows)} latents on {len(lines)} lines of {n_snippets} snippets, {n_wrong} lines wrong "
        f"({n_wrong / len(lines):.1%}): {report.source}. {n_code} lines hold code ({n_code / len(lines):.1%}), "
        f"{wrong_code} of the wrong ones among them.",
        "",
        f"{never} latents never fire and {always} always do; of the other {len(tested)}, {len(found)} go with being "
        f"wrong at a false discovery rate of 5 %: {sum(row.odds_ratio > 1 for row in found)} fire more on wrong lines, "
        f"{sum(row.odds_ratio < 1 for row in found)} on right ones. Among lines that hold code "
        f"{len(found_in_code)} do: a latent that only tells comments from code is not one of them.",
        "",
        f"{ASSOCIATION_METHOD}{f' {EFFECTS_METHOD}' if with_model else ''} AUROC: the chance that the "
        "activation is higher on a wrong line than on a right one. Line numbers are 0-based.",
        *([""] if report.left_out else []),
        *(f"- {reason}" for reason in report.left_out),
    ]
    chosen = least_p(rows, shown)
    page += ["", f"## The {len(chosen)} latents with the least p", *_table(chosen, with_model)]
    if with_model:
        largest = largest_share(rows, shown)
        page += ["", f"## The {len(largest)} latents with the largest share of the logit's variance"]
        page += _table(largest, with_model)
        chosen += [row for row in largest if row not in chosen]
    page += ["", "## The lines that fire them most"]
    page += [
        "",
        "Each text once, where it fires the latent most; *alike* counts the lines with that text that fire it.",
    ]
    for row in chosen:
        page += ["", f"### Latent {row.latent}", "", "| activation | line | alike | | where |", "|---|---|---|---|---|"]
        for i, value, alike in zip(row.strongest, row.activations, row.n_alike, strict=True):
            line, verdict = lines[i], "wrong" if lines[i].wrong else ""
            page.append(
                f"| {value:.2f} | {_code(line.text)} | {alike} | {verdict} | {_code(line.snippet)} {line.line} |"
            )
    return "\n".join(page) + "\n"


def least_p(rows: Sequence[LatentRow], shown: int) -> list[LatentRow]:
    """The latents that go with being wrong most surely, of those that can be tested."""
    tested = [row for row in rows if not math.isnan(row.q)]
    return sorted(tested, key=lambda row: (row.p, row.latent))[:shown]


def largest_share(rows: Sequence[LatentRow], shown: int) -> list[LatentRow]:
    """The latents with the largest share of a risk model's logit, of those that fire."""
    fires = [row for row in rows if row.n_fired]
    return sorted(fires, key=lambda row: (-_or_zero(row.variance_share), row.latent))[:shown]


def _table(rows: Sequence[LatentRow], with_model: bool) -> list[str]:
    heading = ["latent", "fires on", "mean activation", "code where it fires", "wrong where it fires"]
    heading += ["odds ratio", "q", "odds ratio among code", "q among code", "AUROC"]
    heading += ["logit drop", "P(wrong) drop", "share of variance"] if with_model else []
    page = ["", f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    for row in rows:
        cells = [
            str(row.latent),
            f"{row.firing_rate:.1%}",
            f"{row.mean_activation:.2f}",
            f"{row.code_share:.0%}",
            f"{row.n_fired_wrong / row.n_fired:.1%}",
            _ratio(row.odds_ratio, row.odds_ratio_low, row.odds_ratio_high),
            _known(row.q),
            _ratio(row.code_odds_ratio, row.code_odds_ratio_low, row.code_odds_ratio_high),
            _known(row.code_q),
            f"{row.auroc:.3f}",
        ]
        if with_model:
            cells += [f"{_or_zero(row.logit_drop):+.3f}", f"{_or_zero(row.probability_drop):+.4f}"]
            cells += [f"{_or_zero(row.variance_share):+.1%}"]
        page.append(f"| {' | '.join(cells)} |")
    return page


def _ratio(value: float, low: float, high: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.2f} ({low:.2f} to {high:.2f})"


def _known(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.2g}"


def _or_zero(value: float | None) -> float:
    """0 where a share is not known: the logit does not vary, so that no latent has a part in it."""
    return 0.0 if value is None or math.isnan(value) else value


def _code(text: str) -> str:
    """Source text as code in a Markdown table: a fence longer than any in it, no pipes that would end the cell."""
    text = re.sub(r"\s+", " ", text.strip()).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"`{text}`"
