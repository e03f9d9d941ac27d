"""DebugBench (arXiv 2401.04621; Apache-2.0): LeetCode solutions with implanted bugs of 18 types."""

from __future__ import annotations

from typing import Literal, get_args

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.alignment import wrong_lines_by_alignment
from pttrust_lightning.source.jsonl import Record, read_file_or_folder
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.types import Exclusions, LabelledSnippet

SEMANTIC_BUG_TYPES = (
    "condition error",
    "faulty indexing",
    "misused == or =",
    "operation error",
    "other error",
    "undefined methods",
    "undefined objects",
    "variable error",
)
"""One bug that a parser accepts."""

SYNTAX_BUG_TYPES = (
    "illegal comment",
    "illegal indentation",
    "illegal keywords",
    "illegal separation",
    "missing colons",
    "unclosed parentheses",
    "unclosed string",
)
"""One bug that a parser finds."""

MULTIPLE_BUG_TYPES = ("double", "triple", "quadruple")
"""Two to four bugs of the types above, semantic and syntactic mixed."""

BugTypes = Literal["semantic", "syntax", "multiple", "all"]

_BUG_TYPES_OF: dict[str, tuple[str, ...]] = {
    "semantic": SEMANTIC_BUG_TYPES,
    "syntax": SYNTAX_BUG_TYPES,
    "multiple": MULTIPLE_BUG_TYPES,
    "all": (*SEMANTIC_BUG_TYPES, *SYNTAX_BUG_TYPES, *MULTIPLE_BUG_TYPES),
}
_LANGUAGE_OF = {"python3": "python", "java": "java", "cpp": "cpp"}
_COMMENT_OF = {"python": "# ", "java": "// ", "cpp": "// "}


class DebugBench(LabelledSource):
    """The buggy solutions of DebugBench; wrong lines by aligning each with the correct solution.

    A problem keeps its slug across languages and bug types, so that no split separates them.

    Args:
        path: A JSONL file (one item a line), or a folder of such files.
        languages: The languages to read, of ``python``, ``java`` and ``cpp``; where null, all that ``path`` holds.
        bug_types: ``semantic`` (one bug that a parser accepts), ``syntax`` (one that it finds), ``multiple`` (two to
            four of both kinds) or ``all``.
        with_prompt: Whether the problem's description precedes the code, as a comment; else the LLM reads the code
            alone.
    """

    def __init__(
        self,
        path: str,
        languages: list[str] | None = None,
        bug_types: BugTypes = "semantic",
        with_prompt: bool = False,
    ) -> None:
        for language in languages or ():
            if language not in _LANGUAGE_OF.values():
                raise ConfigError(f"DebugBench has no {language!r}. Choose from {', '.join(_LANGUAGE_OF.values())}.")
        if bug_types not in _BUG_TYPES_OF:
            raise ConfigError(f"Unknown bug_types {bug_types!r}. Choose one of {', '.join(get_args(BugTypes))}.")
        self.path = path
        self.languages = languages
        self.bug_types = bug_types
        self.with_prompt = with_prompt

    @property
    def name(self) -> str:
        """``DebugBench``, with the languages that were asked for and the kind of bugs."""
        return f"DebugBench ({', '.join([*(self.languages or []), self.bug_types])})"

    def describe(self) -> str:
        """The name and where it is read from."""
        return f"{self.name} from {self.path}"

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The snippets, in the order of the files.

        A problem may stand several times under one bug type; the second and further ones have ``#2``, ``#3`` in
        their ids.

        Raises:
            SourceError: The path cannot be read, or holds nothing in the languages and bug types asked for.
            SchemaError: A record lacks a field, or has a language or bug type that is not DebugBench's.
        """
        snippets: list[LabelledSnippet] = []
        occurrences: dict[str, int] = {}
        for record in read_file_or_folder(self.path, "python3.jsonl, java.jsonl"):
            language, bug_type, slug = _language(record), _bug_type(record), _named(record, "slug")
            base = f"{language}/{bug_type}/{slug}"
            number = occurrences[base] = occurrences.get(base, 0) + 1
            id_ = base if number == 1 else f"{base}#{number}"
            code, correct = record.text("buggy_code"), record.text("solution")
            wrong_lines = wrong_lines_by_alignment(code, correct)
            if self.languages is not None and language not in self.languages:
                exclusions.add("record of another language", id_)
            elif bug_type not in _BUG_TYPES_OF[self.bug_types]:
                exclusions.add("record of another bug type", id_)
            elif is_blank(code):
                exclusions.add("buggy code without a line of code", id_)
            elif not wrong_lines:
                exclusions.add("buggy code does not differ from the correct code", id_)
            else:
                snippets.append(
                    LabelledSnippet(
                        id=id_,
                        problem_id=slug,
                        language=language,
                        task="repair",
                        prompt=_as_comment(record.text("description"), language) if self.with_prompt else "",
                        code=code,
                        wrong_lines=wrong_lines,
                        correct=False,
                        label_source="diff",
                    )
                )
        if not snippets:
            languages = ", ".join(self.languages or ["any language"])
            raise SourceError(
                f"{self.path} holds no DebugBench snippet in {languages} with {self.bug_types} bugs. "
                "Check path, languages and bug_types."
            )
        return snippets


def _language(record: Record) -> str:
    language = record.text("language")
    if language not in _LANGUAGE_OF:
        problem = f"{language!r} is none of {', '.join(_LANGUAGE_OF)}"
        raise record.error("language", problem, "Give the data set as it was published.")
    return _LANGUAGE_OF[language]


def _bug_type(record: Record) -> str:
    """A type that is not known is refused: it would be neither semantic nor syntactic, and left out unnoticed."""
    bug_type = record.text("bug_type")
    if bug_type not in _BUG_TYPES_OF["all"]:
        problem = f"{bug_type!r} is none of DebugBench's bug types"
        raise record.error("bug_type", problem, "Give the data set as it was published.")
    return bug_type


def _named(record: Record, field: str) -> str:
    value = record.text(field)
    if is_blank(value):
        raise record.error(field, "it is empty", "Give the problem's short name: splits group by it.")
    return value


def _as_comment(description: str, language: str) -> str:
    lines = [line.rstrip("\r") for line in description.strip().split("\n")]
    return "".join(f"{_COMMENT_OF[language]}{line}".rstrip() + "\n" for line in lines)
