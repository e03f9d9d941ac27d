"""What each logged metric is counted in: for axes, tables and docs/wandb.md."""

from __future__ import annotations

UNITS: dict[str, str] = {
    # of stage 2, and of every method (metrics.functional)
    "hit": "share of snippets",
    "line_recall": "share of a snippet's wrong lines",
    "precision": "wrong lines a line read",
    "mrr": "mean of 1 / rank",
    "ndcg": "share of the best order's gain",
    "recall": "share of a snippet's wrong lines",
    "ifa": "lines",
    "auroc": "share of pairs in order",
    "average_precision": "mean precision",
    "brier": "squared probability",
    "brier_skill": "share of the reference's error",
    "ece": "probability",
    # of methods that judge whole snippets; snippet_auroc and the like are counted as their namesakes of lines
    "recall@20%snippets": "share of wrong snippets",
    "aurc": "share of wrong snippets, mean over coverages",
    # of tokens (metrics.token_level)
    "token_recall": "share of the wrong lines' tokens",
    "token_precision": "wrong lines' tokens a token read",
    "full_coverage": "share of a snippet's wrong lines",
    # of stage 1
    "reconstruction_loss": "share of a state's squared norm",
    "contrastive_loss": "its loss's own",
    "aux_loss": "share of the residual's squared norm",
    "fvu": "share of variance",
    "pair_distance": "distance of unit latents, 0 to 1.41",
    "l0": "latents a line",
    "dead_share": "share of latents",
    # of both
    "loss": "its loss's own",
}
"""By the metric's name, or by that without its stage (``val/``), ``snippet_``, ``@k`` and ``(eligible)``."""


def unit(metric: str) -> str:
    """The unit of a metric, such as ``val/hit@3``; empty where it is not known.

    Args:
        metric: Its name, with or without the stage.
    """
    name = metric.rsplit("/", 1)[-1].removeprefix("snippet_").removesuffix(" (eligible)")
    return UNITS.get(name, UNITS.get(name.split("@")[0], ""))
