"""How every figure looks: two themes, one look a method, sizes for a paper's column.

Figures are made with the object-oriented API (no pyplot, no window, no process-wide state), and a user's matplotlibrc
has no say: the same data give the same picture everywhere. Fonts are those that matplotlib brings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pttrust_lightning.hashing import hash64

COLUMN = 3.35
"""Width of a paper's column, in inches (ACM and IEEE: 3.33 to 3.5)."""

PAGE = 7.0
"""Width of both columns, in inches."""

PNG_DPI = 300

_SCREEN_DPI = 150  # of notebooks, which show a figure as it is: a column's width can be read there

FONT, MONOSPACE = "DejaVu Sans", "DejaVu Sans Mono"
POINTS = 7.5
"""Size of text, in points: what papers allow beside 9-point text."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a figure.

    Attributes:
        name: In file names.
        background: Behind everything.
        ink: Text and axes.
        muted: References (chance, zero, the oracle) and secondary text.
        grid: Grid lines.
        palette: Colours of methods; apart from each other for colour-blind readers too (Okabe and Ito 2008).
        risk: What the background of a risky line tends to.
        wrong: Marks wrong lines.
    """

    name: str
    background: str
    ink: str
    muted: str
    grid: str
    palette: tuple[str, ...]
    risk: str
    wrong: str


_OKABE_ITO = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

LIGHT = Theme("light", "#FFFFFF", "#1A1A1A", "#6B6B6B", "#E4E4E4", (*_OKABE_ITO, "#000000"), "#F0A35E", "#0072B2")
DARK = Theme("dark", "#0D1117", "#E6EDF3", "#9198A1", "#272D35", (*_OKABE_ITO, "#F0E442"), "#A8500A", "#56B4E9")
THEMES = (LIGHT, DARK)


class Look(NamedTuple):
    """How a method is drawn, in every figure.

    Attributes:
        colour: Of its line and markers.
        marker: Tells colours apart without colour, and methods of one colour where lines are short.
        dashes: Matplotlib line style; tells methods of one colour apart.
    """

    colour: str
    marker: str
    dashes: Any


_MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one a colour, the next one for the next dashes
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (5, 1, 1, 1)), (0, (1.2, 1)))

_KNOWN = ("pttrust", "surface", "probe", "uncertainty", "sae_no_contrast", "lookback", "attention_probe")
"""Methods that are in every table, each with a colour of its own and a solid line."""

CHANCE = "random"


def looks(names: Iterable[str], theme: Theme) -> dict[str, Look]:
    """The look of each method: by its name, so that it is the same in all figures.

    Methods that are in every table have a colour of their own. Others get a colour and dashes by their name's hash;
    where two in one figure would look alike, the later one by name takes the next that is free.

    Args:
        names: The methods in one figure.
        theme: Of the figure.
    """
    names = list(names)
    n = len(theme.palette)
    slots = {name: _KNOWN.index(name) for name in names if name in _KNOWN}
    others = sorted(set(names) - slots.keys() - {CHANCE})
    free = n * (len(_DASHES) - 1)
    for name in others:
        start = hash64(name) % free
        taken = set(slots.values())
        tries = (n + (start + i) % free for i in range(free))
        slots[name] = next((slot for slot in tries if slot not in taken), n + start)
    chance = Look(theme.muted, "", _DASHES[3])
    return {
        name: chance
        if name == CHANCE
        else Look(theme.palette[colour], _MARKERS[(colour + dashes) % n], _DASHES[dashes])
        for name in names
        for dashes, colour in [divmod(slots.get(name, 0), n)]
    }


@contextmanager
def styled(theme: Theme) -> Iterator[None]:
    """Within, figures are made and written in the theme; matplotlib's settings are as before afterwards."""
    own = {
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "text.color": theme.ink,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "grid.color": theme.grid,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "grid.linewidth": 0.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "lines.linewidth": 1.3,
        "lines.markersize": 3.5,
        "font.family": [FONT],
        "font.size": POINTS,
        "axes.titlesize": POINTS,
        "axes.labelsize": POINTS,
        "xtick.labelsize": POINTS - 0.5,
        "ytick.labelsize": POINTS - 0.5,
        "legend.fontsize": POINTS - 0.5,
        "legend.frameon": False,
        "legend.borderpad": 0.0,
        "legend.handlelength": 2.2,
        "legend.handletextpad": 0.6,
        "legend.columnspacing": 1.0,
        # Letters as outlines in SVG and as embedded TrueType in PDF: the reader needs no font.
        "svg.fonttype": "path",
        "svg.hashsalt": "pttrust",
        "pdf.fonttype": 42,
    }
    with matplotlib.style.context(["default", own]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; its parts make room for each other."""
    figure = Figure(figsize=(width, height), dpi=_SCREEN_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel(height: float, width: float = COLUMN) -> tuple[Figure, Axes]:
    """A figure of one panel, inches."""
    figure = new_figure(width, height)
    return figure, figure.add_subplot()


def shown(name: str) -> str:
    """A method's name as text."""
    return name.replace("_", " ")


def legend(figure: Figure, handles: dict[str, Any]) -> None:
    """Name what is drawn, above the panels, where it covers no data.

    Args:
        figure: The figure.
        handles: What to show beside each name.
    """
    names = [shown(name) for name in handles]
    columns = max(n for n in range(1, len(names) + 1) if n == 1 or _legend_width(names, n) <= figure.get_figwidth())
    figure.legend(list(handles.values()), names, loc="outside upper left", ncols=columns)


def _legend_width(names: list[str], columns: int) -> float:
    """Inches that so many columns take, about; they are filled one after the other, the first ones by one more."""
    ends = [len(part) for part in np.array_split(np.arange(len(names)), columns)]
    starts = np.cumsum([0, *ends[:-1]])
    return sum(0.45 + 0.06 * max(len(n) for n in names[a : a + k]) for a, k in zip(starts.tolist(), ends, strict=True))


def line_handle(look: Look) -> Line2D:
    """A method's line, for the legend."""
    return Line2D([], [], color=look.colour, marker=look.marker or "None", linestyle=look.dashes)
