"""From token states to line states, on the device: pool, check, narrow, and bring only that to the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pttrust_lightning.states.rows import to_device
from pttrust_lightning.types import IntArray


class LineIndex(NamedTuple):
    """Which tokens of a batch stand for which of its lines.

    Attributes:
        tokens: Rows of the flattened token states, ``(N,)``.
        lines: The line that each of them stands for, ``(N,)``; None where that is one token a line, in order.
        counts: Tokens of each line, ``(T, 1)``; None likewise.
    """

    tokens: Tensor
    lines: Tensor | None = None
    counts: Tensor | None = None


def line_index(spans: Sequence[tuple[IntArray, IntArray, IntArray]], device: torch.device) -> LineIndex:
    """The index of a batch.

    Args:
        spans: Of each program: the place of each of its tokens in the flattened batch ``(n,)``, and the first and the
            last token (included) of each line ``(T,)``.
        device: Where the states are.
    """
    if all(first is last or np.array_equal(first, last) for _, first, last in spans):
        return LineIndex(to_device(np.concatenate([places[last] for places, _, last in spans]), device))
    tokens, counts = [], []
    for places, first, last in spans:
        counts.append(last - first + 1)
        tokens.append(places[ranges(first, last)])
    n = np.concatenate(counts)
    both = np.stack([np.concatenate(tokens), np.repeat(np.arange(len(n)), n)])
    places_on_device, lines = to_device(both, device)
    return LineIndex(places_on_device, lines, to_device(n[:, None], device))


def ranges(first: IntArray, last: IntArray) -> IntArray:
    """``first[0] .. last[0], first[1] .. last[1], ...``, all ends included."""
    n = last - first + 1
    begin = np.repeat(first - np.concatenate([[0], np.cumsum(n)[:-1]]), n)
    return np.asarray(begin + np.arange(n.sum()), dtype=np.int64)


def pool(hidden: Tensor, index: LineIndex) -> Tensor:
    """Line states ``(T, D)`` of token states ``(B, S, D)``; means are taken in float32."""
    flat = hidden.flatten(0, 1)
    picked = flat[index.tokens]
    if index.lines is None or index.counts is None:
        return picked
    total = torch.zeros(len(index.counts), flat.shape[1], device=flat.device)
    return total.index_add_(0, index.lines, picked.float()) / index.counts


class HostCopy:
    """Tensors on their way to the host; nothing waits for them before they are asked for.

    Args:
        tensors: On one device.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._event: Any = None
        if tensors[0].device.type != "cuda":
            self._tensors = [t.cpu() for t in tensors]
            return
        self._tensors = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in tensors]
        for host, tensor in zip(self._tensors, tensors, strict=True):
            host.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.current_stream(tensors[0].device).record_event()

    def wait(self) -> list[Tensor]:
        """The tensors on the host."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensors
