"""Program groups with states that need no LLM: deterministic, equal for equal text of a line."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch

from pttrust_lightning.types import Exclusions, LinePair, Mutant, Program, ProgramGroup, ProgramStates

D = 6
LAYERS = (3, 7)
KEY = {"llm": "tiny", "layers": LAYERS, "rounds": (0.15, 0.2)}
ROW_BYTES = D * 4 * len(LAYERS)


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


def line_states(program: Program, uncertainty: bool = False, lookback: bool = False) -> ProgramStates | None:
    """A state a line and layer: in the first layer from the line's text alone.

    In the second from what is assigned to, and from whether this is a first mutant, so that pairs may be equal in
    either layer and distinct in the other.
    """
    if program.id.startswith("empty"):
        return None
    lines = program.code.split("\n")
    first_mutant = program.id.endswith("#round0")
    seen = [lines, [f"{line.split(' = ')[0]} {first_mutant}" for line in lines]]
    rows = [[np.random.default_rng(zlib.crc32(text.encode())).normal(size=D) for text in layer] for layer in seen]
    states = torch.from_numpy(np.array(rows, dtype=np.float32))
    features = states[0, :, :3].double().numpy() if uncertainty else None
    n_tokens = np.array([len(line) for line in lines])
    heads = states[1].double().numpy() if lookback else None
    return ProgramStates(program.id, np.arange(len(lines)), states, features, len(lines) + 1, n_tokens, heads)


class FakeExtractor:
    """Reads states from the text; remembers what it read, and may stop after some calls.

    Args:
        calls: Calls that succeed; the next one raises. None: all.
        uncertainty: Whether states come with token probabilities.
        lookback: Whether they come with attention.
        error: What the next call raises.
    """

    def __init__(
        self,
        calls: int | None = None,
        uncertainty: bool = False,
        error: type[BaseException] = RuntimeError,
        lookback: bool = False,
    ) -> None:
        self.calls, self.uncertainty, self.error, self.lookback = calls, uncertainty, error, lookback
        self.read: list[str] = []

    def __call__(self, groups: Sequence[ProgramGroup], exclusions: Exclusions) -> list[ProgramStates]:
        if self.calls == 0:
            raise self.error("interrupted")
        if self.calls is not None:
            self.calls -= 1
        programs = [p for group in groups for p in group.programs]
        self.read += [p.id for p in programs]
        found = [line_states(p, self.uncertainty, self.lookback) for p in programs]
        for program, states in zip(programs, found, strict=True):
            exclusions.add("nothing to read", program.id, int(states is None))
        return [s for s in found if s is not None]
