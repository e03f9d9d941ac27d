"""Figures show what they were given, cover and cut nothing, and are the same bytes for the same data."""

import ast
import itertools
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import ErrorbarContainer

from pttrust_lightning import figures
from pttrust_lightning.figures import DARK, LIGHT, THEMES
from pttrust_lightning.figures.style import CHANCE, looks, styled
from pttrust_lightning.metrics.curves import distance_histogram, effort_curve, firing_histogram, reliability_curve
from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.types import FloatArray, ScoredSnippet

METHODS = ("pttrust", "surface", "probe", "uncertainty", "sae_no_contrast", "random", "a_variant_with_a_long_name")


class Kept(NamedTuple):
    coverage: FloatArray
    risk: FloatArray


def scored(method, n=30):
    rng = np.random.default_rng(METHODS.index(method))
    snippets = []
    for i in range(n):
        wrong = np.append(np.arange(6) == i % 7, i % 7 == 6).astype(float)
        scores = np.zeros(7) if method == CHANCE else wrong + rng.normal(size=7)
        snippets.append(ScoredSnippet(f"s{i}", np.arange(7), scores, 1 / (1 + np.exp(2 - scores)), wrong))
    return snippets


@pytest.fixture(scope="module")
def data():
    snippets = {m: scored(m) for m in METHODS}
    lines = {m: [np.concatenate(p) for p in zip(*((s.probabilities, s.labels) for s in ss), strict=True)]
             for m, ss in snippets.items()}  # fmt: skip
    estimates = {m: {2**k: Estimate(0.4 + k / 40 + i / 50, 0.3 + k / 40, 0.7 + i / 90) for k in range(3, 9)}
                 for i, m in enumerate(METHODS)}  # fmt: skip
    rng = np.random.default_rng(3)
    return {
        "reliability": {m: reliability_curve(*pair) for m, pair in lines.items()},
        "effort": {m: effort_curve(ss, bootstrap_samples=50) for m, ss in snippets.items()},
        "estimates": estimates,
        "risk_coverage": {m: Kept(np.linspace(0.02, 1, 50), rng.random(50)) for m in METHODS},
        "differences": {
            m: Estimate(v, v - 0.07, v + 0.05) for m, v in zip(METHODS, rng.normal(0.02, 0.05, 7), strict=True)
        },
        "firing": {m: firing_histogram(rng.integers(0, 1000, 128) * (rng.random(128) > 0.3), 1000) for m in METHODS},
        "odds": {
            k: {j: Estimate(v, v / 1.5, v * 2) for j, v in enumerate(rng.lognormal(size=20).tolist())}
            for k in ("all lines", "lines that hold code")
        },
        "distances": {m: distance_histogram(rng.beta(2, 5, 500)) for m in METHODS},
    }


CODE = 'def f(xs, $y_$):\n\tif not xs:\r\n\t\treturn "$x^2$"\n\n    # ' + "long " * 40 + "\n    return max(xs)\n"
RISKS = [0, 1, 2, 5], [0.1, 0.6, 0.0, 0.9], [0, 1, 0, 1]  # lines, probabilities, labels


@pytest.fixture(scope="module")
def draws(data):
    """Every figure, as a function of the theme."""
    return {
        "reliability": partial(figures.reliability, data["reliability"]),
        "reliability of one": partial(figures.reliability, {"pttrust": data["reliability"]["pttrust"]}),
        "effort": partial(figures.effort, data["effort"]),
        "learning": partial(figures.learning, data["estimates"], "hit@1"),
        "layers": partial(figures.layers, data["estimates"], "ifa"),
        "layers, long label": partial(figures.layers, data["estimates"], "aurc"),
        "risk_coverage": partial(figures.risk_coverage, data["risk_coverage"]),
        "forest": partial(figures.forest, data["differences"], "brier_skill"),
        "firing_rates": partial(figures.firing_rates, data["firing"]),
        "odds_ratios": partial(figures.odds_ratios, data["odds"]),
        "risk_shares": partial(figures.risk_shares, {3: 0.3, 100: 0.1, 7: -0.02}),
        "pair_distances": lambda theme: figures.pair_distances(data["distances"], theme, margin=1.0),
        "risk_of_lines": lambda theme: figures.risk_of_lines(CODE, *RISKS, theme),
    }  # fmt: skip


NAMES = ("reliability", "reliability of one", "effort", "learning", "layers", "layers, long label", "risk_coverage",
         "forest", "firing_rates", "odds_ratios", "risk_shares", "pair_distances", "risk_of_lines")  # fmt: skip
every_figure = pytest.mark.parametrize("name", NAMES)


def test_every_figure_is_tested_here(draws):
    assert tuple(draws) == NAMES
    drawn = {n for n in figures.__all__ if n.islower() and n != "save"}
    assert drawn == {n.replace(",", "").split()[0] for n in NAMES}


@every_figure
def test_nothing_is_cut_off_and_the_legend_covers_no_data(name, draws):
    figure = draws[name](LIGHT)
    figure.canvas.draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.02 and drawn.y0 > -0.02 and drawn.x1 < width + 0.02 and drawn.y1 < height + 0.02
    renderer = figure.canvas.get_renderer()
    for legend in figure.legends:
        box = legend.get_window_extent(renderer)
        for axes in figure.axes:
            assert not box.overlaps(axes.get_window_extent(renderer))
            assert not box.overlaps(axes.yaxis.label.get_window_extent(renderer))
    labelled = [a for a in figure.axes if a.axison and a.get_visible()]
    assert figure.get_supxlabel() or any(a.get_xlabel() for a in labelled)


@every_figure
def test_the_same_data_give_the_same_bytes_and_matplotlib_is_left_as_it_was(name, draws, tmp_path):
    before = dict(matplotlib.rcParams)
    first = figures.save(draws[name], tmp_path / "a" / "figure.v1")
    assert {str(k): v for k, v in matplotlib.rcParams.items()} == before
    assert sorted(p.name for p in first) == [
        "figure.v1-dark.png", "figure.v1-dark.svg", "figure.v1-light.pdf", "figure.v1-light.png", "figure.v1-light.svg",
    ]  # fmt: skip
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 10, "svg.fonttype": "none"}):
        again = figures.save(draws[name], tmp_path / "b" / "figure.v1")
    for a, b in zip(first, again, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name
    light, dark = (p.read_text() for p in first if p.suffix == ".svg")
    assert light != dark
    for svg, theme in ((light, LIGHT), (dark, DARK)):
        assert theme.background.lower() in svg
        assert "<text" not in svg, "letters are outlines"
        assert "dc:date" not in svg
    pdf = next(p for p in first if p.suffix == ".pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf


def test_another_process_writes_the_same_bytes(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pttrust_lightning.figures import *\n"
        "from pttrust_lightning.metrics.evaluation import Estimate\n"
        "gaps = {n: Estimate(.1, -.1, .2) for n in ('surface', 'b', 'a')}\n"
        "save(lambda theme: forest(gaps, 'mrr', theme), Path(sys.argv[1]))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / seed], check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
    for suffix in ("light.svg", "dark.svg", "light.png", "light.pdf"):
        assert (tmp_path / f"1-{suffix}").read_bytes() == (tmp_path / f"2-{suffix}").read_bytes()


def test_the_room_never_touches_pyplot():
    for file in Path(figures.__file__).parent.glob("*.py"):
        assert "pyplot" not in {a.name.split(".")[-1] for n in ast.walk(ast.parse(file.read_text()))
                                if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}  # fmt: skip
        assert "matplotlib.use" not in file.read_text()


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_reliability_draws_each_curve_in_its_panel(data):
    figure = figures.reliability(data["reliability"], LIGHT)
    shown = [a for a in figure.axes if a.get_visible()]
    assert [a.get_title().split(" (")[0] for a in shown] == [m.replace("_", " ") for m in METHODS]
    for axes, curve in zip(shown, data["reliability"].values(), strict=True):
        (bars,) = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        line, _, (whiskers,) = bars
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([curve.predicted, curve.observed]))
        ends = np.array([segment[:, 1] for segment in whiskers.get_segments()])
        np.testing.assert_allclose(ends, np.column_stack([curve.low, curve.high]))
        assert axes.get_ylim()[1] >= min(curve.high.max(), 1.0)
        np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0, 0], [1, 1]])


def test_effort_draws_the_curves_chance_and_the_oracle(data):
    figure = figures.effort(data["effort"], LIGHT)
    (axes,) = figure.axes
    lines = {t.get_text(): h for t, h in zip(figure.legends[0].texts, figure.legends[0].legend_handles, strict=True)}
    assert list(lines) == [*(m.replace("_", " ") for m in METHODS if m != CHANCE), "best order", "chance"]
    drawn = [line.get_ydata() for line in axes.lines]
    for method, curve in data["effort"].items():
        assert method == CHANCE or any(np.array_equal(curve.found, y) for y in drawn)
    assert any(np.array_equal(data["effort"]["pttrust"].oracle, y) for y in drawn)
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == data["effort"]["pttrust"].high.max()


@pytest.mark.parametrize("draw", [figures.learning, figures.layers])
def test_a_metric_against_a_number_shows_values_and_intervals(draw, data):
    figure = draw(data["estimates"], "ifa", LIGHT)
    figure.canvas.draw()
    (axes,) = figure.axes
    assert axes.get_ylabel() == "ifa\n(lines, lower is better)"
    assert axes.get_xscale() == ("log" if draw is figures.learning else "linear")
    assert len(axes.containers) == len(METHODS)
    for bars, points in zip(axes.containers, data["estimates"].values(), strict=True):
        line, _, (whiskers,) = bars
        np.testing.assert_allclose(line.get_xydata(), [(x, e.value) for x, e in points.items()])
        ends = [segment[:, 1] for segment in whiskers.get_segments()]
        np.testing.assert_allclose(ends, [(e.low, e.high) for e in points.values()])
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    every = [e for points in data["estimates"].values() for e in points.values()]
    assert x0 < 8 and x1 > 256 and y0 < min(e.low for e in every) and y1 > max(e.high for e in every)
    if draw is figures.learning:
        assert [t.get_text() for t in axes.get_xticklabels()] == ["8", "16", "32", "64", "128", "256"]


def test_points_are_drawn_in_order_and_without_an_interval_where_there_is_none():
    nothing = float("nan")
    figure = figures.layers({"pttrust": {3: Estimate(0.5, nothing, nothing), 1: Estimate(0.4, 0.3, 0.6)}}, "mrr", LIGHT)
    figure.canvas.draw()
    line = figure.axes[0].containers[0][0]
    np.testing.assert_allclose(line.get_xydata(), [(1, 0.4), (3, 0.5)])
    assert figure.axes[0].get_ylim()[0] < 0.3


def test_forest_is_hollow_where_the_interval_holds_0():
    gaps = {
        "surface": Estimate(0.1, 0.05, 0.2),
        "probe": Estimate(0.1, -0.05, 0.2),
        "random": Estimate(-0.2, -0.3, -0.1),
    }
    for theme in THEMES:
        (axes, *_) = figures.forest(gaps, "mrr", theme).axes
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [dot.get_xdata()[0] for dot in dots] == [0.1, 0.1, -0.2]
        assert [to_hex(dot.get_markerfacecolor()).upper() == theme.background for dot in dots] == [False, True, False]
    for metric, left in (("mrr", "worse"), ("ece", "better")):
        (axes, *_) = figures.forest(gaps, metric, LIGHT).axes
        assert {t.get_ha(): t.get_text().strip() for t in axes.texts}["right"] == left


def test_histograms_show_shares_and_the_dead(data):
    figure = figures.firing_rates(data["firing"], LIGHT)
    said = [t.get_text() for t in figure.legends[0].texts]
    for text, (method, histogram) in zip(said, data["firing"].items(), strict=True):
        assert text == f"{method.replace('_', ' ')}: {histogram.dead_share:.1%} of 128 never fire"
    steps = [p.get_data() for p in figure.axes[0].patches]
    for histogram in data["firing"].values():
        assert any(np.allclose(s.values, histogram.counts / 128) for s in steps)
    figure = figures.pair_distances(data["distances"], LIGHT, margin=1.0)
    assert figure.legends[0].texts[-1].get_text() == "margin"
    medians = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert medians == [*(h.quartiles[1] for h in data["distances"].values()), 1.0]


def test_lines_of_a_snippet_are_coloured_by_risk_and_wrong_ones_marked():
    figure = figures.risk_of_lines(CODE, *RISKS, LIGHT)
    axes = figure.axes[0]
    said = [t.get_text() for t in axes.texts]
    assert "    if not xs:" in said and '        return "$x^2$"' in said, "tabs are four wide, dollars are no formula"
    assert not any(t.get_parse_math() for t in axes.texts)
    assert [t for t in said if t in ("0.10", "0.60", "0.00", "0.90")] == ["0.10", "0.60", "0.00", "0.90"]
    assert said.count("wrong") == 2
    cut = next(t for t in said if t.endswith("…"))
    assert len(cut) == 88
    full = [p for p in axes.patches if p.get_width() > 1]
    assert [p.get_y() for p in full] == [0, 1, 2, 5], "the blank line has no risk"
    brightness = [sum(to_rgb(p.get_facecolor()[:3])) for p in full]
    assert np.argsort(brightness).tolist() == [3, 1, 0, 2]
    assert to_hex(full[2].get_facecolor()) == LIGHT.background.lower()
    assert [p.get_y() for p in axes.patches if p.get_width() < 1] == [1, 5]


@pytest.mark.parametrize(
    "arguments", [([0, 1], [0.1], [0, 0]), ([], [], []), ([9], [0.1], [0]), ([-1], [0.1], [0]), ([0], [1.1], [0])]
)
def test_lines_that_are_not_the_snippets_are_refused(arguments):
    with pytest.raises(ValueError):
        figures.risk_of_lines(CODE, *arguments, LIGHT)


@pytest.mark.parametrize(
    "draw",
    [
        partial(figures.reliability, {}), partial(figures.effort, {}), partial(figures.risk_coverage, {}),
        partial(figures.forest, {}, "mrr"), partial(figures.firing_rates, {}), partial(figures.pair_distances, {}),
        partial(figures.odds_ratios, {}), partial(figures.risk_shares, {}),
        partial(figures.odds_ratios, {"all": {1: Estimate(1, 1, 1)}, "code": {2: Estimate(1, 1, 1)}}),
        partial(figures.learning, {}, "mrr"), partial(figures.layers, {"pttrust": {}}, "mrr"),
    ],
)  # fmt: skip
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(ValueError, match="draw"):
        draw(LIGHT)


def test_a_ratio_lies_where_its_number_says_and_a_bar_is_as_long_as_its_share():
    ratios = {"all lines": {7: Estimate(2.0, 1.5, 4.0), 3: Estimate(0.5, 0.25, 1.0)}}
    (axes,) = figures.odds_ratios(ratios, LIGHT).axes
    places = dict(zip((t.get_text() for t in axes.get_yticklabels()), axes.get_yticks(), strict=True))
    (points,) = (line for line in axes.lines if line.get_marker() == "o")
    assert dict(zip(points.get_ydata(), points.get_xdata(), strict=True)) == {places["7"]: 2.0, places["3"]: 0.5}
    (bars,) = axes.collections
    assert sorted(tuple(sorted(path.vertices[:, 0])) for path in bars.get_paths()) == [(0.25, 1.0), (1.5, 4.0)]
    (axes,) = figures.risk_shares({5: 0.25, 2: -0.1}, LIGHT).axes
    assert [patch.get_width() for patch in axes.patches] == [25.0, -10.0]
    assert axes.patches[0].get_y() > axes.patches[1].get_y()  # from the top


def test_risk_coverage_starts_where_a_twentieth_is_kept(data):
    (axes,) = figures.risk_coverage(data["risk_coverage"], LIGHT).axes
    assert len(axes.lines) == len(METHODS)
    for line in axes.lines:
        assert line.get_xdata()[0] == pytest.approx(np.linspace(0.02, 1, 50)[2]) and line.get_xdata()[-1] == 1


# --- looks ------------------------------------------------------------------------------------------------------------


def test_a_method_looks_the_same_in_every_figure():
    for theme in THEMES:
        both = looks(METHODS, theme)
        for method in METHODS:
            assert looks([method], theme)[method] == both[method]
            assert looks(METHODS[::-1], theme)[method] == both[method]
    assert [a.marker for a in looks(METHODS, LIGHT).values()] == [a.marker for a in looks(METHODS, DARK).values()]


def test_no_two_methods_of_a_figure_look_alike():
    names = [*METHODS, *(f"variant_{i}" for i in range(20))]
    for theme in THEMES:
        assert len({(look.colour, str(look.dashes)) for look in looks(names, theme).values()}) == len(names)
    many = [f"variant_{i}" for i in range(40)]
    assert looks(many, LIGHT).keys() == set(many), "more than there are looks: they repeat"


def test_the_order_of_methods_in_a_set_does_not_matter():
    for order in itertools.permutations(["x", "y", "pttrust"]):
        assert looks(order, LIGHT) == looks(["pttrust", "x", "y"], LIGHT)


# Machado, Oliveira and Fernandes 2009, severity 1.0: how linear RGB looks to those without one kind of cone
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    x, y, z = (
        np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116
        for v in to_xyz @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(a, b):
    dark, light = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) + 0.05 for c in (a, b))
    return light / dark


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", THEMES, ids=lambda t: t.name)
def test_colours_are_apart_for_colour_blind_readers(theme, blindness):
    seen = [lab(np.array(BLINDNESS[blindness]) @ linear(c)) for c in (*theme.palette, theme.background)]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


@pytest.mark.parametrize("theme", THEMES, ids=lambda t: t.name)
def test_text_is_legible(theme):
    assert contrast(theme.ink, theme.background) > 7  # WCAG AAA
    assert contrast(theme.muted, theme.background) > 4.5  # AA
    assert contrast(theme.wrong, theme.background) > 4.5
    assert contrast(theme.ink, theme.risk) > 4.5, "code on the riskiest line"


def test_styles_end_with_their_context_also_when_drawing_fails():
    before = matplotlib.rcParams["axes.facecolor"]
    with pytest.raises(RuntimeError), styled(DARK):
        assert matplotlib.rcParams["axes.facecolor"] == DARK.background
        raise RuntimeError
    assert matplotlib.rcParams["axes.facecolor"] == before
