"""The command line: ``python -m tools.embedded_llm.corpus fetch|build``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.embedded_llm.corpus.archives import verified_sha256, version_of
from tools.embedded_llm.corpus.build import build_corpus
from tools.embedded_llm.corpus.errors import CorpusBuildError
from tools.embedded_llm.corpus.fetch import fetch as fetch_all
from tools.embedded_llm.corpus.fetch import with_substitutes
from tools.embedded_llm.corpus.output import (
    contamination_report,
    count_contaminated,
    table,
    write_corpus,
    write_manifest,
)
from tools.embedded_llm.corpus.parallel import Pool, benchmark_index
from tools.embedded_llm.corpus.sources import Source, load_sources

_DATA = "data/raw/embedded_llm"


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"it is {number}; give a number that is not negative")
    return number


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = argparse.ArgumentParser(prog="python -m tools.embedded_llm.corpus", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--sources", default="tools/embedded_llm/sources.yaml", help="the list of sources")
    shared.add_argument("--downloads", default=f"{_DATA}/downloads", help="folder of the archives")
    commands.add_parser("fetch", parents=[shared], help="download the archives that are missing")
    build = commands.add_parser("build", parents=[shared], help="make the corpus from the archives")
    build.add_argument("--output", default=f"{_DATA}/corpus", help="folder of the corpus")
    build.add_argument("--benchmarks", default="../shared/data", help="folder of the benchmarks that are kept out")
    build.add_argument("--no_contamination_check", action="store_true", help="build without the benchmarks")
    build.add_argument(
        "--limit_bytes_per_language",
        type=_natural,
        default=25_000_000,
        help="most bytes of training code of each language but Python; 0 for no bound",
    )
    build.add_argument("--workers", type=_natural, default=1, help="number of processes")
    return top


def _describe(source: Source, sha256: str) -> dict[str, Any]:
    return {
        "label": f"{source.ecosystem}/{source.name}-{version_of(source)}",
        "ecosystem": source.ecosystem,
        "name": source.name,
        "version": version_of(source),
        "licence": source.licence,
        "language": source.language,
        "archive": source.file,
        "archive_sha256": sha256,
        "held_out": source.held_out,
        "held_out_share": source.held_out_share,
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def build(arguments: argparse.Namespace) -> None:
    """Build the corpus that the arguments ask for, check what was written, and print the table."""
    downloads, output = Path(arguments.downloads), Path(arguments.output)
    sources = with_substitutes(load_sources(arguments.sources), downloads)
    described = [_describe(source, verified_sha256(source, downloads)) for source in sources]
    limit = arguments.limit_bytes_per_language or None
    with Pool(arguments.workers, None if arguments.no_contamination_check else arguments.benchmarks) as pool:
        result = build_corpus(sources, downloads, pool, limit_bytes_per_language=limit, say=_say)
        hashes = write_corpus(result.documents, output)
        index = benchmark_index()
        n_left = count_contaminated(output, pool) if index is not None else 0
        contamination = contamination_report(result, index, n_left)
    options = {"limit_bytes_per_language": limit, "sources": Path(arguments.sources).name}
    write_manifest(output, result, hashes, described, contamination, options)
    print(table(result))
    contamination.pop("dropped", None)
    print(f"contamination: {json.dumps(contamination, indent=1)}")
    if n_left:
        raise CorpusBuildError(f"{output}: {n_left} files hold a benchmark's passage. Report it; do not train on them.")


def fetch(arguments: argparse.Namespace) -> None:
    """Download what is missing; failures are listed at the end."""
    failures = fetch_all(load_sources(arguments.sources), Path(arguments.downloads), say=_say)
    if failures:
        raise CorpusBuildError(f"{len(failures)} downloads failed:\n  " + "\n  ".join(failures))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; errors that users can act on are shown without a traceback."""
    arguments = parser().parse_args(argv)
    try:
        {"build": build, "fetch": fetch}[arguments.command](arguments)
    except CorpusBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again; what is complete stays.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
