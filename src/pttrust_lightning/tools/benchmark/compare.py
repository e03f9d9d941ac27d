"""From the runs of a benchmark to its results: every method on the same lines of the same snippets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.metrics.common_lines import CommonLines, on_common_lines
from pttrust_lightning.metrics.evaluation import (
    Estimate,
    evaluate,
    evaluate_runs,
    paired_run_differences,
    rankable,
)
from pttrust_lightning.report.benchmark import (
    ALL,
    Axis,
    BenchmarkResults,
    Choice,
    DataSetResults,
    Generalisation,
    Matrix,
)
from pttrust_lightning.report.predictions import read_predictions, write_predictions
from pttrust_lightning.report.results import COMPARED, Results
from pttrust_lightning.tools.benchmark.data import BenchmarkData, TestLines, layer_name
from pttrust_lightning.tools.benchmark.plan import Method, Plan, ScoringRun, Training
from pttrust_lightning.tools.benchmark.runs import Record
from pttrust_lightning.tools.benchmark.settings import Benchmark
from pttrust_lightning.types import IntArray, ScoredSnippet

Scored = dict[Training, list[list[ScoredSnippet]]]
"""By what was trained: of each training seed, the test snippets of all folds."""


def scored_snippets(runs: Sequence[ScoringRun], records: Mapping[str, Record], output_dir: Path) -> Scored:
    """What the runs scored; runs of one method with one seed are its folds."""
    scored: Scored = {}
    seeds: dict[Training, list[int]] = {}
    for run in runs:
        training = run.training
        if run.seed not in seeds.setdefault(training, []):
            seeds[training].append(run.seed)
            scored.setdefault(training, []).append([])
        found = read_predictions(output_dir / run.name / records[run.name]["result"])
        scored[training][seeds[training].index(run.seed)] += [s._replace(fold=run.fold) for s in found]
    return scored


def on_common_lines_by_set(scored: Scored) -> tuple[Scored, dict[str, CommonLines]]:
    """What every run of a data set scored, and what that leaves out, by data set.

    Raises:
        ConfigError: No line of a set was scored by all of its runs.
    """
    common: dict[str, CommonLines] = {}
    kept: Scored = {}
    for name in dict.fromkeys(training.data_set for training in scored):
        trainings = [training for training in scored if training.data_set == name]
        found = on_common_lines([run for training in trainings for run in scored[training]])
        if not found.runs[0]:
            raise ConfigError(f"No line of {name} was scored by every method. Give them the same test snippets.")
        if found.lines_left_out:
            rank_zero_info(
                f"{name}: {found.lines_left_out} lines are left out of all figures, for not every method scored them"
            )
        runs = iter(found.runs)
        kept |= {training: list(itertools.islice(runs, len(scored[training]))) for training in trainings}
        common[name] = found
    return kept, common


def write_scores(folder: Path, seeds: Sequence[int], scored: Scored) -> None:
    """Write every method's scores as ``<data set>/<method>.jsonl``, which says too what part was learned from."""
    for training, runs in scored.items():
        for seed, snippets in zip(seeds, runs, strict=False):  # where nothing is drawn there is one run
            suffix = training.suffix + (f"-seed{seed}" if len(runs) > 1 else "")
            write_predictions(folder / training.data_set / f"{training.method}{suffix}.jsonl", snippets)


def compare(
    benchmark: Benchmark,
    planned: Plan,
    data: BenchmarkData,
    scored: Scored,
    common: Mapping[str, CommonLines],
    pretrained: Mapping[str, Record],
    records: Mapping[str, Record],
) -> BenchmarkResults:
    """Estimate every metric of every method, with paired differences to the first.

    Args:
        benchmark: The settings.
        planned: Its runs.
        data: What they read.
        scored: What they scored, all of them the same lines.
        common: What that leaves out, by data set.
        pretrained: What the runs of stage 1 came to.
        records: What the others came to.
    """
    stage_1: dict[str, Any] = {
        "stage_1_validation": {n.removeprefix("pretrain-"): r["figures"] for n, r in pretrained.items()}
    }
    if pretrained:
        stage_1["unlabelled"] = next(iter(pretrained.values()))["unlabelled"]
    return BenchmarkResults(
        benchmark=benchmark.name,
        seeds=benchmark.seeds,
        data=stage_1,
        data_sets={
            name: _of_data_set(benchmark, planned, data, scored, common[name], records, name) for name in data.sets
        },
    )


def _of_data_set(
    benchmark: Benchmark,
    planned: Plan,
    data: BenchmarkData,
    scored: Scored,
    common: CommonLines,
    records: Mapping[str, Record],
    name: str,
) -> DataSetResults:
    samples, seed = benchmark.bootstrap_samples, benchmark.seeds[0]
    first, *others = (method.name for method in planned.methods)
    lines = data.test_lines(name)
    runs = {method: _with_tokens(scored[Training(name, method)], lines) for method in (first, *others)}
    eligible = {s.snippet_id: lines.eligible[s.snippet_id][s.line_numbers] for s in itertools.chain(*runs[first])}
    evaluations = {m: evaluate_runs(own, samples, seed, eligible=eligible) for m, own in runs.items()}
    of_first = evaluations[first]
    counts = data.counts(name)
    tested = {
        "snippets": of_first.n_snippets,
        "lines": of_first.n_lines,
        "wrong_lines": of_first.n_wrong_lines,
        **_left_out(common),
    }
    if judged := next((e for e in evaluations.values() if e.n_judged), None):
        tested |= {"judged_snippets": judged.n_judged, "judged_wrong_snippets": judged.n_judged_wrong}
    table = Results(
        name=benchmark.name if len(data.sets) == 1 else f"{benchmark.name}: {name}",
        seeds=benchmark.seeds,
        data={"labelled": counts, "test": tested},
        methods={method: e.metrics for method, e in evaluations.items()},
        differences={m: paired_run_differences(runs[first], runs[m], samples, seed) for m in others},
        by_seed={method: _each_run(own) for method, own in runs.items() if len(own) > 1},
    )

    def estimates(method: str, size: int | None) -> dict[str, Estimate]:
        if size is None:
            return table.methods[method]
        own = _with_tokens(scored[Training(name, method, size)], lines)
        return evaluate_runs(own, samples, seed, eligible=eligible).metrics

    return DataSetResults(
        table=table,
        choices=_choices(planned.scoring, records, name),
        learning_curve=_learning_curve(
            benchmark, list(table.methods), round(mean(counts["train_snippets"])), estimates
        ),
        sweep=_sweep(benchmark, planned.methods, table.methods),
        generalisation=_generalisation(benchmark, list(table.methods), scored, lines, name),
    )


def _with_tokens(runs: Sequence[Sequence[ScoredSnippet]], lines: TestLines) -> list[list[ScoredSnippet]]:
    """The snippets with their lines' numbers of tokens, which files of predictions do not have."""

    def of(snippet: ScoredSnippet) -> IntArray | None:
        tokens = lines.tokens[snippet.snippet_id]
        return None if tokens is None else tokens[snippet.line_numbers]

    return [[s._replace(line_tokens=of(s)) for s in run] for run in runs]


def _left_out(common: CommonLines) -> dict[str, int]:
    """What not every method scored; nothing where they all scored the same."""
    if not common.lines_left_out:
        return {}
    return {"lines_left_out": common.lines_left_out, "snippets_left_out": common.snippets_left_out}


def _each_run(runs: Sequence[Sequence[ScoredSnippet]]) -> dict[str, list[float]]:
    """Metrics of each run, without intervals."""
    found = [evaluate(run, 0).metrics for run in runs]
    return {metric: [f[metric].value for f in found] for metric in COMPARED}


def _choices(runs: Sequence[ScoringRun], records: Mapping[str, Record], data_set: str) -> list[Choice]:
    return [
        Choice(
            method=run.method.name,
            seed=run.seed,
            fold=run.fold,
            train_snippets=run.train_snippets,
            trained_on=run.trained_on,
            chosen=records[run.name]["chosen"],
            candidates=records[run.name]["candidates"],
        )
        for run in runs
        if run.data_set == data_set and len(run.candidates) > 1
    ]


def _learning_curve(
    benchmark: Benchmark,
    methods: Sequence[str],
    all_snippets: int,
    estimates: Callable[[str, int | None], dict[str, Estimate]],
) -> Axis | None:
    if not benchmark.train_snippets:
        return None
    sizes: dict[int | str, int | None] = {size: size for size in sorted(benchmark.train_snippets)}
    sizes[all_snippets] = None
    rows = {method: {n: estimates(method, size) for n, size in sizes.items()} for method in methods}
    return Axis("labelled snippets to train on", list(sizes), rows)


def _generalisation(
    benchmark: Benchmark, methods: Sequence[str], scored: Scored, lines: TestLines, data_set: str
) -> Generalisation | None:
    """Every method trained on one part, tested on each; the last row is trained on all, the last column tested so."""
    if benchmark.generalise is None:
        return None
    parts = sorted(set(lines.parts.values()))
    columns = [*parts, ALL]
    samples, seed, first = benchmark.bootstrap_samples, benchmark.seeds[0], methods[0]

    def tested_on(method: str, row: str, column: str) -> list[list[ScoredSnippet]]:
        runs = scored[Training(data_set, method, trained_on=None if row == ALL else row)]
        return [[s for s in run if column in (ALL, lines.parts[s.snippet_id])] for run in runs]

    cells: dict[str, Matrix] = {method: {row: {} for row in columns} for method in methods}
    differences: dict[str, Matrix] = {method: {row: {} for row in columns} for method in methods[1:]}
    for row, column in itertools.product(columns, columns):
        runs = {method: tested_on(method, row, column) for method in methods}
        for method, own in runs.items():
            cells[method][row][column] = evaluate_runs(own, samples, seed, pooled_ranking=False).metrics
            if method != first:
                gaps = paired_run_differences(runs[first], own, samples, seed, pooled_ranking=False)
                differences[method][row][column] = gaps
    tested = {column: sum(map(rankable, tested_on(first, ALL, column)[0])) for column in columns}
    return Generalisation(benchmark.generalise, tested, cells, differences)


def _sweep(benchmark: Benchmark, methods: Sequence[Method], found: Mapping[str, dict[str, Estimate]]) -> Axis | None:
    """Methods by layer, or by line rule where layers are not varied; what reads no state is the same everywhere."""
    if not benchmark.layers and not benchmark.line_rules:
        return None
    columns: list[int | str] = [*map(layer_name, benchmark.layers_of_states)] or [*benchmark.line_rules]
    rows: dict[str, dict[int | str, dict[str, Estimate]]] = {}
    for method in methods:
        layer, line_rule = method.point
        if not method.varied:
            rows[method.of] = dict.fromkeys(columns, found[method.name])
        elif layer is None:
            rows.setdefault(method.of, {})[str(line_rule)] = found[method.name]
        else:
            row = method.of if line_rule is None else f"{method.of}_{line_rule}"
            rows.setdefault(row, {})[layer_name(layer)] = found[method.name]
    return Axis("layer" if benchmark.layers else "line rule", columns, rows)
