"""Whether an LLM's uncertainty and states find wrong lines: a sanity check, and the comparison that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pttrust_lightning.metrics import evaluate, paired_differences
from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.states.layers import default_layer
from pttrust_lightning.types import Exclusions, ScoredSnippet
from tools.embedded_llm.evaluation import bootstrap
from tools.embedded_llm.evaluation.depths import METRICS, compare_depths
from tools.embedded_llm.evaluation.labelled_sets import LabelledSet, labelled_sets
from tools.embedded_llm.evaluation.line_readings import read_lines
from tools.embedded_llm.evaluation.llms import ComparedLlm, compared_llms
from tools.embedded_llm.evaluation.probes import CS, INNER_FOLDS
from tools.embedded_llm.evaluation.ranks import mean_wrong_rank, percentile
from tools.embedded_llm.evaluation.reports import plain
from tools.embedded_llm.evaluation.same_work import SameWork, same_work
from tools.embedded_llm.evaluation.scoring import CHANCE, SURFACE, Fitted, Scores, score_all


@dataclass(frozen=True, slots=True)
class BugsOptions:
    """What is compared on what.

    Attributes:
        llm: The LLMs, ``FOLDER`` or ``FOLDER:CONTEXT``; the first is compared with each of the others.
        data: Folder of ``humanevalpack/`` and ``debugbench/``.
        benchmarks: Which of them.
        languages: Which languages of them.
        context: Tokens read of a program by LLMs that name no context of their own; None: what their configurations
            allow.
        folds: Folds of the cross-validation.
        device: Where the LLMs run.
        bootstrap_samples: Resamples of the snippets behind the intervals.
        seed: Of folds and resamples.
    """

    llm: Sequence[str]
    data: Path
    benchmarks: Sequence[str]
    languages: Sequence[str]
    context: int | None
    folds: int
    device: str
    bootstrap_samples: int
    seed: int


def run_bugs(options: BugsOptions) -> dict[str, Any]:
    """Compare on each set.

    Returns:
        The report, ready for JSON; the same options and files give the same report.

    Raises:
        PtTrustError: An LLM or the data cannot be used.
    """
    llms = compared_llms(options.llm, options.device, options.context)
    sets, missing = labelled_sets(options.data, options.benchmarks, options.languages)
    return {
        "command": "bugs",
        "seed": options.seed,
        "folds": options.folds,
        "inner_folds": INNER_FOLDS,
        "cs": list(CS),
        "bootstrap_samples": options.bootstrap_samples,
        "llms": [llm.describe() | {"default_layer": default_layer(llm.n_blocks)} for llm in llms],
        "sets_not_there": missing,
        "sets": [_set_report(options, labelled, llms) for labelled in sets],
    }


def _set_report(options: BugsOptions, labelled: LabelledSet, llms: Sequence[ComparedLlm]) -> dict[str, Any]:
    programs = [snippet.program() for snippet in labelled.snippets]
    unread = {llm.name: Exclusions() for llm in llms}
    readings = {llm.name: read_lines(llm, programs, unread[llm.name]) for llm in llms}
    work = same_work(labelled.snippets, readings)
    report = {"name": labelled.name, **_counts(labelled, work, unread)}
    if not work.snippets:
        return report | {"not_compared": "no snippet can be ranked under every LLM; give them longer contexts"}
    scores = score_all(work, llms, options.folds, options.seed)
    return report | _figures(options, labelled.name, scores, llms)


def _counts(labelled: LabelledSet, work: SameWork, unread: dict[str, Exclusions]) -> dict[str, Any]:
    left_out = Exclusions()
    left_out.merge(labelled.exclusions)
    left_out.merge(work.left_out)
    return {
        "snippets_read": len(labelled.snippets),
        "snippets": len(work.snippets),
        "problems": len(set(work.groups())),
        "lines": sum(len(labels) for labels in work.labels),
        "wrong_lines": int(sum(labels.sum() for labels in work.labels)),
        "left_out": dict(sorted(left_out.counts.items())),
        "not_rankable_under": {name: dict(sorted(e.counts.items())) for name, e in work.exclusions.items()},
        "not_read_under": {name: e.describe() for name, e in unread.items() if e.counts},
    }


def _figures(options: BugsOptions, name: str, scores: Scores, llms: Sequence[ComparedLlm]) -> dict[str, Any]:
    samples, seed = options.bootstrap_samples, options.seed

    def fitted(method: Fitted) -> dict[str, Any]:
        return {"cs": method.cs, **_plain(_ranking(method.scored, samples, seed))}

    first = llms[0].name
    verdicts = [
        compare_depths(first, scores.blocks[first], other.name, scores.blocks[other.name], samples, seed)
        for other in llms[1:]
    ]
    return {
        "line_uncertainty": {CHANCE: _plain(_standing(scores.chance, samples, seed))}
        | {llm.name: _plain(_standing(scores.surprisal[llm.name], samples, seed)) for llm in llms},
        "line_uncertainty_minus": {
            other.name: _plain(_standing_gap(scores.surprisal[first], scores.surprisal[other.name], samples, seed))
            for other in llms[1:]
        },
        "methods": {CHANCE: _plain(_ranking(scores.chance, samples, seed)), SURFACE: fitted(scores.surface)}
        | {f"uncertainty of {llm.name}": fitted(scores.uncertainty[llm.name]) for llm in llms},
        "blocks": {
            llm.name: [
                {"layer": layer, "depth": (layer + 1) / llm.n_blocks, **fitted(probe)}
                for layer, probe in enumerate(scores.blocks[llm.name])
            ]
            for llm in llms
        },
        "verdicts": [verdict.report(name) for verdict in verdicts],
    }


def _ranking(scored: Sequence[ScoredSnippet], samples: int, seed: int) -> dict[str, Estimate]:
    metrics = evaluate(scored, samples, seed).metrics
    return {name: metrics[name] for name in METRICS}


def _standing(scored: Sequence[ScoredSnippet], samples: int, seed: int) -> dict[str, Estimate]:
    """Where the wrong lines stand: mean rank and percentile (the lower, the better), then the metrics."""
    ranks = [mean_wrong_rank(s.scores, s.labels) for s in scored]
    shares = [percentile(rank, len(s.labels)) for rank, s in zip(ranks, scored, strict=True)]
    return {
        "mean_rank": bootstrap.mean(ranks, samples, seed),
        "percentile": bootstrap.mean(shares, samples, seed),
        **_ranking(scored, samples, seed),
    }


def _standing_gap(
    a: Sequence[ScoredSnippet], b: Sequence[ScoredSnippet], samples: int, seed: int
) -> dict[str, Estimate]:
    """``a`` minus ``b`` in what ``_standing`` measures, paired."""
    gaps = [
        mean_wrong_rank(x.scores, x.labels) - mean_wrong_rank(y.scores, y.labels) for x, y in zip(a, b, strict=True)
    ]
    shares = [100.0 * gap / (len(s.labels) - 1) for gap, s in zip(gaps, a, strict=True)]
    metrics = paired_differences(a, b, samples, seed)
    return {
        "mean_rank": bootstrap.mean(gaps, samples, seed),
        "percentile": bootstrap.mean(shares, samples, seed),
        **{name: metrics[name] for name in METRICS},
    }


def _plain(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {name: plain(estimate) for name, estimate in estimates.items()}
