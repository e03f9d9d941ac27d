"""Figures of the sparse latents (stage 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pttrust_lightning.figures.style import Theme, legend, looks, panel, shown, styled
from pttrust_lightning.metrics.curves import DistanceHistogram, FiringHistogram
from pttrust_lightning.metrics.evaluation import Estimate

_ROW = 0.15
"""Height of a latent's row, inches."""


def firing_rates(histograms: Mapping[str, FiringHistogram], theme: Theme) -> Figure:
    """How often latents fire, and which share of them never does.

    Args:
        histograms: By encoder.
        theme: Colours.

    Raises:
        ValueError: There is no histogram.
    """
    _check_not_empty(histograms)
    with styled(theme):
        figure, axes = panel(2.3)
        own = looks(histograms, theme)
        handles: dict[str, Any] = {}
        for name, histogram in histograms.items():
            look = own[name]
            shares = histogram.counts / histogram.n_latents
            axes.stairs(shares, histogram.edges, fill=True, color=look.colour, alpha=0.18)
            axes.stairs(shares, histogram.edges, color=look.colour, linestyle=look.dashes, linewidth=1.1)
            dead = f"{histogram.dead_share:.1%} of {histogram.n_latents} never fire"
            handles[f"{shown(name)}: {dead}"] = Line2D([], [], color=look.colour, linestyle=look.dashes)
        axes.set_xscale("log")
        axes.set_xlim(min(h.edges[0] for h in histograms.values()), 1)
        axes.set_ylim(bottom=0)
        axes.set(xlabel="firing rate (share of lines, log scale)", ylabel="share of latents")
        legend(figure, handles)
        return figure


def pair_distances(histograms: Mapping[str, DistanceHistogram], theme: Theme, margin: float | None = None) -> Figure:
    """How far lines are from the mutated lines that took their place.

    Args:
        histograms: By what the distances are measured in: latents before and after training, say.
        theme: Colours.
        margin: Distance from which a pair costs nothing, where there is one.

    Raises:
        ValueError: There is no histogram.
    """
    _check_not_empty(histograms)
    with styled(theme):
        figure, axes = panel(2.3)
        own = looks(histograms, theme)
        handles: dict[str, Any] = {}
        for name, histogram in histograms.items():
            look = own[name]
            axes.stairs(histogram.shares, histogram.edges, fill=True, color=look.colour, alpha=0.18)
            axes.stairs(histogram.shares, histogram.edges, color=look.colour, linestyle=look.dashes, linewidth=1.1)
            axes.axvline(histogram.quartiles[1], color=look.colour, linestyle=(0, (1.2, 1)), linewidth=0.9)
            label = f"{shown(name)}: median {histogram.quartiles[1]:.2f} of {histogram.n_pairs:,} pairs"
            handles[label] = Line2D([], [], color=look.colour, linestyle=look.dashes)
        if margin is not None:
            line = axes.axvline(margin, color=theme.muted, linewidth=0.8, linestyle=(0, (6, 2)))
            handles["margin"] = line
        axes.set_xlim(0, max(h.edges[-1] for h in histograms.values()))
        axes.set_ylim(bottom=0)
        axes.set(xlabel="distance of a line from its mutant (unit latents)", ylabel="share of pairs")
        legend(figure, handles)
        return figure


def odds_ratios(ratios: Mapping[str, Mapping[int, Estimate]], theme: Theme) -> Figure:
    """How much likelier a line is wrong where a latent fires: odds ratios with their intervals, a row a latent.

    Args:
        ratios: By which lines they are of (all, those that hold code), by latent, from the top; positive.
        theme: Colours.

    Raises:
        ValueError: There is no ratio, or other lines have other latents.
    """
    latents = list(next(iter(ratios.values()), {}))
    if not latents or any(list(own) != latents for own in ratios.values()):
        raise ValueError("There is nothing to draw, or ratios are of different latents.")
    rows = np.arange(len(latents))[::-1]
    with styled(theme):
        figure, axes = panel(0.8 + _ROW * len(latents))
        axes.axvline(1, color=theme.muted, linewidth=0.8)
        handles: dict[str, Any] = {}
        places = np.linspace(0.16, -0.16, len(ratios)) if len(ratios) > 1 else np.zeros(1)
        for (name, own), place, colour in zip(ratios.items(), places, theme.palette[1:], strict=False):
            values, low, high = np.array([own[latent] for latent in latents]).T
            axes.hlines(rows + place, low, high, color=colour, linewidth=0.9)
            (handles[name],) = axes.plot(values, rows + place, "o", color=colour, markersize=2.6)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
        axes.set_yticks(rows, map(str, latents))
        axes.set_ylim(-0.7, len(latents) - 0.3)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="odds ratio of being wrong where it fires (log scale)", ylabel="latent")
        legend(figure, handles)
        return figure


def risk_shares(shares: Mapping[int, float], theme: Theme) -> Figure:
    """How much of what a risk model says of lines single latents explain, a bar a latent.

    Args:
        shares: Of the logit's variance, by latent, from the top; below 0 where a latent works against the others.
        theme: Colours.

    Raises:
        ValueError: There is no share.
    """
    _check_not_empty(shares)
    rows = np.arange(len(shares))[::-1]
    with styled(theme):
        figure, axes = panel(0.6 + _ROW * len(shares))
        axes.barh(rows, [100 * share for share in shares.values()], 0.62, color=theme.palette[1])
        axes.axvline(0, color=theme.muted, linewidth=0.8)
        axes.set_yticks(rows, map(str, shares))
        axes.set_ylim(-0.7, len(shares) - 0.3)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="share of the logit's variance (%)", ylabel="latent")
        return figure


def _check_not_empty(given: Mapping[Any, object]) -> None:
    if not given:
        raise ValueError("There is nothing to draw: give at least one.")
