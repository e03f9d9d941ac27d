"""Peak memory of filling a cache from a large corpus, above what the process takes once the LLM is loaded.

The corpus is generated (functions of ten lines or so, in one JSONL file), and read by a tiny LLM with random weights,
so that minutes are enough; what grows with a corpus would grow here too. Nothing is compared: the figure is to be held
against that of a corpus a tenth as large, in a process of its own (``--megabytes``).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
from pathlib import Path

from extraction import save_shape
from side_by_side import write_json

from pttrust_lightning.cache.writer import cache_contents
from pttrust_lightning.datamodules import UnlabelledStates
from pttrust_lightning.source import JsonlCorpus
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.types import Exclusions, Program, ProgramGroup

MIB = 2**20


def write_corpus(path: Path, n_bytes: int) -> None:
    """Functions with names and numbers of their own, until they make up ``n_bytes`` of source."""
    rng = random.Random(0)
    written = number = 0
    with path.open("w", encoding="utf-8") as file:
        while written < n_bytes:
            body = "".join(f"    value_{i} = item_{rng.randrange(10**6)} + {i}\n" for i in range(rng.randrange(4, 16)))
            code = f"def function_{number}(item):\n{body}    return value_0\n"
            file.write(json.dumps({"id": f"{number}", "code": code}) + "\n")
            written += len(code)
            number += 1


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(folder: Path, megabytes: float, rounds: list[float]) -> dict[str, float]:
    """Fill a cache and look at the peak before and after."""
    save_shape("tiny", folder / "llm")
    write_corpus(folder / "corpus.jsonl", int(megabytes * MIB))
    config = LineStateConfig(llm=str(folder / "llm"), layer=0, context_length=256, device="cpu")
    warm_up = [ProgramGroup(Program(str(i), "a = 1\n" * 64, "python")) for i in range(64)]
    LineStateExtractor(config).extract(warm_up, Exclusions())  # libraries, weights, a full batch
    before = peak_bytes()
    data = UnlabelledStates(JsonlCorpus(str(folder / "corpus.jsonl")), str(folder / "cache"), config, rounds=rounds)
    data.prepare_data()
    contents = cache_contents(folder / "cache")
    assert contents is not None
    return {
        "corpus_mib": megabytes,
        "programs": len(contents.groups),
        "rows": contents.rows,
        "mutants": len(rounds),
        "loaded_mib": before / MIB,
        "above_mib": (peak_bytes() - before) / MIB,
    }


def main() -> None:
    """Print the figure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--rounds", type=float, nargs="*", default=[], help="shares of mutated lines; one mutant each")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/memory.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), args.megabytes, args.rounds)
    write_json(result, args.out)
    print(
        f"{result['corpus_mib']:.0f} MiB of source, {result['programs']:.0f} programs, "
        f"{result['rows']:.0f} line states: "
        f"{result['above_mib']:.0f} MiB above the {result['loaded_mib']:.0f} MiB of the loaded process"
    )


if __name__ == "__main__":
    main()
