"""Errors of the corpus builder. Every message names the file or field, and ends with the remedy."""

from __future__ import annotations


class CorpusBuildError(Exception):
    """Base of all errors that the command line shows as a message, without a traceback."""


class SourceListError(CorpusBuildError, ValueError):
    """A list of sources that does not follow its schema, or names a source that may not be used."""


class ArchiveError(CorpusBuildError, ValueError):
    """An archive that is missing, damaged or of another kind than its name says."""


class ArchiveMismatchError(ArchiveError):
    """An archive that is not the one that the list of sources names."""

    def __init__(self, file: str, expected: str, found: str) -> None:
        """Name the file and both hashes."""
        super().__init__(
            f"{file}: its sha256 is {found}, but the list of sources says {expected}. "
            "Delete the file and fetch it again, or correct the list of sources if the new archive is the wanted one."
        )
        self.expected = expected
        self.found = found


class BenchmarkError(CorpusBuildError, ValueError):
    """Benchmarks that are missing or cannot be read."""
