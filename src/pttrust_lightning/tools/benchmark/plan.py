"""Which runs a benchmark comes to: methods, and the folds, seeds, sizes and settings that each is run with."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from pttrust_lightning import __version__
from pttrust_lightning.baselines import BASELINES
from pttrust_lightning.tools.benchmark.data import BenchmarkData, Point, StageData, names_data
from pttrust_lightning.tools.benchmark.settings import Benchmark, Layer, Variant
from pttrust_lightning.types import LineRule

ENCODER = "--model.init_args.encoder="
START_FROM = "--model.init_args.start_from="
BASELINE_CALLBACKS = [
    {"class_path": f"pttrust_lightning.callbacks.{name}"} for name in ("CpuThreads", "WritePredictions")
]
"""In place of stage 2's: a baseline has no epochs to stop after, and is no model folder."""


class Method(NamedTuple):
    """A row of the table.

    Attributes:
        name: Of the row.
        of: The variant or baseline that it is.
        variant: Its settings; None for a baseline.
        point: Where its states are read.
    """

    name: str
    of: str
    variant: Variant | None
    point: Point

    @property
    def varied(self) -> bool:
        """Whether other points give it other scores."""
        return self.variant is not None or BASELINES[self.of].reads_states

    @property
    def drawn(self) -> bool:
        """Whether other training seeds give it other scores."""
        return self.variant is not None or BASELINES[self.of].draws


class Training(NamedTuple):
    """A method as it is trained once, but for folds and seeds.

    Attributes:
        data_set: The labelled set.
        method: The method's name.
        train_snippets: How many snippets it learns from; None for all.
        trained_on: Which language (task, data set) it learns from alone; None for all.
    """

    data_set: str
    method: str
    train_snippets: int | None = None
    trained_on: str | None = None

    @property
    def suffix(self) -> str:
        """What names of runs and files say of a part that is learned from; empty for all snippets."""
        size = "" if self.train_snippets is None else f"-{self.train_snippets}snippets"
        return size if self.trained_on is None else f"{size}-on_{self.trained_on}"


class BuiltOn(NamedTuple):
    """What a run goes on from, each the name of the run that exported it; None where there is none.

    Attributes:
        encoder: A run of stage 1.
        first: A run of stage 2 on other data.
    """

    encoder: str | None = None
    first: str | None = None


class Candidate(NamedTuple):
    """A setting of what is chosen on the validation split.

    Attributes:
        values: By the option's name.
        options: As options of ``pttrust fit``.
        built_on: What its fit goes on from.
    """

    values: dict[str, Any]
    options: tuple[str, ...]
    built_on: BuiltOn = BuiltOn()


@dataclass(frozen=True, slots=True)
class Run:
    """A unit of work: it is done as a whole, and found again by its key.

    Attributes:
        stage: ``pretrain``, ``baseline``, ``finetune``, or ``first``: stage 2 on what it learns from first.
        name: Its folder in the benchmark's.
        configs: Configuration files.
        options: Of ``pttrust fit``, beside those of the logger and the seed.
        seed: Of training.
        key: Changes with all that decides what it comes to.
        built_on: What it goes on from; of a run that scores, its candidates know.
    """

    stage: Literal["pretrain", "first", "baseline", "finetune"]
    name: str
    configs: tuple[Path, ...]
    options: tuple[str, ...]
    seed: int
    key: str
    built_on: BuiltOn = BuiltOn()  # noqa: RUF009 (immutable)

    @property
    def n_fits(self) -> int:
        """How often ``pttrust fit`` is called."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRun(Run):
    """A method on one fold: fitted once with each candidate, tested with the chosen one.

    Attributes:
        method: The method.
        data_set: The labelled set.
        fold: The fold that is tested; 0 where there is one split.
        train_snippets: How many snippets it learns from; None for all.
        trained_on: Which language (task, data set) it learns from alone; None for all.
        candidates: What is chosen from on the validation split; at least one.
        choose_by: The validation metric that they are compared in.
    """

    method: Method
    data_set: str
    fold: int
    train_snippets: int | None
    trained_on: str | None
    candidates: tuple[Candidate, ...]
    choose_by: str

    @property
    def training(self) -> Training:
        """What it is trained on, and what is trained."""
        return Training(self.data_set, self.method.name, self.train_snippets, self.trained_on)

    @property
    def n_fits(self) -> int:
        """How often ``pttrust fit`` is called."""
        return len(self.candidates)


class Plan(NamedTuple):
    """All runs of a benchmark.

    Attributes:
        methods: In the order of the table; the others are compared with the first.
        pretrain: Runs of stage 1, by name.
        first: Runs of stage 2 on what it learns from first, by name.
        scoring: Baselines and runs of stage 2.
    """

    methods: list[Method]
    pretrain: dict[str, Run]
    first: dict[str, Run]
    scoring: list[ScoringRun]


def methods_of(benchmark: Benchmark, baselines: Sequence[str]) -> list[Method]:
    """The rows of the table: the first variant, the baselines, the other variants, each at every point that it sees."""
    layers: list[Layer | None] = [*benchmark.layers_of_states] or [None]
    line_rules: list[LineRule | None] = [*benchmark.line_rules] or [None]
    points = [Point(*point) for point in itertools.product(layers, line_rules)]
    first, *others = benchmark.variants.items()
    ways: list[tuple[str, Variant | None]] = [first, *((name, None) for name in baselines), *others]
    methods = []
    for name, variant in ways:
        for point in points:
            method = Method(name + point.suffix, name, variant, point)
            methods.append(method if method.varied else method._replace(name=name))
            if not method.varied:
                break
    return methods


def plan(benchmark: Benchmark, data: BenchmarkData, config_folder: Path) -> Plan:
    """Every run, with the key that it is found again by.

    Args:
        benchmark: The settings.
        data: What the runs read; states that are missing are read now.
        config_folder: What the variants' configuration files are relative to.

    Raises:
        PtTrustError: The data cannot be used.
    """
    first = next(iter(benchmark.variants.values()))
    methods = methods_of(benchmark, data.baselines(benchmark.baselines, _stage_2_args(benchmark, first)))
    planner = _Planner(benchmark, data, config_folder)
    for name, method in itertools.product(data.sets, methods):  # few lines, and soon refused: before stage 1's many
        planner.labelled(name, method)
        planner.learned_first(method)
    scoring = [run for name in data.sets for method in methods for run in planner.scoring_runs(name, method)]
    pretrain, first_runs = ({run.name: run for run in runs.values()} for runs in (planner.pretrain, planner.first))
    return Plan(methods, pretrain, first_runs, scoring)


class _Planner:
    """Makes the runs, those of stage 1 once for all that build on them.

    Attributes:
        pretrain: Runs of stage 1, by seed and options.
        first: Runs of stage 2 on what it learns from first, by key.
    """

    def __init__(self, benchmark: Benchmark, data: BenchmarkData, config_folder: Path) -> None:
        self._benchmark, self._data, self._config_folder = benchmark, data, config_folder
        self.pretrain: dict[tuple[int, tuple[str, ...]], Run] = {}
        self.first: dict[str, Run] = {}

    def labelled(self, data_set: str, method: Method) -> StageData:
        """What stage 2 of a method reads of a set."""
        further = [self._config_folder / file for file in (method.variant or {}).get("finetune", [])]
        return self._data.labelled(data_set, further, _method_args(self._benchmark, method), method.point)

    def learned_first(self, method: Method) -> StageData | None:
        """What stage 2 of a method reads before any set; None where it begins with the set."""
        variant, folder = method.variant or {}, self._config_folder
        if not variant.get("first"):
            return None
        shared = [folder / file for file in (*self._benchmark.finetune, *variant.get("finetune", []))]
        configs = [config for config in shared if not names_data(config)]
        configs += [folder / file for file in variant["first"]]
        return self._data.learned_first(configs, variant.get("first_args", []), method.point)

    def scoring_runs(self, data_set: str, method: Method) -> Iterator[ScoringRun]:
        """The runs of a method on a set: seeds, folds, and sizes or parts to learn from."""
        benchmark = self._benchmark
        seeds = benchmark.seeds if method.drawn else benchmark.seeds[:1]
        parts: list[tuple[int | None, str | None]] = [(None, None)]
        parts += [(size, None) for size in sorted(benchmark.train_snippets)]
        parts += [(None, value) for value in self._data.parts(data_set)]
        for seed in seeds:
            candidates: tuple[Candidate, ...] = (Candidate({}, ()),)
            if method.variant is not None:
                candidates = tuple(self._candidates(method, method.variant, seed))
            for fold, (size, value) in itertools.product(range(benchmark.folds or 1), parts):
                yield self._scoring_run(Training(data_set, method.name, size, value), method, seed, fold, candidates)

    def _candidates(self, method: Method, variant: Variant, seed: int) -> Iterator[Candidate]:
        """What is chosen from, for a variant."""
        benchmark = self._benchmark
        grid: list[dict[str, Any]] = [{}]
        has_stage_1 = not any(a.startswith(ENCODER) for a in _stage_2_args(benchmark, variant))
        if has_stage_1:
            grid = _grid(variant.get("choose_pretrain", benchmark.choose_pretrain))
        for number, of_stage_1 in enumerate(grid):
            choice = f"-choice{number}" if len(grid) > 1 else ""
            encoder = self._pretrain(method, variant, seed, of_stage_1, choice).name if has_stage_1 else None
            first = self._first(method, variant, seed, encoder, choice)
            built_on = BuiltOn(encoder, first.name if first else None)
            for of_stage_2 in _grid(variant.get("choose", benchmark.choose)):
                yield Candidate(of_stage_1 | of_stage_2, _as_options(of_stage_2), built_on)

    def _pretrain(self, method: Method, variant: Variant, seed: int, values: dict[str, Any], suffix: str) -> Run:
        """The run of stage 1, shared by variants whose stage 1 is the same."""
        benchmark = self._benchmark
        args = (*benchmark.pretrain_args, *variant.get("pretrain_args", []))
        read = self._data.unlabelled(args, method.point)
        options = (*args, *read.options, *_as_options(values))
        if (seed, options) not in self.pretrain:
            name = f"pretrain-{method.name}{f'-seed{seed}' if len(benchmark.seeds) > 1 else ''}{suffix}"
            key = _key("pretrain", read.configs, options, seed, read.fingerprint)
            self.pretrain[seed, options] = Run("pretrain", name, read.configs, options, seed, key)
        return self.pretrain[seed, options]

    def _first(self, method: Method, variant: Variant, seed: int, encoder: str | None, suffix: str) -> Run | None:
        """The run of stage 2 on what a variant learns from first, shared by variants that learn the same."""
        read = self.learned_first(method)
        if read is None:
            return None
        args = [a for a in _stage_2_args(self._benchmark, variant) if not a.startswith("--data")]
        options = (*args, *variant.get("first_args", []), *read.options)
        key = _key("first", read.configs, options, seed, read.fingerprint, self._key_of(encoder))
        if key not in self.first:
            name = f"first-{method.name}{f'-seed{seed}' if len(self._benchmark.seeds) > 1 else ''}{suffix}"
            self.first[key] = Run("first", name, read.configs, options, seed, key, BuiltOn(encoder))
        return self.first[key]

    def _key_of(self, name: str | None) -> str | None:
        """The key of a run that others build on, by its name."""
        return {run.name: run.key for run in (*self.pretrain.values(), *self.first.values())}.get(name or "")

    def _scoring_run(
        self, training: Training, method: Method, seed: int, fold: int, candidates: tuple[Candidate, ...]
    ) -> ScoringRun:
        data_set, _, size, trained_on = training
        benchmark, is_baseline = self._benchmark, method.variant is None
        args = _method_args(benchmark, method)
        read = self.labelled(data_set, method)
        options = [*args, *read.options]
        if is_baseline:
            options += ["--model=BaselineRanking", f"--model.init_args.baseline={method.of}"]
            options.append(f"--trainer.callbacks={json.dumps(BASELINE_CALLBACKS)}")
        name = f"{'baseline' if is_baseline else 'finetune'}-{method.name}"
        if len(self._data.sets) > 1:
            name += f"-{data_set}"
        if method.drawn and len(benchmark.seeds) > 1:
            name += f"-seed{seed}"
        if benchmark.folds:
            name += f"-fold{fold}"
            options += [f"--data.init_args.folds={benchmark.folds}", f"--data.init_args.fold={fold}"]
        name += training.suffix
        if size is not None:
            options.append(f"--data.init_args.train_snippets={size}")
        if trained_on is not None:
            alone = {benchmark.generalise: [trained_on]}
            options.append(f"--data.init_args.only={json.dumps({'train': alone, 'val': alone})}")
        tried = [[c.values, c.options, *map(self._key_of, c.built_on)] for c in candidates]
        chosen_by = benchmark.choose_by if len(candidates) > 1 else None
        return ScoringRun(
            stage="baseline" if is_baseline else "finetune",
            name=name,
            configs=read.configs,
            options=tuple(options),
            seed=seed,
            key=_key(name, read.configs, options, seed, read.fingerprint, tried, chosen_by),
            method=method,
            data_set=data_set,
            fold=fold,
            train_snippets=size,
            trained_on=trained_on,
            candidates=candidates,
            choose_by=benchmark.choose_by,
        )


def _stage_2_args(benchmark: Benchmark, variant: Variant) -> list[str]:
    return [*benchmark.finetune_args, *variant.get("finetune_args", [])]


def _method_args(benchmark: Benchmark, method: Method) -> list[str]:
    """The options of stage 2 of a variant; of a baseline, the first variant's but for its model."""
    if method.variant is not None:
        return _stage_2_args(benchmark, method.variant)
    first = next(iter(benchmark.variants.values()))
    return [a for a in _stage_2_args(benchmark, first) if not a.startswith("--model")]


def _grid(values: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination; a single empty one where nothing is to be chosen."""
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def _as_options(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"--{name}={v if isinstance(v, str) else json.dumps(v)}" for name, v in values.items())


def _key(what: str, configs: Iterable[Path], options: Sequence[str], *others: Any) -> str:
    """Changes with the command line, the files that it names, the data and the version; not with where things lie."""
    content = {
        "version": [__version__, torch.__version__],
        "what": what,
        "configs": [hashlib.sha256(config.read_bytes()).hexdigest() for config in configs],
        "options": list(options),
        "models": [_folder_hash(Path(o.partition("=")[2])) for o in options if o.startswith("--model.")],
        "others": others,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _folder_hash(folder: Path) -> list[str]:
    """Of a model that an option names; nothing where it names none."""
    files = sorted(f for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else []
    return [f"{f.relative_to(folder)} {hashlib.sha256(f.read_bytes()).hexdigest()}" for f in files]
