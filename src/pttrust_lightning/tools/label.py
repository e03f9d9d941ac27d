"""``pttrust label``: from candidate programs to labelled lines."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.labelling.answer_cache import AnswerCache
from pttrust_lightning.labelling.generation import SamplingConfig, generate
from pttrust_lightning.labelling.judge import Judge, JudgeConfig
from pttrust_lightning.labelling.labels import LabelledProgram, label_programs, write_labels
from pttrust_lightning.labelling.problems import Candidate, Problem, TestRun, read_candidates, read_problems
from pttrust_lightning.labelling.programs import CandidateRun, Programs, select_programs
from pttrust_lightning.labelling.sandbox import Limits, find_sandbox
from pttrust_lightning.labelling.verdicts import run_tests
from pttrust_lightning.parsing import Parser
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.types import Exclusions

_WALL_PER_CPU_SECOND = 3
"""A run may wait for others that share the machine, and for its compiler."""


@dataclass(frozen=True)  # no slots: jsonargparse reads defaults with vars()
class Labelling:
    """One labelling run.

    Attributes:
        problems: JSONL of problems with their tests.
        output: Where the labelled lines are written, as JSONL.
        candidates: JSONL of programs to label; may be left out where ``generate.llm`` is given.
        repaired: JSONL of repaired programs, each under the id of the candidate that it repairs; used if they pass.
        task: What the candidates were written for, kept with each label.
        max_changed_share: A wrong program that differs from every correct one in a larger share of its lines (and
            in more than one) gets a weak label: wrong, but not where.
        sandbox: ``auto``, ``bubblewrap``, ``podman`` or ``docker``.
        image: The container image that holds the toolchains, for ``podman`` and ``docker``.
        readable: Toolchain folders outside /usr that programs may read, for ``bubblewrap``.
        unsafe: Run candidates as plain processes of this user, contained by nothing.
        timeout: CPU seconds of a program's tests; three times as much wall time.
        memory_mb: Memory of a program's tests.
        jobs: Programs tested at a time; null: one a core.
        cache_dir: Where test runs, samples and answers are kept; null: ``<output>.cache`` beside the output.
        generate: Candidates from an LLM.
        judge: An LLM judge for wrong lines.
    """

    problems: str
    output: str
    candidates: str | None = None
    repaired: str | None = None
    task: str = "generation"
    max_changed_share: float = 0.5
    sandbox: str = "auto"
    image: str = ""
    readable: tuple[str, ...] = ()
    unsafe: bool = False
    timeout: float = 10.0
    memory_mb: int = 1024
    jobs: int | None = None
    cache_dir: str | None = None
    generate: SamplingConfig = field(default_factory=SamplingConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        """Check before anything is run.

        Raises:
            ConfigError: Names the setting and the remedy.
        """
        if self.candidates is None and self.generate.llm is None:
            raise ConfigError("There is nothing to label. Give --candidates, or an LLM to write some (--generate.llm).")
        if not 0 < self.max_changed_share <= 1:
            raise ConfigError(f"max_changed_share is {self.max_changed_share}. Set it above 0 and to at most 1.")
        if self.output in (self.problems, self.candidates, self.repaired):
            raise ConfigError(f"The output {self.output} is one of the inputs. Give another file.")
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs is {self.jobs}. Set it to at least 1, or leave it out for one a core.")

    def cache(self, name: str) -> Path:
        """The cache file of that name."""
        folder = f"{self.output}.cache" if self.cache_dir is None else self.cache_dir
        return Path(folder).expanduser() / f"{name}.jsonl"

    def limits(self) -> Limits:
        """What each test run may use."""
        return Limits(
            wall_seconds=self.timeout * _WALL_PER_CPU_SECOND,
            cpu_seconds=max(math.ceil(self.timeout), 1),
            memory_bytes=self.memory_mb * 2**20,
        )


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Test candidate programs in a sandbox, and find the wrong lines of those that fail; writes labelled-lines JSONL.

    Wrong lines come from the smallest difference to a program that passes (the reference, a repaired program, another
    candidate), or from an LLM judge. Interrupted, the same command goes on where it stopped.
    """
    parser = Parser(prog="pttrust label", description=run.__doc__)
    parser.add_argument("--config", action="config", help="A YAML file of the options below.")
    parser.add_class_arguments(Labelling, skip={"unsafe"})
    parser.add_argument(
        "--unsafe", action="store_true", help="Run candidates as plain processes, contained by nothing."
    )
    built = parser.instantiate(parser.parse_args(list(args)))
    label(Labelling(**{f.name: built[f.name] for f in dataclasses.fields(Labelling)}))


def label(config: Labelling) -> None:
    """Generate where asked to, test, label, ask the judge where there is one, and write the file."""
    exclusions = Exclusions()
    judge = _build_judge(config)
    problems = read_problems(config.problems)
    programs = select_programs(problems, _candidates(config, problems, exclusions), _repaired(config), exclusions)
    runs = _test(config, programs)
    labelled = label_programs(programs, runs, config.max_changed_share, exclusions)
    if not labelled:
        raise SourceError(f"Nothing could be labelled: {'; '.join(exclusions.describe())}. Nothing is written.")
    if judge is not None:
        asked = _left_to_judge(config, labelled)
        estimate = judge.estimate(asked)
        print("\n".join([f"Judge {config.judge.model} at {config.judge.base_url}:", *estimate.describe()]))
        judge.check_cost(estimate)
        if config.judge.dry_run:
            print("judge.dry_run: nothing was asked, and nothing is written.")
            return
        labels = judge.labels(asked)
        print(judge.describe_spent())
        labelled = [p._replace(label=labels.get(p.tested.candidate.id, p.label)) for p in labelled]
    write_labels(config.output, labelled, config.task)
    _summarise(config, programs, runs, labelled, exclusions)


def _candidates(config: Labelling, problems: Sequence[Problem], exclusions: Exclusions) -> list[Candidate]:
    given = read_candidates(config.candidates) if config.candidates is not None else []
    if config.generate.llm is None:
        return given
    print(f"{config.generate.samples} programs for each of {len(problems)} problems from {config.generate.llm}")
    return given + generate(config.generate, problems, AnswerCache(config.cache("samples")), exclusions)


def _repaired(config: Labelling) -> list[Candidate]:
    return read_candidates(config.repaired) if config.repaired is not None else []


def _test(config: Labelling, programs: Programs) -> dict[str, TestRun]:
    """The runs of all programs, by id."""
    sandbox = find_sandbox(config.sandbox, config.unsafe, image=config.image, readable=config.readable)
    limits, jobs = config.limits(), config.jobs or len(os.sched_getaffinity(0))
    print(
        f"Testing {len(programs.candidates)} candidates of {len(programs.problems)} problems, with "
        f"{len(programs.references)} references and {len(programs.repaired)} repaired programs, in {sandbox.name}, "
        f"{jobs} at a time, {limits.cpu_seconds} s and {config.memory_mb} MB each"
    )
    found = run_tests(
        programs.problems.values(),
        programs.all(),
        sandbox,
        limits,
        jobs=jobs,
        cache=config.cache("test_runs"),
        progress=sys.stderr.isatty(),
    )
    return {run.candidate_id: run for run in found}


def _build_judge(config: Labelling) -> Judge | None:
    """The judge, if there is one; before anything is run, since its settings may be wrong."""
    if config.judge.base_url is None:
        return None
    return Judge(config.judge, AnswerCache(config.cache("judge")), config.max_changed_share)


def _left_to_judge(config: Labelling, labelled: Sequence[LabelledProgram]) -> list[CandidateRun]:
    everything = config.judge.scope == "all"
    wrong = (program for program in labelled if program.tested.run.verdict == "wrong")
    return [program.tested for program in wrong if everything or program.label.why_weak]


def _summarise(
    config: Labelling,
    programs: Programs,
    runs: dict[str, TestRun],
    labelled: Sequence[LabelledProgram],
    exclusions: Exclusions,
) -> None:
    table = Table("what", "which", "programs", title=config.output, title_justify="left")
    table.columns[2].justify = "right"
    verdicts = Counter(str(runs[candidate.id].verdict) for candidate in programs.candidates)
    sources = Counter(_kind(program.label.source) for program in labelled)
    weak = Counter(program.label.why_weak for program in labelled if program.label.why_weak)
    for what, counts in (("verdict", verdicts), ("label source", sources), ("weak label", weak)):
        for which, count in sorted(counts.items()):
            table.add_row(what, which, f"{count:,}")
        table.add_section()
    for reason, count in sorted(exclusions.counts.items()):
        table.add_row("left out", reason, f"{count:,}")
    Console().print(table)
    lines = sum(len(program.label.wrong_lines) for program in labelled)
    print(f"Written: {config.output}, {len(labelled)} snippets with {lines} wrong lines")


def _kind(source: str) -> str:
    """A label's source without the candidate's id: ``diff:candidate``."""
    return "diff:candidate" if source.startswith("diff:candidate:") else source
