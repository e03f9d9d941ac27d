from __future__ import annotations

import numpy as np
import pytest
from tools.embedded_llm.evaluation import bootstrap
from tools.embedded_llm.evaluation.depths import METRICS, compare_depths, depth_pairs
from tools.embedded_llm.evaluation.scoring import Fitted

from pttrust_lightning.metrics import evaluate, paired_differences
from pttrust_lightning.types import ScoredSnippet


def scored(seed, n=30, strength=1.0):
    rng, lines = np.random.default_rng(seed), np.random.default_rng(99)
    result = []
    for i in range(n):
        labels = (lines.random(7) < 0.3).astype(float)
        labels[lines.integers(7)] = 1.0
        scores = np.round(strength * labels + rng.normal(size=7), 1)  # rounded: with ties
        result.append(ScoredSnippet(f"s{i}", np.arange(7), scores, np.full(7, 0.5), labels, fold=i % 3))
    return Fitted(result, [1.0])


def test_blocks_are_compared_at_the_nearest_depth():
    assert depth_pairs(3, 3) == [(0, 0), (1, 1), (2, 2)]
    assert depth_pairs(2, 4) == [(0, 1), (1, 3)]
    assert depth_pairs(6, 3) == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2)], "a tie goes to the shallower block"
    assert depth_pairs(12, 8)[-1] == (11, 7)


def test_one_depth_is_the_packages_paired_difference():
    ours, theirs = scored(1), scored(2, strength=0.2)
    verdict = compare_depths("new", [ours], "old", [theirs], 200, seed=3)
    expected = paired_differences(ours.scored, theirs.scored, 200, 3)
    ((_, _, found),) = verdict.depths
    for metric in METRICS:
        assert found[metric] == expected[metric]
        assert verdict.means[metric] == pytest.approx(expected[metric]), (
            "the mean over one depth, on the same resamples"
        )


def test_the_mean_is_over_depths():
    ours, theirs = [scored(i) for i in range(3)], [scored(i + 10, strength=0.5) for i in range(2)]
    verdict = compare_depths("new", ours, "old", theirs, 50, 0)
    assert [(i, j) for i, j, _ in verdict.depths] == depth_pairs(3, 2)
    for metric in METRICS:
        gaps = [gap[metric].value for _, _, gap in verdict.depths]
        assert verdict.means[metric].value == pytest.approx(np.mean(gaps))
        assert verdict.better[metric] == sum(g > 0 for g in gaps) >= verdict.clear[metric]
    sentence = verdict.sentence("Set")
    assert sentence.startswith(f"Set: new beats old at {verdict.better['hit@1']} of 3 depths in hit@1 (")
    assert verdict.report("Set")["sentence"] == sentence


def test_an_llm_does_not_beat_itself():
    ours = scored(1)
    verdict = compare_depths("new", [ours], "copy", [ours], 50, 0)
    assert verdict.better == verdict.clear == dict.fromkeys(METRICS, 0)
    assert all(verdict.means[m] == (0, 0, 0) for m in METRICS)


def test_bootstrap_of_means_is_the_packages():
    snippets = scored(1).scored
    expected = evaluate(snippets, 100, seed=5).metrics["ifa"]
    ifa = [evaluate([s], 0).metrics["ifa"].value for s in snippets]
    assert bootstrap.mean(ifa, 100, seed=5) == pytest.approx(expected)
    assert np.isnan(bootstrap.mean(ifa, 0, seed=5).low)


def test_a_ratio_draws_both_sides_together():
    found = bootstrap.ratio([2.0, 4.0, 60.0], [1.0, 2.0, 30.0], 100, 0)
    assert found == (2, 2, 2)
