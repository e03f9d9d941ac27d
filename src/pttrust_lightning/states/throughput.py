"""How fast programs are read, found out by reading a few: for estimates before a long run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.types import ProgramGroup


class Amount(NamedTuple):
    """What was read: scored lines, and the programs' tokens (each program's own, shared prefixes included)."""

    lines: int
    tokens: int


class Throughput(NamedTuple):
    """What one second of reading brings.

    Attributes:
        lines_per_second: Scored lines, tokenisation included.
        tokens_per_second: The programs' tokens, each program's prefix included, read or shared.
        tokens_per_line: Of the programs that were tried.
    """

    lines_per_second: float
    tokens_per_second: float
    tokens_per_line: float


def measure(
    read: Callable[[Sequence[ProgramGroup]], Amount], groups: Sequence[ProgramGroup], seconds: float
) -> Throughput:
    """Time ``read`` on the first groups, twice as many each time, until once lasts ``seconds``.

    What came before the last is warm-up, and costs no more than it. Where all groups together take less, they are read
    over and over. So a fast device is measured on full batches, and a slow one does not take minutes to say so.

    Args:
        read: Reads groups.
        groups: What to try.
        seconds: How long the measured part lasts at least, unless a single group lasts longer.

    Raises:
        LanguageModelError: No line of the groups can be scored.
    """
    size = min(len(groups), 1)
    part = read(groups[:size])  # the first pass loads kernels and fills caches
    while True:
        start, repeats, amount = time.perf_counter(), 0, part
        while repeats == 0 or (size == len(groups) and part.lines and time.perf_counter() - start < seconds):
            part, repeats = read(groups[:size]), repeats + 1
            amount = part if repeats == 1 else Amount(amount.lines + part.lines, amount.tokens + part.tokens)
        elapsed = time.perf_counter() - start
        if size == len(groups) or (elapsed >= seconds and amount.lines):
            break
        size = min(2 * size, len(groups))
    if not amount.lines:
        raise LanguageModelError(
            f"None of the {len(groups)} programs tried has a line that can be scored. Raise states.context_length, or "
            "check the corpus."
        )
    return Throughput(amount.lines / elapsed, amount.tokens / elapsed, amount.tokens / amount.lines)
