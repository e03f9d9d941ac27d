"""Rows per second of the state cache against two other ways to keep the same states, in turn in one process.

Each way reads the same shuffled batches of whole program groups with their pairs, as stage 1 does: the cache of this
package; one HDF5 file with a group for each program and a data set in it, pairs likewise (as the method's authors store
them); and a plain memory map of the rows in one file, which does no more than copy: the floor. The batches are the
same, which is checked. Files are generated and, where they fit the memory, read from it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from side_by_side import in_words, ratios, time_in_turn, write_json

from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import fill_cache, finish_cache, open_manifest
from pttrust_lightning.types import Exclusions, LinePair, Mutant, Program, ProgramGroup, ProgramStates, StateBatch

LAYER = 0
ROWS_PER_GROUP = 80
PROGRAMS_PER_GROUP = 4

ReadBatch = Callable[[Sequence[int]], StateBatch]


def make_groups(n: int) -> Iterator[ProgramGroup]:
    """Programs of 8 to 32 lines, 20 on average, with three mutants and pairs of a fifth of their lines."""
    rng = np.random.default_rng(0)
    for i in range(n):
        lines = int(rng.integers(8, 33))
        code = "\n".join(["x = 1"] * lines)
        mutants = []
        for m in range(PROGRAMS_PER_GROUP - 1):
            numbers = np.sort(rng.choice(lines, max(lines // 5, 1), replace=False)).tolist()
            program = Program(f"program{i:08d}.py#round{m}", code, "python")
            mutants.append(Mutant(program, (), tuple(LinePair(j, j) for j in numbers)))
        yield ProgramGroup(Program(f"program{i:08d}.py", code, "python"), tuple(mutants))


def random_states(width: int) -> Callable[[Sequence[ProgramGroup], Exclusions], list[ProgramStates]]:
    """Normal states, a row for each line."""
    generator = torch.Generator().manual_seed(0)

    def extract(groups: Sequence[ProgramGroup], exclusions: Exclusions) -> list[ProgramStates]:
        found = []
        for program in (p for g in groups for p in g.programs):
            n = program.code.count("\n") + 1
            found.append(
                ProgramStates(program.id, np.arange(n), torch.randn(1, n, width, generator=generator), None, n)
            )
        return found

    return extract


def make_cache(folder: Path, megabytes: int, width: int) -> StateCache:
    """A cache of about that size."""
    n_groups = max(megabytes * 2**20 // (ROWS_PER_GROUP * width * 4), 1)
    manifest = open_manifest(folder, {"layers": [LAYER]}, width, "float32")
    fill_cache(folder, manifest, make_groups(n_groups), random_states(width))
    finish_cache(folder)
    return StateCache(folder, verify=False)


def group_per_program(cache: StateCache, path: Path) -> ReadBatch:
    """The same states with an HDF5 group for each program, opened once."""
    programs = {name: [name, *(f"{name}#round{m}" for m in range(PROGRAMS_PER_GROUP - 1))] for name in cache.group_ids}
    with h5py.File(path, "w") as file:
        for index, name in enumerate(cache.group_ids):
            for program in programs[name]:
                file.create_dataset(f"programs/{program}/states", data=cache.program(program).states.numpy())
            file.create_dataset(f"pairs/{name}/rows", data=cache.groups([index]).pairs.numpy())
    opened = h5py.File(path, "r")

    def read(indices: Sequence[int]) -> StateBatch:
        states, pairs, first = [], [], 0
        for index in indices:
            name = cache.group_ids[index]
            pairs.append(torch.from_numpy(opened[f"pairs/{name}/rows"][:]) + first)
            for program in programs[name]:
                states.append(torch.from_numpy(opened[f"programs/{program}/states"][:]))
                first += len(states[-1])
        return StateBatch(torch.cat(states), torch.cat(pairs))

    return read


def memory_map(cache: StateCache, path: Path) -> ReadBatch:
    """The same rows one after the other in a file, mapped; where they are, and the pairs, are in memory."""
    first, pairs = [0], []
    with path.open("wb") as stream:
        for index in range(len(cache)):
            batch = cache.groups([index])
            stream.write(batch.states.numpy().tobytes())
            first.append(first[-1] + len(batch.states))
            pairs.append(batch.pairs.numpy())
    rows = np.memmap(path, np.float32, "r", shape=(first[-1], cache.d))

    def read(indices: Sequence[int]) -> StateBatch:
        states = np.empty((sum(first[i + 1] - first[i] for i in indices), cache.d), np.float32)
        moved, row = [], 0
        for i in indices:
            n = first[i + 1] - first[i]
            states[row : row + n] = rows[first[i] : first[i + 1]]
            moved.append(pairs[i] + row)
            row += n
        return StateBatch(torch.from_numpy(states), torch.from_numpy(np.concatenate(moved)))

    return read


def read_all(way: ReadBatch, batches: Sequence[Sequence[int]]) -> None:
    """One pass."""
    for batch in batches:
        way(batch)


def measure(folder: Path, megabytes: int, width: int, batch_groups: int, repeats: int) -> dict[str, Any]:
    """Time a shuffled pass over the groups each way in turn, ``repeats`` times after a warm-up."""
    cache = make_cache(folder / "cache", megabytes, width)
    ways: dict[str, ReadBatch] = {
        "pttrust_lightning": cache.groups,
        "group_per_program": group_per_program(cache, folder / "groups.h5"),
        "memory_map": memory_map(cache, folder / "rows.bin"),
    }
    order = np.random.default_rng(0).permutation(len(cache)).tolist()
    batches = [order[i : i + batch_groups] for i in range(0, len(order), batch_groups)]
    equal = True
    for batch in batches:  # every page is in memory afterwards
        first, *others = (way(batch) for way in ways.values())
        equal &= all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))
    seconds = time_in_turn({name: partial(read_all, way, batches) for name, way in ways.items()}, repeats)
    ours = seconds["pttrust_lightning"]
    return {
        "rows": cache.n_rows,
        "pairs": cache.n_pairs,
        "groups": len(cache),
        "megabytes": cache.n_rows * width * 4 / 2**20,
        "width": width,
        "groups_per_batch": batch_groups,
        "repeats": repeats,
        "equal": equal,
        "rows_per_second": {name: cache.n_rows / statistics.median(times) for name, times in seconds.items()},
        "ratio": {name: ratios(times, ours) for name, times in seconds.items() if times is not ours},
    }


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--width", type=int, default=896)
    parser.add_argument("--groups-per-batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="where the files are generated, and removed again; default: the temporary folder"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/cache_read.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        result = measure(Path(folder), args.megabytes, args.width, args.groups_per_batch, args.repeats)
    write_json(result, args.out)
    print(f"{result['rows']} rows of {result['width']} in {result['groups']} groups, {result['megabytes']:.0f} MiB")
    for name, speed in result["rows_per_second"].items():
        ratio = result["ratio"].get(name)
        times = f"  ours is {in_words(ratio)} times as fast" if ratio else ""
        print(f"{name:20} {speed:10.0f} rows/s{times}")
    if not result["equal"]:
        raise SystemExit("The three ways gave different batches: the figures compare nothing.")


if __name__ == "__main__":
    main()
