"""Contamination: which files hold a passage of the benchmarks that the LLM is measured on.

A passage is a run of 13 tokens with at least six distinct words, so that ``0, 0, 0`` and ``}}}`` are none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from tools.embedded_llm.corpus.errors import BenchmarkError
from tools.embedded_llm.corpus.tokens import TOKEN, Hashes, gram_hashes, token_hashes

GRAM_TOKENS = 13
MIN_DISTINCT_WORDS = 6

_HAS_LETTER = re.compile(r"[^\W\d_]")

Gram = tuple[str, ...]


def grams(text: str, n: int = GRAM_TOKENS) -> Iterator[Gram]:
    """All runs of ``n`` tokens of a text, boilerplate included, in order."""
    tokens = TOKEN.findall(text)
    return (tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def is_telling(gram: Gram) -> bool:
    """Whether a run of tokens says something: at least six distinct words, a word being a token with a letter."""
    return len({token for token in gram if _HAS_LETTER.search(token)}) >= MIN_DISTINCT_WORDS


class BenchmarkIndex:
    """The telling 13-grams of benchmarks, with the benchmarks that hold them.

    Args:
        texts: Pairs of a benchmark's name and one of its texts.
    """

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self._benchmarks: dict[Gram, set[str]] = {}
        self.n_texts: dict[str, int] = {}
        self.n_untold: dict[str, int] = {}
        """Texts without a telling 13-gram, mostly lists of assertions: nothing can be found of them."""
        for name, text in texts:
            telling = set(filter(is_telling, grams(text)))
            self.n_texts[name] = self.n_texts.get(name, 0) + 1
            self.n_untold[name] = self.n_untold.get(name, 0) + (not telling)
            for gram in telling:
                self._benchmarks.setdefault(gram, set()).add(name)
        self._hashes: Hashes = np.unique(np.array([self._hash(gram) for gram in self._benchmarks], dtype=np.uint64))

    @staticmethod
    def _hash(gram: Gram) -> int:
        return int(gram_hashes(token_hashes(list(gram)), GRAM_TOKENS)[0])

    def __len__(self) -> int:
        return len(self._benchmarks)

    def n_grams(self) -> dict[str, int]:
        """Number of telling 13-grams per benchmark."""
        counts = dict.fromkeys(sorted(self.n_texts), 0)
        for names in self._benchmarks.values():
            for name in names:
                counts[name] += 1
        return counts

    def matches(self, text: str) -> dict[str, Gram]:
        """The benchmarks that share a telling 13-gram with a text, each with the first such 13-gram."""
        tokens = TOKEN.findall(text)
        hashes = gram_hashes(token_hashes(tokens), GRAM_TOKENS)
        if not len(hashes) or not len(self._hashes):
            return {}
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        found: dict[str, Gram] = {}
        for i in np.flatnonzero(self._hashes[places] == hashes).tolist():
            gram = tuple(tokens[i : i + GRAM_TOKENS])  # compared as text: a hash alone could collide
            for name in sorted(self._benchmarks.get(gram, ())):
                found.setdefault(name, gram)
        return found


def _records(path: Path) -> Iterator[dict[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        yield from (json.loads(line) for line in lines if line.strip())
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path} cannot be read ({error}). Restore the benchmarks' folder.") from error


def _fields(record: dict[str, str], path: Path, fields: Iterable[str]) -> list[str]:
    missing = [field for field in fields if not isinstance(record.get(field), str)]
    if missing:
        raise BenchmarkError(f"{path}: a record lacks the field '{missing[0]}'. Restore the benchmarks' folder.")
    return [record[field] for field in fields]


def _humanevalpack(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.jsonl")):
        name = f"HumanEvalPack {path.stem}"
        for record in _records(path):
            fields = ("prompt", "canonical_solution", "buggy_solution", "test")
            prompt, solution, buggy, test = _fields(record, path, fields)
            yield name, prompt + solution  # as one text: passages may span where they meet
            yield name, prompt + buggy
            yield name, test


def _quixbugs(folder: Path) -> Iterator[tuple[str, str]]:
    for language, suffix in (("python", ".py"), ("java", ".java")):
        for kind in (f"{language}_programs", f"correct_{language}_programs"):
            for path in sorted((folder / kind).rglob(f"*{suffix}")):
                yield f"QuixBugs {language}", path.read_text(encoding="utf-8", errors="replace")


def _debugbench(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.jsonl")):
        for record in _records(path):
            for text in _fields(record, path, ("solution", "buggy_code")):
                yield f"DebugBench {path.stem}", text


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, str]]]] = {
    "humanevalpack": _humanevalpack,
    "quixbugs": _quixbugs,
    "debugbench": _debugbench,
}


def read_benchmarks(folder: str | Path) -> BenchmarkIndex:
    """The benchmarks' prompts, solutions, buggy versions and tests.

    Args:
        folder: The folder that holds ``humanevalpack``, ``quixbugs`` and ``debugbench``.

    Raises:
        BenchmarkError: One of them is missing, empty or damaged.
    """

    def texts() -> Iterator[tuple[str, str]]:
        for name, reader in _READERS.items():
            empty = True
            for pair in reader(Path(folder) / name):
                empty = False
                yield pair
            if empty:
                raise BenchmarkError(
                    f"{folder} holds no {name}: the corpus could hold its answers. Set --benchmarks to the folder "
                    "that does, or give --no_contamination_check; the manifest will say that nothing was checked."
                )

    return BenchmarkIndex(texts())
