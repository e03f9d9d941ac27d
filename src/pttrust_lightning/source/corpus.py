"""Corpora: where unlabelled programs come from.

Every corpus gives its programs in an order that depends on its settings alone, and counts what it leaves out.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.jsonl import read_records
from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.source.python_functions import functions
from pttrust_lightning.source.selection import (
    check_limits,
    check_portion,
    file_fingerprint,
    is_in_portion,
    select_programs,
)
from pttrust_lightning.types import Exclusions, Program

MAX_LINE_CHARACTERS = 10_000
"""Longer lines are data or minified code, and would fill an LLM's context alone; their programs are left out."""

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
"""File-name suffixes of each language that a folder is read for."""

_LANGUAGE_OF_SUFFIX = {suffix: language for language, suffixes in SUFFIXES.items() for suffix in suffixes}

Unit = Literal["file", "function"]


class Corpus(ABC):
    """A source of unlabelled programs. Subclass it to read a corpus of another kind."""

    @property
    def name(self) -> str:
        """A short name for tables and messages."""
        return type(self).__name__

    def describe(self) -> str:
        """One line that says what is read, for logs and manifests."""
        return self.name

    def fingerprint(self) -> str | None:
        """What changes whenever the programs may have changed, without reading them: sizes and times of files.

        None: not known, so that the programs are read to be compared.
        """
        return None

    @abstractmethod
    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The programs, in an order that depends on the corpus and its settings alone.

        Args:
            exclusions: Where what is left out is counted, by reason.

        Raises:
            SourceError: The corpus cannot be read, or holds no usable program.
        """


def _settings(corpus: Corpus) -> dict[str, object]:
    return {name: value for name, value in vars(corpus).items() if not name.startswith("_")}


def _problem_with(code: str, what: str) -> str | None:
    """Why a program cannot be used, if so: nothing in it, not text, or a line too long to score."""
    if is_blank(code):
        return f"empty {what}"
    if "\0" in code:
        return f"binary {what}"
    if max(map(len, code.split("\n"))) > MAX_LINE_CHARACTERS:
        return f"line longer than {MAX_LINE_CHARACTERS} characters"
    return None


class FolderCorpus(Corpus):
    """The source files under a folder, or the functions in them.

    The language goes by the suffix. A byte order mark is dropped, everything else is kept as it is, CRLF included.
    Hidden files and folders (names that start with a dot) and links that lead out of the folder are left out; links to
    folders are not followed. Everything left out is counted by reason.

    Portions let both stages draw on one folder: disjoint portions of it share no file, whatever the other settings.
    ``limit`` cannot do that, since two samples overlap by chance. A file is placed by a hash of its path relative to
    ``path``, so its place depends neither on where the folder lies nor on the other files in it. Copies of a file, and
    links to it, have places of their own.

    Args:
        path: The folder; read recursively, in the order of the sorted relative paths.
        languages: The languages to read, such as ``["python", "java"]``; all known ones where null.
        unit: ``file``, or ``function`` for the top-level functions and methods of Python files, dedented.
        exclude: Glob patterns of files and folders to leave out, matched against the name and against the path
            relative to ``path``: ``tests``, ``*_pb2.py``, ``src/generated/*``.
        limit: Size of a random sample of the programs; all where null.
        seed: Seed of that sample.
        min_lines: Fewest non-blank lines of a program.
        max_lines: Most non-blank lines of a program; no bound where null.
        portion: ``[low, high]`` with 0 <= low < high <= 1: only the files whose hash is in [low, high); such as
            ``[0, 0.5]`` for one stage and ``[0.5, 1]`` for the other. All files where null.
    """

    def __init__(
        self,
        path: str,
        languages: list[str] | None = None,
        unit: Unit = "file",
        exclude: list[str] | None = None,
        limit: int | None = None,
        seed: int = 0,
        min_lines: int = 1,
        max_lines: int | None = None,
        portion: tuple[float, float] | None = None,
    ) -> None:
        check_limits(limit, min_lines, max_lines)
        check_portion(portion)
        unknown = sorted(set(languages or ()) - set(SUFFIXES))
        if unknown:
            raise ConfigError(f"Unknown language {unknown[0]!r}. Known languages: {', '.join(SUFFIXES)}.")
        if unit not in ("file", "function"):
            raise ConfigError(f"unit is {unit!r}; choose 'file' or 'function'.")
        if unit == "function" and languages is not None and languages != ["python"]:
            raise ConfigError(
                f"unit 'function' reads Python only, but languages is {languages}. "
                "Set languages to ['python'], or unit to 'file'."
            )
        self.path = path
        self.languages = languages
        self.unit: Unit = unit
        self.exclude = list(exclude or ())
        self.limit = limit
        self.seed = seed
        self.min_lines = min_lines
        self.max_lines = max_lines
        self.portion = portion

    @property
    def name(self) -> str:
        """The folder's own name."""
        return Path(self.path).expanduser().resolve().name

    def describe(self) -> str:
        """The folder, the unit, the languages, the portion and the sample."""
        languages = ", ".join(self.languages) if self.languages else "all known languages"
        return f"{self.unit}s of folder {self.path} in {languages}, {self._drawn()}"

    def _drawn(self) -> str:
        sample = "all" if self.limit is None else f"{self.limit} at random (seed {self.seed})"
        return sample if self.portion is None else f"portion {list(self.portion)} of the files, {sample}"

    def fingerprint(self) -> str | None:
        """Names, sizes and times of the files that are read, and the settings."""
        root = Path(self.path).expanduser()
        if not root.is_dir():
            return None
        files = sorted(self._source_files(root, Exclusions()))
        return file_fingerprint([root / name for name in files], _settings(self))

    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The files or functions; ids are ``path/in/folder.py`` or ``path/in/folder.py::Class.method``.

        Raises:
            SourceError: The path is no folder, or it holds no usable source file.
        """
        root = Path(self.path).expanduser()
        if not root.exists():
            raise SourceError(f"{self.path} does not exist. Check the path; it is relative to the current folder.")
        if not root.is_dir():
            raise SourceError(f"{self.path} is a file, not a folder. Name the folder that holds the source files.")
        files = sorted(self._source_files(root, exclusions))
        if not files:
            wanted = self.languages or list(SUFFIXES)
            suffixes = " ".join(suffix for language in wanted for suffix in SUFFIXES[language])
            left_out = "".join(f"; {line}" for line in exclusions.describe())
            raise SourceError(
                f"{self.path} holds no source file ({suffixes}{left_out}). Check path, languages, exclude and portion."
            )
        return select_programs(
            lambda left_out: self._read(root, files, left_out),
            exclusions,
            source=self.path,
            limit=self.limit,
            seed=self.seed,
            min_lines=self.min_lines,
            max_lines=self.max_lines,
        )

    def _source_files(self, root: Path, exclusions: Exclusions) -> Iterator[str]:
        """Paths relative to ``root``, with ``/``, of the files that are to be read."""
        resolved_root = root.resolve()
        for folder, subfolders, names in os.walk(root):
            here = PurePosixPath(Path(folder).relative_to(root))
            kept = []
            for name in sorted(subfolders):
                reason = self._unwanted(here / name)
                if reason is None:
                    kept.append(name)
                else:
                    exclusions.add(f"{reason} (folder)", f"{here / name}/")
            subfolders[:] = kept  # what os.walk reads next
            for name in sorted(names):
                reason = self._unwanted(here / name) or self._unreadable(Path(folder, name), resolved_root)
                if reason is None and self.portion is not None and not is_in_portion(str(here / name), self.portion):
                    reason = "outside the portion"
                if reason is None:
                    yield str(here / name)
                else:
                    exclusions.add(reason, str(here / name))

    def _unwanted(self, relative: PurePosixPath) -> str | None:
        if relative.name.startswith("."):
            return "hidden"
        if any(fnmatchcase(name, p) for p in self.exclude for name in (relative.name, str(relative))):
            return "matches an exclude pattern"
        return None

    def _unreadable(self, file: Path, root: Path) -> str | None:
        language = _LANGUAGE_OF_SUFFIX.get(file.suffix.lower())
        if language is None or (self.languages is not None and language not in self.languages):
            return "file of no chosen language"
        if self.unit == "function" and language != "python":
            return "not Python (unit 'function')"
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            return "link out of the folder"
        return None if file.is_file() else "broken link or special file"

    def _read(self, root: Path, files: Iterable[str], exclusions: Exclusions) -> Iterator[Program]:
        for relative in files:
            try:
                data = (root / relative).read_bytes()
            except OSError as error:
                exclusions.add(f"unreadable file ({error.strerror})", relative)
                continue
            try:
                code = data.decode("utf-8-sig")
            except UnicodeDecodeError:
                exclusions.add("binary file" if b"\0" in data else "not UTF-8 text", relative)
                continue
            problem = _problem_with(code, "file")
            if problem is not None:
                exclusions.add(problem, relative)
                continue
            language = _LANGUAGE_OF_SUFFIX[PurePosixPath(relative).suffix.lower()]
            program = Program(id=relative, code=code, language=language, origin=relative)
            if self.unit == "function":
                yield from functions(program, exclusions)
            else:
                yield program


class JsonlCorpus(Corpus):
    """Programs from a JSONL file: one object a line with ``code``, and optionally ``language``, ``id``, ``prompt``.

    Other fields are ignored, but one that is almost the name of a missing field is refused as a misspelling.

    Args:
        path: The file.
        default_language: Language of the records that name none.
        limit: Size of a random sample of the programs; all where null.
        seed: Seed of that sample.
        min_lines: Fewest non-blank lines of a program.
        max_lines: Most non-blank lines of a program; no bound where null.
    """

    FIELDS = ("code", "language", "id", "prompt")

    def __init__(
        self,
        path: str,
        default_language: str = "python",
        limit: int | None = None,
        seed: int = 0,
        min_lines: int = 1,
        max_lines: int | None = None,
    ) -> None:
        check_limits(limit, min_lines, max_lines)
        self.path = path
        self.default_language = default_language
        self.limit = limit
        self.seed = seed
        self.min_lines = min_lines
        self.max_lines = max_lines

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name

    def describe(self) -> str:
        """The file and the sample."""
        sample = "all" if self.limit is None else f"{self.limit} at random (seed {self.seed})"
        return f"records of {self.path}, {sample}"

    def fingerprint(self) -> str | None:
        """The file's size and time, and the settings."""
        return file_fingerprint([Path(self.path)], _settings(self))

    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The records as programs; a record without an id is named ``file.jsonl:<line>``.

        Raises:
            SourceError: The file is missing, empty or binary, or holds no usable program.
            SchemaError: A record does not follow the schema, or repeats an id.
        """
        return select_programs(
            self._read,
            exclusions,
            source=self.path,
            limit=self.limit,
            seed=self.seed,
            min_lines=self.min_lines,
            max_lines=self.max_lines,
        )

    def _read(self, exclusions: Exclusions) -> Iterator[Program]:
        record_of_id: dict[str, int] = {}
        for record in read_records(self.path):
            record.reject_misspelt_fields(self.FIELDS)
            id_ = record.text("id", default=f"{self.name}:{record.number}")
            if id_ in record_of_id:
                problem = f"{id_!r} is also the id of record {record_of_id[id_]}"
                raise record.error("id", problem, "Give each record its own id.")
            record_of_id[id_] = record.number
            program = Program(
                id=id_,
                code=record.text("code"),
                language=record.text("language", default=self.default_language).lower(),
                prompt=record.text("prompt", default=""),
                origin=self.name,
            )
            unusable = _problem_with(program.code, "record")
            if unusable is None:
                yield program
            else:
                exclusions.add(unusable, id_)


class StandardLibrary(Corpus):
    """The standard library of the running Python: real code that needs no download.

    Tests, demos, installers, installed packages and generated tables are left out. The programs differ between Python
    versions, which ``name`` therefore states.

    Args:
        unit: ``function`` for top-level functions and methods, dedented; or ``file``.
        limit: Size of a random sample of the programs; all where null.
        seed: Seed of that sample.
        min_lines: Fewest non-blank lines of a program.
        max_lines: Most non-blank lines of a program; no bound where null.
        portion: ``[low, high]``: only the files whose hash is in [low, high), as for ``FolderCorpus``; all files where
            null. Disjoint portions share no file.
    """

    EXCLUDE = (
        "site-packages",
        "dist-packages",
        "__pycache__",
        "test",
        "tests",
        "idle_test",
        "idlelib",
        "lib2to3",
        "turtledemo",
        "ensurepip",
        "pydoc_data",
        "__phello__",
        "config-*",
        "_sysconfigdata_*",
        "encodings/*",  # code tables
    )

    def __init__(
        self,
        unit: Unit = "function",
        limit: int | None = None,
        seed: int = 0,
        min_lines: int = 1,
        max_lines: int | None = None,
        portion: tuple[float, float] | None = None,
    ) -> None:
        self._folder = FolderCorpus(
            path=sysconfig.get_path("stdlib"),
            languages=["python"],
            unit=unit,
            exclude=list(self.EXCLUDE),
            limit=limit,
            seed=seed,
            min_lines=min_lines,
            max_lines=max_lines,
            portion=portion,
        )

    @property
    def name(self) -> str:
        """``python-3.x-standard-library``."""
        return f"python-{sys.version_info.major}.{sys.version_info.minor}-standard-library"

    def describe(self) -> str:
        """The Python version, the unit, the portion and the sample."""
        return f"{self._folder.unit}s of Python {platform.python_version()}'s standard library, {self._folder._drawn()}"

    def fingerprint(self) -> str | None:
        """Names, sizes and times of the library's files, and the settings."""
        return self._folder.fingerprint()

    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The functions or files; ids are paths within the library.

        Raises:
            SourceError: This Python ships its library without source files.
        """
        return self._folder.programs(exclusions)
