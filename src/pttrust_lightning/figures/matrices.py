"""Figures of matrices: methods by what they were trained on and tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize, TwoSlopeNorm, to_rgb
from matplotlib.figure import Figure

from pttrust_lightning.figures.style import Theme, panel, shown, styled
from pttrust_lightning.metrics.evaluation import LOWER_IS_BETTER, Estimate
from pttrust_lightning.metrics.units import unit
from pttrust_lightning.types import FloatArray

_CELL = 0.5
"""Width of a cell, inches: room for a signed number."""


def matrix(
    cells: Mapping[str, Mapping[str, Estimate]], metric: str, theme: Theme, is_difference: bool = False
) -> Figure:
    """A method's metric by what it was trained on (rows) and tested on (columns), as numbers on shades.

    A difference is shaded from 0 to both sides, and is bold where its 95 % interval leaves out 0.

    Args:
        cells: Estimates by row and column; every row has the same columns.
        metric: What they estimate.
        theme: Colours.
        is_difference: Whether they are one method's minus another's.

    Raises:
        ValueError: There is no cell, or rows have different columns.
    """
    rows, columns = list(cells), list(next(iter(cells.values()), {}))
    if not columns or any(list(own) != columns for own in cells.values()):
        raise ValueError("There is nothing to draw, or rows have different columns.")
    values = np.array([[cells[row][column].value for column in columns] for row in rows])
    with styled(theme):
        figure, axes = panel(0.75 + 0.26 * len(rows), 1.0 + _CELL * len(columns))
        colours, scale = _shading(values, metric, theme, is_difference)
        axes.imshow(values, aspect="auto", cmap=colours, norm=scale)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                found = cells[row][column]
                apart = is_difference and (found.low > 0 or found.high < 0)
                axes.text(
                    j, i, _number(found.value, is_difference), ha="center", va="center",
                    fontweight="bold" if apart else "normal", color=_readable(colours(float(scale(found.value)))),
                )  # fmt: skip
        axes.set_xticks(range(len(columns)), [shown(name) for name in columns], rotation=30, ha="right")
        axes.set_yticks(range(len(rows)), [shown(name) for name in rows])
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set(xlabel="tested on", ylabel="trained on")
        for side in axes.spines.values():
            side.set_visible(False)
        what = f"{metric} ({unit(metric)})" if unit(metric) else metric
        axes.set_title(f"difference in {what}" if is_difference else what, loc="left")
        return figure


def _shading(
    values: FloatArray, metric: str, theme: Theme, is_difference: bool
) -> tuple[LinearSegmentedColormap, Normalize]:
    """Colour map and scale: background to a colour; for differences two colours, the good one for better."""
    good, bad = theme.palette[1], theme.palette[0]
    if not is_difference:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        scale = Normalize(low - 0.25 * (high - low) - 1e-9, high + 1e-9)
        return LinearSegmentedColormap.from_list("value", [theme.background, good]), scale
    ends = [good, bad] if metric in LOWER_IS_BETTER else [bad, good]
    most = max(float(np.nanmax(np.abs(values))), 1e-9)
    around = LinearSegmentedColormap.from_list("difference", [ends[0], theme.background, ends[1]])
    return around, TwoSlopeNorm(0.0, -most, most)


def _readable(colour: Sequence[float]) -> str:
    """Black or white, whichever stands out more from a shade (relative luminance, WCAG 2)."""
    own = _luminance(colour[:3])
    contrasts = {
        name: (max(own, other) + 0.05) / (min(own, other) + 0.05)
        for name in ("#000000", "#FFFFFF")
        for other in [_luminance(to_rgb(name))]
    }
    return max(contrasts, key=lambda name: contrasts[name])


def _luminance(colour: Sequence[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def _number(value: float, signed: bool) -> str:
    """As tables show it, with a true minus sign."""
    digits = f"{value:+.2f}" if signed else f"{value:.2f}"
    return digits.replace("0.", ".", 1).replace("-", "−")  # noqa: RUF001 (as on axes)
