"""Timing several ways of the same work in turn, so that a machine's moods fall on all of them alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch


def time_in_turn(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each way, ``repeats`` times each, in turn; warm them up before."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratios(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """How many times as long the first took as the second: median, least and most of the paired runs."""
    found = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def in_words(ratio: Mapping[str, float]) -> str:
    """A ratio as it is quoted."""
    return f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"


def write_json(result: Mapping[str, Any], out: Path) -> None:
    """The figures, where they can be read again."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was given: a GPU works on after the call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def device_name(device: torch.device) -> str:
    """What the figures belong to."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
