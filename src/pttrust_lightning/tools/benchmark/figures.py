"""A benchmark's figures: learning curves, reliability, effort, risk-coverage, layers; light and dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from pttrust_lightning.figures import curves
from pttrust_lightning.figures.files import save
from pttrust_lightning.figures.matrices import matrix
from pttrust_lightning.figures.style import Theme
from pttrust_lightning.metrics.curves import effort_curve, line_reliability
from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.metrics.functional import RiskCoverage, risk_coverage
from pttrust_lightning.report.benchmark import SHOWN_MATRICES, Axis, BenchmarkResults, Generalisation, of_metric
from pttrust_lightning.report.results import COMPARED
from pttrust_lightning.tools.benchmark.compare import Scored
from pttrust_lightning.tools.benchmark.plan import Training
from pttrust_lightning.types import ScoredSnippet


def write_figures(folder: Path, results: BenchmarkResults, scored: Scored) -> list[Path]:
    """Write the figures of every data set into a folder of its own.

    Reliability and effort are of the first training seed: a curve is of one model a fold. Where layers or line rules
    were varied they are left out: there would be too many to tell apart.

    Args:
        folder: Of all figures.
        results: What was found.
        scored: What it was found from.

    Returns:
        The files.
    """
    written = []
    for name, found in results.data_sets.items():
        draw: dict[str, Callable[[Theme], Figure]] = {}
        if found.sweep is None:
            draw |= figures_of_methods({method: scored[Training(name, method)][0] for method in found.table.methods})
        for metric in COMPARED:
            if found.learning_curve is not None:
                points = _points(found.learning_curve, metric)
                draw[f"learning-{metric}"] = partial(curves.learning, points, metric)
            if found.sweep is not None and any(isinstance(at, int) for at in found.sweep.columns):
                draw[f"layers-{metric}"] = partial(curves.layers, _points(found.sweep, metric), metric)
        if found.generalisation is not None:
            draw |= _figures_of_matrices(found.generalisation, found.table.first)
        for stem, figure in draw.items():
            written += save(figure, folder / name / stem)
    return written


def figures_of_methods(scored: Mapping[str, Sequence[ScoredSnippet]]) -> dict[str, Callable[[Theme], Figure]]:
    """What draws the figures that compare methods, by the figure's name.

    Args:
        scored: The test snippets as each method scored them.
    """
    draw: dict[str, Callable[[Theme], Figure]] = {
        "reliability": partial(curves.reliability, {name: line_reliability(own) for name, own in scored.items()}),
        "effort": partial(curves.effort, {name: effort_curve(own) for name, own in scored.items()}),
    }
    judged = {name: curve for name, own in scored.items() if (curve := _risk_coverage(own)) is not None}
    return draw | ({"risk-coverage": partial(curves.risk_coverage, judged)} if judged else {})


def _figures_of_matrices(matrices: Generalisation, first: str) -> dict[str, Callable[[Theme], Figure]]:
    """A matrix a method, and one for what sets the first apart from each other one."""
    draw: dict[str, Callable[[Theme], Figure]] = {}
    for metric in SHOWN_MATRICES:
        for method, cells in matrices.cells.items():
            draw[f"generalisation-{metric}-{method}"] = partial(matrix, of_metric(cells, metric), metric)
        for method, cells in matrices.differences.items():
            stem = f"generalisation-{metric}-{first}-minus-{method}"
            draw[stem] = partial(matrix, of_metric(cells, metric), metric, is_difference=True)
    return draw


def _risk_coverage(snippets: Sequence[ScoredSnippet]) -> RiskCoverage | None:
    """By P(snippet is wrong), which folds share a scale of; None where whole snippets were not judged."""
    judged = [(p, not s.correct) for s in snippets if (p := s.snippet_probability) is not None]
    return risk_coverage(*zip(*judged, strict=True)) if judged else None


def _points(axis: Axis, metric: str) -> dict[str, dict[int, Estimate]]:
    """Estimates by number; layers that are put together have none."""
    return {
        row: {at: metrics[metric] for at, metrics in own.items() if isinstance(at, int)}
        for row, own in axis.rows.items()
    }
