"""HumanEvalPack (OctoPack, arXiv 2308.07124; MIT): 164 problems a language, each solved right and wrong."""

from __future__ import annotations

from collections.abc import Iterator

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.fixes import BugFix
from pttrust_lightning.source.jsonl import Record
from pttrust_lightning.source.labelled.fixed_programs import FixedPrograms
from pttrust_lightning.source.labelled.hub import PublicDataset, with_unique_ids
from pttrust_lightning.source.languages import canonical_language
from pttrust_lightning.types import Exclusions

DATASET = PublicDataset(
    "bigcode/humanevalpack", "test", "github.com/bigcode-project/octopack", "python.jsonl, java.jsonl"
)

_CONFIGURATION_OF = {"python": "python", "java": "java", "javascript": "js", "cpp": "cpp", "go": "go", "rust": "rust"}


class HumanEvalPack(FixedPrograms):
    """The buggy solutions of HumanEvalPack; wrong lines by aligning each with the correct solution.

    A problem keeps its id across languages (``HumanEval/7``), so that no split separates its translations.

    Args:
        path: A JSONL file as published, or a folder of such files; where null, ``bigcode/humanevalpack`` is loaded by
            name through the ``datasets`` package.
        languages: The languages to read, such as ``["python", "java"]``; where null, all that ``path`` holds, or Python
            if there is no path.
        include_correct: Whether each correct solution is a snippet too, without wrong lines.
    """

    settings_to_check = "path and languages"

    def __init__(
        self, path: str | None = None, languages: list[str] | None = None, include_correct: bool = False
    ) -> None:
        for language in languages or ():
            if language not in _CONFIGURATION_OF:
                raise ConfigError(f"HumanEvalPack has no {language!r}. Choose from {', '.join(_CONFIGURATION_OF)}.")
        super().__init__(include_correct)
        self.path = path
        self.languages = languages

    @property
    def name(self) -> str:
        """``HumanEvalPack``, with the languages that were asked for."""
        return "HumanEvalPack" + (f" ({', '.join(self.languages)})" if self.languages else "")

    def describe(self) -> str:
        """The name and where it is read from."""
        return f"{self.name} from {self.path or DATASET.name}"

    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        """The problems, in the order of the files; ids are task ids.

        Raises:
            SourceError: The path or the data set cannot be read.
            SchemaError: A record lacks a field, or repeats a task id.
        """
        for task_id, record in with_unique_ids(self._records(), "task_id"):
            language, problem = language_and_problem(record, task_id)
            if self.languages is not None and language not in self.languages:
                exclusions.add("record of another language", task_id)
                continue
            yield BugFix(
                id=task_id,
                problem_id=problem,
                language=language,
                prompt=record.text("prompt"),
                buggy=record.text("buggy_solution"),
                correct=record.text("canonical_solution"),
                bug_type=record.text("bug_type", default=""),
            )

    def _records(self) -> Iterator[Record]:
        parts = [None] if self.path is not None else [_CONFIGURATION_OF[name] for name in self.languages or ["python"]]
        for part in parts:
            yield from DATASET.records(self.path, part)


def language_and_problem(record: Record, task_id: str) -> tuple[str, str]:
    """``JavaScript/7`` -> ``javascript``, ``HumanEval/7``.

    Raises:
        SchemaError: The task's id is of another form.
    """
    prefix, separator, number = task_id.partition("/")
    if not separator or not prefix or not number.isdigit():
        raise record.error("task_id", f"{task_id!r} is not <language>/<number>", "Give the file as it was published.")
    return canonical_language(prefix), f"HumanEval/{number}"
