"""Line-ranking metrics as a ``torchmetrics.Metric``, for validation and test loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat, rank_zero_warn

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.metrics.functional import KS, auroc, snippet_metric_names, snippet_metrics


class LineRankingMetrics(Metric):
    """Means over rankable snippets of ``metrics.functional.snippet_metrics``, and AUROC over their lines.

    A snippet is rankable that has at least two lines and a wrong one; others are passed over. Tied scores count by
    their expectation, unlike torchmetrics' retrieval metrics, whose value then depends on the order of the lines.
    Scores may be any finite numbers: torchmetrics' AUROC squashes logits in float32 first, which makes ties of
    large ones. Sums and counts add up across processes; scores and labels for AUROC are gathered.

    ``compute`` returns a scalar tensor for each of ``hit@k``, ``line_recall@k``, ``precision@k``, ``mrr``, ``ndcg``,
    ``recall@20%lines``, ``ifa`` and ``auroc``. Before any rankable snippet was seen all are NaN, with a warning;
    ``auroc`` is NaN also while only wrong lines were seen.

    Args:
        ks: The k of the metrics at k.
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    sums: Tensor
    n_snippets: Tensor
    line_scores: list[Tensor]
    line_wrong: list[Tensor]

    def __init__(self, ks: Sequence[int] = KS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ks = tuple(ks)
        self.names = snippet_metric_names(self.ks)
        # float32: some devices have no float64
        self.add_state("sums", torch.zeros(len(self.names)), dist_reduce_fx="sum")
        self.add_state("n_snippets", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("line_scores", [], dist_reduce_fx="cat")
        self.add_state("line_wrong", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, relevance: Tensor, mask: Tensor) -> None:
        """Add a batch of padded snippets.

        Args:
            logits: Line scores, ``(B, T)``.
            relevance: Relevance of each line, ``(B, T)``.
            mask: True where there is a line, ``(B, T)``.

        Raises:
            NonFiniteError: If a score of a line, scored by rankable snippets or not, is NaN or infinite.
            ValueError: If the shapes differ.
        """
        if logits.ndim != 2 or logits.shape != relevance.shape or logits.shape != mask.shape:
            raise ValueError(
                "logits, relevance and mask must all be (B, T), got "
                f"{tuple(logits.shape)}, {tuple(relevance.shape)} and {tuple(mask.shape)}"
            )
        scores = logits.detach().double().cpu().numpy()
        labels = relevance.detach().double().cpu().numpy()
        lines = mask.detach().bool().cpu().numpy()
        if bad := int((~np.isfinite(scores[lines])).sum()):
            raise NonFiniteError(
                f"logits: {bad} of {int(lines.sum())} line scores are NaN or infinite. Lower the learning rate, "
                f"clip gradients, or look for damaged states."
            )
        keep = (lines.sum(axis=1) > 1) & ((labels > 0) & lines).any(axis=1)
        if not keep.any():
            return
        values = [
            list(snippet_metrics(scores[i][lines[i]], labels[i][lines[i]], self.ks).values())
            for i in np.flatnonzero(keep)
        ]
        self.sums = self.sums + torch.tensor(np.sum(values, axis=0), dtype=self.sums.dtype, device=self.sums.device)
        self.n_snippets = self.n_snippets + len(values)
        chosen = mask.bool() & torch.from_numpy(keep).to(mask.device)[:, None]
        self.line_scores.append(logits.detach()[chosen].float())
        self.line_wrong.append((relevance.detach()[chosen] > 0).float())

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far, by name."""
        count = int(self.n_snippets)
        if count == 0:
            rank_zero_warn(
                "LineRankingMetrics saw no snippet with two lines and a wrong one: all its values are NaN.", UserWarning
            )
            return {name: torch.full((), torch.nan, device=self.sums.device) for name in (*self.names, "auroc")}
        result = {name: self.sums[i] / count for i, name in enumerate(self.names)}
        wrong = dim_zero_cat(self.line_wrong).cpu().numpy()
        value = torch.nan if wrong.all() else auroc(dim_zero_cat(self.line_scores).cpu().numpy(), wrong)
        result["auroc"] = torch.tensor(value, dtype=self.sums.dtype, device=self.sums.device)
        return result
