"""Curves against brute force: loops, orders of ties drawn one by one, scikit-learn and scipy."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.metrics import METRICS
from pttrust_lightning.metrics.curves import (
    distance_histogram,
    effort_curve,
    firing_histogram,
    line_reliability,
    reliability_curve,
    wilson_interval,
)
from pttrust_lightning.metrics.evaluation import ELIGIBLE, TOKEN_METRICS, VERDICT_METRICS
from pttrust_lightning.metrics.units import unit
from pttrust_lightning.types import ScoredSnippet


def snippet(name, scores, labels, fold=0):
    scores = np.array(scores, dtype=np.float64)
    labels = np.array(labels, dtype=np.float64)
    return ScoredSnippet(name, np.arange(len(labels)), scores, np.full(len(labels), 0.5), labels, fold)


# --- Wilson -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 40), (3, 17), (17, 17), (200, 1000)])
def test_wilson_is_scipys(k, n, confidence):
    expected = binomtest(k, n).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(k, n, confidence)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)


@pytest.mark.parametrize(("k", "n", "confidence"), [(1, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_of_nonsense_is_refused(k, n, confidence):
    with pytest.raises(ValueError, match="must"):
        wilson_interval(k, n, confidence)


# --- reliability ------------------------------------------------------------------------------------------------------


def reliability_by_hand(probabilities, labels, bins):
    """A loop over lines: the bin of a line is decided by how many lines lie below it, and beside it."""
    members = {}
    for p, y in zip(probabilities, labels, strict=True):
        middle = sum(q < p for q in probabilities) + sum(q == p for q in probabilities) / 2
        members.setdefault(min(int(middle * bins / len(probabilities)), bins - 1), []).append((p, y > 0))
    curve = []
    for b in sorted(members):
        ps, ys = zip(*members[b], strict=True)
        curve.append((math.fsum(ps) / len(ps), sum(ys) / len(ys), len(ps)))
    return np.array(curve).T


grid = st.sampled_from([i / 8 for i in range(9)])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(grid, st.booleans()), min_size=1, max_size=30), st.integers(1, 12), st.randoms())
def test_reliability_is_brute_force_whatever_the_order(lines, bins, random):
    p, y = zip(*lines, strict=True)
    expected = reliability_by_hand(p, y, bins)
    shuffled = random.sample(lines, len(lines))
    for given_lines in (lines, shuffled):
        curve = reliability_curve(*zip(*given_lines, strict=True), bins=bins)
        np.testing.assert_allclose([curve.predicted, curve.observed, curve.counts], expected, atol=1e-12)
        assert (curve.low <= curve.observed).all() and (curve.observed <= curve.high).all()
    assert curve.counts.sum() == len(lines)


def test_bins_are_of_equal_mass():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 8, size=1000)  # bins of equal width would hold almost nothing above one half
    curve = reliability_curve(p, rng.random(1000) < p, bins=10)
    assert curve.counts.tolist() == [100] * 10
    assert (np.diff(curve.predicted) > 0).all()
    inside = (curve.low <= curve.predicted) & (curve.predicted <= curve.high)
    assert inside.sum() >= 8, "the outcomes were drawn from the probabilities"


def test_a_constant_probability_is_one_bin():
    curve = reliability_curve([0.3] * 7, [1, 0, 0, 0, 0, 0, 1])
    assert (curve.counts.tolist(), curve.observed.tolist()) == ([7], [2 / 7])
    np.testing.assert_allclose(curve.predicted, [0.3])


@pytest.mark.parametrize(("p", "bins"), [([0.5, 1.2], 3), ([], 3), ([0.5, 0.5], 0)])
def test_reliability_of_nonsense_is_refused(p, bins):
    with pytest.raises(ValueError):
        reliability_curve(p, [0] * len(p), bins)
    with pytest.raises(NonFiniteError):
        reliability_curve([0.5, math.nan], [0, 1])


def test_lines_of_correct_snippets_have_no_part_in_the_reliability_of_lines():
    wrong = snippet("a", [2, 1], [0, 1])._replace(probabilities=np.array([0.2, 0.6]))
    correct = snippet("b", [2, 1], [0, 0])._replace(probabilities=np.array([0.9, 0.9]))
    curve = line_reliability([correct, wrong], bins=2)
    np.testing.assert_allclose([curve.predicted, curve.observed], [[0.2, 0.6], [0, 1]])
    with pytest.raises(ValueError, match="None of the 1"):
        line_reliability([correct])


# --- effort -----------------------------------------------------------------------------------------------------------


def found_by_hand(lines, share):
    """Wrong lines among the first ``share`` of these (score, wrong), over all orders of equal scores."""
    orders = [o for o in itertools.permutations(lines) if all(a[0] >= b[0] for a, b in itertools.pairwise(o))]
    total = 0.0
    for order in orders:
        left = share * len(order)
        for _, wrong in order:
            total += wrong * min(max(left, 0.0), 1.0)
            left -= 1
    return total / len(orders)


pool = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=2, max_size=6).filter(
    lambda lines: any(wrong for _, wrong in lines)
)


@settings(deadline=None, max_examples=40)
@given(st.lists(pool, min_size=1, max_size=2))
def test_effort_is_the_mean_over_all_orders_fold_by_fold(folds):
    snippets = [snippet(f"s{i}", *zip(*lines, strict=True), fold=i) for i, lines in enumerate(folds)]
    curve = effort_curve(snippets, bootstrap_samples=0)
    n_wrong = sum(wrong for lines in folds for _, wrong in lines)
    for i in (0, 7, 20, 50, 83, 100):
        expected = sum(found_by_hand(lines, i / 100) for lines in folds) / n_wrong
        assert curve.found[i] == pytest.approx(expected, abs=1e-9)
        best = sum(min(i / 100 * len(lines), sum(w for _, w in lines)) for lines in folds) / n_wrong
        assert curve.oracle[i] == pytest.approx(best, abs=1e-9)
    assert np.isnan(curve.low).all() and np.isnan(curve.high).all()


def test_snippets_of_one_fold_are_read_together():
    apart = [snippet("a", [9, 1], [1, 0]), snippet("b", [5, 4], [0, 1])]
    curve = effort_curve(apart, bootstrap_samples=0)
    np.testing.assert_allclose(curve.found[[0, 25, 50, 75, 100]], [0, 0.5, 0.5, 1, 1])
    other_fold = [apart[0], apart[1]._replace(fold=1)]
    np.testing.assert_allclose(effort_curve(other_fold, bootstrap_samples=0).found[[0, 25, 50]], [0, 0.25, 0.5])


def test_a_constant_scorer_is_the_diagonal_and_the_labels_are_the_oracle():
    rng = np.random.default_rng(1)
    labels = [np.append(rng.random(9) < 0.2, True) for _ in range(20)]
    constant = effort_curve([snippet(f"s{i}", [3.0] * 10, y, fold=i % 3) for i, y in enumerate(labels)])
    for line in (constant.found, constant.low, constant.high):
        np.testing.assert_allclose(line, constant.read, atol=1e-12)
    perfect = effort_curve([snippet(f"s{i}", y, y, fold=i % 3) for i, y in enumerate(labels)])
    np.testing.assert_allclose(perfect.found, perfect.oracle)


def test_the_interval_is_that_of_snippets_drawn_again():
    rng = np.random.default_rng(2)
    snippets = []
    for i in range(12):
        y = np.append(rng.random(5) < 0.3, True)
        snippets.append(snippet(f"s{i}", y + rng.normal(size=6), y, fold=i % 2))
    curve = effort_curve(snippets, bootstrap_samples=3000, seed=5)
    assert (curve.low <= curve.found).all() and (curve.found <= curve.high).all()
    drawn = []
    for _ in range(600):  # by hand: the snippets themselves, again and again
        again = [snippets[i] for i in rng.integers(12, size=12)]
        drawn.append(effort_curve(again, bootstrap_samples=0).found)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(curve.low, low, atol=0.04)
    np.testing.assert_allclose(curve.high, high, atol=0.04)
    again = effort_curve(snippets, bootstrap_samples=3000, seed=5)
    np.testing.assert_array_equal(again.low, curve.low)


def test_what_cannot_be_ranked_does_not_count():
    one = snippet("a", [2, 1], [0, 1])
    right, short = snippet("right", [9, 9], [0, 0]), snippet("short", [9], [1])
    np.testing.assert_array_equal(
        effort_curve([right, one, short], bootstrap_samples=0).found, effort_curve([one], bootstrap_samples=0).found
    )
    with pytest.raises(ValueError, match="None of the 2 snippets"):
        effort_curve([right, short])
    with pytest.raises(NonFiniteError, match="Snippet a"):
        effort_curve([one._replace(scores=np.array([0.0, np.nan]))])
    with pytest.raises(ValueError, match="bootstrap_samples"):
        effort_curve([one], bootstrap_samples=-1)


# --- histograms -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(2, 500), st.integers(1, 30))
def test_firing_histogram_is_brute_force(data, n_lines, bins):
    fired = data.draw(st.lists(st.integers(0, n_lines), min_size=1, max_size=40))
    histogram = firing_histogram(fired, n_lines, bins)
    np.testing.assert_allclose(histogram.edges, [n_lines ** (i / bins - 1) for i in range(bins + 1)])
    expected = [0] * bins
    for count in fired:
        if count:
            above = [i for i in range(bins) if histogram.edges[i] <= count / n_lines]
            expected[max(above, default=0)] += 1
    assert histogram.counts.tolist() == expected
    assert histogram.n_dead == fired.count(0)
    assert histogram.n_latents == len(fired)
    assert histogram.dead_share == fired.count(0) / len(fired)


@pytest.mark.parametrize("arguments", [([], 9), ([1], 1), ([10], 9), ([-1], 9), ([[1]], 9), ([1], 9, 0)])
def test_firing_of_nonsense_is_refused(arguments):
    with pytest.raises(ValueError):
        firing_histogram(*arguments)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, math.sqrt(2)), min_size=1, max_size=40), st.integers(1, 50))
def test_distance_histogram_is_brute_force(distances, bins):
    histogram = distance_histogram(distances, bins)
    expected = [0] * bins
    for d in distances:
        above = [i for i in range(bins) if histogram.edges[i] <= min(d, math.sqrt(2))]
        expected[max(above)] += 1
    np.testing.assert_allclose(histogram.shares * len(distances), expected, atol=1e-9)
    assert histogram.shares.sum() == pytest.approx(1)
    assert histogram.quartiles[1] == pytest.approx(np.median(distances))
    assert (histogram.edges[0], histogram.edges[-1], histogram.n_pairs) == (0, math.sqrt(2), len(distances))


@pytest.mark.parametrize("distances", [[], [1.5], [-0.1], [math.nan], [[0.1]]])
def test_distances_that_cannot_be_are_refused(distances):
    with pytest.raises(ValueError, match="distances"):
        distance_histogram(distances)


# --- units ------------------------------------------------------------------------------------------------------------


def test_every_metric_has_a_unit():
    assert all(unit(name) for name in (*METRICS, *VERDICT_METRICS, *TOKEN_METRICS))
    assert all(unit(f"{name} (eligible)") == unit(name) != "" for name in ELIGIBLE)
    assert unit("test/recall@20%snippets") != unit("test/recall@20%lines") != ""
    assert unit("val/hit@3") == unit("hit@1") == "share of snippets"
    assert unit("no_such_metric") == ""
