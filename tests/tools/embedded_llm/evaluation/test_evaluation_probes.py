from __future__ import annotations

import numpy as np
import pytest
from tools.embedded_llm.evaluation.probes import CS, cross_validated, fold_of_each

from pttrust_lightning.baselines import LogisticLineScorer
from pttrust_lightning.errors import ConfigError


def snippets(n=24, lines=6, width=4, signal=2.0):
    rng = np.random.default_rng(0)
    labels = [np.eye(lines)[rng.integers(lines)] for _ in range(n)]
    features = [rng.normal(size=(lines, width)) + signal * y[:, None] for y in labels]
    return features, labels, [f"problem {i // 2}" for i in range(n)]


def test_problems_stay_together_and_each_snippet_is_tested_once():
    _, _, groups = snippets()
    folds = fold_of_each(groups, 5, seed=0)
    assert set(folds.tolist()) == set(range(5))
    assert folds[::2].tolist() == folds[1::2].tolist()
    assert fold_of_each(groups, 5, seed=1).tolist() != folds.tolist()


def test_a_signal_is_found_and_noise_is_not():
    features, labels, groups = snippets()
    folds = fold_of_each(groups, 5, 0)
    hits = {}
    for name, signal in (("signal", 2.0), ("noise", 0.0)):
        features, labels, _ = snippets(signal=signal)
        found = cross_validated(name, features, labels, groups, folds, 0)
        hits[name] = np.mean([np.argmax(s) == np.argmax(y) for s, y in zip(found.scores, labels, strict=True)])
        assert len(found.cs) == 5 and set(found.cs) <= set(CS)
        assert [s.shape for s in found.scores] == [y.shape for y in labels]
    assert hits["signal"] > 0.9 and hits["noise"] < 0.5


def test_a_snippet_has_no_part_in_its_own_scores():
    features, labels, groups = snippets()
    folds = fold_of_each(groups, 5, 0)
    before = cross_validated("x", features, labels, groups, folds, 0)
    changed = [np.flip(y) if i < 2 else y for i, y in enumerate(labels)]
    after = cross_validated("x", features, changed, groups, folds, 0)
    own = folds[0]
    for i, (a, b) in enumerate(zip(before.scores, after.scores, strict=True)):
        assert np.array_equal(a, b) == (folds[i] == own), "the labels of problem 0 teach all folds but its own"


def test_the_same_twice_whatever_the_type():
    features, labels, groups = snippets()
    folds = fold_of_each(groups, 5, 0)
    features = [f.astype(np.float32) for f in features]
    first, second = (cross_validated("x", features, labels, groups, folds, 0) for _ in range(2))
    assert [s.tolist() for s in first.scores] == [s.tolist() for s in second.scores]
    assert first.cs == second.cs


def test_too_few_problems():
    with pytest.raises(ConfigError, match="too few for 5 folds"):
        fold_of_each(["a", "b", "c"], 5, 0)


def test_the_same_as_the_packages_scorer():
    features, labels, groups = snippets()
    folds = fold_of_each(groups, 5, 0)
    found = cross_validated("x", features, labels, groups, folds, 0)
    train = np.flatnonzero(folds != 2)
    scorer = LogisticLineScorer("x")
    rows = scorer.prepare(np.concatenate([features[i] for i in train]))
    scorer.fit_prepared(rows, np.concatenate([labels[i] for i in train]), found.cs[2])
    for i in np.flatnonzero(folds == 2):
        assert found.scores[i] == pytest.approx(scorer.score(features[i]), abs=1e-9)


def test_lines_that_are_all_wrong():
    features, labels, groups = snippets()
    with pytest.raises(ConfigError, match=r"block 1: all \d+ training lines of a fold are wrong"):
        cross_validated("block 1", features, [np.ones_like(y) for y in labels], groups, fold_of_each(groups, 5, 0), 0)
