"""Figures beside the results."""

import numpy as np
import pytest
from lightning_stand_in import FakeData

from pttrust_lightning.figures import LIGHT
from pttrust_lightning.tools.benchmark import Variant
from pttrust_lightning.tools.benchmark.figures import figures_of_methods
from pttrust_lightning.types import ScoredSnippet


@pytest.fixture
def drawn(tmp_path, tried, monkeypatch, provenance_free):
    """Runs a benchmark with the stand-in; the names of its SVG files."""
    monkeypatch.setattr("pttrust_lightning.tools.benchmark.command.BenchmarkData", FakeData)

    def draw(**settings):
        tried(variants={"one": Variant()}, baselines=["random"], folds=2, **settings)
        return {p.relative_to(tmp_path / "figures").as_posix() for p in (tmp_path / "figures").rglob("*.svg")}

    return draw


def themes(*stems):
    return {f"{stem}-{theme}.svg" for stem in stems for theme in ("light", "dark")}


def test_reliability_effort_and_learning_curve_of_every_data_set(drawn):
    stems = ("reliability", "effort", *(f"learning-{m}" for m in ("hit@1", "mrr", "auroc", "brier_skill")))
    written = drawn(data_sets={"here": [], "there": []}, train_snippets=[4, 8])
    assert written == themes(*(f"{name}/{stem}" for name in ("here", "there") for stem in stems))


def test_judged_snippets_are_drawn_too():
    lines = {"line_numbers": np.arange(3), "scores": np.array([0.3, 0.1, 0.2]), "probabilities": np.full(3, 0.3)}
    judged = [
        ScoredSnippet(f"s{i}", labels=np.array([1.0 - i % 2, 0, 0]), correct=bool(i % 2), snippet_score=-i, **lines)
        for i in range(6)
    ]
    alone = figures_of_methods({"one": judged})
    assert set(alone) == {"reliability", "effort"}
    drawn = figures_of_methods({"one": [s._replace(snippet_probability=0.1 * i) for i, s in enumerate(judged)]})
    assert set(drawn) == {"reliability", "effort", "risk-coverage"}
    assert drawn["risk-coverage"](LIGHT).axes


def test_layers_take_the_place_of_figures_by_method(drawn):
    assert drawn(layers=[0, 1]) == themes(*(f"tried/layers-{m}" for m in ("hit@1", "mrr", "auroc", "brier_skill")))


def test_layers_put_together_have_no_place_on_the_axis(drawn, monkeypatch):
    points = []
    monkeypatch.setattr("pttrust_lightning.tools.benchmark.figures.curves.layers", lambda own, *_: points.append(own))
    monkeypatch.setattr("pttrust_lightning.tools.benchmark.figures.save", lambda draw, _: draw(LIGHT) or [])
    drawn(layers=[0, 1, [0, 1]])
    assert {name: list(at) for name, at in points[0].items()} == {"one": [0, 1], "random": [0, 1]}
    drawn(layers=[[0, 1], [1, 2]])
    assert len(points) == 4  # nothing was drawn the second time


def test_a_matrix_of_every_method_and_of_what_sets_the_first_apart(drawn):
    stems = (f"generalisation-{m}-{name}" for m in ("hit@1", "mrr") for name in ("one", "random", "one-minus-random"))
    written = drawn(generalise="language")
    assert written == themes("tried/reliability", "tried/effort", *(f"tried/{stem}" for stem in stems))


def test_line_rules_alone_are_no_axis_to_draw(drawn):
    assert drawn(line_rules=["newline", "mean"]) == set()
