"""From a method that scores lines to scored snippets with calibrated probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from pttrust_lightning.baselines.base import Baseline, rankable_only
from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.models.calibration import Calibration
from pttrust_lightning.types import FloatArray, ScoredSnippet, SnippetStates

LineScorer = Callable[[SnippetStates], FloatArray]
"""Scores the lines of a snippet, ``(T,)``, the higher the riskier, without looking at its labels."""


def checked_scores(score: LineScorer, snippet: SnippetStates) -> FloatArray:
    """The scores of a snippet's lines, ``(T,)``.

    Raises:
        NonFiniteError: If one is NaN or infinite; names the snippet.
        ValueError: If there is another number of scores than of lines.
    """
    scores = np.asarray(score(snippet), dtype=np.float64)
    if scores.shape != snippet.labels.shape:
        raise ValueError(
            f"Snippet {snippet.snippet.id}: the method gave scores of shape {scores.shape} "
            f"for {len(snippet.labels)} lines."
        )
    if not np.isfinite(scores).all():
        raise NonFiniteError(
            f"Snippet {snippet.snippet.id}: the method gave scores that are NaN or infinite. Find out where they come "
            f"from (diverged training, damaged states)."
        )
    return scores


def calibrated_scores(
    method: Baseline | LineScorer,
    validation: Sequence[SnippetStates],
    test: Sequence[SnippetStates],
    calibration: Calibration,
) -> list[ScoredSnippet]:
    """Score test snippets, with P(line is wrong) from a calibration fitted on the validation split.

    Args:
        method: A fitted baseline, or a function that scores a snippet's lines.
        validation: Snippets whose lines the calibration is fitted on; those that are not rankable are left out, so
            probabilities are those of a snippet known to be wrong.
        test: Snippets to score, rankable or not.
        calibration: Fitted in place.

    Returns:
        A scored snippet for each test snippet, in order.

    Raises:
        NonFiniteError: If a score is NaN or infinite; names the snippet.
        ConfigError: If no validation snippet is rankable, or all lines of those are wrong.
        ValueError: If the method gives another number of scores than there are lines.
    """
    score = method.score if isinstance(method, Baseline) else method
    name = method.name if isinstance(method, Baseline) else getattr(method, "__name__", type(method).__name__)
    held_out = rankable_only(validation, name, "validation")
    calibration.fit(
        np.concatenate([checked_scores(score, s) for s in held_out]), np.concatenate([s.labels for s in held_out])
    )
    result = []
    for snippet in test:
        scores = checked_scores(score, snippet)
        with torch.no_grad():
            probabilities = calibration(torch.from_numpy(scores)).double().cpu().numpy()
        numbers, correct = snippet.lines.line_numbers, snippet.snippet.correct
        result.append(
            ScoredSnippet(
                snippet.snippet.id,
                numbers,
                scores,
                probabilities,
                snippet.labels,
                correct=correct,
                line_tokens=snippet.lines.line_tokens,
            )
        )
    return result


def with_snippet_scores(
    scored: Sequence[ScoredSnippet],
    method: Baseline,
    validation: Sequence[SnippetStates],
    test: Sequence[SnippetStates],
    calibration: Calibration,
) -> list[ScoredSnippet]:
    """Judge test snippets as wholes too, with P(snippet is wrong) from a calibration fitted on the validation split.

    Args:
        scored: The test snippets as ``calibrated_scores`` gave them.
        method: A baseline that was fitted to verdicts.
        validation: Snippets that the calibration is fitted on, rankable or not.
        test: The test snippets, in the same order.
        calibration: Fitted in place.

    Returns:
        The scored snippets with their snippet scores and probabilities.

    Raises:
        NonFiniteError: If a score is NaN or infinite.
        ConfigError: If the validation snippets are all correct or all wrong.
    """
    wrong = [float(not s.snippet.correct) for s in validation]
    calibration.fit([method.score_snippet(s) for s in validation], wrong, of="snippets")
    result = []
    for line_scores, snippet in zip(scored, test, strict=True):
        score = method.score_snippet(snippet)
        with torch.no_grad():  # one at a time: among others its last digits would depend on how many there are
            probability = float(calibration(torch.tensor([score]))[0])
        result.append(line_scores._replace(snippet_score=score, snippet_probability=probability))
    return result
