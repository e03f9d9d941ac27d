"""Two LLMs compared block by block, at the same share of their depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pttrust_lightning.metrics import paired_differences, reciprocal_rank, snippet_metrics
from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.types import FloatArray, ScoredSnippet
from tools.embedded_llm.evaluation import bootstrap
from tools.embedded_llm.evaluation.reports import plain
from tools.embedded_llm.evaluation.scoring import Fitted

METRICS = ("hit@1", "mrr", "auroc")
"""What is reported of each probe; the higher, the better."""

_Scored = Sequence[ScoredSnippet]


def depth_pairs(n_blocks: int, n_reference: int) -> list[tuple[int, int]]:
    """For each block of one LLM the reference's block nearest in relative depth ``(i + 1) / n``, 0-based.

    Of two equally near ones the shallower is taken. Compared as whole numbers, since 2/6 is not 1/3 in floating point.
    """
    return [
        (i, min(range(n_reference), key=lambda j: (abs((i + 1) * n_reference - (j + 1) * n_blocks), j)))
        for i in range(n_blocks)
    ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one LLM's probes stand against a reference's.

    Attributes:
        llm: The LLM.
        reference: What it is compared with.
        depths: The paired difference of each of ``METRICS`` at each depth, with both layers (0-based).
        means: The differences' means over depths.
        better: At how many depths the LLM is ahead, by metric.
        clear: At how many of those the interval is above 0.
    """

    llm: str
    reference: str
    depths: list[tuple[int, int, dict[str, Estimate]]]
    means: dict[str, Estimate]
    better: dict[str, int]
    clear: dict[str, int]

    def sentence(self, set_name: str) -> str:
        """What the comparison says, in a sentence."""
        parts = []
        for metric in METRICS:
            mean = self.means[metric]
            parts.append(
                f"{self.better[metric]} of {len(self.depths)} depths in {metric} "
                f"({self.clear[metric]} with an interval above 0; mean difference {mean.value:+.3f}, "
                f"95 % interval {mean.low:+.3f} to {mean.high:+.3f})"
            )
        return f"{set_name}: {self.llm} beats {self.reference} at {', '.join(parts)}."

    def report(self, set_name: str) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "llm": self.llm,
            "reference": self.reference,
            "depths": [
                {"layer": i, "reference_layer": j} | {m: plain(gap[m]) for m in METRICS} for i, j, gap in self.depths
            ],
            "n_depths": len(self.depths),
            "mean_difference": {m: plain(self.means[m]) for m in METRICS},
            "better_at": self.better,
            "clearly_better_at": self.clear,
            "sentence": self.sentence(set_name),
        }


def compare_depths(
    llm: str, blocks: Sequence[Fitted], reference: str, reference_blocks: Sequence[Fitted], samples: int, seed: int
) -> Verdict:
    """Paired differences, the LLM minus the reference, over the same snippets and resamples.

    Args:
        llm: Its name.
        blocks: Its probes, from the first block.
        reference: The reference's name.
        reference_blocks: The reference's probes.
        samples: Resamples of the snippets.
        seed: Of the resamples.
    """
    pairs = depth_pairs(len(blocks), len(reference_blocks))
    matched = [(blocks[i].scored, reference_blocks[j].scored) for i, j in pairs]
    gaps = [paired_differences(ours, theirs, samples, seed) for ours, theirs in matched]
    depths = [(i, j, {m: gap[m] for m in METRICS}) for (i, j), gap in zip(pairs, gaps, strict=True)]
    means = {metric: _mean_gap(metric, matched, samples, seed) for metric in METRICS}
    return Verdict(
        llm=llm,
        reference=reference,
        depths=depths,
        means=means,
        better={m: sum(gap[m].value > 0 for _, _, gap in depths) for m in METRICS},
        clear={m: sum(gap[m].low > 0 for _, _, gap in depths) for m in METRICS},
    )


def _mean_gap(metric: str, matched: Sequence[tuple[_Scored, _Scored]], samples: int, seed: int) -> Estimate:
    """The mean over depths of one LLM's metric minus the other's."""
    if metric == "auroc":
        ordered = [_ordered_pairs(ours)[0] - _ordered_pairs(theirs)[0] for ours, theirs in matched]
        pairs = _ordered_pairs(matched[0][0])[1]  # the same for all: the same lines, labels and folds
        return bootstrap.pair_ratio(np.mean(ordered, axis=0), pairs, samples, seed)
    gaps = [
        [_value(metric, a) - _value(metric, b) for a, b in zip(ours, theirs, strict=True)] for ours, theirs in matched
    ]
    return bootstrap.mean(np.mean(gaps, axis=0).tolist(), samples, seed)


def _value(metric: str, scored: ScoredSnippet) -> float:
    if metric == "mrr":
        return reciprocal_rank(scored.scores, scored.labels)
    return snippet_metrics(scored.scores, scored.labels, (1,))[metric]


def _ordered_pairs(scored: Sequence[ScoredSnippet]) -> tuple[FloatArray, FloatArray]:
    """Pairs of a wrong line of snippet i and a right one of snippet j: those in order, ties half, and all; ``(S, S)``.

    As in the package's AUROC, lines of different folds are not compared: their models share no scale.
    """
    ordered, pairs = np.zeros((len(scored), len(scored))), np.zeros((len(scored), len(scored)))
    for i, a in enumerate(scored):
        wrong = a.scores[a.labels > 0][:, None]
        for j, b in enumerate(scored):
            if a.fold == b.fold:
                right = b.scores[b.labels == 0][None, :]
                ordered[i, j] = (wrong > right).sum() + (wrong == right).sum() / 2
                pairs[i, j] = wrong.size * right.size
    return ordered, pairs
