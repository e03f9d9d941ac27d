"""Program groups with states that need no LLM: deterministic, equal for equal text of a line."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch

from pttrust_lightning.types import Exclusions, LinePair, LineStates, Mutant, Program, ProgramGroup

D = 6


def make_groups(n: int, seed: int = 0) -> list[ProgramGroup]:
    """Programs of 1 to 8 lines with up to 3 mutants; some lines are equal, some programs (``empty``) have no state."""
    rng = np.random.default_rng(seed)
    groups = []
    for i in range(n):
        lines = [f"v{rng.integers(5)} = {rng.integers(3)}" for _ in range(rng.integers(1, 9))]
        original = Program(f"empty{i}.py" if rng.random() < 0.15 else f"p{i}.py", "\n".join(lines), "python")
        mutants = []
        for m in range(rng.integers(4)):
            edited = [line if rng.random() < 0.6 else f"w = {rng.integers(3)}" for line in lines]
            pairs = tuple(LinePair(j, j) for j in range(len(lines)) if rng.random() < 0.5)
            mutants.append(Mutant(Program(f"{original.id}#round{m}", "\n".join(edited), "python"), (), pairs))
        groups.append(ProgramGroup(original, tuple(mutants)))
    return groups


def line_states(program: Program, uncertainty: bool = False) -> LineStates | None:
    """One state a line, from its text alone."""
    if program.id.startswith("empty"):
        return None
    lines = program.code.split("\n")
    rows = [np.random.default_rng(zlib.crc32(line.encode())).normal(size=D) for line in lines]
    states = torch.from_numpy(np.array(rows, dtype=np.float32))
    features = states[:, :3].double().numpy() if uncertainty else None
    return LineStates(program.id, np.arange(len(lines)), states, features, len(lines) + 1)


class FakeExtractor:
    """Reads states from the text; remembers what it read, and may stop after some calls.

    Args:
        calls: Calls that succeed; the next one raises. None: all.
        uncertainty: Whether states come with token probabilities.
    """

    def __init__(self, calls: int | None = None, uncertainty: bool = False) -> None:
        self.calls, self.uncertainty = calls, uncertainty
        self.read: list[str] = []

    def __call__(self, programs: Sequence[Program], exclusions: Exclusions) -> list[LineStates]:
        if self.calls == 0:
            raise RuntimeError("interrupted")
        if self.calls is not None:
            self.calls -= 1
        self.read += [p.id for p in programs]
        found = [line_states(p, self.uncertainty) for p in programs]
        for program, states in zip(programs, found, strict=True):
            exclusions.add("nothing to read", program.id, int(states is None))
        return [s for s in found if s is not None]
