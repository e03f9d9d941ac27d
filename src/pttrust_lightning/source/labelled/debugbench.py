"""DebugBench (arXiv 2401.04621; Apache-2.0): LeetCode solutions with implanted bugs of 18 types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, get_args

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.fixes import BugFix
from pttrust_lightning.source.jsonl import Record
from pttrust_lightning.source.labelled.fixed_programs import FixedPrograms
from pttrust_lightning.source.labelled.hub import PublicDataset, as_comment
from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.types import Exclusions

DATASET = PublicDataset("Rtian/DebugBench", "test", "github.com/thunlp/DebugBench", "python3.jsonl, java.jsonl")

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


class DebugBench(FixedPrograms):
    """The buggy solutions of DebugBench; wrong lines by aligning each with the correct solution.

    A problem keeps its slug across languages and bug types, so that no split separates them. The fields are those of
    the published JSON files, with ``bug_type`` and ``description`` also under the Hub's names for them, ``subtype`` and
    ``question``.

    Args:
        path: A JSONL file (one item a line), or a folder of such files; where null, ``Rtian/DebugBench`` is loaded by
            name through the ``datasets`` package.
        languages: The languages to read, of ``python``, ``java`` and ``cpp``; where null, all that ``path`` holds.
        bug_types: ``semantic`` (one bug that a parser accepts), ``syntax`` (one that it finds), ``multiple`` (two to
            four of both kinds) or ``all``.
        with_prompt: Whether the problem's description precedes the code, as a comment; else the LLM reads the code
            alone.
        include_correct: Whether each correct solution is a snippet too, without wrong lines.
    """

    settings_to_check = "path, languages and bug_types"

    def __init__(
        self,
        path: str | None = None,
        languages: list[str] | None = None,
        bug_types: BugTypes = "semantic",
        with_prompt: bool = False,
        include_correct: bool = False,
    ) -> None:
        for language in languages or ():
            if language not in _LANGUAGE_OF.values():
                raise ConfigError(f"DebugBench has no {language!r}. Choose from {', '.join(_LANGUAGE_OF.values())}.")
        if bug_types not in _BUG_TYPES_OF:
            raise ConfigError(f"Unknown bug_types {bug_types!r}. Choose one of {', '.join(get_args(BugTypes))}.")
        super().__init__(include_correct)
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
        return f"{self.name} from {self.path or DATASET.name}"

    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        """The items, in the order of the files; ids are ``language/bug type/slug``.

        A problem may stand several times under one bug type; the second and further ones have ``#2``, ``#3`` in
        their ids.

        Raises:
            SourceError: The path or the data set cannot be read.
            SchemaError: A record lacks a field, or has a language or bug type that is not DebugBench's.
        """
        occurrences: Counter[str] = Counter()
        for record in DATASET.records(self.path):
            language, bug_type, slug = _language(record), _bug_type(record), _slug(record)
            base = f"{language}/{bug_type}/{slug}"
            occurrences[base] += 1
            id_ = base if occurrences[base] == 1 else f"{base}#{occurrences[base]}"
            fix = BugFix(
                id=id_,
                problem_id=slug,
                language=language,
                prompt=as_comment(record.text(_field(record, *_DESCRIPTION)), language) if self.with_prompt else "",
                buggy=record.text("buggy_code"),
                correct=record.text("solution"),
                bug_type=bug_type,
            )
            if self.languages is not None and language not in self.languages:
                exclusions.add("record of another language", id_)
            elif bug_type not in _BUG_TYPES_OF[self.bug_types]:
                exclusions.add("record of another bug type", id_)
            else:
                yield fix


_BUG_TYPE, _DESCRIPTION = ("bug_type", "subtype"), ("description", "question")
"""A field's name in the published files, and on the Hub."""


def _field(record: Record, published: str, on_hub: str) -> str:
    return on_hub if on_hub in record.fields and published not in record.fields else published


def _language(record: Record) -> str:
    language = record.text("language")
    if language not in _LANGUAGE_OF:
        problem = f"{language!r} is none of {', '.join(_LANGUAGE_OF)}"
        raise record.error("language", problem, "Give the data set as it was published.")
    return _LANGUAGE_OF[language]


def _bug_type(record: Record) -> str:
    """A type that is not known is refused: it would be neither semantic nor syntactic, and left out unnoticed."""
    field = _field(record, *_BUG_TYPE)
    bug_type = record.text(field)
    if bug_type not in _BUG_TYPES_OF["all"]:
        problem = f"{bug_type!r} is none of DebugBench's bug types"
        raise record.error(field, problem, "Give the data set as it was published.")
    return bug_type


def _slug(record: Record) -> str:
    slug = record.text("slug")
    if is_blank(slug):
        raise record.error("slug", "it is empty", "Give the problem's short name: splits group by it.")
    return slug
