"""Every method's scores of the same snippets: chance, surface, the LLM's uncertainty, and a probe at every block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pttrust_lightning.baselines import SurfaceBaseline, UncertaintyBaseline
from pttrust_lightning.types import FloatArray, IntArray, ScoredSnippet
from tools.embedded_llm.evaluation.llms import ComparedLlm
from tools.embedded_llm.evaluation.probes import Probed, cross_validated, fold_of_each
from tools.embedded_llm.evaluation.ranks import mean_surprisal
from tools.embedded_llm.evaluation.same_work import SameWork

CHANCE = "chance"
SURFACE = "surface"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A cross-validated method.

    Attributes:
        scored: The snippets' scores, in their order.
        cs: The strength of the penalty chosen in each fold.
    """

    scored: list[ScoredSnippet]
    cs: list[float]


@dataclass(frozen=True, slots=True)
class Scores:
    """All scores of one set.

    Attributes:
        chance: The same score for every line.
        surface: Fitted to what the lines look like; no LLM takes part.
        surprisal: Mean token surprisal of each line, nothing fitted, by LLM.
        uncertainty: Fitted to the LLM's token probabilities, by LLM.
        blocks: Fitted to the line states after each block, by LLM.
    """

    chance: list[ScoredSnippet]
    surface: Fitted
    surprisal: dict[str, list[ScoredSnippet]]
    uncertainty: dict[str, Fitted]
    blocks: dict[str, list[Fitted]]


def score_all(work: SameWork, llms: Sequence[ComparedLlm], folds: int, seed: int) -> Scores:
    """Score the snippets by every method, all with the same folds.

    Args:
        work: What is compared; at least one snippet.
        llms: The LLMs compared.
        folds: Folds of the cross-validation.
        seed: Of the folds.

    Raises:
        ConfigError: There are too few problems for so many folds.
    """
    groups = work.groups()
    fold_of = fold_of_each(groups, folds, seed)

    def fitted(name: str, features: Sequence[FloatArray]) -> Fitted:
        probed: Probed = cross_validated(name, features, work.labels, groups, fold_of, seed)
        return Fitted(_scored(work, probed.scores, fold_of), probed.cs)

    first = llms[0].name
    surface, baseline = SurfaceBaseline(), UncertaintyBaseline()
    uncertainty = {llm.name: [baseline.features(s) for s in work.states(llm.name, 0)] for llm in llms}
    return Scores(
        chance=_scored(work, [np.zeros(len(labels)) for labels in work.labels]),
        surface=fitted(SURFACE, [surface.features(s) for s in work.states(first, 0)]),
        surprisal={name: _scored(work, [mean_surprisal(u) for u in of_llm]) for name, of_llm in uncertainty.items()},
        uncertainty={name: fitted(f"uncertainty of {name}", of_llm) for name, of_llm in uncertainty.items()},
        blocks={
            llm.name: [
                fitted(f"block {layer + 1} of {llm.name}", [r.states[layer].numpy() for r in work.readings[llm.name]])
                for layer in range(llm.n_blocks)
            ]
            for llm in llms
        },
    )


def _scored(work: SameWork, scores: Sequence[FloatArray], folds: IntArray | None = None) -> list[ScoredSnippet]:
    """Scores as the metrics take them; without folds all lines share a scale."""
    fold_of = folds.tolist() if folds is not None else [0] * len(scores)
    lines = next(iter(work.readings.values()))
    return [
        ScoredSnippet(
            snippet_id=snippet.id,
            line_numbers=reading.line_numbers,
            scores=of_snippet,
            probabilities=np.full(len(of_snippet), 0.5),  # not calibrated: no metric of theirs is reported
            labels=labels,
            fold=fold,
        )
        for snippet, reading, of_snippet, labels, fold in zip(
            work.snippets, lines, scores, work.labels, fold_of, strict=True
        )
    ]
