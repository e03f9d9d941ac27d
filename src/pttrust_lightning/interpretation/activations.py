"""When latents fire, and on which lines (METHOD, 8).

A latent fires on a line where its activation is above 0. Activations are sparse: ``(N, M)``, N lines by M latents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csc_array, csr_array, vstack
from torch import Tensor

from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder
from pttrust_lightning.types import FloatArray, IntArray


class Firing(NamedTuple):
    """How often and how strongly each latent fires.

    Attributes:
        n_fired: Lines that it fires on, ``(M,)``.
        rate: Share of the lines that it fires on, ``(M,)``.
        mean_activation: Mean activation on those lines, ``(M,)``; NaN where there are none.
    """

    n_fired: IntArray
    rate: FloatArray
    mean_activation: FloatArray


class Strongest(NamedTuple):
    """The lines that fire a latent most, the strongest of each text.

    Attributes:
        rows: Their rows.
        n_alike: How many lines with the same text fire it, these among them.
    """

    rows: IntArray
    n_alike: IntArray


@torch.no_grad()
def encode_lines(encoder: SparseAutoencoder, states: Iterable[Tensor]) -> csc_array:
    """The latents of lines as a sparse matrix.

    Args:
        encoder: Stage 1's autoencoder.
        states: Line states, ``(T, D)`` each, of at least one program.

    Returns:
        ``(N, M)`` in float64, zeros left out; the lines in order.
    """
    parts = [csr_array(encoder.encode(part.float()).double().cpu().numpy()) for part in states]
    return vstack(parts, format="csc")


def firing(activations: csc_array) -> Firing:
    """How often and how strongly each latent fires.

    Args:
        activations: ``(N, M)``, at least 0, at least one line.
    """
    n_fired = np.asarray((activations > 0).sum(axis=0), dtype=np.int64)
    total = np.asarray(activations.sum(axis=0), dtype=np.float64)
    mean = np.divide(total, n_fired, out=np.full(len(n_fired), np.nan), where=n_fired > 0)
    return Firing(n_fired, n_fired / activations.shape[0], mean)


def strongest_lines(activations: csc_array, texts: IntArray, n: int) -> list[Strongest]:
    """The lines that fire each latent most, each text once: ten times ``return n`` say no more than once.

    Args:
        activations: ``(N, M)``, at least 0.
        texts: A number for each line, ``(N,)``, the same where the text is.
        n: Texts a latent.

    Returns:
        For each latent up to ``n`` rows, the strongest first, of equal ones the first; fewer where fewer fire it.
    """
    found = []
    for latent in range(activations.shape[1]):
        column = activations[:, [latent]].tocoo()
        rows, values = column.coords[0][column.data > 0], column.data[column.data > 0]
        rows = rows[np.lexsort((rows, -values))].astype(np.int64)
        _, first, n_alike = np.unique(texts[rows], return_index=True, return_counts=True)
        order = np.argsort(first)[:n]
        found.append(Strongest(rows[first[order]], n_alike[order]))
    return found
