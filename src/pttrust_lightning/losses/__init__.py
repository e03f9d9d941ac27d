"""Pure functions: reconstruction, contrastive, ranking."""

from pttrust_lightning.losses.contrastive import (
    CONTRASTIVE_LOSSES,
    ContrastiveLoss,
    ccs,
    info_nce,
    margin_contrastive,
    pair_distance,
    pair_info_nce,
    unit_latents,
)
from pttrust_lightning.losses.ranking import (
    RANKING_LOSSES,
    TEMPERED_LOSSES,
    RankingLoss,
    approx_ndcg,
    bce,
    list_net,
    neural_ndcg,
    neural_sort,
    softmax,
)
from pttrust_lightning.losses.reconstruction import fraction_of_variance_unexplained, normalised_reconstruction
from pttrust_lightning.losses.sinkhorn import sinkhorn_factors

__all__ = [
    "CONTRASTIVE_LOSSES",
    "RANKING_LOSSES",
    "TEMPERED_LOSSES",
    "ContrastiveLoss",
    "RankingLoss",
    "approx_ndcg",
    "bce",
    "ccs",
    "fraction_of_variance_unexplained",
    "info_nce",
    "list_net",
    "margin_contrastive",
    "neural_ndcg",
    "neural_sort",
    "normalised_reconstruction",
    "pair_distance",
    "pair_info_nce",
    "sinkhorn_factors",
    "softmax",
    "unit_latents",
]
