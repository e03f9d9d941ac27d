from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tools.embedded_llm.corpus import duplicates
from tools.embedded_llm.corpus.duplicates import (
    exact_duplicates,
    exact_key,
    jaccard,
    near_duplicates,
    shingles,
)
from tools.embedded_llm.corpus.tokens import WORD


def brute_shingles(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text)
    n = min(5, max(len(words), 1))
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def brute_jaccard(a: str, b: str) -> float:
    one, other = brute_shingles(a), brute_shingles(b)
    return len(one & other) / len(one | other) if one | other else 1.0


words = st.lists(st.sampled_from(["a", "b", "c", "if", "return"]), max_size=40).map(" ".join)


@given(words, words)
def test_jaccard_is_that_of_the_sets(a, b):
    assert jaccard(shingles(a), shingles(b)) == pytest.approx(brute_jaccard(a, b))


def test_punctuation_and_white_space_make_no_shingle():
    assert np.array_equal(shingles("a(b, c); d = e"), shingles("a b\n\tc.d->e"))


def test_the_first_shingles_count(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_SHINGLES", 10)
    text = " ".join(f"w{i}" for i in range(100))
    assert np.array_equal(shingles(text), shingles(" ".join(f"w{i}" for i in range(14))))


def documents(seed: int, n: int = 60) -> list[str]:
    """Random texts, and edited copies of some of them from hardly changed to hardly alike."""
    rng = random.Random(seed)
    made: list[str] = []
    for _ in range(n):
        if made and rng.random() < 0.6:
            tokens = rng.choice(made).split()
            for _ in range(rng.randrange(12)):
                tokens[rng.randrange(len(tokens))] = f"edit{rng.randrange(1000)}"
        else:
            tokens = [f"w{rng.randrange(2000)}" for _ in range(120)]
        made.append(" ".join(tokens))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_what_goes_resembles_what_stays_and_what_stays_rarely_resembles_anything(seed):
    texts = documents(seed)
    gone = near_duplicates([shingles(text) for text in texts])
    for i, j in gone.items():
        assert j < i and j not in gone and brute_jaccard(texts[i], texts[j]) >= 0.7
    kept = [i for i in range(len(texts)) if i not in gone]
    missed = [(i, j) for i in kept for j in kept if j < i and brute_jaccard(texts[i], texts[j]) >= 0.8]
    assert gone and not missed  # LSH may miss pairs close to the threshold, not clear ones


@settings(max_examples=20, deadline=None)
@given(st.lists(words, max_size=12))
def test_equal_texts_never_both_stay(texts):
    gone = near_duplicates([shingles(text) for text in texts])
    kept = [frozenset(brute_shingles(text)) for i, text in enumerate(texts) if i not in gone]
    assert len(set(kept)) == len(kept)


def test_order_decides_and_chains_do_not_carry_on():
    base = [f"w{i}" for i in range(200)]
    near = base[:-20] + [f"x{i}" for i in range(20)]
    far = [f"y{i}" for i in range(25)] + near[25:]
    a, b, c = (shingles(" ".join(tokens)) for tokens in (base, near, far))
    assert jaccard(a, b) >= 0.7 and jaccard(b, c) >= 0.7 and jaccard(a, c) < 0.7
    assert near_duplicates([a, b, c]) == {1: 0}
    assert near_duplicates([b, a]) == {1: 0}


def test_exact_keys_ignore_white_space():
    assert exact_key("a  b\n\tc\n") == exact_key("a b c")
    assert exact_key("ab c") != exact_key("a bc")
    assert exact_duplicates(["x", "y", "x", "x"]) == {2: 0, 3: 0}
