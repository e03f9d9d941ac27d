"""``python -m tools.embedded_llm.evaluation``, from the root of a checkout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from pttrust_lightning.errors import PtTrustError
from tools.embedded_llm.evaluation.bugs import BugsOptions, run_bugs
from tools.embedded_llm.evaluation.compression import CompressionOptions, run_compression
from tools.embedded_llm.evaluation.labelled_sets import FILES, LANGUAGES
from tools.embedded_llm.evaluation.reports import write_report
from tools.embedded_llm.evaluation.tables import print_bugs, print_compression


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 2 for an error that the user can mend."""
    options = vars(_parser().parse_args(args))
    command, output, threads = options.pop("command"), options.pop("output"), options.pop("threads")
    torch.set_num_threads(threads)
    console = Console()
    try:
        if command == "compression":
            report = run_compression(CompressionOptions(**options))
            print_compression(report, console)
        else:
            report = run_bugs(BugsOptions(**options))
            print_bugs(report, console)
    except PtTrustError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 2
    write_report(output, report)
    console.print(f"\nWritten: {output}", soft_wrap=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.embedded_llm.evaluation", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compression = commands.add_parser("compression", help="held-out bits per byte, beside compressors and a 5-gram")
    bugs = commands.add_parser("bugs", help="wrong lines by uncertainty, and by probes on the states of every block")
    for command in (compression, bugs):
        command.add_argument(
            "--llm",
            action="append",
            required=True,
            metavar="FOLDER[:CONTEXT]",
            help="repeat it to compare; CONTEXT: tokens read at once (for an LLM whose configuration names more "
            "positions than it was trained on)",
        )
        command.add_argument("--device", default="cpu", help="auto, cpu, cuda, cuda:0 (default: %(default)s)")
        command.add_argument(
            "--threads", type=_positive, default=1, help="CPU threads; one gives the same bits anywhere"
        )
        command.add_argument("--bootstrap_samples", type=_positive, default=1000, help="resamples behind the intervals")
        command.add_argument("--seed", type=int, default=0)
    _add_compression(compression)
    _add_bugs(bugs)
    return parser


def _add_compression(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", type=Path, default=Path("data/raw/embedded_llm/corpus"))
    parser.add_argument("--languages", nargs="+", default=["python"])
    parser.add_argument("--max_bytes", type=_positive, default=400_000, help="held-out bytes of a language")
    parser.add_argument("--context", type=_positive, default=1024, help="for LLMs that name none of their own")
    parser.add_argument(
        "--ngram_bytes",
        type=_bytes,
        default=60_000_000,
        help="training bytes of a language that the 5-gram counts; 0 leaves it out, all takes all (default: 60 MB)",
    )
    parser.add_argument("--output", type=Path, default=Path("runs/embedded_llm/compression.json"))


def _add_bugs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--benchmarks", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=["python"])
    parser.add_argument(
        "--context",
        type=_positive,
        default=None,
        help="for LLMs that name none of their own (default: what their configurations allow)",
    )
    parser.add_argument("--folds", type=_folds, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/embedded_llm/bugs.json"))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


def _folds(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"{number} is less than the 2 folds that a cross-validation needs")
    return number


def _bytes(text: str) -> int | None:
    """A number of bytes from 0, or ``all``."""
    if text == "all":
        return None
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
