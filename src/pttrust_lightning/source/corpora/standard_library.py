"""The standard library of the running Python."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Iterator

from pttrust_lightning.source.corpora.base import Corpus
from pttrust_lightning.source.corpora.folder import FolderCorpus, Unit
from pttrust_lightning.types import Exclusions, Program


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
        return f"{self._folder.unit}s of Python {platform.python_version()}'s standard library, {self._folder.drawn()}"

    def fingerprint(self) -> str | None:
        """Names, sizes and times of the library's files, and the settings."""
        return self._folder.fingerprint()

    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The functions or files; ids are paths within the library.

        Raises:
            SourceError: This Python ships its library without source files.
        """
        return self._folder.programs(exclusions)
