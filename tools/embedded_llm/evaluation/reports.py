"""Reports as JSON: the same report gives the same bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pttrust_lightning.metrics.evaluation import Estimate


def plain(estimate: Estimate) -> dict[str, float | None]:
    """An estimate as a JSON object; JSON has no NaN, so an undefined value is null."""
    return {name: None if math.isnan(value) else value for name, value in estimate._asdict().items()}


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report; parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
