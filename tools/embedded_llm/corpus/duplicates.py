"""Exact and near duplicates: the first in a fixed order stays, held-out files before training files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from tools.embedded_llm.corpus.tokens import WORD, gram_hashes, token_hashes

Shingles = NDArray[np.uint32]

SHINGLE_WORDS = 5
MAX_SHINGLES = 2000
PERMUTATIONS = 128
THRESHOLD = 0.7


def exact_key(text: str) -> str:
    """SHA-256 (hex) of the text with every run of white space as one space."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8")).hexdigest()


def shingles(text: str) -> Shingles:
    """Hashes of the first distinct runs of five identifiers or words, sorted; of all words where there are fewer."""
    words = WORD.findall(text)
    grams = gram_hashes(token_hashes(words), min(SHINGLE_WORDS, max(len(words), 1)))
    _, first = np.unique(grams, return_index=True)
    distinct = grams[np.sort(first)[:MAX_SHINGLES]]
    return np.unique((distinct >> np.uint64(32)).astype(np.uint32))


def jaccard(a: Shingles, b: Shingles) -> float:
    """Share of common shingles among all; 1 where both have none."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    total = len(a) + len(b) - common
    return common / total if total else 1.0


def near_duplicates(documents: Sequence[Shingles], threshold: float = THRESHOLD) -> dict[int, int]:
    """Which documents resemble an earlier one that stays.

    Candidates come from MinHash LSH; a document goes only if its Jaccard similarity, counted exactly, reaches the
    threshold. A document that goes makes no other one go.

    Args:
        documents: Their shingles, in order of precedence.
        threshold: Least similarity.

    Returns:
        Index of each document that goes, and of the earlier one that it resembles.
    """
    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    empty = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
    gone: dict[int, int] = {}
    for i, document in enumerate(documents):
        sketch = empty.copy()
        sketch.update_batch(document.tolist())
        similar = [j for j in sorted(index.query(sketch)) if jaccard(document, documents[j]) >= threshold]
        if similar:
            gone[i] = similar[0]
        else:
            index.insert(i, sketch, check_duplication=False)
    return gone


def exact_duplicates(keys: Iterable[str]) -> dict[int, int]:
    """Index of each later document with the key of an earlier one, and of that one."""
    first: dict[str, int] = {}
    gone: dict[int, int] = {}
    for i, key in enumerate(keys):
        if first.setdefault(key, i) != i:
            gone[i] = first[key]
    return gone
