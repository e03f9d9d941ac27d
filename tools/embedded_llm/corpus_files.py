"""The corpus on disk, as every later step reads it: ``{train,held_out}/{language}.jsonl``, a file's ``code`` a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Split = Literal["train", "held_out"]

SPLITS: tuple[Split, ...] = ("train", "held_out")


def languages_of(corpus: Path, split: Split) -> list[str]:
    """Languages that a split of the corpus holds, sorted.

    Raises:
        FileNotFoundError: There is no such corpus.
    """
    names = sorted(path.stem for path in (corpus / split).glob("*.jsonl"))
    if not names:
        raise FileNotFoundError(
            f"{corpus / split} holds no .jsonl files. Build the corpus first: python -m tools.embedded_llm.corpus build"
        )
    return names


def read_codes(corpus: Path, split: Split, language: str) -> Iterator[str]:
    """Yield a split's files in their (shuffled, reproducible) order.

    Raises:
        ValueError: A line is not a record with ``code``.
    """
    path = corpus / split / f"{language}.jsonl"
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)["code"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: not a record with `code`. Build the corpus again.") from error
