"""Figures that compare methods."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter, ScalarFormatter
from matplotlib.transforms import ScaledTranslation

from pttrust_lightning.figures.style import (
    CHANCE,
    COLUMN,
    PAGE,
    Theme,
    legend,
    line_handle,
    looks,
    new_figure,
    panel,
    shown,
    styled,
)
from pttrust_lightning.metrics.curves import EffortCurve, ReliabilityCurve
from pttrust_lightning.metrics.evaluation import LOWER_IS_BETTER, Estimate
from pttrust_lightning.metrics.units import unit
from pttrust_lightning.types import FloatArray

_BAND = 0.18
"""Opacity of interval bands."""

_LEAST_COVERAGE = 0.05
"""Share of the snippets that a risk-coverage curve starts at."""

_LABEL_CHARACTERS = 34
"""Of an axis label's line."""

_ASIDE = 2.2
"""Points between the intervals of neighbouring methods."""


class RiskCoverage(Protocol):
    """Risk of what is kept against how much is kept."""

    @property
    def coverage(self) -> FloatArray:
        """Share that is kept, ascending, ``(N,)``."""

    @property
    def risk(self) -> FloatArray:
        """Share of those kept that are wrong, ``(N,)``."""


def reliability(curves: Mapping[str, ReliabilityCurve], theme: Theme) -> Figure:
    """Share of wrong lines against predicted probability, a panel a method; bars are 95 % intervals.

    Args:
        curves: By method.
        theme: Colours.

    Raises:
        ValueError: There is no curve.
    """
    _check_not_empty(curves)
    columns = min(3, len(curves))
    rows = math.ceil(len(curves) / columns)
    width = COLUMN if columns < 3 else PAGE
    side = (width if columns > 1 else 0.75 * width) / columns
    top = min(1.0, 1.04 * max(max(c.predicted.max(), c.high.max()) for c in curves.values()))
    with styled(theme):
        figure = new_figure(side * columns, side * rows)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        own = looks(curves, theme)
        for axes, (name, curve) in zip(panels.flat, curves.items(), strict=False):
            look = own[name]
            axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.8, linestyle=(0, (3, 2)))
            errors = np.stack([curve.observed - curve.low, curve.high - curve.observed])
            axes.errorbar(
                curve.predicted,
                curve.observed,
                yerr=errors,
                color=look.colour,
                marker=look.marker or "o",
                linestyle="-",
                elinewidth=0.8,
            )
            axes.set_title(f"{shown(name)} ({curve.counts.sum():,} lines)")
            axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_locator(MaxNLocator(4))
        for axes in list(panels.flat)[len(curves) :]:
            axes.set_visible(False)
        for column in range(columns):  # a column that ends early has its ticks where it ends
            last = panels[rows - 1 if (rows - 1) * columns + column < len(curves) else rows - 2, column]
            last.tick_params(labelbottom=True)
        figure.supxlabel("predicted P(line is wrong)", fontsize="medium")
        figure.supylabel("share that is wrong", fontsize="medium")
        return figure


def effort(curves: Mapping[str, EffortCurve], theme: Theme) -> Figure:
    """Share of wrong lines found against share of lines read, riskiest first, between chance and the oracle.

    The band is the first method's 95 % interval.

    Args:
        curves: By method; the first is the one that the others are compared with.
        theme: Colours.

    Raises:
        ValueError: There is no curve.
    """
    _check_not_empty(curves)
    with styled(theme):
        figure, axes = panel(2.75)
        own = looks(curves, theme)
        first = next(iter(curves))
        oracle = curves[first].oracle
        best = axes.plot(curves[first].read, oracle, color=theme.muted, linewidth=0.8, linestyle=(0, (6, 2)))[0]
        chance = axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.8, linestyle=(0, (1.2, 1)))[0]
        handles: dict[str, Line2D] = {}
        for i, (name, curve) in enumerate(curves.items()):
            if name == CHANCE:  # it is the diagonal
                continue
            look = own[name]
            every = (10 + 3 * i % 20, 20)  # staggered: no marker hides another
            handles[name] = axes.plot(
                curve.read, curve.found, color=look.colour, linestyle=look.dashes, marker=look.marker, markevery=every
            )[0]
        axes.fill_between(
            curves[first].read, curves[first].low, curves[first].high, color=own[first].colour, alpha=_BAND, linewidth=0
        )
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="lines read, riskiest first", ylabel="wrong lines found")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        legend(figure, {**handles, "best order": best, "chance": chance})
        return figure


def learning(points: Mapping[str, Mapping[int, Estimate]], metric: str, theme: Theme) -> Figure:
    """A metric against the number of labelled snippets, with 95 % intervals.

    Args:
        points: The metric by number of labelled snippets, by method.
        metric: Its name.
        theme: Colours.

    Raises:
        ValueError: There is no point.
    """
    with styled(theme):
        figure, axes = panel(2.6)
        _against(figure, axes, points, metric, theme)
        sizes = sorted({x for own in points.values() for x in own})
        axes.set_xscale("log")
        axes.set_xlabel("labelled snippets (log scale)")
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        return figure


def layers(points: Mapping[str, Mapping[int, Estimate]], metric: str, theme: Theme) -> Figure:
    """A metric against the decoder block that the states are read from, with 95 % intervals.

    Args:
        points: The metric by block (0-based), by method.
        metric: Its name.
        theme: Colours.

    Raises:
        ValueError: There is no point.
    """
    with styled(theme):
        figure, axes = panel(2.6)
        _against(figure, axes, points, metric, theme)
        axes.set_xlabel("decoder block")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return figure


def risk_coverage(curves: Mapping[str, RiskCoverage], theme: Theme) -> Figure:
    """Share of wrong snippets among those kept, against the share kept, least risky first.

    Curves start where a twentieth is kept: of the first few snippets each moves the share by much.

    Args:
        curves: By method.
        theme: Colours.

    Raises:
        ValueError: There is no curve.
    """
    _check_not_empty(curves)
    with styled(theme):
        figure, axes = panel(2.6)
        own = looks(curves, theme)
        handles: dict[str, Line2D] = {}
        for i, (name, curve) in enumerate(curves.items()):
            look = own[name]
            drawn = curve.coverage >= _LEAST_COVERAGE
            handles[name] = axes.plot(
                curve.coverage[drawn], curve.risk[drawn], color=look.colour, linestyle=look.dashes, marker=look.marker,
                markevery=((0.03 * i) % 0.2, 0.2),  # staggered: no marker hides another
            )[0]  # fmt: skip
        axes.set(xlim=(0, 1), xlabel="snippets kept, least risky first", ylabel="wrong among those kept")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        legend(figure, handles)
        return figure


def forest(differences: Mapping[str, Estimate], metric: str, theme: Theme) -> Figure:
    """Paired differences with 95 % intervals around 0, a row each; hollow where the interval holds 0.

    Args:
        differences: One method minus another, by what the row is called.
        metric: Of which they are differences.
        theme: Colours.

    Raises:
        ValueError: There is no difference.
    """
    _check_not_empty(differences)
    with styled(theme):
        figure, axes = panel(0.85 + 0.24 * len(differences))
        own = looks(differences, theme)
        axes.axvline(0, color=theme.muted, linewidth=0.8)
        for row, (name, gap) in enumerate(differences.items()):
            colour = own[name].colour
            apart = gap.low > 0 or gap.high < 0
            axes.plot([gap.low, gap.high], [row, row], color=colour, solid_capstyle="butt")
            axes.plot(
                gap.value, row, marker="o", color=colour, markersize=4.5,
                markerfacecolor=colour if apart else theme.background,
            )  # fmt: skip
        axes.set_yticks(range(len(differences)), [shown(name) for name in differences])
        axes.set_ylim(len(differences) - 0.5, -0.5)
        ways = ("better ", " worse") if metric in LOWER_IS_BETTER else ("worse ", " better")
        for way, align in zip(ways, ("right", "left"), strict=True):
            axes.text(0, 1.01, way, transform=axes.get_xaxis_transform(), ha=align, va="bottom", color=theme.muted)
        numbers = axes.secondary_yaxis("right")
        numbers.set_yticks(range(len(differences)), [_interval(gap) for gap in differences.values()])
        for side in (axes.yaxis, numbers.yaxis):
            side.set_tick_params(length=0)
        numbers.spines["right"].set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"difference in {_labelled(metric)}")
        return figure


def _against(
    figure: Figure, axes: Axes, points: Mapping[str, Mapping[int, Estimate]], metric: str, theme: Theme
) -> None:
    """Draw each method's metric against a number, with its intervals."""
    if not points or not all(points.values()):
        raise ValueError("There is a method without a point, or no method: nothing can be drawn.")
    own = looks(points, theme)
    handles: dict[str, Line2D] = {}
    for name, estimates in points.items():
        look = own[name]
        x = sorted(estimates)
        value, low, high = np.array([estimates[i] for i in x]).T
        # Beside each other, by points on paper: bands of several methods would hide each other.
        aside = (len(handles) - (len(points) - 1) / 2) * _ASIDE / 72
        shifted = axes.transData + ScaledTranslation(aside, 0, figure.dpi_scale_trans)
        axes.errorbar(
            x, value, yerr=np.stack([value - low, high - value]), color=look.colour, marker=look.marker,
            linestyle=look.dashes, elinewidth=0.8, transform=shifted,
        )  # fmt: skip
        axes.update_datalim([*zip(x * 2, [*low, *high], strict=True), *zip(x, value, strict=True)])
        handles[name] = line_handle(look)
    axes.autoscale_view()
    axes.set_ylabel(_labelled(metric))
    legend(figure, handles)


def _labelled(metric: str) -> str:
    """A metric; below it its unit, and which way is better where that is down, in lines that fit beside a panel."""
    better = ", lower is better" if metric in LOWER_IS_BETTER else ""
    below = textwrap.wrap(f"({unit(metric)}{better})", _LABEL_CHARACTERS) if unit(metric) else []
    return "\n".join([shown(metric), *below])


def _interval(gap: Estimate) -> str:
    return f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})".replace("-", "−")  # noqa: RUF001 (as on the axis)


def _check_not_empty(curves: Mapping[str, object]) -> None:
    if not curves:
        raise ValueError("There is nothing to draw: give at least one method.")
