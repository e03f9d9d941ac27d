"""What an LLM wrote for HumanEval, MBPP or EditEval, and whether it passed the tests.

Samples are JSONL as human-eval and evalplus write them:

| field | type | meaning |
|---|---|---|
| ``task_id`` | string, or number for MBPP | the problem |
| ``completion`` or ``solution`` | string | what follows the prompt, or a whole program |
| ``passed`` | boolean | the verdict of the tests; without it, the sample is left out and counted |
| ``reference`` | string | of a failing sample: its repaired version; may be missing |

Tests judge a whole program. A failing sample therefore has a weak label (not correct, and nobody judged its lines),
unless a repaired version of the sample itself says which lines are wrong: the benchmark's own solution differs from the
sample in far more than the bug.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, get_args

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.fixes import BugFix, FixSource
from pttrust_lightning.source.jsonl import Record, read_file_or_folder
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.labelled.fixed_programs import buggy_snippet
from pttrust_lightning.source.labelled.hub import PublicDataset, as_comment, with_unique_ids
from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.types import Exclusions, LabelledSnippet

Benchmark = Literal["humaneval", "mbpp", "editeval"]


class _Problems(NamedTuple):
    """How a benchmark states its problems.

    Attributes:
        prefix: What its ids start with.
        task: What its programs are written for.
        prompt: The text that precedes a completion.
        precedes_solution: Whether that text precedes a whole program too: where it is a comment, not code.
        dataset: Where it is published; None where it is not on the Hub.
        configuration: Which part of the data set is loaded by name.
    """

    prefix: str
    task: str
    prompt: Callable[[Record], str]
    precedes_solution: bool
    dataset: PublicDataset | None
    configuration: str | None = None


def _mbpp_prompt(record: Record) -> str:
    field = "prompt" if "text" not in record.fields and "prompt" in record.fields else "text"  # the sanitised part
    return as_comment(record.text(field), "python")


def _edit_prompt(record: Record) -> str:
    return as_comment(f"{record.text('instruction')}\n{record.text('input')}", "python")


_PROBLEMS_OF: dict[str, _Problems] = {
    "humaneval": _Problems(
        "HumanEval",
        "generation",
        lambda record: record.text("prompt"),
        False,
        PublicDataset("openai/openai_humaneval", "test", "github.com/openai/human-eval", "HumanEval.jsonl"),
    ),
    "mbpp": _Problems(
        "MBPP",
        "generation",
        _mbpp_prompt,
        True,
        PublicDataset(
            "google-research-datasets/mbpp",
            "train+test+validation+prompt",
            "github.com/google-research/google-research/tree/master/mbpp",
            "mbpp.jsonl",
        ),
        "full",
    ),
    "editeval": _Problems("EditEval", "editing", _edit_prompt, True, None),
}


class _Sample(NamedTuple):
    """A sample with its verdict; ``fix`` is the pair of the sample and its repaired version, where there is one."""

    snippet: LabelledSnippet
    fix: BugFix | None


class Generations(LabelledSource, FixSource):
    """Python programs that an LLM wrote for a benchmark, labelled by the tests' verdict.

    Problem ids are ``HumanEval/7`` (as in HumanEvalPack), ``MBPP/11`` and ``EditEval/3``, so that samples of one
    problem never straddle a split. A ``solution`` of HumanEval is a whole program with its own signature: no prompt
    precedes it.

    Args:
        samples: JSONL file of samples, or a folder of such files.
        benchmark: ``humaneval``, ``mbpp`` or ``editeval``.
        problems: JSONL file of the problems as published (``task_id`` and ``prompt``, MBPP ``text``, EditEval
            ``instruction`` and ``input``), or a folder of such files; where null, HumanEval and MBPP are loaded by name
            through the ``datasets`` package.
    """

    def __init__(self, samples: str, benchmark: Benchmark = "humaneval", problems: str | None = None) -> None:
        if benchmark not in _PROBLEMS_OF:
            raise ConfigError(f"Unknown benchmark {benchmark!r}. Choose one of {', '.join(get_args(Benchmark))}.")
        if problems is None and _PROBLEMS_OF[benchmark].dataset is None:
            raise ConfigError(f"{benchmark} cannot be loaded by name. Set problems to its JSONL file.")
        self.samples = samples
        self.benchmark = benchmark
        self.problems = problems

    @property
    def name(self) -> str:
        """The benchmark, and that these are generations."""
        return f"generations for {_PROBLEMS_OF[self.benchmark].prefix}"

    def describe(self) -> str:
        """The name and where the samples are."""
        return f"{self.name} from {self.samples}"

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The samples in file order; ids are the problem's, ``#`` and the sample's number among those of its problem.

        Raises:
            SourceError: Samples or problems cannot be read, or no sample has a verdict.
            SchemaError: A record does not follow the schema, or names a problem that is not there.
        """
        snippets: list[LabelledSnippet] = []
        for snippet, fix in self._read(exclusions):
            snippets += [snippet] if fix is None else buggy_snippet(fix, snippet.task, exclusions)
        if not snippets:
            reasons = "; ".join(exclusions.describe())
            raise SourceError(f"{self.describe()} gives no snippet ({reasons}). Check samples.")
        return snippets

    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        """The failing samples that have a repaired version, in file order.

        Raises:
            SourceError: Samples or problems cannot be read.
            SchemaError: A record does not follow the schema, or names a problem that is not there.
        """
        return (fix for _, fix in self._read(exclusions) if fix is not None)

    def _read(self, exclusions: Exclusions) -> Iterator[_Sample]:
        problems = _PROBLEMS_OF[self.benchmark]
        if self.problems is not None or problems.dataset is None:
            records = read_file_or_folder(self.problems or "", "problems.jsonl")
        else:
            records = problems.dataset.records(None, problems.configuration, setting="problems")
        problem_of = {_number(record, id_): record for id_, record in with_unique_ids(records, "task_id")}
        counts: Counter[str] = Counter()
        for record in read_file_or_folder(self.samples, "samples.jsonl"):
            value = record.fields.get("task_id")
            number = _number(record, str(value) if type(value) is int else record.text("task_id"))
            if number not in problem_of:
                raise record.error("task_id", f"there is no problem {value!r}", f"Check benchmark ({self.benchmark}).")
            problem_id = f"{problems.prefix}/{number}"
            id_ = f"{problem_id}#{counts[number]}"
            counts[number] += 1
            whole = record.has("solution")
            code = record.text("solution" if whole else "completion")
            with_prompt = problems.precedes_solution or not whole
            passed = _passed(record)
            reference = record.text("reference", default="")
            if is_blank(code):
                exclusions.add("sample without a line of code", id_)
            elif passed is None:
                exclusions.add("sample without a verdict", id_)
            else:
                snippet = LabelledSnippet(
                    id=id_,
                    problem_id=problem_id,
                    language="python",
                    task=problems.task,
                    prompt=problems.prompt(problem_of[number]) if with_prompt else "",
                    code=code,
                    wrong_lines=(),
                    correct=passed,
                    label_source="tests",
                )
                repaired = bool(reference) and not passed
                yield _Sample(snippet, _fix(snippet, reference) if repaired else None)


def _fix(snippet: LabelledSnippet, reference: str) -> BugFix:
    return BugFix(snippet.id, snippet.problem_id, snippet.language, snippet.prompt, snippet.code, reference)


def _number(record: Record, task_id: str) -> str:
    """``HumanEval/7``, ``Mbpp/7`` and ``7`` are all problem 7."""
    number = task_id.rpartition("/")[2]
    if not number.isdigit():
        raise record.error("task_id", f"{task_id!r} does not end in a number", "Write it as in HumanEval/7.")
    return str(int(number))


def _passed(record: Record) -> bool | None:
    passed = record.fields.get("passed")
    if passed is not None and not isinstance(passed, bool):
        raise record.error("passed", f"{passed!r} is not a boolean", "Write true or false, without quotes.")
    return passed
