"""The list of sources: what is downloaded, under which licence, and what is held out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.embedded_llm.corpus.errors import SourceListError

ECOSYSTEMS = ("pypi", "npm", "debian", "stdlib")
LANGUAGES = ("python", "javascript", "java", "go", "rust", "cpp")

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "HPND",
        "ISC",
        "LicenseRef-Biopython",
        "LicenseRef-Repoze-BSD",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Python-2.0",
        "Unlicense",
        "Zlib",
    }
)
"""Licences under which PyPI and npm packages are read; each part of an SPDX expression must be one of them."""

STANDARD_LIBRARY_LICENCES = frozenset(
    {"GPL-2.0-only WITH Classpath-exception-2.0", "GPL-3.0-or-later WITH GCC-exception-3.1"}
)
"""Licences that are allowed for Debian's sources besides: the standard libraries of Java and C++."""

_FIELDS = frozenset(
    {"name", "version", "licence", "language", "held_out", "held_out_share", "mb", "file", "sha256", "include", "limit"}
)


@dataclass(frozen=True)
class Source:
    """One source: a package of one ecosystem.

    Attributes:
        ecosystem: ``pypi``, ``npm``, ``debian`` or ``stdlib``.
        name: The package's name there.
        version: Its exact version; empty for the running Python's standard library.
        licence: SPDX expression.
        language: The only language that is read from it.
        held_out: Whether the whole source is kept out of training.
        held_out_share: Share of its folders that is kept out of training.
        mb: Size of the download in MB.
        file: Name of the archive.
        sha256: SHA-256 of the archive; not checked where empty.
        include: Glob patterns of paths that are read alone; all where empty.
        limit: Number of files that are read; all where None.
    """

    ecosystem: str
    name: str
    version: str
    licence: str
    language: str
    held_out: bool = False
    held_out_share: float = 0.0
    mb: float = 0.0
    file: str = ""
    sha256: str = ""
    include: tuple[str, ...] = ()
    limit: int | None = None

    @property
    def label(self) -> str:
        """``pypi/flask-3.1.3``: how ids start."""
        return f"{self.ecosystem}/{self.name}-{self.version}" if self.version else f"{self.ecosystem}/{self.name}"


def is_permissive(licence: str, allowed: frozenset[str] = PERMISSIVE) -> bool:
    """Whether an SPDX expression lets the reader choose allowed licences alone (``OR`` of ``AND``s, no nesting)."""
    if licence.strip() in allowed:
        return True
    choices = re.split(r"\s+OR\s+", licence.strip().removeprefix("(").removesuffix(")"))
    return any(all(part in allowed for part in re.split(r"\s+AND\s+", choice)) for choice in choices)


def _error(path: str, source: str, field: str, problem: str, remedy: str) -> SourceListError:
    return SourceListError(f"{path}, source {source}, field '{field}': {problem}. {remedy}")


def _source(path: str, ecosystem: str, entry: Any) -> Source:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise SourceListError(f"{path}, {ecosystem}: {entry!r} is no source. Write it as {{name: ..., licence: ...}}.")
    name = f"{ecosystem}/{entry['name']}"
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise _error(path, name, unknown[0], "no such field", f"Choose from: {', '.join(sorted(_FIELDS))}.")
    for field in ("version", "licence", "language", "file", "sha256"):
        required = field in ("licence", "language") or (field == "version" and ecosystem != "stdlib")
        if not isinstance(entry.get(field, ""), str) or (required and not entry.get(field)):
            raise _error(path, name, field, f"it is {entry.get(field)!r}, not text", "Give it, in quotes.")
    if entry["language"] not in LANGUAGES:
        raise _error(path, name, "language", f"it is {entry['language']!r}", f"Choose from: {', '.join(LANGUAGES)}.")
    allowed = PERMISSIVE | STANDARD_LIBRARY_LICENCES if ecosystem == "debian" else PERMISSIVE
    if not is_permissive(entry["licence"], allowed):
        raise _error(path, name, "licence", f"{entry['licence']!r} is not allowed", "Remove the source from the list.")
    share = entry.get("held_out_share", 0.0)
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise _error(path, name, "held_out_share", f"it is {share!r}", "Give a number from 0 to 1.")
    if not isinstance(entry.get("held_out", False), bool):
        raise _error(path, name, "held_out", f"it is {entry['held_out']!r}", "Give true or false.")
    include = entry.get("include", [])
    if not isinstance(include, list) or not all(isinstance(pattern, str) for pattern in include):
        raise _error(path, name, "include", f"it is {include!r}", "Give a list of glob patterns.")
    limit = entry.get("limit")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise _error(path, name, "limit", f"it is {limit!r}", "Give a number of files, at least 1.")
    return Source(ecosystem=ecosystem, **{"version": "", **entry, "include": tuple(include)})


def load_sources(path: str | Path) -> list[Source]:
    """Read a list of sources.

    Args:
        path: The YAML file: one list per ecosystem.

    Raises:
        SourceListError: The file is missing or empty, or a source does not follow the schema or has no allowed licence.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceListError(f"{path} cannot be read ({error.strerror}). Check --sources.") from error
    except yaml.YAMLError as error:
        raise SourceListError(f"{path} is no YAML ({error}). Correct it.") from error
    if not isinstance(content, dict) or not content:
        raise SourceListError(f"{path} names no source. Give a list per ecosystem: {', '.join(ECOSYSTEMS)}.")
    unknown = sorted(set(content) - set(ECOSYSTEMS))
    if unknown:
        raise SourceListError(f"{path}: unknown ecosystem {unknown[0]!r}. Choose from: {', '.join(ECOSYSTEMS)}.")
    sources = [_source(str(path), eco, entry) for eco in ECOSYSTEMS for entry in content.get(eco) or ()]
    seen: set[str] = set()
    for source in sources:
        if source.label in seen:
            raise SourceListError(f"{path}: {source.label} is listed twice. Remove one of the two lines.")
        seen.add(source.label)
    return sources
