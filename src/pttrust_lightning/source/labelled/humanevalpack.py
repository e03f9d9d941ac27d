"""HumanEvalPack (OctoPack, arXiv 2308.07124; MIT): 164 problems a language, each solved right and wrong."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.alignment import wrong_lines_by_alignment
from pttrust_lightning.source.jsonl import Record, read_file_or_folder
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.types import Exclusions, LabelledSnippet

DATASET = "bigcode/humanevalpack"

_CONFIGURATION_OF = {"python": "python", "java": "java", "javascript": "js", "cpp": "cpp", "go": "go", "rust": "rust"}
_LANGUAGE_OF_PREFIX = {"c++": "cpp", "js": "javascript"}


class HumanEvalPack(LabelledSource):
    """The buggy solutions of HumanEvalPack; wrong lines by aligning each with the correct solution.

    A problem keeps its id across languages (``HumanEval/7``), so that no split separates its translations.

    Args:
        path: A JSONL file as published, or a folder of such files; where null, ``bigcode/humanevalpack`` is loaded by
            name through the ``datasets`` package.
        languages: The languages to read, such as ``["python", "java"]``; where null, all that ``path`` holds, or Python
            if there is no path.
        include_correct: Whether each correct solution is a snippet too, without wrong lines.
    """

    def __init__(
        self, path: str | None = None, languages: list[str] | None = None, include_correct: bool = False
    ) -> None:
        for language in languages or ():
            if language not in _CONFIGURATION_OF:
                raise ConfigError(f"HumanEvalPack has no {language!r}. Choose from {', '.join(_CONFIGURATION_OF)}.")
        self.path = path
        self.languages = languages
        self.include_correct = include_correct

    @property
    def name(self) -> str:
        """``HumanEvalPack``, with the languages that were asked for."""
        return "HumanEvalPack" + (f" ({', '.join(self.languages)})" if self.languages else "")

    def describe(self) -> str:
        """The name and where it is read from."""
        return f"{self.name} from {self.path or DATASET}"

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The snippets, in the order of the files.

        Raises:
            SourceError: The path or the data set cannot be read, or holds nothing in the languages asked for.
            SchemaError: A record lacks a field, or repeats a task id.
        """
        snippets: dict[str, LabelledSnippet] = {}
        for record in self._records():
            task_id = record.text("task_id")
            language, problem = _language_and_problem(record, task_id)
            if self.languages is not None and language not in self.languages:
                exclusions.add("record of another language", task_id)
                continue
            if task_id in snippets or f"{task_id}#correct" in snippets:
                raise record.error("task_id", f"{task_id!r} is there twice", "Name only one copy of the data set.")
            prompt = record.text("prompt")
            correct, buggy = record.text("canonical_solution"), record.text("buggy_solution")
            solutions = {task_id: (buggy, wrong_lines_by_alignment(buggy, correct))}
            if not solutions[task_id][1]:
                exclusions.add("buggy code does not differ from the correct code", task_id)
                del solutions[task_id]
            if self.include_correct:
                solutions[f"{task_id}#correct"] = (correct, ())
            for id_, (code, wrong_lines) in solutions.items():
                snippets[id_] = LabelledSnippet(
                    id=id_,
                    problem_id=problem,
                    language=language,
                    task="repair",
                    prompt=prompt,
                    code=code,
                    wrong_lines=wrong_lines,
                    correct=not wrong_lines,
                    label_source="diff",
                )
        if not snippets:
            languages = ", ".join(self.languages or ["any language"])
            raise SourceError(f"{self.describe()} holds no snippet in {languages}. Check path and languages.")
        return list(snippets.values())

    def _records(self) -> Iterator[Record]:
        if self.path is None:
            for language in self.languages or ["python"]:
                yield from _downloaded(_CONFIGURATION_OF[language])
            return
        yield from read_file_or_folder(self.path, "python.jsonl, java.jsonl")


def _language_and_problem(record: Record, task_id: str) -> tuple[str, str]:
    """``JavaScript/7`` -> ``javascript``, ``HumanEval/7``."""
    prefix, separator, number = task_id.partition("/")
    if not separator or not prefix or not number.isdigit():
        raise record.error("task_id", f"{task_id!r} is not <language>/<number>", "Give the file as it was published.")
    language = prefix.lower()
    return _LANGUAGE_OF_PREFIX.get(language, language), f"HumanEval/{number}"


def _downloaded(configuration: str) -> Iterator[Record]:
    remedy = "or set path to a downloaded JSONL file of github.com/bigcode-project/octopack."
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as error:
        raise SourceError(f"Loading {DATASET} by name needs: pip install datasets. Install it, {remedy}") from error
    try:
        rows = datasets.load_dataset(DATASET, configuration, split="test")
    except Exception as error:  # three libraries and a network can fail here, each with errors of its own
        problem = f"{type(error).__name__}: {error}".split("\n")[0]
        raise SourceError(
            f"{DATASET} ({configuration}) could not be loaded ({problem}). Check the network connection, {remedy}"
        ) from error
    for number, row in enumerate(rows, start=1):
        yield Record(f"{DATASET}/{configuration}", number, dict(row))
