"""All that is known of each latent, in one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from pttrust_lightning.interpretation.activations import firing, strongest_lines
from pttrust_lightning.interpretation.association import odds_ratios, two_by_two
from pttrust_lightning.interpretation.effects import LatentEffects
from pttrust_lightning.metrics.functional import auroc
from pttrust_lightning.types import IntArray


@dataclass(frozen=True, slots=True)
class LatentRow:
    """One latent; NaN where a figure cannot be known (the latent never fires, or always).

    Attributes:
        latent: Its 0-based number.
        n_fired: Lines that it fires on.
        firing_rate: Their share of all lines.
        mean_activation: On those lines.
        code_share: Share of those lines that hold code, not comments or punctuation alone.
        n_fired_wrong: Wrong lines among them.
        odds_ratio: Of being wrong, where it fires relative to where it does not.
        odds_ratio_low: Lower end of its 95 % interval.
        odds_ratio_high: Upper end of its 95 % interval.
        p: Of no association with being wrong.
        q: The least false discovery rate at which it counts as associated.
        code_odds_ratio: The same as ``odds_ratio`` among lines that hold code alone.
        code_odds_ratio_low: Lower end of its 95 % interval.
        code_odds_ratio_high: Upper end of its 95 % interval.
        code_p: As ``p``, among those lines.
        code_q: As ``q``, among those lines.
        auroc: The chance that its activation is higher on a wrong line than on a right one; also where it always fires.
        strongest: Rows of the lines that fire it most, the strongest of each text, the strongest first.
        n_alike: How many lines with the text of each fire it.
        activations: Its activation on each of those.
        logit_drop: Mean drop of the risk model's logit without it, on the lines that fire it; None without a model.
        probability_drop: The same of P(line is wrong).
        variance_share: Its share of the variance of the risk model's logit.
    """

    latent: int
    n_fired: int
    firing_rate: float
    mean_activation: float
    code_share: float
    n_fired_wrong: int
    odds_ratio: float
    odds_ratio_low: float
    odds_ratio_high: float
    p: float
    q: float
    code_odds_ratio: float
    code_odds_ratio_low: float
    code_odds_ratio_high: float
    code_p: float
    code_q: float
    auroc: float
    strongest: IntArray
    n_alike: tuple[int, ...]
    activations: tuple[float, ...]
    logit_drop: float | None = None
    probability_drop: float | None = None
    variance_share: float | None = None


def latent_rows(
    activations: csc_array,
    wrong: NDArray[np.bool_],
    code: NDArray[np.bool_],
    texts: IntArray,
    top_lines: int,
    effects: LatentEffects | None = None,
) -> list[LatentRow]:
    """A row for each latent, in order.

    Args:
        activations: ``(N, M)``, at least 0, zeros left out.
        wrong: Which lines are wrong, ``(N,)``; some are, and some are not.
        code: Which lines hold code, ``(N,)``.
        texts: A number for each line, ``(N,)``, the same where the text is.
        top_lines: How many of the lines that fire a latent most are named.
        effects: What each latent does to a risk model's scores.
    """
    use = firing(activations)
    counts = two_by_two(activations, wrong)
    odds = odds_ratios(counts)
    code_counts = two_by_two(activations[code], wrong[code])
    code_odds = odds_ratios(code_counts)
    code_fired = code_counts[0].sum(axis=0)
    code_share = np.divide(code_fired, use.n_fired, out=np.full(len(code_fired), np.nan), where=use.n_fired > 0)
    figures: dict[str, NDArray[Any]] = {
        "n_fired": use.n_fired,
        "firing_rate": use.rate,
        "mean_activation": use.mean_activation,
        "code_share": code_share,
        "n_fired_wrong": counts[0, 0].astype(np.int64),
        **dict(zip(("odds_ratio", "odds_ratio_low", "odds_ratio_high", "p", "q"), odds, strict=True)),
        **dict(
            zip(
                ("code_odds_ratio", "code_odds_ratio_low", "code_odds_ratio_high", "code_p", "code_q"),
                code_odds,
                strict=True,
            )
        ),
        **({} if effects is None else effects._asdict()),
    }
    rows = []
    for j, (strongest, n_alike) in enumerate(strongest_lines(activations, texts, top_lines)):
        column = activations[:, [j]].toarray().squeeze(-1)
        rows.append(
            LatentRow(
                latent=j,
                auroc=auroc(column, wrong),
                strongest=strongest,
                n_alike=tuple(n_alike.tolist()),
                activations=tuple(column[strongest].tolist()),
                **{name: values[j].item() for name, values in figures.items()},
            )
        )
    return rows
