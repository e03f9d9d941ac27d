import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.metrics import (
    LINE_METRICS,
    METRICS,
    TOKEN_METRICS,
    auroc,
    average_precision,
    brier_score,
    brier_skill,
    evaluate,
    evaluate_runs,
    expected_calibration_error,
    others_last,
    paired_difference,
    paired_differences,
    paired_run_differences,
    rankable,
    snippet_metrics,
    token_metrics,
)
from pttrust_lightning.types import ScoredSnippet

LINE_FUNCTIONS = {
    "auroc": (auroc, "scores"),
    "average_precision": (average_precision, "scores"),
    "brier": (brier_score, "probabilities"),
    "brier_skill": (brier_skill, "probabilities"),
    "ece": (expected_calibration_error, "probabilities"),
}


def snippet(name, scores, labels):
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels, dtype=float)
    return ScoredSnippet(name, np.arange(len(labels)), scores, 1 / (1 + np.exp(-scores)), labels)


def scored(n_snippets=20, skill=1.0, seed=0, decimals=1):
    """Snippets of 2 to 9 lines with a wrong one; scores are rounded, so that some tie."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(n_snippets):
        labels = np.zeros(int(rng.integers(2, 10)))
        labels[rng.integers(len(labels))] = 1
        noise = rng.normal(size=len(labels))
        result.append(snippet(f"s{i}", np.round(skill * labels + noise - 1, decimals), labels))
    return result


def test_without_pooled_ranking_all_else_is_the_same():
    a, b = [scored(seed=0), scored(seed=0, skill=2.0)], [scored(seed=0, skill=0.5)]
    whole, part = evaluate_runs(a, 50).metrics, evaluate_runs(a, 50, pooled_ranking=False).metrics
    assert whole.keys() - part.keys() == {"auroc", "average_precision"}
    assert part == {name: whole[name] for name in part}
    gaps, fewer = paired_run_differences(a, b, 50), paired_run_differences(a, b, 50, pooled_ranking=False)
    assert fewer == {name: gaps[name] for name in part}


def by_definition(snippets):
    """Every metric from the functional form."""
    rows = [snippet_metrics(s.scores, s.labels) for s in snippets]
    values = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    labels = np.concatenate([s.labels for s in snippets])
    for name, (function, column) in LINE_FUNCTIONS.items():
        values[name] = function(np.concatenate([getattr(s, column) for s in snippets]), labels)
    return values


def test_values_are_those_of_the_functional_form():
    snippets = scored()
    evaluation = evaluate(snippets, bootstrap_samples=0)
    assert {k: e.value for k, e in evaluation.metrics.items()} == pytest.approx(by_definition(snippets), abs=1e-12)
    assert tuple(evaluation.metrics) == METRICS
    assert set(LINE_METRICS) == set(LINE_FUNCTIONS)
    assert all(math.isnan(e.low) and math.isnan(e.high) for e in evaluation.metrics.values())


def test_intervals_are_quantiles_over_resampled_snippets():
    snippets = scored(12, seed=3)
    evaluation = evaluate(snippets, bootstrap_samples=40, seed=7, confidence=0.8)
    draws = np.random.default_rng(7).integers(12, size=(40, 12))
    resampled = [by_definition([snippets[i] for i in row]) for row in draws]
    for name, estimate in evaluation.metrics.items():
        low, high = np.quantile([r[name] for r in resampled], [0.1, 0.9])
        assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-12), name


def test_more_resamples_than_fit_one_chunk(monkeypatch):
    snippets = scored(10)
    whole = evaluate(snippets, bootstrap_samples=50)
    monkeypatch.setattr("pttrust_lightning.metrics.evaluation._CHUNK", 100)
    assert evaluate(snippets, bootstrap_samples=50) == whole


def test_only_rankable_snippets_count():
    snippets = scored(8)
    others = [snippet("right", [0.1, 5.0], [0, 0]), snippet("one", [0.3], [1]), snippet("none", [], [])]
    assert not any(rankable(s) for s in others)
    mixed = evaluate([*others, *snippets], bootstrap_samples=30)
    assert mixed == evaluate(snippets, bootstrap_samples=30)
    assert mixed.n_snippets == 8
    assert mixed.n_lines == sum(len(s.labels) for s in snippets)
    assert mixed.n_wrong_lines == 8


def test_a_constant_scorer_gets_chance():
    snippets = [s._replace(scores=np.zeros_like(s.scores)) for s in scored(30)]
    metrics = evaluate(snippets, bootstrap_samples=50).metrics
    assert metrics["hit@1"].value == pytest.approx(np.mean([s.labels.mean() for s in snippets]), abs=1e-15)
    assert metrics["auroc"] == (0.5, 0.5, 0.5)


def test_the_seed_decides_the_interval_and_nothing_else():
    snippets = scored(15)
    first, again, other = (evaluate(snippets, 100, seed=s).metrics for s in (1, 1, 2))
    assert first == again
    assert first["mrr"].value == other["mrr"].value
    assert first["mrr"] != other["mrr"]


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide():
    snippets = scored(200)
    estimate = evaluate(snippets, 2000).metrics["mrr"]
    values = [snippet_metrics(s.scores, s.labels)["mrr"] for s in snippets]
    error = np.std(values) / math.sqrt(200)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert (estimate.high + estimate.low) / 2 == pytest.approx(np.mean(values), abs=0.3 * error)


def test_all_lines_wrong_leaves_undefined_metrics_nan():
    snippets = [snippet(f"s{i}", [0.1, 0.2], [1, 1]) for i in range(3)]
    metrics = evaluate(snippets, 20).metrics
    assert metrics["hit@1"].value == 1.0
    for name in ("auroc", "average_precision", "brier_skill"):
        assert all(math.isnan(v) for v in metrics[name])
    assert math.isfinite(metrics["brier"].value)


def test_resamples_with_wrong_lines_only_are_left_out_of_the_interval():
    snippets = [snippet("all", [0.1, 0.2], [1, 1]), snippet("some", [0.3, 0.25], [1, 0])]
    estimate = evaluate(snippets, 50).metrics["auroc"]  # a quarter of the resamples draw the first one twice
    assert estimate.value == pytest.approx(1 / 3)
    assert (estimate.low, estimate.high) == pytest.approx((1 / 3, 1.0))


def test_paired_difference_is_the_difference_with_the_same_resamples():
    a, b = scored(12, skill=2.0), scored(12, skill=0.0, seed=0)
    draws = np.random.default_rng(5).integers(12, size=(30, 12))
    differences = paired_differences(a, b[::-1], 30, seed=5, confidence=0.9)
    resampled = [(by_definition([a[i] for i in row]), by_definition([b[i] for i in row])) for row in draws]
    whole = by_definition(a), by_definition(b)
    for name, estimate in differences.items():
        low, high = np.quantile([x[name] - y[name] for x, y in resampled], [0.05, 0.95])
        assert estimate == pytest.approx((whole[0][name] - whole[1][name], low, high), abs=1e-12), name
    assert paired_difference(a, b, "mrr", 30, seed=5, confidence=0.9) == differences["mrr"]


def test_a_method_does_not_differ_from_itself_and_pairing_narrows():
    a = scored(60, skill=1.0)
    assert paired_difference(a, a, "auroc", 50) == (0.0, 0.0, 0.0)
    nudged = [s._replace(scores=s.scores + 0.3 * s.labels) for s in a]
    paired = paired_difference(nudged, a, "mrr", 300)
    alone = evaluate(a, 300).metrics["mrr"]
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)
    assert paired.value > 0


def test_methods_on_other_snippets_lines_or_labels_are_refused():
    a = scored(5)
    with pytest.raises(ValueError, match="one method only, such as s4"):
        paired_difference(a, a[:4], "mrr")
    with pytest.raises(ValueError, match="twice"):
        paired_difference(a, [*a, a[0]], "mrr")
    with pytest.raises(ValueError, match="different lines"):
        paired_difference(a, [a[0]._replace(labels=1 - a[0].labels), *a[1:]], "mrr")
    with pytest.raises(ValueError, match="different lines"):
        paired_difference(a, [a[0]._replace(line_numbers=a[0].line_numbers + 1), *a[1:]], "mrr")
    with pytest.raises(ValueError, match="Unknown metric 'map'"):
        paired_difference(a, a, "map")


@pytest.mark.parametrize("column", ["scores", "probabilities"])
def test_non_finite_values_name_the_snippet_and_the_line(column):
    bad = scored(3)
    values = getattr(bad[1], column).copy()
    values[1] = math.nan
    bad[1] = bad[1]._replace(**{column: values})
    with pytest.raises(NonFiniteError, match=rf"Snippet s1: {column} .* line\(s\) \[1\]"):
        evaluate(bad)


def test_bad_arguments_are_refused():
    a = scored(3)
    with pytest.raises(ValueError, match="None of the 1 snippets"):
        evaluate([snippet("right", [0.1, 0.2], [0, 0])])
    with pytest.raises(ValueError, match="bootstrap_samples"):
        evaluate(a, -1)
    with pytest.raises(ValueError, match="confidence"):
        evaluate(a, confidence=95)
    with pytest.raises(ValueError, match="Calibrate"):
        evaluate([a[0]._replace(probabilities=a[0].probabilities + 1)])
    with pytest.raises(ValueError, match="differ in shape"):
        evaluate([a[0]._replace(scores=a[0].scores[:-1])])


def test_lines_of_different_folds_are_not_compared():
    """A constant added to all scores of one fold changes nothing; pooled, it would change AUROC."""
    folds = [s._replace(snippet_id=f"{f}-{s.snippet_id}", fold=f) for f in (0, 1, 2) for s in scored(9, seed=f)]
    shifted = [s._replace(scores=s.scores + 10.0 * s.fold) for s in folds]
    assert evaluate(shifted, 50).metrics == evaluate(folds, 50).metrics
    pooled = [s._replace(fold=0) for s in shifted]
    assert evaluate(pooled, 0).metrics["auroc"].value != evaluate(folds, 0).metrics["auroc"].value

    per_fold = [[s for s in folds if s.fold == f] for f in (0, 1, 2)]
    parts = [(np.concatenate([s.scores for s in p]), np.concatenate([s.labels for s in p]) > 0) for p in per_fold]
    pairs = [[(a > b) + (a == b) / 2 for a in x[w] for b in x[~w]] for x, w in parts]
    metrics = evaluate(folds, 0).metrics
    assert metrics["auroc"].value == pytest.approx(np.mean([v for fold in pairs for v in fold]), abs=1e-12)
    precision = np.average([average_precision_score(w, x) for x, w in parts], weights=[w.sum() for _, w in parts])
    assert metrics["average_precision"].value == pytest.approx(precision, abs=1e-12)


def run_of(hits, n_lines=4):
    """Snippets whose first line is wrong; scored first where ``hits`` says so, else last."""
    labels = np.eye(n_lines)[0]
    scores = np.arange(n_lines)[::-1].astype(float)
    return [
        ScoredSnippet(f"s{i}", np.arange(n_lines), scores if hit else -scores, np.full(n_lines, 0.25), labels)
        for i, hit in enumerate(hits)
    ]


class TestRuns:
    HITS = (np.array([1, 1, 1, 0, 0, 0, 1, 0] * 5), np.array([1, 1, 0, 0, 0, 0, 1, 0] * 5))

    def test_the_value_is_the_mean_over_runs(self):
        runs = [run_of(hits) for hits in self.HITS]
        both = evaluate_runs(runs, 50)
        assert both.metrics["hit@1"].value == pytest.approx(np.mean([hits.mean() for hits in self.HITS]))
        assert both[1:] == evaluate(runs[0], 50)[1:]

    def test_one_run_and_equal_runs_give_the_interval_over_snippets(self):
        run = run_of(self.HITS[0])
        one = evaluate(run, 300)
        assert one.metrics["hit@1"] == evaluate_runs([run], 300).metrics["hit@1"]
        for name, estimate in evaluate_runs([run, run[::-1], run], 300).metrics.items():
            assert estimate == pytest.approx(one.metrics[name], nan_ok=True)

    def test_the_interval_holds_the_noise_of_training(self):
        """By hand: all snippets hit in one run, none in the other, so only which runs are drawn matters."""
        runs = [run_of([True] * 20), run_of([False] * 20)]
        assert evaluate_runs(runs, 400).metrics["hit@1"] == (0.5, 0.0, 1.0)
        gap = paired_run_differences(runs, [run_of([False] * 20)], 400)["hit@1"]
        assert gap == (0.5, 0.0, 1.0)

    def test_differences_pair_the_snippets(self):
        a, b = (run_of(hits) for hits in self.HITS)
        assert paired_run_differences([a], [b], 200) == paired_differences(a, b, 200)
        same = paired_run_differences([a, a], [a[::-1], a, a], 200)["hit@1"]
        assert same == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)

    def test_other_snippets_and_no_runs_are_refused(self):
        with pytest.raises(ValueError, match="no run"):
            evaluate_runs([])
        with pytest.raises(ValueError, match="scored by one method only"):
            evaluate_runs([run_of([1, 0]), run_of([1, 0, 1])])


# --- tokens, and lines that could be wrong ----------------------------------------------------------------------------


def test_token_figures_are_there_where_every_line_has_its_number_of_tokens():
    rng = np.random.default_rng(0)
    known = [s._replace(line_tokens=rng.integers(1, 12, size=len(s.labels))) for s in scored()]
    metrics = evaluate(known, 50).metrics
    assert tuple(metrics) == (*METRICS, *TOKEN_METRICS)
    rows = [token_metrics(s.scores, s.labels, s.line_tokens) for s in known]
    for name in TOKEN_METRICS:
        assert metrics[name].value == pytest.approx(np.mean([row[name] for row in rows]), abs=1e-12)
        assert metrics[name].low <= metrics[name].value <= metrics[name].high
    assert tuple(evaluate([known[0]._replace(line_tokens=None), *known[1:]], 0).metrics) == METRICS
    difference = paired_run_differences([known], [scored(skill=0.0)], 0)
    assert tuple(difference) == METRICS  # of what both have


def masks(snippets, seed=0):
    rng = np.random.default_rng(seed)
    return {s.snippet_id: rng.random(len(s.labels)) < 0.7 for s in snippets}


def test_lines_that_cannot_be_wrong_rank_last_in_figures_of_eligible_lines():
    snippets = scored()
    eligible = masks(snippets)
    metrics = evaluate_runs([snippets], 20, eligible=eligible).metrics
    names = [name for name in metrics if name.endswith(" (eligible)")]
    assert names == [f"{name} (eligible)" for name in ("hit@1", "hit@3", "hit@5", "hit@10", "mrr", "ifa")]
    moved = [s._replace(scores=np.where(eligible[s.snippet_id], s.scores, -1e9)) for s in snippets]
    expected = by_definition(moved)
    for name in names:
        assert metrics[name].value == pytest.approx(expected[name.removesuffix(" (eligible)")], abs=1e-12)
    plain = evaluate(snippets, 20).metrics
    assert {name: metrics[name] for name in plain} == plain  # all else is as without
    assert metrics["hit@1 (eligible)"].value != plain["hit@1"].value


def test_every_line_may_be_eligible_or_none():
    snippets = scored(8)
    every, none = ({s.snippet_id: np.full(len(s.labels), value) for s in snippets} for value in (True, False))
    of_all, of_none = (evaluate_runs([snippets], 0, eligible=mask).metrics for mask in (every, none))
    chance = evaluate([s._replace(scores=np.zeros(len(s.labels))) for s in snippets], 0).metrics
    for name in ("hit@1", "mrr", "ifa"):
        assert of_all[f"{name} (eligible)"].value == of_all[name].value
        assert of_none[f"{name} (eligible)"].value == pytest.approx(chance[name].value)


def test_a_mask_of_another_snippet_is_refused():
    (s,) = scored(1)
    with pytest.raises(ValueError, match="Snippet s0: eligible and scores differ in shape"):
        others_last(s, np.ones(len(s.labels) + 1, dtype=bool))
    with pytest.raises(KeyError):
        evaluate_runs([[s]], 0, eligible={})
