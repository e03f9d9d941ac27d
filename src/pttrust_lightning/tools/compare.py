"""``pttrust compare``: methods that were scored before, paired on the snippets that one asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pttrust_lightning.errors import ConfigError, did_you_mean
from pttrust_lightning.metrics.evaluation import evaluate_runs, paired_run_differences
from pttrust_lightning.parsing import Parser
from pttrust_lightning.report.predictions import read_predictions
from pttrust_lightning.report.results import Results, markdown, print_results
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.types import ScoredSnippet

_SEED = re.compile(r"-seed(\d+)$")

Runs = list[list[ScoredSnippet]]
"""The snippets as each training run of a method scored them."""


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Compare methods that were scored before: the first with each other one, paired, on all snippets or on some."""
    parser = Parser(prog="pttrust compare", description=run.__doc__)
    parser.add_argument(
        "methods",
        type=str,
        nargs="+",
        help="Methods of --runs (combined; combined-200snippets, learned from 200; combined-on_java, from Java), "
        "or files of scores (predictions-test.jsonl). At least two.",
    )
    parser.add_argument("--runs", type=str | None, help="Folder that pttrust benchmark wrote, with its predictions/.")
    parser.add_argument(
        "--data_sets",
        type=list[str] | None,
        help="Which of its data sets, put together (ids then begin with the set's name); null: all.",
    )
    parser.add_argument("--only", type=list[str] | None, help="Only snippets whose id begins with one of these.")
    parser.add_argument("--bootstrap_samples", type=int, default=1000, help="Resamples behind the intervals.")
    parser.add_argument("--seed", type=int, default=0, help="Of the resamples.")
    parser.add_argument("--output", type=str | None, help="Markdown file for the tables.")
    config = parser.parse_args(list(args))
    results = compare_methods(
        {name: scores_of(name, config.runs, config.data_sets) for name in config.methods},
        config.only,
        config.bootstrap_samples,
        config.seed,
    )
    print_results(results)
    if config.output is not None:
        file = Path(config.output)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(markdown(results), encoding="utf-8")
        print(f"Written: {file}")


def scores_of(method: str, runs: str | None, data_sets: Sequence[str] | None = None) -> dict[int, list[ScoredSnippet]]:
    """What a method scored, by training seed; 0 where it was trained once.

    Of several data sets ids begin with the set's name, and folds differ: models of different sets share no scale.

    Args:
        method: A file of scores, or a method's name in ``runs``.
        runs: A benchmark's folder; not needed for files.
        data_sets: Which of its data sets; None for all.

    Raises:
        ConfigError: There is no such method or data set.
        SchemaError: A file does not hold scores.
    """
    if method.endswith(".jsonl"):
        if not Path(method).is_file():
            raise ConfigError(f"{method}: there is no such file. Give the scores that pttrust test or benchmark wrote.")
        return {0: read_predictions(Path(method))}
    if runs is None:
        raise ConfigError(f"{method} is no file of scores (.jsonl). Say whose method it is: --runs FOLDER.")
    folders = _folders(Path(runs) / "predictions", data_sets)
    scored: dict[int, list[ScoredSnippet]] = {}
    first_fold = 0
    for folder in folders:
        files = _by_method(folder)
        if method not in files:
            near = did_you_mean(method, files)
            raise ConfigError(f"{folder} has no {method}.{near} It has {', '.join(sorted(files))}.")
        found = {seed: read_predictions(file) for seed, file in files[method].items()}
        for seed, snippets in found.items():
            scored.setdefault(seed, []).extend(
                s._replace(
                    snippet_id=f"{folder.name}: {s.snippet_id}" if len(folders) > 1 else s.snippet_id,
                    fold=first_fold + s.fold,
                )
                for s in snippets
            )
        first_fold += 1 + max((s.fold for snippets in found.values() for s in snippets), default=0)
    return scored


def compare_methods(
    scored: dict[str, dict[int, list[ScoredSnippet]]], only: Sequence[str] | None, bootstrap_samples: int, seed: int
) -> Results:
    """Every metric of every method, and the first's minus each other one's, paired.

    Args:
        scored: By method and training seed.
        only: Beginnings of the ids that count; None for all.
        bootstrap_samples: Resamples of snippets and training runs.
        seed: Of the resamples.

    Raises:
        ConfigError: There are fewer than two methods, no snippets to compare, or methods scored different ones.
    """
    if len(scored) < 2:
        raise ConfigError(f"{', '.join(scored) or 'nothing'} is all there is to compare. Name two different methods.")
    if bootstrap_samples < 1:
        raise ConfigError(f"bootstrap_samples is {bootstrap_samples}. Set it to at least 1.")
    runs = {name: [_beginning_with(only, run) for run in own.values()] for name, own in scored.items()}
    first, *others = runs
    try:
        evaluations = {name: evaluate_runs(own, bootstrap_samples, seed) for name, own in runs.items()}
        differences = {
            name: paired_run_differences(runs[first], runs[name], bootstrap_samples, seed) for name in others
        }
    except ValueError as error:  # nothing to rank, or not the same snippets
        raise ConfigError(f"{first} and {', '.join(others)} cannot be compared: {error}") from error
    of_first = evaluations[first]
    tested = {"snippets": of_first.n_snippets, "lines": of_first.n_lines, "wrong_lines": of_first.n_wrong_lines}
    if judged := next((e for e in evaluations.values() if e.n_judged), None):
        tested |= {"judged_snippets": judged.n_judged, "judged_wrong_snippets": judged.n_judged_wrong}
    return Results(
        name="comparison" if only is None else f"comparison: {', '.join(only)}",
        seeds=sorted({s for own in scored.values() for s in own}),
        data={"test": tested},
        methods={name: e.metrics for name, e in evaluations.items()},
        differences=differences,
    )


def _folders(predictions: Path, data_sets: Sequence[str] | None) -> list[Path]:
    """The folders of a benchmark's data sets."""
    if not predictions.is_dir():
        raise ConfigError(f"{predictions} is missing. Give the output_dir of a benchmark that has ended.")
    there = {folder.name: folder for folder in sorted(predictions.iterdir()) if folder.is_dir()}
    for name in data_sets or ():
        if name not in there:
            near = did_you_mean(name, there)
            raise ConfigError(f"{predictions} has no data set {name}.{near} It has {', '.join(there)}.")
    return [there[name] for name in data_sets or there]


def _by_method(folder: Path) -> dict[str, dict[int, Path]]:
    """The files of scores of a data set, by method and training seed."""
    files: dict[str, dict[int, Path]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        seed = _SEED.search(file.stem)
        files.setdefault(_SEED.sub("", file.stem), {})[int(seed.group(1)) if seed else 0] = file
    return files


def _beginning_with(only: Sequence[str] | None, snippets: Sequence[ScoredSnippet]) -> list[ScoredSnippet]:
    if only is None:
        return list(snippets)
    kept = [s for s in snippets if s.snippet_id.startswith(tuple(only))]
    if not kept:
        example = snippets[0].snippet_id if snippets else "none"
        raise ConfigError(f"only: no snippet's id begins with {', '.join(only)}. There are ids such as {example}.")
    return kept
