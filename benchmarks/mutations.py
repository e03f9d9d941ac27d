"""Mutants a second on one core, validity checks included: functions of the standard library, and files of any language.

- ``all``: every mutant that the semantic operators can make of a program.
- ``drawn``: up to ``--count`` bugs a program, drawn, as labelled snippets are made.
- ``drawn_in_processes``: the same in a pool of processes, the pool's start and all that passes between them included.
- ``rounds``: the mutants of stage 1 by semantic operators alone, several edits in each.
- ``rounds_by_line``: the mutants of stage 1 by the paper's line operators, of which no validity is asked.

Every way takes whole programs, so that parsing and proposing edits counts too.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from side_by_side import time_in_turn, write_json

from pttrust_lightning.source.corpora import StandardLibrary
from pttrust_lightning.source.languages import LANGUAGES, SUFFIXES, parse
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.source.mutation.implant import candidate_mutants, implant_bugs
from pttrust_lightning.source.mutation.mutants import make_mutants
from pttrust_lightning.source.mutation.operators import LINE_OPERATORS, SEMANTIC_OPERATORS, Operators
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.types import Exclusions, Program


def python_functions(args: argparse.Namespace) -> list[Program]:
    """A sample of the standard library's functions of about as many lines as are asked for."""
    lines = {"min_lines": args.lines - 2, "max_lines": args.lines + 2}
    return list(StandardLibrary(limit=args.programs, **lines).programs(Exclusions()))


def files_of(language: str, folder: Path, count: int) -> list[Program]:
    """A sample of a folder's files that parse, of 0.5 to 4 kB."""
    files = sorted(file for suffix in SUFFIXES[language] for file in folder.rglob(f"*{suffix}") if file.is_file())
    random.Random(0).shuffle(files)
    found: list[Program] = []
    for file in files:
        if len(found) < count and 500 < file.stat().st_size < 4_000:
            code = file.read_text(encoding="utf-8", errors="ignore")
            if parse(code, language) is not None:
                found.append(Program(str(file), code, language))
    return found


def every(programs: Sequence[Program]) -> int:
    """All mutants of all programs."""
    return sum(1 for program in programs for _ in candidate_mutants(program))


def drawn(programs: Sequence[Program], count: int) -> int:
    """Some bugs of each program."""
    return sum(len(implant_bugs(program, 0, count)) for program in programs)


def drawn_in_processes(programs: Sequence[Program], count: int, processes: int) -> int:
    """The same bugs by several processes, in order, as whoever wants them would get them."""
    implant = partial(implant_bugs, seed=0, count=count)
    chunk = max(1, len(programs) // (8 * processes))
    with ProcessPoolExecutor(processes) as pool:
        return sum(len(bugs) for bugs in pool.map(implant, programs, chunksize=chunk))


def rounds(programs: Sequence[Program], operators: Operators) -> int:
    """Stage 1's mutants."""
    groups = make_mutants(programs, OutsideLines.of(programs), operators)
    return sum(len(group.mutants) for group in groups)


def measure(programs: Sequence[Program], args: argparse.Namespace) -> dict[str, Any]:
    """Time the ways in turn, ``--repeats`` times each after a warm-up."""
    ways: dict[str, Callable[[], int]] = {
        "all": partial(every, programs),
        "drawn": partial(drawn, programs, args.count),
        "drawn_in_processes": partial(drawn_in_processes, programs, args.count, args.processes),
        "rounds": partial(rounds, programs, SEMANTIC_OPERATORS),
        "rounds_by_line": partial(rounds, programs, LINE_OPERATORS),
    }
    counts = {name: way() for name, way in ways.items()}
    seconds = time_in_turn(ways, args.repeats)
    return {
        "programs": len(programs),
        "mean_lines": statistics.mean(len(non_blank_lines(program.code)) for program in programs),
        "mutants": counts,
        "mutants_per_second": {
            name: {"median": counts[name] / statistics.median(times), "min": counts[name] / max(times),
                   "max": counts[name] / min(times)}
            for name, times in seconds.items()
        },
    }  # fmt: skip


def source(text: str) -> tuple[str, Path]:
    """``LANGUAGE=FOLDER`` of the command line."""
    language, _, folder = text.partition("=")
    if language not in LANGUAGES or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not LANGUAGE=FOLDER with one of {', '.join(LANGUAGES)}")
    return language, Path(folder)


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=200, help="of each source")
    parser.add_argument("--lines", type=int, default=20, help="of the standard library's functions, give or take 2")
    parser.add_argument("--count", type=int, default=5, help="bugs drawn of each program")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sources", type=source, nargs="*", default=[], help="LANGUAGE=FOLDER of files, as well")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/mutations.json"))
    args = parser.parse_args()
    corpora = {"python functions": python_functions(args)}
    corpora |= {f"{language} files": files_of(language, folder, args.programs) for language, folder in args.sources}
    result = {name: measure(programs, args) for name, programs in corpora.items() if programs}
    write_json({"count": args.count, "processes": args.processes, "repeats": args.repeats, "corpora": result}, args.out)
    print(f"{'programs':18} {'n':>5} {'lines':>6}  way                  {'mutants':>8} {'a second (min to max)':>24}")
    for name, found in result.items():
        for way, rate in found["mutants_per_second"].items():
            span = f"{rate['median']:.0f} ({rate['min']:.0f} to {rate['max']:.0f})"
            head = f"{name:18} {found['programs']:5} {found['mean_lines']:6.1f}"
            print(f"{head}  {way:20} {found['mutants'][way]:8} {span:>24}")


if __name__ == "__main__":
    main()
