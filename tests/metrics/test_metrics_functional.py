import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, ndcg_score, roc_auc_score

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.metrics import (
    auroc,
    average_precision,
    brier_score,
    brier_skill,
    expected_calibration_error,
    hit_at_k,
    initial_false_alarms,
    line_recall_at_k,
    ndcg,
    precision_at_k,
    recall_at_effort,
    reciprocal_rank,
    snippet_metric_names,
    snippet_metrics,
)


def orders(scores):
    """Every order of the lines that the scores allow, as lists of line numbers."""
    groups = [[i for i, s in enumerate(scores) if s == value] for value in sorted(set(scores), reverse=True)]
    for parts in itertools.product(*(itertools.permutations(g) for g in groups)):
        yield [i for part in parts for i in part]


def of_order(labels):
    """The metrics of labels already in order, by their plain definitions."""
    n, wrong = len(labels), [y > 0 for y in labels]
    first = wrong.index(True)
    effort = -(-n // 5)  # a fifth, rounded up
    dcg = sum(y / math.log2(i + 2) for i, y in enumerate(labels))
    ideal = sum(y / math.log2(i + 2) for i, y in enumerate(sorted(labels, reverse=True)))
    values = {f"hit@{k}": float(any(wrong[:k])) for k in (1, 2, 3, 9)}
    values |= {f"line_recall@{k}": sum(wrong[:k]) / sum(wrong) for k in (1, 2, 3, 9)}
    values |= {f"precision@{k}": sum(wrong[:k]) / k for k in (1, 2, 3, 9)}
    return values | {
        "mrr": 1 / (first + 1),
        "ndcg": dcg / ideal,
        "recall@20%lines": sum(wrong[:effort]) / sum(wrong),
        "ifa": float(first),
    }


def brute_force(scores, labels):
    rows = [of_order([labels[i] for i in order]) for order in orders(scores)]
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


snippets = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]), min_size=n, max_size=n),
        st.lists(st.sampled_from([0, 0, 1, 2]), min_size=n, max_size=n).filter(any),
    )
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(snippets)
def test_every_metric_is_the_mean_over_all_orders_of_the_tied_lines(snippet):
    scores, labels = snippet
    values = snippet_metrics(scores, labels, ks=(1, 2, 3, 9))
    assert values == pytest.approx(brute_force(scores, labels), abs=1e-12)


@pytest.mark.parametrize("labels", [p for p in itertools.product([0, 1], repeat=5) if any(p)])
def test_a_constant_scorer_gets_exactly_chance(labels):
    values = snippet_metrics([0.7] * 5, labels, ks=(1, 2, 3, 9))
    assert values == pytest.approx(brute_force([0.7] * 5, labels), abs=1e-12)
    rate = sum(labels) / 5
    assert values["hit@1"] == pytest.approx(rate, abs=1e-15)
    assert values["precision@3"] == pytest.approx(rate, abs=1e-15)


def test_the_order_of_the_lines_does_not_matter():
    scores, labels = np.array([1.0, 0.0, 1.0, 0.0, 2.0]), np.array([0.0, 1.0, 1.0, 0.0, 0.0])
    expected = snippet_metrics(scores, labels)
    for order in itertools.permutations(range(5)):
        assert snippet_metrics(scores[list(order)], labels[list(order)]) == pytest.approx(expected, abs=1e-15)


def test_single_metrics_are_those_of_the_table():
    scores, labels = [0.1, 0.5, 0.5, -1.0, 0.5, 0.1], [0, 0, 1, 1, 0, 2]
    table = snippet_metrics(scores, labels, ks=(1, 3))
    single = {
        "hit@1": hit_at_k(scores, labels, 1),
        "hit@3": hit_at_k(scores, labels, 3),
        "line_recall@1": line_recall_at_k(scores, labels, 1),
        "line_recall@3": line_recall_at_k(scores, labels, 3),
        "precision@1": precision_at_k(scores, labels, 1),
        "precision@3": precision_at_k(scores, labels, 3),
        "mrr": reciprocal_rank(scores, labels),
        "ndcg": ndcg(scores, labels),
        "recall@20%lines": recall_at_effort(scores, labels),
        "ifa": initial_false_alarms(scores, labels),
    }
    assert table == single
    assert tuple(table) == snippet_metric_names((1, 3))


def test_partial_ties_by_hand():
    # one line ahead, then three tied with one wrong, then one wrong line
    scores, labels = [9.0, 5.0, 5.0, 5.0, 1.0], [0, 1, 0, 0, 1]
    assert hit_at_k(scores, labels, 1) == 0.0
    assert hit_at_k(scores, labels, 2) == pytest.approx(1 / 3)
    assert hit_at_k(scores, labels, 3) == pytest.approx(2 / 3)
    assert hit_at_k(scores, labels, 4) == 1.0
    assert line_recall_at_k(scores, labels, 3) == pytest.approx(1 / 3)
    assert reciprocal_rank(scores, labels) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert initial_false_alarms(scores, labels) == pytest.approx(2.0)


def test_long_ties_stay_exact():
    n, w, k = 3000, 40, 700
    labels = np.zeros(n)
    labels[:w] = 1
    scores = np.zeros(n)
    missed = Fraction(math.comb(n - w, k), math.comb(n, k))
    assert hit_at_k(scores, labels, k) == pytest.approx(float(1 - missed), abs=1e-12)
    expected = sum(Fraction(math.comb(n - p, w - 1), math.comb(n, w) * p) for p in range(1, n - w + 2))
    assert reciprocal_rank(scores, labels) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(("n", "read"), [(1, 1), (4, 1), (5, 1), (6, 2), (15, 3), (35, 7), (36, 8), (55, 11)])
def test_effort_is_a_fifth_of_the_lines_rounded_up(n, read):
    scores = -np.arange(n, dtype=float)
    found = [recall_at_effort(scores, np.arange(n) == i) for i in range(n)]
    assert found == [1.0] * read + [0.0] * (n - read)


def test_effort_does_not_take_a_line_more_by_rounding():
    assert 0.28 * 25 > 7
    scores = -np.arange(25, dtype=float)
    assert recall_at_effort(scores, np.arange(25) == 6, share=0.28) == 1.0
    assert recall_at_effort(scores, np.arange(25) == 7, share=0.28) == 0.0


@settings(max_examples=50, deadline=None, derandomize=True)
@given(snippets.filter(lambda s: len(s[0]) > 1))
def test_ndcg_is_sklearns(snippet):
    scores, labels = snippet
    assert ndcg(scores, labels) == pytest.approx(ndcg_score([labels], [scores]), abs=1e-12)


# --- over lines -------------------------------------------------------------------------------------------------------

lines = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 6).map(lambda v: v / 6), min_size=n, max_size=n),
        st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda y: 0 < sum(y) < len(y)),
    )
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(lines)
def test_line_metrics_are_sklearns(sample):
    scores, labels = sample
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert brier_score(scores, labels) == pytest.approx(brier_score_loss(labels, scores), abs=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(lines)
def test_turning_the_scores_round_turns_auroc_round(sample):
    scores, labels = np.array(sample[0]), sample[1]
    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels), abs=1e-12)


def test_constant_scorers_over_lines():
    labels = [1, 0, 0, 1, 0, 0, 0]
    assert auroc([0.3] * 7, labels) == 0.5
    assert average_precision([0.3] * 7, labels) == pytest.approx(2 / 7, abs=1e-15)
    assert brier_skill([2 / 7] * 7, labels) == pytest.approx(0.0, abs=1e-12)


def test_auroc_of_large_logits_does_not_saturate():
    assert auroc([100.0, 101.0, 99.0], [0, 1, 0]) == 1.0


def test_brier_skill_by_hand():
    assert brier_skill([0.5, 0.5, 0.0, 0.0], [1, 0, 0, 0]) == pytest.approx(1 - (0.5 / 4) / (0.25 * 0.75))
    assert brier_skill([1.0, 0.0, 0.0], [1, 0, 0]) == 1.0
    assert brier_skill([0.0, 1.0], [1, 0]) == pytest.approx(-3.0)


def reference_ece(p, y, bins):
    total = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        inside = [i for i, v in enumerate(p) if low < v <= high or (b == 0 and v == 0)]
        if inside:
            gap = sum(p[i] for i in inside) / len(inside) - sum(y[i] for i in inside) / len(inside)
            total += len(inside) / len(p) * abs(gap)
    return total


def test_ece_against_its_definition():
    rng = np.random.default_rng(0)
    p, y = np.append(rng.random(200), [0.0, 1.0, 0.25, 0.5]), np.append(rng.integers(0, 2, 200), [0, 1, 1, 0])
    for bins in (1, 4, 15):
        assert expected_calibration_error(p, y, bins) == pytest.approx(reference_ece(p, y, bins), abs=1e-12)


def test_graded_labels_count_as_wrong_above_zero():
    scores = [0.2, 0.9, 0.4]
    for metric in (auroc, average_precision, brier_score, brier_skill, expected_calibration_error):
        assert metric(scores, [0, 3, 0.5]) == metric(scores, [0, 1, 1])


# --- refusals ---------------------------------------------------------------------------------------------------------

SNIPPET = [lambda s, y: hit_at_k(s, y, 1), lambda s, y: precision_at_k(s, y, 1), reciprocal_rank, ndcg, snippet_metrics]
PROBABILITY = [brier_score, brier_skill, expected_calibration_error]


@pytest.mark.parametrize("metric", [*SNIPPET, auroc, average_precision, *PROBABILITY])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_scores_raise(metric, bad):
    with pytest.raises(NonFiniteError, match=r"(scores|probabilities): 1 of 3"):
        metric([0.1, bad, 0.2], [0, 1, 0])


@pytest.mark.parametrize("metric", SNIPPET)
def test_a_snippet_without_a_wrong_line_raises(metric):
    with pytest.raises(ValueError, match="no wrong line"):
        metric([0.1, 0.2], [0, 0])


@pytest.mark.parametrize("metric", [auroc, average_precision, brier_skill])
@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_one_class_of_lines_raises(metric, labels):
    with pytest.raises(ValueError, match="all wrong or all right"):
        metric([0.1, 0.2], labels)


def test_other_bad_inputs_raise():
    with pytest.raises(ValueError, match=r"\(T,\)"):
        ndcg([0.1, 0.2], [1])
    with pytest.raises(ValueError, match="labels must be at least 0"):
        ndcg([0.1, 0.2], [1, -1])
    with pytest.raises(NonFiniteError, match="labels"):
        ndcg([0.1, 0.2], [1, math.nan])
    with pytest.raises(ValueError, match="k must be"):
        hit_at_k([0.1, 0.2], [1, 0], 0)
    with pytest.raises(ValueError, match="share"):
        recall_at_effort([0.1, 0.2], [1, 0], 0.0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        brier_score([0.1, 1.2], [1, 0])
    with pytest.raises(ValueError, match="no lines"):
        brier_score([], [])
    with pytest.raises(ValueError, match="bins"):
        expected_calibration_error([0.1], [1], bins=0)
