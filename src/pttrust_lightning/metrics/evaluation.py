"""All metrics of a method on a test set, with bootstrap intervals over snippets and training runs (METHOD, 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.metrics.functional import (
    KS,
    REVIEW_METRICS,
    calibration_bins,
    snippet_metric_names,
    snippet_metrics,
)
from pttrust_lightning.metrics.review import weighted_review
from pttrust_lightning.metrics.token_level import token_metric_names, token_metrics
from pttrust_lightning.types import BoolArray, FloatArray, ScoredSnippet

LINE_METRICS = ("auroc", "average_precision", "brier", "brier_skill", "ece")
"""Metrics over the lines of all rankable snippets together."""

METRICS: tuple[str, ...] = (*snippet_metric_names(KS), *LINE_METRICS)
"""The keys of ``Evaluation.metrics`` for every method, in the order of a table."""

VERDICT_METRICS: tuple[str, ...] = (*(f"snippet_{name}" for name in LINE_METRICS), *REVIEW_METRICS)
"""Further keys for methods that judge whole snippets: those of lines, over snippets, and of reviewing snippets."""

TOKEN_METRICS: tuple[str, ...] = token_metric_names()
"""Further keys, where the number of tokens of every line is known: the figures that PtTrust's authors report."""

ELIGIBLE = (*(f"hit@{k}" for k in KS), "mrr", "ifa")
"""Metrics that are also given as ``"<name> (eligible)"``, where it is known which lines could be wrong at all."""

LOWER_IS_BETTER: frozenset[str] = frozenset(
    {"ifa", "ifa (eligible)", "brier", "ece", "snippet_brier", "snippet_ece", "aurc"}
)
"""Metrics where less is better; for all others more is."""

ECE_BINS = 15

_CHUNK = 2_000_000
"""Line weights (resamples x lines) held at a time, to bound memory."""


class Estimate(NamedTuple):
    """A value and its bootstrap interval.

    Attributes:
        value: On the snippets themselves; NaN where undefined (lines all wrong).
        low: Lower end of the percentile interval; NaN without resamples.
        high: Upper end of the percentile interval; NaN without resamples.
    """

    value: float
    low: float
    high: float


class Evaluation(NamedTuple):
    """What a method scored, and on how much.

    Attributes:
        metrics: An estimate for each of ``METRICS``; for each of ``VERDICT_METRICS`` where the method judges snippets;
            for ``TOKEN_METRICS`` and those of ``ELIGIBLE`` where they could be told.
        n_snippets: Rankable snippets: at least two scored lines, at least one of them wrong. Others do not count.
        n_lines: Scored lines of those.
        n_wrong_lines: Wrong lines among those.
        n_judged: Snippets behind ``VERDICT_METRICS``, rankable or not.
        n_judged_wrong: Wrong ones among those.
    """

    metrics: dict[str, Estimate]
    n_snippets: int
    n_lines: int
    n_wrong_lines: int
    n_judged: int = 0
    n_judged_wrong: int = 0


def rankable(snippet: ScoredSnippet) -> bool:
    """Whether there is something to rank: at least two scored lines, at least one of them wrong."""
    return len(snippet.labels) > 1 and bool((snippet.labels > 0).any())


def _check_finite(snippets: Sequence[ScoredSnippet]) -> None:
    for snippet in snippets:
        for values, name in ((snippet.scores, "scores"), (snippet.probabilities, "probabilities")):
            if not np.isfinite(values).all():
                raise NonFiniteError(
                    f"Snippet {snippet.snippet_id}: {name} are NaN or infinite at line(s) "
                    f"{snippet.line_numbers[~np.isfinite(values)][:5].tolist()}. Find out where they come from "
                    f"(diverged training, damaged states)."
                )
            if values.shape != snippet.labels.shape:
                raise ValueError(
                    f"Snippet {snippet.snippet_id}: {name} and labels differ in shape, "
                    f"{values.shape} and {snippet.labels.shape}."
                )
        p = snippet.probabilities
        if p.size and (p.min() < 0 or p.max() > 1):
            raise ValueError(f"Snippet {snippet.snippet_id}: probabilities must lie in [0, 1]. Calibrate the scores.")


def _resamples(n_snippets: int, samples: int, seed: int) -> FloatArray:
    """How often each snippet is drawn in each resample, ``(samples, n_snippets)``; the same for the same arguments."""
    draws = np.random.default_rng(seed).integers(n_snippets, size=(samples, n_snippets))
    flat = np.bincount((draws + n_snippets * np.arange(samples)[:, None]).ravel(), minlength=samples * n_snippets)
    return flat.reshape(samples, n_snippets).astype(np.float64)


def _weighted_ranking(weights: FloatArray, snippets: Sequence[ScoredSnippet]) -> tuple[FloatArray, FloatArray]:
    """AUROC and average precision over lines, each line weighing what its snippet does; ``(R,)`` each.

    Only lines of one fold are compared: the models of different folds share no scale. AUROC is the share of all such
    pairs of a wrong and a right line; average precision is the folds' mean, weighted by their wrong lines.
    """
    folds = np.array([s.fold for s in snippets])
    sums = np.zeros((4, len(weights)))
    for fold in np.unique(folds):
        members = np.flatnonzero(folds == fold).tolist()
        sums += _ranking_sums(weights[:, members], [snippets[i] for i in members])
    ordered_pairs, pairs, precisions, n_wrong = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        # undefined where a resample has wrong lines only
        return np.where(pairs > 0, ordered_pairs / pairs, np.nan), np.where(pairs > 0, precisions / n_wrong, np.nan)


def _ranking_sums(weights: FloatArray, snippets: Sequence[ScoredSnippet]) -> FloatArray:
    """Of one fold: pairs in order (ties half), pairs, summed precision at wrong lines, wrong lines; ``(4, R)``."""
    scores = np.concatenate([s.scores for s in snippets])
    wrong = np.concatenate([s.labels for s in snippets]) > 0
    owner = np.repeat(np.arange(len(snippets)), [len(s.labels) for s in snippets])
    order = np.argsort(-scores, kind="stable")
    scores, wrong, owner = scores[order], wrong[order], owner[order]
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # last line of each group of equal scores
    sums = np.empty((4, len(weights)))
    step = max(1, _CHUNK // len(scores))
    for start in range(0, len(weights), step):
        w = weights[start : start + step, owner]
        seen_wrong = np.cumsum(w * wrong, axis=1)[:, ends]
        seen = np.cumsum(w, axis=1)[:, ends]
        new_wrong = np.diff(seen_wrong, axis=1, prepend=0.0)
        seen_right = seen - seen_wrong
        new_right = np.diff(seen_right, axis=1, prepend=0.0)
        n_wrong, n_right = seen_wrong[:, -1], seen_right[:, -1]
        outscored = n_right[:, None] - seen_right + new_right / 2
        precision = np.divide(seen_wrong, seen, out=np.zeros_like(seen), where=seen > 0)
        sums[:, start : start + step] = (
            (new_wrong * outscored).sum(axis=1),
            n_wrong * n_right,
            (new_wrong * precision).sum(axis=1),
            n_wrong,
        )
    return sums


def _weighted_calibration(weights: FloatArray, snippets: Sequence[ScoredSnippet]) -> dict[str, FloatArray]:
    """Brier score, Brier skill and ECE over lines, each line weighing what its snippet does; ``(R,)`` each."""
    lines = np.array([len(s.labels) for s in snippets], dtype=np.float64)
    wrong = np.array([(s.labels > 0).sum() for s in snippets], dtype=np.float64)
    squares = np.array([np.square(s.probabilities - (s.labels > 0)).sum() for s in snippets])
    gaps = np.array(
        [
            np.bincount(
                calibration_bins(s.probabilities, ECE_BINS),
                weights=s.probabilities - (s.labels > 0),
                minlength=ECE_BINS,
            )
            for s in snippets
        ]
    )
    n = weights @ lines
    rate = weights @ wrong / n
    brier = weights @ squares / n
    reference = rate * (1 - rate)
    skill = 1 - np.divide(brier, reference, out=np.full_like(brier, np.nan), where=rate < 1)
    return {"brier": brier, "brier_skill": skill, "ece": np.abs(weights @ gaps).sum(axis=1) / n}


def _weighted_metrics(
    weights: FloatArray, snippets: Sequence[ScoredSnippet], pooled_ranking: bool
) -> dict[str, FloatArray]:
    """Each of ``METRICS`` for each row of snippet weights ``(R, S)``, by name, ``(R,)``."""
    names = snippet_metric_names(KS)
    table = np.array([list(snippet_metrics(s.scores, s.labels, KS).values()) for s in snippets])
    means = weights @ table / weights.sum(axis=1, keepdims=True)
    result = {name: means[:, i] for i, name in enumerate(names)}
    if pooled_ranking:
        result["auroc"], result["average_precision"] = _weighted_ranking(weights, snippets)
    result.update(_weighted_calibration(weights, snippets))
    of_tokens = [
        list(token_metrics(s.scores, s.labels, s.line_tokens).values()) for s in snippets if s.line_tokens is not None
    ]
    if len(of_tokens) == len(snippets):
        means = weights @ np.array(of_tokens) / weights.sum(axis=1, keepdims=True)
        result.update(zip(TOKEN_METRICS, means.T, strict=True))
    return result


def _weighted_verdicts(weights: FloatArray, snippets: Sequence[ScoredSnippet]) -> dict[str, FloatArray]:
    """Each of ``VERDICT_METRICS`` for each row of snippet weights ``(R, S)``, by name, ``(R,)``."""
    wholes = [_as_one_line(s) for s in snippets]
    values = dict(zip(("auroc", "average_precision"), _weighted_ranking(weights, wholes), strict=True))
    values |= _weighted_calibration(weights, wholes)
    scores, wrong = (np.concatenate(column) for column in zip(*((s.scores, s.labels) for s in wholes), strict=True))
    review = weighted_review(weights, scores, wrong, [s.fold for s in wholes])
    return {f"snippet_{name}": value for name, value in values.items()} | review


def _as_one_line(snippet: ScoredSnippet) -> ScoredSnippet:
    """A judged snippet in the form of a snippet of one line, which is wrong where the snippet is."""
    return snippet._replace(
        line_numbers=np.zeros(1, dtype=np.int64),
        scores=np.array([snippet.snippet_score], dtype=np.float64),
        probabilities=np.array([snippet.snippet_probability], dtype=np.float64),
        labels=np.array([not snippet.correct], dtype=np.float64),
    )


def _judged_only(snippets: Sequence[ScoredSnippet]) -> list[ScoredSnippet]:
    """The snippets that were judged as wholes, checked."""
    judged = [s for s in snippets if s.snippet_score is not None]
    if odd := [s.snippet_id for s in judged if s.snippet_probability is None or s.correct is None]:
        raise ValueError(f"Snippet {odd[0]} was judged, but has no probability or no verdict. Give both, or no score.")
    _check_finite([_as_one_line(s) for s in judged])
    return judged


def _judged_runs(runs: Sequence[Sequence[ScoredSnippet]]) -> list[list[ScoredSnippet]]:
    """The judged snippets of each run, in the order of the first; no runs where no snippet is judged."""
    judged = [_judged_only(run) for run in runs]
    return [judged[0], *(_matched(judged[0], run) for run in judged[1:])] if any(judged) else []


def _weighted_eligible(
    weights: FloatArray, snippets: Sequence[ScoredSnippet], eligible: Mapping[str, BoolArray]
) -> dict[str, FloatArray]:
    """Each of ``ELIGIBLE`` with the lines that cannot be wrong ranked last, by the name it is reported under."""
    moved = [others_last(s, eligible[s.snippet_id]) for s in snippets]
    of_snippets = [snippet_metrics(s.scores, s.labels, KS) for s in moved]
    means = weights @ np.array([[of_one[name] for name in ELIGIBLE] for of_one in of_snippets])
    return {f"{name} (eligible)": means[:, i] / weights.sum(axis=1) for i, name in enumerate(ELIGIBLE)}


def others_last(snippet: ScoredSnippet, eligible: BoolArray) -> ScoredSnippet:
    """The snippet with the lines that are not eligible ranked last, tied with each other.

    They stay lines of the snippet: one that is wrong all the same counts as found last, and no snippet drops out, so
    that figures with and without are of the same snippets.

    Args:
        snippet: The snippet; T scored lines.
        eligible: Which of them could be wrong, ``(T,)``.

    Raises:
        ValueError: If the shapes differ.
    """
    if eligible.shape != snippet.scores.shape:
        raise ValueError(
            f"Snippet {snippet.snippet_id}: eligible and scores differ in shape, {eligible.shape} and "
            f"{snippet.scores.shape}."
        )
    _, rank = np.unique(snippet.scores, return_inverse=True)
    return snippet._replace(scores=np.where(eligible, rank.astype(np.float64), -1.0))


def _estimate(values: FloatArray, confidence: float) -> Estimate:
    """From the value on the snippets themselves (first) and those on the resamples (rest)."""
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return Estimate(float(values[0]), math.nan, math.nan)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(float(values[0]), float(low), float(high))


def _weights(n_snippets: int, bootstrap_samples: int, seed: int, confidence: float) -> FloatArray:
    """Ones (the snippets themselves), then the resamples, ``(1 + bootstrap_samples, n_snippets)``."""
    if bootstrap_samples < 0:
        raise ValueError(f"bootstrap_samples must be at least 0, got {bootstrap_samples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    return np.concatenate([np.ones((1, n_snippets)), _resamples(n_snippets, bootstrap_samples, seed)])


def _rankable_only(snippets: Sequence[ScoredSnippet]) -> list[ScoredSnippet]:
    _check_finite(snippets)
    kept = [s for s in snippets if rankable(s)]
    if not kept:
        raise ValueError(
            f"None of the {len(snippets)} snippets has two scored lines and a wrong one, so there is nothing to "
            f"measure. Evaluate on snippets with known wrong lines."
        )
    return kept


def evaluate(
    snippets: Sequence[ScoredSnippet], bootstrap_samples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Evaluation:
    """All metrics with percentile bootstrap intervals (Efron 1979); snippets, not lines, are resampled.

    One run; see :func:`evaluate_runs` for several. Per-snippet metrics are means over rankable snippets; those of
    ``LINE_METRICS`` take the lines of rankable snippets together, but ``auroc`` and ``average_precision`` compare lines
    of one fold only. ``VERDICT_METRICS`` take all snippets with a snippet score, rankable or not; those that depend on
    their order compare snippets of one fold only. The resamples depend on the seed, their number and the number of
    snippets that count only, so two methods scored on the same snippets in the same order meet the same resamples.

    Args:
        snippets: Scored snippets; those that are not rankable do not count for ``METRICS``.
        bootstrap_samples: Number of resamples; 0 leaves the intervals NaN.
        seed: Of the resamples.
        confidence: Share of the resamples inside the interval.

    Returns:
        The estimates and the counts behind them. Where all lines (or snippets) are wrong, ``auroc``,
        ``average_precision`` and ``brier_skill`` are NaN; resamples where that happens are left out of their intervals.

    Raises:
        NonFiniteError: If a score or probability is NaN or infinite; names the snippet.
        ValueError: If no snippet is rankable or an argument is out of range.
    """
    return evaluate_runs([snippets], bootstrap_samples, seed, confidence)


def evaluate_runs(
    runs: Sequence[Sequence[ScoredSnippet]],
    bootstrap_samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    eligible: Mapping[str, BoolArray] | None = None,
    pooled_ranking: bool = True,
) -> Evaluation:
    """The mean of every metric over training runs, with intervals that hold the noise of training.

    Each resample draws snippets, and as many runs as there are, both with replacement (a two-way bootstrap; Owen 2007,
    arXiv 0712.1111: it is conservative). One run leaves an interval over snippets alone.

    Args:
        runs: The same snippets, as each run scored them.
        bootstrap_samples: Number of resamples; 0 leaves the intervals NaN.
        seed: Of the resamples.
        confidence: Share of the resamples inside the interval.
        eligible: Which lines of each snippet could be wrong, by the snippet's id, ``(T,)`` each. Adds the metrics of
            ``ELIGIBLE`` with the other lines ranked last, whatever their scores.
        pooled_ranking: Whether ``auroc`` and ``average_precision`` are estimated too: the lines of every resample are
            counted in order for them, which takes most of the time.

    Returns:
        As :func:`evaluate`.

    Raises:
        NonFiniteError: As :func:`evaluate`.
        KeyError: If ``eligible`` lacks a snippet.
        ValueError: As :func:`evaluate`; or there is no run, or runs do not hold the same snippets, lines and labels.
    """
    kept, judged = _rankable_runs(runs), _judged_runs(runs)
    weights = _weights(len(kept[0]), bootstrap_samples, seed, confidence)
    values = _mean_metrics(weights, kept, seed, eligible, pooled_ranking)
    if judged:
        values |= _mean_verdicts(_weights(len(judged[0]), bootstrap_samples, seed, confidence), judged, seed)
    return Evaluation(
        metrics={name: _estimate(value, confidence) for name, value in values.items()},
        n_snippets=len(kept[0]),
        n_lines=sum(len(s.labels) for s in kept[0]),
        n_wrong_lines=int(sum((s.labels > 0).sum() for s in kept[0])),
        n_judged=len(judged[0]) if judged else 0,
        n_judged_wrong=sum(not s.correct for s in judged[0]) if judged else 0,
    )


def _rankable_runs(runs: Sequence[Sequence[ScoredSnippet]]) -> list[list[ScoredSnippet]]:
    """The rankable snippets of each run, in the order of the first."""
    if not runs:
        raise ValueError("There is no run to evaluate.")
    kept = [_rankable_only(run) for run in runs]
    return [kept[0], *(_matched(kept[0], run) for run in kept[1:])]


def _mean_metrics(
    weights: FloatArray,
    runs: Sequence[Sequence[ScoredSnippet]],
    seed: int,
    eligible: Mapping[str, BoolArray] | None = None,
    pooled_ranking: bool = True,
) -> dict[str, FloatArray]:
    """Means over the runs of ``METRICS``, and of those of ``TOKEN_METRICS`` and ``ELIGIBLE`` that can be told."""
    of_runs = [_weighted_metrics(weights, run, pooled_ranking) for run in runs]
    if eligible is not None:
        of_runs = [a | _weighted_eligible(weights, run, eligible) for a, run in zip(of_runs, runs, strict=True)]
    return _mean_over_runs(of_runs, seed)


def _mean_verdicts(weights: FloatArray, runs: Sequence[Sequence[ScoredSnippet]], seed: int) -> dict[str, FloatArray]:
    """Means over the runs of ``VERDICT_METRICS``; see :func:`_mean_over_runs`."""
    values = _mean_over_runs([_weighted_verdicts(weights, run) for run in runs], seed)
    return {name: values[name] for name in VERDICT_METRICS}


def _mean_over_runs(of_runs: Sequence[dict[str, FloatArray]], seed: int) -> dict[str, FloatArray]:
    """Each metric's mean over the runs (first row) and over runs drawn with replacement (the others), ``(R,)``.

    Of the metrics that every run has.
    """
    names = [name for name in of_runs[0] if all(name in run for run in of_runs)]
    n_rows = len(next(iter(of_runs[0].values())))
    n_runs = len(of_runs)
    shares = np.full((n_rows, n_runs), 1 / n_runs)
    shares[1:] = np.random.default_rng([seed, n_runs]).multinomial(n_runs, shares[0], n_rows - 1)
    shares[1:] /= n_runs
    return {name: (shares * np.stack([run[name] for run in of_runs], axis=1)).sum(axis=1) for name in names}


def _matched(a: Sequence[ScoredSnippet], b: Sequence[ScoredSnippet]) -> list[ScoredSnippet]:
    """``b`` in the order of ``a``; both must hold the same snippets with the same lines and labels."""
    by_id = {s.snippet_id: s for s in b}
    if len(by_id) != len(b) or len({s.snippet_id for s in a}) != len(a):
        raise ValueError("A snippet id occurs twice, so the two methods' snippets cannot be matched. Make ids unique.")
    if difference := by_id.keys() ^ {s.snippet_id for s in a}:
        raise ValueError(
            f"{len(difference)} snippets were scored by one method only, such as {min(difference)}. "
            f"Score both methods on the same snippets."
        )
    matched = [by_id[s.snippet_id] for s in a]
    for s, other in zip(a, matched, strict=True):
        same_lines = np.array_equal(s.line_numbers, other.line_numbers) and np.array_equal(s.labels, other.labels)
        same_verdict = None in (s.correct, other.correct) or s.correct == other.correct
        if not same_lines or not same_verdict:
            raise ValueError(
                f"Snippet {s.snippet_id}: the two methods scored different lines or saw different labels. "
                f"Score both methods on the same lines."
            )
    return matched


def paired_differences(
    a: Sequence[ScoredSnippet],
    b: Sequence[ScoredSnippet],
    bootstrap_samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """``a`` minus ``b`` in every metric, with paired bootstrap intervals: both meet the same resamples of snippets.

    For metrics outside ``LOWER_IS_BETTER``, an interval above 0 says that ``a`` beats ``b``.

    Args:
        a: One method's scored snippets.
        b: The other's, in any order.
        bootstrap_samples: Number of resamples; 0 leaves the intervals NaN.
        seed: Of the resamples; with the seed of ``evaluate`` they are the same as there, for snippets ordered as ``a``.
        confidence: Share of the resamples inside the interval.

    Returns:
        An estimate of the difference for each of ``METRICS``; of ``VERDICT_METRICS`` where both judge snippets, and of
        ``TOKEN_METRICS`` where the tokens of both's lines are known.

    Raises:
        NonFiniteError: If a score or probability is NaN or infinite; names the snippet.
        ValueError: If the two do not hold the same rankable snippets, lines and labels, ids repeat, no snippet is
            rankable or an argument is out of range.
    """
    return paired_run_differences([a], [b], bootstrap_samples, seed, confidence)


def paired_run_differences(
    a: Sequence[Sequence[ScoredSnippet]],
    b: Sequence[Sequence[ScoredSnippet]],
    bootstrap_samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    pooled_ranking: bool = True,
) -> dict[str, Estimate]:
    """As :func:`paired_differences`, of the means over each method's runs; see :func:`evaluate_runs`.

    Both meet the same resamples of snippets; their runs are drawn apart, since nothing pairs them.

    Args:
        a: One method's runs.
        b: The other's; may be another number of runs.
        bootstrap_samples: Number of resamples; 0 leaves the intervals NaN.
        seed: Of the resamples.
        confidence: Share of the resamples inside the interval.
        pooled_ranking: As in :func:`evaluate_runs`.

    Returns:
        An estimate of the difference for each of ``METRICS``; of ``VERDICT_METRICS`` where both judge snippets, and of
        ``TOKEN_METRICS`` where the tokens of both's lines are known.

    Raises:
        NonFiniteError: As :func:`paired_differences`.
        ValueError: As :func:`paired_differences`, and if there is no run.
    """
    kept_a = _rankable_runs(a)
    kept_b = [_matched(kept_a[0], run) for run in _rankable_runs(b)]
    weights = _weights(len(kept_a[0]), bootstrap_samples, seed, confidence)
    of_a = _mean_metrics(weights, kept_a, seed, pooled_ranking=pooled_ranking)
    of_b = _mean_metrics(weights, kept_b, seed + 1, pooled_ranking=pooled_ranking)
    judged_a, judged_b = _judged_runs(a), _judged_runs(b)
    if judged_a and judged_b:
        judged_b = [_matched(judged_a[0], run) for run in judged_b]
        weights = _weights(len(judged_a[0]), bootstrap_samples, seed, confidence)
        of_a |= _mean_verdicts(weights, judged_a, seed)
        of_b |= _mean_verdicts(weights, judged_b, seed + 1)
    return {name: _estimate(of_a[name] - of_b[name], confidence) for name in of_a if name in of_b}


def paired_difference(
    a: Sequence[ScoredSnippet],
    b: Sequence[ScoredSnippet],
    metric: str,
    bootstrap_samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """``a`` minus ``b`` in one metric; see ``paired_differences``.

    Args:
        a: One method's scored snippets.
        b: The other's, in any order.
        metric: One of ``METRICS``.
        bootstrap_samples: Number of resamples.
        seed: Of the resamples.
        confidence: Share of the resamples inside the interval.

    Returns:
        The estimate of the difference.

    Raises:
        NonFiniteError: As ``paired_differences``.
        ValueError: As ``paired_differences``, and for an unknown metric.
    """
    if metric not in METRICS:
        raise ValueError(f"Unknown metric {metric!r}. Choose one of: {', '.join(METRICS)}.")
    return paired_differences(a, b, bootstrap_samples, seed, confidence)[metric]
