"""``pttrust data``: look at data before anything is read by an LLM."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from pttrust_lightning.datamodules import LabelledLines, StreamedStates, UnlabelledStates
from pttrust_lightning.datamodules.labelled import LEFT_OUT_OF_SPLIT
from pttrust_lightning.errors import LeakageError
from pttrust_lightning.parsing import Parser
from pttrust_lightning.report.data_stats import (
    DataStats,
    Measured,
    data_stats,
    measure_program,
    measure_snippet,
    overlap,
)
from pttrust_lightning.report.data_tables import print_data_stats
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.types import Exclusions

Data = LabelledLines | UnlabelledStates | StreamedStates


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Look at data before anything is read by an LLM."""
    parser = Parser(prog="pttrust data", description=run.__doc__)
    subcommands = parser.add_subcommands(required=True, dest="action")
    subcommands.add_subcommand("stats", _stats_parser(), help="what is in a set, and what its parts share")
    stats(parser.instantiate(parser.parse_args(list(args))).stats)


def stats(config: Namespace) -> None:
    """Print what is in a set, and refuse one that is tested on what it is trained on.

    Snippets of one problem, and copies in all but layout, comments, names and literals, must not be in two splits of a
    labelled set, nor in two labelled sets. Without labels, in the validation programs of stage 1 or beside a labelled
    set, they are warned of; with ``--strict`` these are refused too. The splits are those of a run whose LLM reads
    every program.

    Raises:
        LeakageError: Says how many there are, and names the first pairs.
    """
    measured, found = _read(config.data)
    print_data_stats(found)
    record: dict[str, Any] = {"data": found.as_json()}
    leaks = [(shared, found.labelled) for shared in found.overlaps]
    if config.against is not None:
        parser = _stats_parser()
        others, other = _read(parser.instantiate(parser.parse_args([f"--config={config.against}"])).data)
        print_data_stats(other)
        shared = overlap(measured, others, found.source, other.source)
        record |= {"against": other.as_json(), "overlap": None if shared is None else asdict(shared)}
        if shared is not None:
            leaks.append((shared, found.labelled and other.labelled))
    if config.output is not None:
        _write(Path(config.output), record)
    refused = [shared.describe() for shared, of_labels in leaks if of_labels or config.strict]
    for shared, of_labels in leaks:
        if not (of_labels or config.strict):
            print(f"Warning: {shared.describe()}", file=sys.stderr)
    if refused:
        raise LeakageError(f"{'; '.join(refused)}. {_REMEDY}")


def _write(file: Path, record: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"Written: {file}")


_REMEDY = (
    "What is tested must not be trained on: leave these out of one of the two, or give them the same problem_id, so "
    "that one split holds them."
)


def _stats_parser() -> Parser:
    parser = Parser(
        prog="pttrust data stats", description=inspect.cleandoc(stats.__doc__ or "").partition("\n\nRaises:")[0]
    )
    parser.add_argument(
        "--config", action="config", help="Data configuration, as for fit (other keys are not allowed)."
    )
    parser.add_subclass_arguments(
        (LabelledLines, UnlabelledStates, StreamedStates), "data", required=True, as_group=False
    )
    parser.add_argument(
        "--against", type=str | None, help="Data configuration of another set, which is to share nothing."
    )
    parser.add_argument("--output", type=str | None, help="JSON file for all figures.")
    parser.add_argument("--strict", action="store_true", help="Refuse what is otherwise warned of.")
    return parser


def _read(data: Data) -> tuple[list[Measured], DataStats]:
    """Measure a DataModule's programs; those without labels one at a time, so that a corpus may be of any size."""
    left_out = Exclusions()
    if isinstance(data, LabelledLines):
        snippets = data.snippets.snippets(left_out)
        measured = list(map(measure_snippet, snippets))
        splits = data.splits(snippets, [m.fingerprint for m in measured])
        kept = [data.keeps(split, snippet) for split, snippet in zip(splits, snippets, strict=True)]
        for snippet in compress(snippets, [not keep for keep in kept]):
            left_out.add(LEFT_OUT_OF_SPLIT, snippet.id)
        measured, splits = list(compress(measured, kept)), list(compress(splits, kept))
        return measured, data_stats(data.snippets.describe(), measured, splits, left_out)
    # Mutants that a corpus brings, real bugs say, are trained on too; they are in their original's split.
    groups = [
        (group.original.id, [measure_program(program) for program in group.programs])
        for group in data.corpus.groups(left_out)
    ]
    of_group = data.splits([name for name, _ in groups])
    measured = [m for _, own in groups for m in own]
    splits = [split for (_, own), split in zip(groups, of_group, strict=True) for _ in own]
    return measured, data_stats(data.corpus.describe(), measured, splits, left_out)
