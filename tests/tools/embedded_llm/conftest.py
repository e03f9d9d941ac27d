"""A corpus of the shape that the recipe's corpus step writes, small enough for tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def write_corpus(folder: Path, files: dict[str, dict[str, list[str]]]) -> Path:
    """``files``: codes by split and language."""
    for split, languages in files.items():
        (folder / split).mkdir(parents=True)
        for language, codes in languages.items():
            records = [
                {"id": f"{language}/{i}", "language": language, "source": "made", "code": code}
                for i, code in enumerate(codes)
            ]
            text = "".join(json.dumps(record) + "\n" for record in records)
            (folder / split / f"{language}.jsonl").write_text(text)
    return folder


def python_code(i: int) -> str:
    return f"def f{i}(x):\n    if x > {i}:\n        return x - {i}\n    return g{i}(x)\n"


def java_code(i: int) -> str:
    return f"class A{i} {{\n  int f(int x) {{\n    return x + {i};\n  }}\n}}\n"


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    return write_corpus(
        tmp_path_factory.mktemp("tiny_corpus"),
        {
            "train": {"python": [python_code(i) for i in range(60)], "java": [java_code(i) for i in range(40)]},
            "held_out": {
                "python": [python_code(i) for i in range(100, 110)],
                "java": [java_code(i) for i in range(100, 110)],
            },
        },
    )
