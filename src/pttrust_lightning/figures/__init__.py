"""Publication-quality figures: drawn from plain data, in a light and a dark theme, written without a display."""

from pttrust_lightning.figures.curves import effort, forest, layers, learning, reliability, risk_coverage
from pttrust_lightning.figures.files import save
from pttrust_lightning.figures.latents import firing_rates, odds_ratios, pair_distances, risk_shares
from pttrust_lightning.figures.snippets import risk_of_lines
from pttrust_lightning.figures.style import DARK, LIGHT, THEMES, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "THEMES",
    "Theme",
    "effort",
    "firing_rates",
    "forest",
    "layers",
    "learning",
    "odds_ratios",
    "pair_distances",
    "reliability",
    "risk_coverage",
    "risk_of_lines",
    "risk_shares",
    "save",
]
