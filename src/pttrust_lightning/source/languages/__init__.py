"""The languages that are read: how files and fields name them, how their text parses, its tokens and kinds of lines."""

from pttrust_lightning.source.languages.line_kinds import LINE_KINDS, LineKind, could_be_wrong, line_kinds
from pttrust_lightning.source.languages.names import (
    ALIASES,
    LANGUAGES,
    SUFFIXES,
    canonical_language,
    known_language,
    language_of,
)
from pttrust_lightning.source.languages.syntax import GRAMMARS, parse, parse_tolerant
from pttrust_lightning.source.languages.tokens import fingerprint, normalised_tokens

__all__ = [
    "ALIASES",
    "GRAMMARS",
    "LANGUAGES",
    "LINE_KINDS",
    "SUFFIXES",
    "LineKind",
    "canonical_language",
    "could_be_wrong",
    "fingerprint",
    "known_language",
    "language_of",
    "line_kinds",
    "normalised_tokens",
    "parse",
    "parse_tolerant",
]
