"""The labelled sets of the comparison, one a benchmark and language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source import DebugBench, HumanEvalPack, LabelledSource
from pttrust_lightning.types import Exclusions, LabelledSnippet

FILES: dict[str, dict[str, str]] = {
    "humanevalpack": {"python": "python.jsonl", "java": "java.jsonl", "javascript": "js.jsonl"},
    "debugbench": {"python": "python3.jsonl", "java": "java.jsonl", "cpp": "cpp.jsonl"},
}
"""The file of each language, by benchmark (a folder of the data)."""

LANGUAGES = tuple(dict.fromkeys(language for files in FILES.values() for language in files))


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Buggy programs of one benchmark and language.

    Attributes:
        name: What tables call it.
        snippets: The programs, with their wrong lines.
        exclusions: What was left out in reading, by reason.
    """

    name: str
    snippets: list[LabelledSnippet]
    exclusions: Exclusions


def labelled_sets(
    data: Path, benchmarks: Sequence[str], languages: Sequence[str]
) -> tuple[list[LabelledSet], list[str]]:
    """Read the sets; DebugBench's semantic bug types alone, since any parser finds the others.

    Args:
        data: The folder of ``humanevalpack/`` and ``debugbench/``.
        benchmarks: Keys of ``FILES``.
        languages: Some of ``LANGUAGES``.

    Returns:
        The sets, and a sentence for each language that a benchmark does not have.

    Raises:
        ConfigError: There is no such benchmark or language, or no benchmark has any of the languages.
        SourceError: A file is missing.
    """
    for asked, known in ((benchmarks, tuple(FILES)), (languages, LANGUAGES)):
        if unknown := sorted(set(asked) - set(known)):
            raise ConfigError(f"There is no {unknown[0]!r}. Choose from {', '.join(known)}.")
    sets, missing = [], []
    for benchmark in dict.fromkeys(benchmarks):
        for language in dict.fromkeys(languages):
            name = FILES[benchmark].get(language)
            if name is None:
                missing.append(f"{benchmark} is not there in {language}")
                continue
            path = data / benchmark / name
            if not path.is_file():
                raise SourceError(f"{path} does not exist. Set --data to the folder that holds {benchmark}/{name}.")
            exclusions = Exclusions()
            source, title = _source(benchmark, str(path), language)
            sets.append(LabelledSet(title, source.snippets(exclusions), exclusions))
    if not sets:
        raise ConfigError(f"Nothing to compare: {'; '.join(missing)}. Name another language or benchmark.")
    return sets, missing


def _source(benchmark: str, path: str, language: str) -> tuple[LabelledSource, str]:
    if benchmark == "humanevalpack":
        return HumanEvalPack(path, [language]), f"HumanEvalPack {language}"
    return DebugBench(path, [language], bug_types="semantic"), f"DebugBench {language}, semantic"
