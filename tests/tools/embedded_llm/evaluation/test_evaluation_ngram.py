from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tools.embedded_llm.evaluation import ngram


class Literal:
    """Interpolated modified Kneser-Ney by its definition, one gram at a time."""

    def __init__(self, sequences, vocabulary, order):
        self.vocabulary, self.order = vocabulary, order
        texts = [[vocabulary] * (order - 1) + list(s) for s in sequences]
        grams = {
            k: [tuple(t[i - k + 1 : i + 1]) for t in texts for i in range(order - 1, len(t))]
            for k in range(1, order + 1)
        }
        self.count = {order: Counter(grams[order])}
        for k in range(1, order):
            longer = set(grams[k + 1])
            self.count[k] = Counter({g: sum(h[1:] == g for h in longer) for g in set(grams[k])})

    def discount(self, k, count):
        if count == 0:
            return 0.0
        of = Counter(self.count[k].values())
        single = of[1] / (of[1] + 2 * of[2]) if of[1] else 0.5
        c = min(count, 3)
        known = of[c] and of[c + 1]
        return min(max(c - (c + 1) * single * of[c + 1] / of[c] if known else single, 0.05), c)

    def probability(self, context, token, k=None):
        k = self.order if k is None else k
        if k == 0:
            return 1 / self.vocabulary
        context = tuple(context)[-(k - 1) :] if k > 1 else ()
        following = {g: a for g, a in self.count[k].items() if g[:-1] == context}
        shorter = self.probability(context[1:], token, k - 1)
        total = sum(following.values())
        if not total:
            return shorter
        left = sum(self.discount(k, a) for a in following.values()) / total
        own = self.count[k].get((*context, token), 0)
        return max(own - self.discount(k, own), 0) / total + left * shorter


def texts(seed, n=6, length=40, vocabulary=5):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocabulary, size=rng.integers(1, length)) ** 2 % vocabulary for _ in range(n)]


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_the_definition_gives_the_same(order, seed):
    train, held_out = texts(seed), texts(seed + 100, n=3, vocabulary=6)
    model, literal = ngram.fit(train, 7, order), Literal([t.tolist() for t in train], 7, order)
    for text, nats in zip(held_out, ngram.nats(model, held_out), strict=True):
        padded = [7] * (order - 1) + text.tolist()
        for i, found in enumerate(nats):
            expected = literal.probability(padded[i : i + order - 1], padded[i + order - 1])
            assert math.exp(-found) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), min_size=1, max_size=4),
    st.lists(st.integers(0, 5), max_size=6),
    st.integers(2, 5),
)
def test_probabilities_add_up_to_one(train, context, order):
    """After any context: seen, seen in part, never seen, or none; token 5 is in no training text."""
    model = ngram.fit([np.array(t) for t in train], 6, order)
    nats = ngram.nats(model, [np.array([*context, token]) for token in range(6)])
    assert sum(math.exp(-n[-1]) for n in nats) == pytest.approx(1, abs=1e-12)
    assert all(np.isfinite(n).all() for n in nats)


def test_texts_do_not_run_into_each_other():
    train, other = np.array([0, 1, 0, 1]), np.array([2, 3])
    together, joined = ngram.fit([train, other, train], 4, 3), ngram.fit([np.concatenate([train, other, train])], 4, 3)

    def cost(model, *text):
        return ngram.nats(model, [np.array(text)])[0][-1]

    assert cost(together, 0, 1, 2) > cost(together, 2), "2 follows the boundary, never 1"
    assert cost(joined, 0, 1, 2) < cost(joined, 2)
    (first, second) = ngram.nats(together, [train, train])
    assert first.tolist() == second.tolist(), "what was scored before has no part in it"


def test_repetition_is_learned():
    repeated = np.tile(np.arange(8), 200)
    nats = ngram.nats(ngram.fit([repeated], 8), [repeated])[0]
    assert nats[5:].mean() < 0.05


def test_discounts_by_hand():
    counts = np.repeat([1, 2, 3, 4, 9], [8, 4, 2, 1, 1])
    # Y = 8 / (8 + 2 * 4) = 1/2; D1 = 1 - 2 Y 4/8, D2 = 2 - 3 Y 2/4, D3 = 3 - 4 Y 1/2
    assert ngram.discounts(counts).tolist() == [0, 0.5, 1.25, 2.0]
    assert ngram.discounts(np.array([1, 1, 3])).tolist() == [0, 1, 1, 1], "no gram occurs twice: n1 / (n1 + 2 n2)"
    assert ngram.discounts(np.array([7])).tolist() == [0, 0.5, 0.5, 0.5], "a sample with no gram that occurs once"


@pytest.mark.parametrize(
    ("train", "order", "message"),
    [
        ([], 5, "no token"),
        ([np.zeros(0, dtype=np.int64)], 5, "no token"),
        ([np.array([0, 4])], 5, "0 to 3, got 0 to 4"),
        ([np.array([-1])], 5, "0 to 3, got -1"),
        ([np.array([1])], 1, "order is 1"),
    ],
)
def test_bad_input(train, order, message):
    with pytest.raises(ValueError, match=message):
        ngram.fit(train, 4, order)
