import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pttrust_lightning.baselines import (
    BASELINES,
    LogisticLineScorer,
    LookbackBaseline,
    ProbeBaseline,
    ProbeRankerBaseline,
    RandomBaseline,
    SurfaceBaseline,
    UncertaintyBaseline,
    calibrated_scores,
)
from pttrust_lightning.errors import ConfigError, NonFiniteError
from pttrust_lightning.losses import neural_ndcg
from pttrust_lightning.metrics import evaluate, reciprocal_rank
from pttrust_lightning.models.calibration import CALIBRATIONS
from pttrust_lightning.types import LabelledSnippet, LineStates, SnippetStates

TAUGHT_LINES = sorted(set(BASELINES) - {"attention_probe"})
"""What learns from line labels; test_attention_probe.py has what learns from verdicts."""
ALL = pytest.mark.parametrize("name", TAUGHT_LINES)
LEARNING = pytest.mark.parametrize("name", sorted(set(TAUGHT_LINES) - {"random"}))

D = 6
TEXTS = ("x = 1", "foo(bar)", "return value", "if a > b:", "for i in range(10):", "import os")


def with_states(i, texts, labels, states, uncertainty, lookback=None):
    snippet = LabelledSnippet(
        id=f"s{i}",
        problem_id=f"p{i}",
        language="python",
        task="generation",
        prompt="",
        code="\n".join(texts) + "\n",
        wrong_lines=tuple(np.flatnonzero(labels).tolist()),
        correct=not labels.any(),
        label_source="human",
    )
    lookback = np.zeros((len(labels), 8)) if lookback is None else lookback
    n_tokens = np.full(len(labels), 7)
    lines = LineStates(snippet.id, np.arange(len(labels)), states, uncertainty, len(labels), n_tokens, lookback)
    return SnippetStates(snippet, lines, labels)


def snippets(n, seed, signal, n_lines=6):
    """Snippets of 3 to ``n_lines`` lines, one of them wrong; with ``signal``, features of every kind tell which."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(n):
        labels = np.zeros(int(rng.integers(3, n_lines + 1)))
        labels[rng.integers(len(labels))] = 1
        told = labels * signal
        texts = [TEXTS[int(rng.integers(len(TEXTS)))] if t == 0 else "while broken():" for t in told]
        states = rng.normal(size=(len(labels), D)) + np.outer(told, np.linspace(1, 3, D))
        uncertainty = rng.normal(size=(len(labels), 3)) - np.outer(told, [2.0, 3.0, -1.0])
        looked = np.random.default_rng([seed, i]).uniform(0.3, 0.5, size=(len(labels), 8))
        lookback = looked - np.outer(told, np.linspace(0.1, 0.3, 8))
        result.append(with_states(i, texts, labels, torch.from_numpy(states).float(), uncertainty, lookback))
    return result


def mrr(baseline, test):
    return np.mean([reciprocal_rank(baseline.score(s), s.labels) for s in test])


def test_the_registry_names_each_baseline_as_itself():
    assert {name: cls.name for name, cls in BASELINES.items()} == {name: name for name in BASELINES}
    assert list(BASELINES) == [
        "random",
        "surface",
        "uncertainty",
        "lookback",
        "probe",
        "probe_ranker",
        "attention_probe",
    ]
    assert {name: cls.needs for name, cls in BASELINES.items() if cls.needs} == {
        "uncertainty": ("uncertainty",),
        "lookback": ("lookback",),
        "attention_probe": ("verdicts",),
    }
    assert {name for name, cls in BASELINES.items() if cls.reads_states} == {"probe", "probe_ranker", "attention_probe"}
    assert {name for name, cls in BASELINES.items() if cls.draws} == {"probe_ranker", "attention_probe"}


@LEARNING
def test_a_baseline_learns_what_its_features_tell(name):
    baseline = BASELINES[name]().fit(snippets(60, 0, True), snippets(20, 1, True))
    assert mrr(baseline, snippets(40, 2, True)) > 0.9


@ALL
def test_shuffled_labels_leave_every_baseline_at_chance(name):
    baseline = BASELINES[name]().fit(snippets(60, 0, False), snippets(20, 1, False))
    test = snippets(300, 2, False)
    chance = [reciprocal_rank(np.zeros(len(s.labels)), s.labels) for s in test]
    got = [reciprocal_rank(baseline.score(s), s.labels) for s in test]
    # under chance the mean difference has a standard error of sd / sqrt(300); four of them
    assert abs(np.mean(got) - np.mean(chance)) <= 4 * np.std(got) / math.sqrt(300)


@ALL
def test_fitting_twice_gives_the_same_scores(name):
    data = snippets(30, 0, True), snippets(10, 1, True)
    first, again = (BASELINES[name]().fit(*data) for _ in range(2))
    for s in snippets(5, 2, True):
        np.testing.assert_array_equal(first.score(s), again.score(s))


@ALL
def test_scores_do_not_look_at_the_labels_and_have_one_for_each_line(name):
    baseline = BASELINES[name]().fit(snippets(30, 0, True), snippets(10, 1, True))
    for s in snippets(5, 2, True):
        scores = baseline.score(s)
        hidden = SnippetStates(s.snippet, s.lines, np.zeros_like(s.labels))
        np.testing.assert_array_equal(baseline.score(hidden), scores)
        assert scores.shape == s.labels.shape
        assert scores.dtype == np.float64


@LEARNING
def test_snippets_that_are_not_rankable_teach_nothing(name):
    train, validation = snippets(30, 0, True), snippets(10, 1, True)
    rng = np.random.default_rng(9)
    right = [
        with_states(100 + i, ["while broken():"] * 3, np.zeros(3), torch.randn(3, D), rng.normal(size=(3, 3)))
        for i in range(20)
    ]
    single = with_states(200, ["x = 1"], np.ones(1), torch.zeros(1, D), np.zeros((1, 3)))
    plain = BASELINES[name]().fit(train, validation)
    mixed = BASELINES[name]().fit([single, *right, *train], [*right, *validation])
    for s in snippets(5, 2, True):
        np.testing.assert_array_equal(plain.score(s), mixed.score(s))


@LEARNING
def test_nothing_to_learn_from_is_refused(name):
    right = [with_states(0, ["a", "b"], np.zeros(2), torch.zeros(2, D), np.zeros((2, 3)))]
    wrong = [with_states(0, ["a", "b"], np.ones(2), torch.zeros(2, D), np.zeros((2, 3)))]
    good = snippets(10, 1, True)
    with pytest.raises(ConfigError, match=rf"'{name}': none of the 1 training snippets"):
        BASELINES[name]().fit(right, good)
    with pytest.raises(ConfigError, match=rf"'{name}': all 2 training lines have the same label"):
        BASELINES[name]().fit(wrong, good)


@LEARNING
def test_a_baseline_that_was_not_fitted_says_so(name):
    with pytest.raises(RuntimeError, match=f"'{name}' was not fitted"):
        BASELINES[name]().score(snippets(1, 0, True)[0])


@ALL
def test_what_was_fitted_scores_the_same_elsewhere(name):
    fitted = BASELINES[name]().fit(snippets(30, 0, True), snippets(10, 1, True))
    elsewhere = BASELINES[name]().load_state(fitted.state())
    for s in snippets(5, 2, True):
        np.testing.assert_array_equal(elsewhere.score(s), fitted.score(s))
    assert bool(fitted.state()) == (name != "random")
    assert BASELINES[name]().state() == {}


def test_principal_components_are_part_of_what_was_fitted():
    fitted = ProbeBaseline(components=2).fit(snippets(30, 0, True), snippets(10, 1, True))
    assert fitted.state()["lines.components"].shape == (2, D)
    (s,) = snippets(1, 2, True)
    np.testing.assert_array_equal(ProbeBaseline().load_state(fitted.state()).score(s), fitted.score(s))


@ALL
def test_only_what_reads_states_is_changed_by_them(name):
    """Every kind of data is told, so that a baseline that looked at the states would be changed."""
    baseline = BASELINES[name]().fit(snippets(30, 0, True), snippets(10, 1, True))
    (s,) = snippets(1, 2, True)
    lines = dataclasses.replace(s.lines, states=s.lines.states + 1)
    same = np.array_equal(baseline.score(s), baseline.score(SnippetStates(s.snippet, lines, s.labels)))
    assert same != baseline.reads_states


def test_the_scorer_is_what_scikit_learn_makes_of_it():
    """Bit for bit: the same steps in the same order."""
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(200, 5)), rng.normal(size=(30, 5))
    wrong = rng.random(200) < 0.3
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8, max_iter=1000)
    )
    scorer = LogisticLineScorer("test")
    scorer.fit_prepared(scorer.prepare(x), wrong.astype(float), 0.1)
    np.testing.assert_array_equal(scorer.score(new), model.fit(x, wrong).decision_function(new))


@LEARNING
def test_a_snippet_without_scored_lines_gets_no_scores(name):
    baseline = BASELINES[name]().fit(snippets(30, 0, True), snippets(10, 1, True))
    empty = with_states(0, ["", ""], np.zeros(0), torch.zeros(0, D), np.zeros((0, 3)))
    assert baseline.score(empty).shape == (0,)


def test_random_scores_are_chance_exactly():
    test = snippets(50, 0, False)
    scored = calibrated_scores(RandomBaseline().fit([], []), test, test, CALIBRATIONS["temperature"]())
    metrics = evaluate(scored, 0).metrics
    assert metrics["hit@1"].value == pytest.approx(np.mean([s.labels.mean() for s in test]), abs=1e-15)
    assert metrics["auroc"].value == 0.5


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("probe", math.nan),
        ("probe", math.inf),
        ("uncertainty", -math.inf),
        ("lookback", math.nan),
        ("probe_ranker", math.nan),
    ],
)
def test_non_finite_features_name_the_baseline_and_the_snippet(name, bad, split):
    train, validation, broken = snippets(20, 0, True), snippets(10, 1, True), snippets(1, 2, True)[0]
    broken.lines.states[0, 0] = bad
    broken.lines.uncertainty[0, 0] = broken.lines.lookback[0, 0] = bad
    with pytest.raises(NonFiniteError, match=f"'{name}': features of snippet s0"):
        if split == "train":
            BASELINES[name]().fit([broken, *train], validation)
        else:
            BASELINES[name]().fit(train, validation).score(broken)


@pytest.mark.parametrize("baseline", [UncertaintyBaseline, LookbackBaseline])
def test_what_a_baseline_needs_must_have_been_read(baseline):
    s = snippets(1, 0, True)[0]
    without = SnippetStates(s.snippet, LineStates("s0", s.lines.line_numbers, s.lines.states, None, 3), s.labels)
    with pytest.raises(ConfigError, match=f"came without {baseline.name}. Extract the states again with"):
        baseline().fit([without], [without])


def test_the_surface_does_not_look_at_states_or_prompt():
    baseline = SurfaceBaseline().fit(snippets(30, 0, True), snippets(10, 1, True))
    s = snippets(1, 2, True)[0]
    other = SnippetStates(
        s.snippet, LineStates("s0", s.lines.line_numbers, s.lines.states * math.nan, None, s.lines.n_lines), s.labels
    )
    np.testing.assert_array_equal(baseline.score(s), baseline.score(other))


# --- probe ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "best"), [(2, 1e-2), (1, 100.0)])
def test_the_probe_keeps_the_strength_that_ranks_the_validation_split_best(seed, best):
    train, validation = snippets(15, 0, False), snippets(40, seed, False)
    single = {c: ProbeBaseline(cs=[c]).fit(train, validation) for c in (1e-2, 1e-1, 1.0, 100.0)}
    quality = {c: mrr(single[c], validation) for c in single}
    assert all(quality[c] < quality[best] for c in single if c != best)
    probe = ProbeBaseline(cs=list(single)).fit(train, validation)
    assert probe.c == best
    np.testing.assert_array_equal(probe.score(validation[0]), single[best].score(validation[0]))


@pytest.mark.parametrize("name", ["surface", "uncertainty", "lookback"])
def test_other_regressions_choose_theirs_alike(name):
    train, validation = snippets(15, 0, False), snippets(40, 2, False)
    chosen = BASELINES[name]().fit(train, validation)
    quality = {c: mrr(BASELINES[name](cs=[c]).fit(train, validation), validation) for c in chosen.cs}
    assert len(set(quality.values())) > 1
    assert chosen.c == min(c for c in quality if quality[c] == max(quality.values()))
    assert mrr(chosen, validation) == quality[chosen.c]


def test_of_equally_good_strengths_the_probe_keeps_the_strongest_penalty():
    data = snippets(60, 0, True)
    told = [
        SnippetStates(
            s.snippet,
            LineStates("t", s.lines.line_numbers, torch.from_numpy(s.labels)[:, None], None, s.lines.n_lines),
            s.labels,
        )
        for s in data
    ]
    assert ProbeBaseline(cs=(1.0, 0.01, 0.1)).fit(told, told).c == 0.01


def test_the_probe_takes_half_precision_states_and_components():
    train, validation, test = (snippets(n, seed, True) for n, seed in ((60, 0), (20, 1), (40, 2)))
    half = [
        SnippetStates(
            s.snippet, LineStates("h", s.lines.line_numbers, s.lines.states.bfloat16(), None, s.lines.n_lines), s.labels
        )
        for s in train
    ]
    assert mrr(ProbeBaseline(components=2).fit(half, validation), test) > 0.9
    assert mrr(ProbeBaseline(components=999).fit(train, validation), test) > 0.9


def test_probe_settings_out_of_range_are_refused():
    for cs in ([], [0.0, 1.0]):
        with pytest.raises(ConfigError, match="cs must be"):
            ProbeBaseline(cs=cs)
    with pytest.raises(ConfigError, match="'probe': none of the 0 validation snippets"):
        ProbeBaseline().fit(snippets(5, 0, True), [])


def test_the_scorer_is_a_standardised_logistic_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) * [1, 100, 0.01] + [5, 0, -3]
    y = (rng.random(200) < 1 / (1 + np.exp(-(x[:, 0] - 5)))).astype(float)
    c = 0.3
    scorer = LogisticLineScorer("test")
    logits = scorer.fit_prepared(scorer.prepare(x), y, c).score(x)
    z = (x - x.mean(0)) / x.std(0)
    design = np.column_stack([z, np.ones(200)])
    w = np.linalg.lstsq(design, logits, rcond=None)[0]
    np.testing.assert_allclose(design @ w, logits, atol=1e-8)
    # the gradient of the penalised likelihood vanishes there: X^T (p - y) + w / C, no penalty on the intercept
    gradient = design.T @ (1 / (1 + np.exp(-logits)) - y) + np.append(w[:3], 0) / c
    assert np.abs(gradient).max() < 0.01


# --- probe and ranker -------------------------------------------------------------------------------------------------


def test_the_ranker_sees_whitened_components_alone():
    train, validation, test = (snippets(n, seed, True) for n, seed in ((30, 0), (10, 1), (5, 2)))
    ranker = ProbeRankerBaseline(epochs=2, components=D).fit(train, validation)
    states = np.concatenate([s.lines.states.numpy() for s in train])
    seen = np.concatenate([ranker.features(s) for s in train])
    np.testing.assert_allclose(np.cov(seen.T), np.eye(D), atol=1e-4)
    standard = (states - states.mean(0)) / states.std(0)
    projected = np.linalg.lstsq(standard, seen, rcond=None)
    assert projected[1].max() < 1e-4  # linear in the standardised states
    assert ProbeRankerBaseline(components=2, epochs=1).fit(train, validation).features(test[0]).shape[1] == 2
    assert ProbeRankerBaseline(components=999, epochs=1).fit(train, validation).features(test[0]).shape[1] == D


def test_the_ranker_is_its_seeds_and_leaves_no_trace():
    train, validation, test = (snippets(n, seed, False) for n, seed in ((20, 0), (10, 1), (5, 2)))
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    one, again, other = (ProbeRankerBaseline(epochs=3, seed=seed).fit(train, validation) for seed in (0, 0, 1))
    for s in test:
        np.testing.assert_array_equal(one.score(s), again.score(s))
    assert not np.array_equal(one.score(test[0]), other.score(test[0]))
    assert torch.equal(before, torch.random.get_rng_state()) and torch.get_num_threads() == threads


def test_the_ranker_keeps_the_epoch_of_the_lowest_loss_on_the_validation_split():
    train, validation = snippets(25, 0, False), snippets(40, 1, False)

    def loss(ranker):
        scores = [torch.from_numpy(ranker.score(s))[None] for s in validation]
        labels = [torch.from_numpy(s.labels)[None] for s in validation]
        return np.mean([neural_ndcg(x, y, x == x).item() for x, y in zip(scores, labels, strict=True)])

    kept = [ProbeRankerBaseline(epochs=n, lr=1e-2).fit(train, validation) for n in range(1, 17)]
    losses, epochs = [loss(ranker) for ranker in kept], [ranker.epoch for ranker in kept]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    assert epochs == [n if losses[n - 1] < min([math.inf, *losses[: n - 1]]) else epochs[n - 2] for n in range(1, 17)]
    assert epochs[-1] < 16, "noise is learned by heart before the end"


def test_ranker_settings_out_of_range_are_refused():
    for settings in ({"components": 0}, {"epochs": 0}, {"batch_size": 0}, {"hidden": 0}):
        with pytest.raises(ConfigError):
            ProbeRankerBaseline(**settings).fit(snippets(10, 0, True), snippets(5, 1, True))


# --- calibrated scores ------------------------------------------------------------------------------------------------


def test_calibrated_scores_fit_on_the_validation_split_alone():
    train, validation, test = (snippets(n, seed, True) for n, seed in ((40, 0), (20, 1), (15, 2)))
    baseline = ProbeBaseline().fit(train, validation)
    calibration = CALIBRATIONS["temperature"]()
    scored = calibrated_scores(baseline, validation, test, calibration)
    reference = CALIBRATIONS["temperature"]().fit(
        np.concatenate([baseline.score(s) for s in validation]), np.concatenate([s.labels for s in validation])
    )
    assert torch.equal(calibration.coefficients, reference.coefficients)
    assert [s.snippet_id for s in scored] == [s.snippet.id for s in test]
    for s, given in zip(scored, test, strict=True):
        np.testing.assert_array_equal(s.scores, baseline.score(given))
        np.testing.assert_allclose(s.probabilities, reference(torch.from_numpy(s.scores)).numpy(), atol=1e-7)
        np.testing.assert_array_equal(s.labels, given.labels)
        np.testing.assert_array_equal(s.line_numbers, given.lines.line_numbers)
        np.testing.assert_array_equal(s.line_tokens, given.lines.line_tokens)


def test_calibrated_scores_take_any_function_and_snippets_that_are_not_rankable():
    validation = snippets(20, 1, True)
    right = with_states(77, ["a", "b"], np.zeros(2), torch.zeros(2, D), None)
    none = with_states(78, [""], np.zeros(0), torch.zeros(0, D), None)

    def total(snippet):
        return snippet.lines.states.sum(dim=-1).numpy()

    scored = calibrated_scores(total, validation, [right, none], CALIBRATIONS["isotonic"]())
    assert [len(s.probabilities) for s in scored] == [2, 0]
    plain, mixed = CALIBRATIONS["temperature"](), CALIBRATIONS["temperature"]()
    calibrated_scores(total, validation, [], plain)
    calibrated_scores(total, [right, *validation], [], mixed)
    assert torch.equal(plain.coefficients, mixed.coefficients)


def test_calibrated_scores_refuse_what_cannot_be_measured():
    validation = snippets(5, 1, True)
    calibration = CALIBRATIONS["temperature"]()
    with pytest.raises(NonFiniteError, match="Snippet s0"):
        calibrated_scores(lambda s: np.full(len(s.labels), math.nan), validation, [], calibration)
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        calibrated_scores(lambda s: np.zeros(1), validation, [], calibration)
    with pytest.raises(ConfigError, match="validation snippets"):
        calibrated_scores(RandomBaseline(), [], validation, calibration)


def test_the_regression_goes_on_to_its_optimum():
    """The gradient vanishes there; stopping nearby leaves the scores to rounding, and so to the number of cores."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 64)) @ rng.normal(size=(64, 64))
    wrong = rng.random(2000) < 1 / (1 + np.exp(3 - 0.2 * features[:, 0]))
    scorer = LogisticLineScorer("some")
    scorer.fit_prepared(scorer.prepare(features), wrong.astype(float), 1.0)
    x = (features - features.mean(0)) / features.std(0)
    weights, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], scorer.score(features), rcond=None)
    p = 1 / (1 + np.exp(-scorer.score(features)))
    gradient = np.c_[x, np.ones(len(x))].T @ (p - wrong) + np.r_[weights[:-1], 0.0]
    assert np.abs(gradient).max() < 1e-6
