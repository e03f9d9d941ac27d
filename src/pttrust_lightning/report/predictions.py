"""Line scores on disk: JSONL, one snippet a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pttrust_lightning.errors import SchemaError
from pttrust_lightning.types import ScoredSnippet


def write_predictions(path: Path, snippets: Iterable[ScoredSnippet]) -> None:
    """Write ``{"id", "lines", "scores", "probabilities", "labels", "fold"}`` records; numbers read back exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        for s in snippets:
            record = {
                "id": s.snippet_id,
                "lines": s.line_numbers.tolist(),
                "scores": s.scores.tolist(),
                "probabilities": s.probabilities.tolist(),
                "labels": s.labels.tolist(),
                "fold": s.fold,
            }
            stream.write(json.dumps(record) + "\n")


def read_predictions(path: Path) -> list[ScoredSnippet]:
    """Read what :func:`write_predictions` wrote.

    Raises:
        SchemaError: A record is not one of those.
    """
    snippets = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            raw = json.loads(line)
            scored = ScoredSnippet(
                snippet_id=raw["id"],
                line_numbers=np.array(raw["lines"], dtype=np.int64),
                scores=np.array(raw["scores"], dtype=np.float64),
                probabilities=np.array(raw["probabilities"], dtype=np.float64),
                labels=np.array(raw["labels"], dtype=np.float64),
                fold=int(raw.get("fold", 0)),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise SchemaError(str(path), number, str(error), "not a prediction", "Run pttrust test again.") from error
        if any(part.shape != scored.line_numbers.shape or part.ndim != 1 for part in scored[1:5]):
            raise SchemaError(str(path), number, "scores", "lists of different lengths", "Run pttrust test again.")
        snippets.append(scored)
    return snippets
