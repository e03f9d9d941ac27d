"""The authors' token figures against every order of the tied tokens, one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.metrics import (
    TOKEN_METRICS,
    full_coverage_at_k,
    token_metrics,
    token_precision_at_k,
    token_recall_at_k,
)

AT_K = {"recall": token_recall_at_k, "precision": token_precision_at_k, "coverage": full_coverage_at_k}


def by_permutation(scores, labels, line_tokens, k):
    """The mean over all orders of the tokens that have the better score first."""
    tokens = [line for line, n in enumerate(line_tokens) for _ in range(n)]
    groups = [[t for t, line in enumerate(tokens) if scores[line] == s] for s in sorted(set(scores), reverse=True)]
    wrong = {line for line, label in enumerate(labels) if label > 0}
    n_wrong = sum(line_tokens[line] for line in wrong)
    values = []
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        first = list(itertools.chain(*parts))[:k]
        found = sum(tokens[t] in wrong for t in first)
        whole = sum(sum(tokens[t] == line for t in first) == line_tokens[line] for line in wrong)
        values.append((found / n_wrong, found / k, whole / len(wrong)))
    return dict(zip(AT_K, np.mean(values, axis=0), strict=True))


SNIPPETS = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=n, max_size=n).filter(any),
        st.lists(st.integers(1, 3), min_size=n, max_size=n).filter(lambda tokens: sum(tokens) <= 7),
        st.integers(1, 9),
    )
)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(SNIPPETS)
def test_each_figure_is_its_mean_over_all_orders(snippet):
    expected = by_permutation(*snippet)
    for name, metric in AT_K.items():
        assert metric(*snippet) == pytest.approx(expected[name], abs=1e-12), name


def test_by_hand():
    scores, labels, tokens = [3.0, 2.0, 2.0, 1.0], [0, 1, 0, 1], [2, 3, 1, 4]
    # 2 tokens of the first line; then 2 of the 4 tied ones, of which 3 are wrong
    assert token_recall_at_k(scores, labels, tokens, 4) == pytest.approx(2 * 3 / 4 / 7)
    assert token_precision_at_k(scores, labels, tokens, 4) == pytest.approx(2 * 3 / 4 / 4)
    assert full_coverage_at_k(scores, labels, tokens, 4) == 0  # three tokens are not among two
    assert full_coverage_at_k(scores, labels, tokens, 5) == pytest.approx(1 / math.comb(4, 3) / 2)
    assert full_coverage_at_k(scores, labels, tokens, 6) == 1 / 2
    assert full_coverage_at_k(scores, labels, tokens, 99) == 1
    assert token_recall_at_k(scores, labels, tokens, 99) == 1
    assert token_precision_at_k(scores, labels, tokens, 100) == 7 / 100


def test_a_constant_scorer_gets_what_chance_gets():
    labels, tokens = [0, 1, 0, 0], [5, 2, 9, 4]
    for k in (1, 3, 20):
        assert token_recall_at_k([7.0] * 4, labels, tokens, k) == pytest.approx(k / 20)
        assert token_precision_at_k([7.0] * 4, labels, tokens, k) == pytest.approx(2 / 20)
        assert full_coverage_at_k([7.0] * 4, labels, tokens, k) == pytest.approx(k * (k - 1) / (20 * 19))


def test_all_at_once_is_each_alone():
    rng = np.random.default_rng(0)
    scores, labels, tokens = rng.integers(4, size=12), np.eye(12)[3] + np.eye(12)[8], rng.integers(1, 15, size=12)
    found = token_metrics(scores, labels, tokens)
    assert tuple(found) == TOKEN_METRICS
    for name, value in found.items():
        metric, k = name.split("@")
        alone = {"token_recall": "recall", "token_precision": "precision", "full_coverage": "coverage"}[metric]
        assert value == AT_K[alone](scores, labels, tokens, int(k))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [0, 1], [1], 1), r"line_tokens must both be \(T,\)"),
        (([1, 2], [0, 1], [1, 0], 1), "every line has a token"),
        (([1, 2], [0, 0], [1, 1], 1), "No line is wrong"),
        (([1, 2], [0, 1], [1, 1], 0), "k must be at least 1"),
        (([1], [0, 1], [1, 1], 1), "scores and labels"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message):
    for metric in AT_K.values():
        with pytest.raises(ValueError, match=message):
            metric(*arguments)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(NonFiniteError):
        token_recall_at_k([math.nan, 1], [0, 1], [1, 1], 1)
