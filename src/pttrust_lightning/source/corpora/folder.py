"""Source files of a folder, or the functions in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.corpora.base import SampledCorpus, problem_with
from pttrust_lightning.source.corpora.functions import functions
from pttrust_lightning.source.corpora.selection import check_portion, file_fingerprint, is_in_portion
from pttrust_lightning.source.languages import SUFFIXES, known_language, language_of
from pttrust_lightning.types import Exclusions, Program

Unit = Literal["file", "function"]


class FolderCorpus(SampledCorpus):
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
        unit: ``file``, or ``function`` for the outermost functions and methods of each file, dedented.
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
        check_portion(portion)
        if unit not in ("file", "function"):
            raise ConfigError(f"unit is {unit!r}; choose 'file' or 'function'.")
        super().__init__(limit, seed, min_lines, max_lines)
        self.path = path
        self.languages = None if languages is None else [known_language(name) for name in languages]
        self.unit: Unit = unit
        self.exclude = list(exclude or ())
        self.portion = portion

    @property
    def name(self) -> str:
        """The folder's own name."""
        return Path(self.path).expanduser().resolve().name

    def describe(self) -> str:
        """The folder, the unit, the languages, the portion and the sample."""
        languages = ", ".join(self.languages) if self.languages else "all known languages"
        return f"{self.unit}s of folder {self.path} in {languages}, {self.drawn()}"

    def drawn(self) -> str:
        """Which of the programs are used."""
        sample = self.sample()
        return sample if self.portion is None else f"portion {list(self.portion)} of the files, {sample}"

    def fingerprint(self) -> str | None:
        """Names, sizes and times of the files that are read, and the settings."""
        root = Path(self.path).expanduser()
        if not root.is_dir():
            return None
        files = sorted(self._source_files(root, Exclusions()))
        return file_fingerprint([root / name for name in files], self.settings())

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
        return self.select_programs(lambda left_out: self._read(root, files, left_out), exclusions, self.path)

    def _source_files(self, root: Path, exclusions: Exclusions) -> Iterator[str]:
        """Paths relative to ``root``, with ``/``, of the files that are to be read."""
        resolved_root = root.resolve()

        def unreadable(error: OSError) -> None:
            folder = PurePosixPath(Path(error.filename).relative_to(root))
            exclusions.add(f"unreadable folder ({error.strerror})", f"{folder}/")

        for folder, subfolders, names in os.walk(root, onerror=unreadable):
            here = PurePosixPath(Path(folder).relative_to(root))
            kept = []
            for name in sorted(subfolders):
                reason = self._unwanted(here / name)
                if reason is not None:
                    exclusions.add(f"{reason} (folder)", f"{here / name}/")
                elif Path(folder, name).is_symlink():
                    exclusions.add("link to a folder (not followed)", f"{here / name}/")
                else:
                    kept.append(name)
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
        language = language_of(file)
        if language is None or (self.languages is not None and language not in self.languages):
            return "file of no chosen language"
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
            problem = problem_with(code, "file")
            if problem is not None:
                exclusions.add(problem, relative)
                continue
            language = language_of(PurePosixPath(relative))
            assert language is not None  # only files of a language are listed
            program = Program(id=relative, code=code, language=language, origin=relative)
            if self.unit == "function":
                yield from functions(program, exclusions)
            else:
                yield program
