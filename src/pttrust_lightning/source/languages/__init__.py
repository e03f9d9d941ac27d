"""The languages that are read: how files and fields name them, and how their text parses."""

from __future__ import annotations

from pathlib import PurePath

from pttrust_lightning.source.languages.syntax import GRAMMARS, parse

SUFFIXES: dict[str, tuple[str, ...]] = {
    "python": (".py",),
    "java": (".java",),
    "javascript": (".js", ".mjs", ".cjs", ".jsx"),
    "typescript": (".ts", ".tsx", ".mts", ".cts"),
    "c": (".c", ".h"),
    "cpp": (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx"),
    "go": (".go",),
    "rust": (".rs",),
}
"""File-name suffixes of each language."""

LANGUAGES: tuple[str, ...] = tuple(SUFFIXES)

_LANGUAGE_OF_SUFFIX = {suffix: language for language, suffixes in SUFFIXES.items() for suffix in suffixes}


__all__ = ["GRAMMARS", "LANGUAGES", "SUFFIXES", "language_of", "parse"]


def language_of(path: PurePath) -> str | None:
    """The language of a file, by its suffix; None where it is none of those that are read."""
    return _LANGUAGE_OF_SUFFIX.get(path.suffix.lower())
