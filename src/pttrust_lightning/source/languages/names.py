"""The names of languages: suffixes of files, and what the fields of records call them."""

from __future__ import annotations

from pathlib import PurePath

from pttrust_lightning.errors import ConfigError, did_you_mean

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

ALIASES: dict[str, str] = {
    "py": "python",
    "py3": "python",
    "python3": "python",
    "js": "javascript",
    "jsx": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
    "ts": "typescript",
    "tsx": "typescript",
    "c++": "cpp",
    "cxx": "cpp",
    "golang": "go",
    "rs": "rust",
}
"""Other names that data sets give the languages, in lower case."""

_LANGUAGE_OF_SUFFIX = {suffix: language for language, suffixes in SUFFIXES.items() for suffix in suffixes}


def language_of(path: PurePath) -> str | None:
    """The language of a file, by its suffix; None where it is none of those that are read."""
    return _LANGUAGE_OF_SUFFIX.get(path.suffix.lower())


def canonical_language(name: str) -> str:
    """The one name of a language: ``Python3``, ``py`` and ``python`` are ``python``.

    Names of other languages pass, in lower case: their programs can be read and scored, though nothing is known of
    their comments and functions.
    """
    name = name.strip().lower()
    return ALIASES.get(name, name)


def known_language(name: str) -> str:
    """The one name of a language that files can be read in.

    Raises:
        ConfigError: It is none of ``LANGUAGES``, by any of its names.
    """
    language = canonical_language(name)
    if language not in SUFFIXES:
        near = did_you_mean(language, LANGUAGES)
        raise ConfigError(f"Unknown language {name!r}. Known languages: {', '.join(LANGUAGES)}.{near}")
    return language
