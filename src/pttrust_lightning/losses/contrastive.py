"""Telling original lines from mutated ones: the contrastive terms of stage 1 (METHOD, 3).

A contrastive pair is a line of a program and the line of its mutant that took its place. The two are to be told
apart: the pair is a *negative* one. ``z_a`` always holds the latents of the originals, ``z_b`` those of the mutants,
row by row. Half-precision inputs are computed in float32.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from pttrust_lightning.losses._precision import full_precision

ContrastiveLoss = Literal["margin", "info_nce", "ccs", "none"]
"""The contrastive terms on offer: ``margin_contrastive``, ``pair_info_nce`` or ``info_nce``, ``ccs``, or none."""

CONTRASTIVE_LOSSES: tuple[str, ...] = get_args(ContrastiveLoss)


def _check_pairs(a: Tensor, b: Tensor, names: str, ndim: int = 2) -> None:
    if a.shape != b.shape or a.ndim != ndim:
        raise ValueError(f"{names} must have one shape of {ndim} dimensions, got {tuple(a.shape)} and {tuple(b.shape)}")


def _check_positive(value: float, name: str) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")


def unit_latents(z: Tensor, eps: float = 1e-8) -> Tensor:
    """Latents scaled to unit length: ``u = z / ||z||_2``.

    Args:
        z: Latents, ``(..., M)``.
        eps: Rows whose norm does not exceed it count as zero: they stay 0 and pass no gradient on.

    Returns:
        Unit latents, ``(..., M)``.
    """
    z = full_precision(z)
    squared = z.square().sum(dim=-1, keepdim=True)
    alive = squared > eps * eps
    return z * torch.where(alive, torch.where(alive, squared, 1.0).rsqrt(), 0.0)


def pair_distance(z_a: Tensor, z_b: Tensor) -> Tensor:
    """Distance between the unit latents of each pair: ``d_i = ||u_a,i - u_b,i||_2``.

    Non-negative latents are at most sqrt(2) apart. A pair of equal unit latents has distance 0 and passes no gradient
    on (the norm has none there); a zero row is 1 away from any other.

    Args:
        z_a: Latents of the original lines, ``(P, M)``.
        z_b: Latents of the mutants' lines, ``(P, M)``.

    Returns:
        Distances, ``(P,)``, between 0 and 2.

    Raises:
        ValueError: If the shapes differ or are not ``(P, M)``.
    """
    _check_pairs(z_a, z_b, "z_a and z_b")
    squared = (unit_latents(z_a) - unit_latents(z_b)).square().sum(dim=-1)
    apart = squared > 0
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def margin_contrastive(z_a: Tensor, z_b: Tensor, margin: float = 1.0) -> Tensor:
    """The negative-pair branch of the margin contrastive loss (Hadsell et al. 2006), one distance a pair.

        L_con = mean_i max(0, margin - ||u_a,i - u_b,i||_2)^2,    u = z / ||z||_2

    With non-negative latents (after ReLU) distances stop at sqrt(2): a margin above that never switches off.

    Args:
        z_a: Latents of the original lines, ``(P, M)``.
        z_b: Latents of the mutants' lines, ``(P, M)``.
        margin: Distance from which a pair costs nothing; PtTrust's authors use 2.

    Returns:
        The loss, a scalar; 0 that keeps the graph for P = 0.

    Raises:
        ValueError: If the shapes differ or are not ``(P, M)``, or the margin is not above 0.
    """
    _check_positive(margin, "margin")
    distance = pair_distance(z_a, z_b)
    return (margin - distance).clamp_min(0).square().sum() / max(len(distance), 1)


def info_nce(anchor: Tensor, positive: Tensor, negatives: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE (van den Oord et al., arXiv 1807.03748) on cosine similarities.

        L = mean_i -log( e^{a_i.p_i/t} / (e^{a_i.p_i/t} + sum_k e^{a_i.n_ik/t}) ),    all vectors unit length

    A contrastive pair of stage 1 gives the anchor (the original line) and a negative (the mutant's line), but no
    positive: it has to come from elsewhere, such as the latents of the same line under a small disturbance of its
    state. Without such a second view use ``pair_info_nce``.

    Args:
        anchor: Latents, ``(P, M)``.
        positive: Latents that each anchor is to be close to, ``(P, M)``.
        negatives: Latents to be told apart: ``(K, M)``, shared by all anchors, or ``(P, K, M)``.
        temperature: t, in units of cosine similarity.

    Returns:
        The loss, a scalar; 0 that keeps the graph for P = 0.

    Raises:
        ValueError: If the shapes do not fit or the temperature is not above 0.
    """
    _check_positive(temperature, "temperature")
    _check_pairs(anchor, positive, "anchor and positive")
    shared = negatives.ndim == 2 and negatives.shape[-1] == anchor.shape[-1]
    own = negatives.ndim == 3 and negatives.shape[::2] == anchor.shape
    if not (shared or own):
        raise ValueError(f"negatives must be (K, M) or (P, K, M), got {tuple(negatives.shape)}")
    a, p, n = unit_latents(anchor), unit_latents(positive), unit_latents(negatives)
    near = (a * p).sum(dim=-1, keepdim=True)
    far = torch.einsum("pm,km->pk" if shared else "pm,pkm->pk", a, n)
    logits = torch.cat([near, far], dim=-1) / temperature
    return (logits.logsumexp(dim=-1) - logits[:, 0]).sum() / max(len(anchor), 1)


def pair_info_nce(z_a: Tensor, z_b: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE from the pairs alone, with "original or mutated" as the class of a line.

    Supervised contrastive loss (Khosla et al., arXiv 2004.11362, eq. 2) over the 2P lines: the positives of a line
    are the other lines of its side, everything else repels it.

        L = mean_i -1/(P-1) sum_{p in side(i), p != i} log( e^{u_i.u_p/t} / sum_{j != i} e^{u_i.u_j/t} )

    This looks for what all mutated lines share, where ``margin_contrastive`` only asks each pair to differ.

    Args:
        z_a: Latents of the original lines, ``(P, M)``.
        z_b: Latents of the mutants' lines, ``(P, M)``.
        temperature: t, in units of cosine similarity.

    Returns:
        The loss, a scalar; 0 that keeps the graph for fewer than two pairs, which have no positives.

    Raises:
        ValueError: If the shapes differ or are not ``(P, M)``, or the temperature is not above 0.
    """
    _check_positive(temperature, "temperature")
    _check_pairs(z_a, z_b, "z_a and z_b")
    n_pairs = len(z_a)
    u = torch.cat([unit_latents(z_a), unit_latents(z_b)])
    if n_pairs < 2:
        return u.sum() * 0.0
    side = torch.arange(2 * n_pairs, device=u.device) >= n_pairs
    itself = torch.eye(2 * n_pairs, dtype=torch.bool, device=u.device)
    logits = (u @ u.T / temperature).masked_fill(itself, -math.inf)
    log_share = logits.log_softmax(dim=-1)
    positives = (side[:, None] == side[None, :]) & ~itself
    return -log_share.masked_fill(~positives, 0.0).sum(dim=-1).mean() / (n_pairs - 1)


def ccs(p_a: Tensor, p_b: Tensor) -> Tensor:
    """Contrast-Consistent Search (Burns et al., arXiv 2212.03827, eq. 2) on the probabilities of each pair.

        L = mean_i [ (p_a,i - (1 - p_b,i))^2 + min(p_a,i, p_b,i)^2 ]

    Consistency asks that the two probabilities add up to 1; confidence keeps both from settling at 1/2 (cost 1/4).
    The probabilities are the sigmoid of a 1-d projection of the two latents. Centre each side's latents first, as
    the paper does, or the projection may read off which side a line is on from a constant offset. The loss is
    symmetric: which side is called 1 is not determined.

    Args:
        p_a: Probabilities of the original lines, ``(P,)``.
        p_b: Probabilities of the mutants' lines, ``(P,)``.

    Returns:
        The loss, a scalar; 0 that keeps the graph for P = 0.

    Raises:
        ValueError: If the shapes differ or are not ``(P,)``.
    """
    _check_pairs(p_a, p_b, "p_a and p_b", ndim=1)
    p_a, p_b = full_precision(p_a), full_precision(p_b)
    consistency = (p_a - (1 - p_b)).square()
    confidence = torch.minimum(p_a, p_b).square()
    return (consistency + confidence).sum() / max(len(p_a), 1)
