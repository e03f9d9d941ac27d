"""Baselines that judge whole snippets, and the attention probe, which learns from verdicts alone."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pttrust_lightning.baselines import (
    BASELINES,
    AttentionProbeBaseline,
    PooledBaseline,
    ProbeBaseline,
    calibrated_scores,
    with_snippet_scores,
)
from pttrust_lightning.baselines.base import pooled
from pttrust_lightning.errors import ConfigError, NonFiniteError
from pttrust_lightning.metrics import auroc, evaluate, reciprocal_rank
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.types import LabelledSnippet, LineStates, SnippetStates

D = 6
ALL = pytest.mark.parametrize("name", sorted(BASELINES))
JUDGING = pytest.mark.parametrize("name", sorted(set(BASELINES) - {"random"}))


def snippets(n, seed, signal=3.0):
    """Snippets of 3 to 6 lines, every second one wrong: one of its lines is long, unsure, off, and looks back less."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(n):
        correct, n_lines = bool(i % 2), int(rng.integers(3, 7))
        labels = np.zeros(n_lines)
        if not correct:
            labels[rng.integers(n_lines)] = 1
        told = labels * signal
        code = "\n".join(f"x = {'1' * (3 + int(5 * t))}" for t in told) + "\n"
        states = torch.from_numpy(rng.normal(size=(n_lines, D)) + told[:, None] * np.eye(D)[0]).float()
        uncertainty = rng.normal(size=(n_lines, 3)) - told[:, None] * np.array([1.0, 1.0, -1.0])
        looked = np.random.default_rng([seed, i]).uniform(0.3, 0.5, size=(n_lines, 8)) - 0.05 * told[:, None]
        n_tokens = np.full(n_lines, 7)
        lines = LineStates(f"s{i}", np.arange(n_lines), states, uncertainty, n_lines, n_tokens, looked)
        labelled = LabelledSnippet(
            f"s{i}", f"p{i}", "python", "repair", "", code, tuple(np.flatnonzero(labels).tolist()), correct, "human"
        )
        result.append(SnippetStates(labelled, lines, labels))
    return result


def fitted(name, train, validation):
    return BASELINES[name]().fit(train, validation).fit_verdicts(train, validation)


def verdict_auroc(baseline, test):
    return auroc([baseline.score_snippet(s) for s in test], [not s.snippet.correct for s in test])


@JUDGING
def test_snippets_are_told_apart_by_what_the_baseline_sees(name):
    assert verdict_auroc(fitted(name, snippets(160, 0), snippets(60, 1)), snippets(100, 2)) > 0.75


@JUDGING
def test_without_a_signal_snippets_are_judged_by_chance(name):
    baseline = fitted(name, snippets(80, 0, 0.0), snippets(40, 1, 0.0))
    error = math.sqrt(1 / (12 * 150) * 2)  # of the AUROC of 150 and 150, under chance
    assert abs(verdict_auroc(baseline, snippets(300, 2, 0.0)) - 0.5) < 4 * error


def test_chance_judges_by_chance():
    assert verdict_auroc(fitted("random", [], []), snippets(20, 0)) == 0.5


@ALL
def test_judging_looks_at_no_verdict_and_no_label_and_is_the_same_again(name):
    train, validation = snippets(40, 0), snippets(20, 1)
    first, again = fitted(name, train, validation), fitted(name, train, validation)
    for s in snippets(6, 2):
        hidden = SnippetStates(
            dataclasses.replace(s.snippet, correct=not s.snippet.correct), s.lines, np.zeros_like(s.labels)
        )
        assert first.score_snippet(s) == first.score_snippet(hidden) == again.score_snippet(s)


@JUDGING
def test_verdicts_of_one_kind_teach_nothing(name):
    train, validation = snippets(40, 0), snippets(20, 1)
    wrong = [s for s in train if not s.snippet.correct]
    with pytest.raises(ConfigError, match=rf"'{name}': 20 of the 20 training snippets.*include_correct: true"):
        fitted(name, wrong, validation)
    with pytest.raises(ConfigError, match=rf"'{name}': 10 of the 10 validation snippets"):
        fitted(name, train, [s for s in validation if not s.snippet.correct])


def test_what_is_pooled_of_lines():
    features = np.array([[1.0, -2.0], [3.0, 4.0], [2.0, 1.0]])
    assert pooled(features).tolist() == [2.0, 1.0, 3.0, 4.0, 1.0, -2.0, 3.0]


def test_the_regression_is_on_pooled_features_with_the_strength_that_validation_prefers():
    train, validation, test = snippets(40, 0, 0.7), snippets(40, 1, 0.7), snippets(10, 2)
    baseline = ProbeBaseline().fit(train, validation).fit_verdicts(train, validation)
    rows, held_out = (np.stack([pooled(baseline.features(s)) for s in part]) for part in (train, validation))
    y, y_held_out = (np.array([not s.snippet.correct for s in part]) for part in (train, validation))
    scaler = StandardScaler().fit(rows)
    losses, models = {}, {}
    for c in PooledBaseline.snippet_cs:
        models[c] = LogisticRegression(C=c, tol=1e-8, max_iter=10000).fit(scaler.transform(rows), y)
        p = models[c].predict_proba(scaler.transform(held_out))[:, 1]
        losses[c] = -np.log(np.where(y_held_out, p, 1 - p)).mean()
    best = min(losses, key=losses.get)
    assert best not in (PooledBaseline.snippet_cs[0], PooledBaseline.snippet_cs[-1]), "the choice is no boundary"
    expected = models[best].decision_function(scaler.transform(np.stack([pooled(baseline.features(s)) for s in test])))
    np.testing.assert_allclose([baseline.score_snippet(s) for s in test], expected, atol=1e-3)


@ALL
def test_judged_snippets_are_calibrated_on_the_validation_split_alone(name):
    train, validation, test = snippets(60, 0), snippets(40, 1), snippets(30, 2)
    baseline = fitted(name, train, validation)
    scored = calibrated_scores(baseline, validation, test, CALIBRATIONS["temperature"]())
    calibration = CALIBRATIONS["temperature"]()
    judged = with_snippet_scores(scored, baseline, validation, test, calibration)
    expected = CALIBRATIONS["temperature"]().fit(
        [baseline.score_snippet(s) for s in validation], [not s.snippet.correct for s in validation]
    )
    assert torch.equal(calibration.coefficients, expected.coefficients)
    for s, before, given in zip(judged, scored, test, strict=True):
        assert s[:6] == before[:6]
        assert s.correct == given.snippet.correct
        assert s.snippet_score == baseline.score_snippet(given)
        assert s.snippet_probability == pytest.approx(expected(torch.tensor(s.snippet_score)).item())
    assert evaluate(judged, 0).n_judged == 30


@pytest.mark.parametrize("name", ["surface", "uncertainty", "probe"])
def test_correct_snippets_teach_the_ranking_nothing(name):
    train, validation = snippets(60, 0), snippets(40, 1)
    both = fitted(name, train, validation)
    wrong = BASELINES[name]().fit(
        [s for s in train if not s.snippet.correct], [s for s in validation if not s.snippet.correct]
    )
    for s in snippets(6, 2):
        np.testing.assert_array_equal(both.score(s), wrong.score(s))


# --- attention probe --------------------------------------------------------------------------------------------------


@ALL
def test_what_was_fitted_scores_and_judges_the_same_elsewhere(name):
    there = fitted(name, snippets(40, 0), snippets(20, 1))
    state = there.state()
    elsewhere = BASELINES[name]().load_state(state)
    for s in snippets(6, 2):
        np.testing.assert_array_equal(elsewhere.score(s), there.score(s))
        assert elsewhere.score_snippet(s) == there.score_snippet(s)
    assert bool(state) == (name != "random")
    assert all(values.dtype == np.float64 for values in state.values())
    assert BASELINES[name]().state() == BASELINES[name]().load_state({}).state() == {}


def test_a_probe_of_another_shape_is_taken_over_whole():
    there = AttentionProbeBaseline(width=6, heads=3, max_epochs=2).fit(snippets(20, 0), snippets(10, 1))
    elsewhere = AttentionProbeBaseline().load_state(there.state())
    assert (elsewhere.width, elsewhere.heads) == (6, 3)
    for s in snippets(4, 2):
        np.testing.assert_array_equal(elsewhere.score(s), there.score(s))


@ALL
def test_only_what_reads_states_is_changed_by_them(name):
    baseline = fitted(name, snippets(40, 0), snippets(20, 1))
    (s,) = snippets(1, 2)
    moved = s.lines.states + 2 * torch.eye(D)[0] * torch.arange(len(s.labels))[:, None]
    other = SnippetStates(s.snippet, dataclasses.replace(s.lines, states=moved), s.labels)
    same = np.array_equal(baseline.score(s), baseline.score(other))
    assert same is (baseline.score_snippet(s) == baseline.score_snippet(other)) is not baseline.reads_states


def mrr(baseline, test):
    return np.mean([reciprocal_rank(baseline.score(s), s.labels) for s in test if s.rankable])


def test_attention_finds_the_wrong_lines_that_it_was_never_shown():
    baseline = AttentionProbeBaseline().fit(snippets(120, 0), snippets(60, 1))
    test = snippets(80, 2)
    chance = np.mean([reciprocal_rank(np.zeros(len(s.labels)), s.labels) for s in test if s.rankable])
    assert mrr(baseline, test) > 0.85 > chance + 0.3


def test_line_labels_do_not_reach_the_attention_probe():
    train, validation, test = snippets(40, 0), snippets(20, 1), snippets(6, 2)

    def relabelled(part):
        rng = np.random.default_rng(0)
        return [SnippetStates(s.snippet, s.lines, rng.permutation(s.labels)) for s in part]

    first = AttentionProbeBaseline().fit(train, validation)
    other = AttentionProbeBaseline().fit(relabelled(train), relabelled(validation))
    for s in test:
        np.testing.assert_array_equal(first.score(s), other.score(s))


def test_the_seed_decides_the_probe_and_disturbs_no_other_draws():
    train, validation, test = snippets(40, 0), snippets(20, 1), snippets(1, 2)[0]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    first, again, other = (AttentionProbeBaseline(seed=s).fit(train, validation).score(test) for s in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_a_seed_it_is_that_of_the_process_whatever_was_drawn():
    train, validation, test = snippets(40, 0), snippets(20, 1), snippets(1, 2)[0]
    scores = []
    for seed, draws in ((0, 0), (0, 3), (1, 0)):
        torch.manual_seed(seed)
        torch.rand(draws)
        scores.append(AttentionProbeBaseline().fit(train, validation).score(test))
    np.testing.assert_array_equal(scores[0], AttentionProbeBaseline(seed=0).fit(train, validation).score(test))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_training_stops_early_and_keeps_the_best_epoch(monkeypatch):
    train, validation = snippets(40, 0, 0.5), snippets(40, 1, 0.5)
    losses = []
    module = "pttrust_lightning.baselines.attention_probe._loss"
    from pttrust_lightning.baselines import attention_probe

    real = attention_probe._loss

    def spy(probe, judged):
        loss = real(probe, judged)
        if not torch.is_grad_enabled():
            losses.append(float(loss))
        return loss

    monkeypatch.setattr(module, spy)
    baseline = AttentionProbeBaseline(patience=3, lr=1e-2).fit(train, validation)
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 100
    logits = torch.tensor([baseline.score_snippet(s) for s in validation])
    wrong = torch.tensor([float(not s.snippet.correct) for s in validation])
    kept = torch.nn.functional.binary_cross_entropy_with_logits(logits, wrong).item()
    assert kept == pytest.approx(losses[best], abs=1e-5) and losses[best] < losses[-1]


def test_line_scores_are_the_log_of_attention_and_need_a_fit():
    with pytest.raises(RuntimeError, match="'attention_probe' was not fitted"):
        AttentionProbeBaseline().score(snippets(1, 0)[0])
    baseline = AttentionProbeBaseline(max_epochs=1).fit(snippets(20, 0), snippets(10, 1))
    for s in snippets(5, 2):
        scores = baseline.score(s)
        assert scores.shape == s.labels.shape and scores.dtype == np.float64
        assert np.exp(scores).sum() == pytest.approx(1, abs=1e-6)
    empty = LineStates("e", np.arange(0), torch.zeros(0, D), None, 0)
    assert baseline.score(SnippetStates(snippets(1, 0)[0].snippet, empty, np.zeros(0))).shape == (0,)


def test_states_that_are_not_finite_name_the_snippet():
    train, validation, broken = snippets(20, 0), snippets(10, 1), snippets(1, 2)[0]
    broken.lines.states[0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="'attention_probe': features of snippet s0"):
        AttentionProbeBaseline().fit([broken, *train], validation)
    with pytest.raises(NonFiniteError, match="snippet s0"):
        AttentionProbeBaseline(max_epochs=1).fit(train, validation).score(broken)
