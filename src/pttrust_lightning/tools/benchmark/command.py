"""``pttrust benchmark``: methods, data sets and seeds from one file, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pttrust_lightning.parsing import Parser
from pttrust_lightning.report.benchmark import BenchmarkResults, print_benchmark, write_benchmark
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.tools.benchmark.compare import compare, on_common_lines_by_set, scored_snippets, write_scores
from pttrust_lightning.tools.benchmark.data import BenchmarkData
from pttrust_lightning.tools.benchmark.figures import write_figures
from pttrust_lightning.tools.benchmark.jobs import Jobs, usable_cpus
from pttrust_lightning.tools.benchmark.plan import plan
from pttrust_lightning.tools.benchmark.runs import Record, execute
from pttrust_lightning.tools.benchmark.settings import Benchmark


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Train variants of the method in both stages, fit the baselines, and compare them on the test splits."""
    parser = Parser(prog="pttrust benchmark", description=run.__doc__)
    parser.add_argument("--config", action="config", required=True, help="The benchmark's file.")
    parser.add_class_arguments(Benchmark)
    parsed = parser.parse_args(list(args))
    file = Path(str(parsed.config[-1]))
    options = {k: v for k, v in parsed.as_dict().items() if k != "config"}
    results = run_benchmark(Benchmark(**options), file.parent, lightning)
    print_benchmark(results)
    folder = Path(options["output_dir"])
    print(f"\nWritten in {folder}: results.json, results.md, predictions/, figures/")


def run_benchmark(benchmark: Benchmark, config_folder: Path, lightning: RunLightning) -> BenchmarkResults:
    """Do every run that is not finished, compare the methods, and write all that was found.

    Args:
        benchmark: What to run.
        config_folder: What its configuration files are relative to.
        lightning: Runs a Lightning subcommand.

    Returns:
        Estimates of every method, on the lines that all of them scored, by data set.

    Raises:
        ConfigError: A stage's data is not of the stage's kind, or the stage writes no predictions; or no line
            of a set was scored by all methods.
        PtTrustError: The data cannot be read, before anything is trained; or a run failed.
    """
    output_dir = Path(benchmark.output_dir)
    files = {name: [*benchmark.finetune, *own] for name, own in (benchmark.data_sets or {benchmark.name: []}).items()}
    data = BenchmarkData(
        pretrain=[config_folder / file for file in benchmark.pretrain],
        sets={name: [config_folder / file for file in own] for name, own in files.items()},
        folds=benchmark.folds,
        train_snippets=benchmark.train_snippets,
        layers=benchmark.layers_of_states,
        generalise=benchmark.generalise,
    )
    planned = plan(benchmark, data, config_folder)
    work = partial(execute, output_dir=output_dir, lightning=lightning)
    jobs = Jobs(benchmark.jobs or usable_cpus(), output_dir)
    try:
        pretrained = jobs.do("stage 1", list(planned.pretrain.values()), partial(work, exports={}))
        exports = _exports(pretrained, output_dir)
        if planned.first:
            begun = jobs.do("what stage 2 learns first", list(planned.first.values()), partial(work, exports=exports))
            exports |= _exports(begun, output_dir)
        records = jobs.do("stage 2 and baselines", planned.scoring, partial(work, exports=exports))
    finally:
        jobs.close()
    runs, common = on_common_lines_by_set(scored_snippets(planned.scoring, records, output_dir))
    results = compare(benchmark, planned, data, runs, common, pretrained, records)
    write_scores(output_dir / "predictions", benchmark.seeds, runs)
    write_benchmark(output_dir, results)
    write_figures(output_dir / "figures", results, runs)
    return results


def _exports(records: Mapping[str, Record], output_dir: Path) -> dict[str, Path]:
    """The folders that runs exported, by the runs' names."""
    return {name: output_dir / name / record["result"] for name, record in records.items()}
