"""Archives as streams of source files, read in memory: wheels, npm tarballs, Debian packages, the standard library."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import subprocess
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from tools.embedded_llm.corpus.errors import ArchiveError, ArchiveMismatchError
from tools.embedded_llm.corpus.sources import Source

SUFFIXES: dict[str, str] = {
    ".py": "python",
    ".java": "java",
    ".go": "go",
    ".rs": "rust",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".cpp": "cpp",
    ".cc": "cpp",
    ".hpp": "cpp",
    ".h": "cpp",
    ".hh": "cpp",
    ".tcc": "cpp",
}
"""File-name suffixes and the language that they stand for."""

MAX_READ_BYTES = 4_000_000
"""Larger files are not even read into memory; the selection drops far smaller ones by size anyway."""


@dataclass(frozen=True)
class RawFile:
    """One file of a source, as it is in the archive.

    Attributes:
        id: ``pypi/flask-3.1.3/flask/app.py``.
        language: By the suffix, or None.
        data: The bytes, or None where the file is not of the source's language, or too large to be read.
        size: Their number.
        held_out: Whether the file is kept out of training.
    """

    id: str
    language: str | None
    data: bytes | None
    size: int
    held_out: bool


def language_of(path: str) -> str | None:
    """The language of a file by its name; the suffix-less headers of the C++ standard library are C++."""
    pure = PurePosixPath(path)
    if not pure.suffix and "include/c++" in path:
        return "cpp"
    return SUFFIXES.get(pure.suffix.lower())


def is_in_share(folder: str, share: float) -> bool:
    """Whether a folder's hash, read as a number in [0, 1), is below ``share``."""
    digest = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archive_path(source: Source, downloads: Path) -> Path:
    """Where the archive of a source lies.

    Raises:
        ArchiveError: It is not there.
    """
    path = downloads / source.ecosystem / source.file
    if not source.file or not path.is_file():
        raise ArchiveError(f"{path}, the archive of {source.label}, is missing. Fetch it: ... corpus fetch.")
    return path


def verified_sha256(source: Source, downloads: Path) -> str:
    """SHA-256 of a source's archive, or of the standard library's Python version.

    Raises:
        ArchiveError: The archive is missing.
        ArchiveMismatchError: It is not the one that the list of sources names.
    """
    if source.ecosystem == "stdlib":
        return ""
    path = archive_path(source, downloads)
    found = file_sha256(path)
    if source.sha256 and found != source.sha256:
        raise ArchiveMismatchError(f"{source.ecosystem}/{path.name}", source.sha256, found)
    return found


Member = tuple[str, int, bytes | None]
"""Path in the archive, size, bytes where wanted."""


def _wanted(path: str, size: int, language: str) -> bool:
    return language_of(path) == language and size <= MAX_READ_BYTES


def _zip_members(file: Path | io.BytesIO, language: str, prefix: str = "") -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                wanted = _wanted(info.filename, info.file_size, language)
                yield prefix + info.filename, info.file_size, archive.read(info) if wanted else None


def _tar_members(archive: tarfile.TarFile, language: str, strip: int) -> Iterator[Member]:
    for info in archive:
        if not info.isfile():
            continue
        parts = [part for part in info.name.split("/") if part not in ("", ".")]
        path = "/".join(parts[strip:])
        extracted = archive.extractfile(info)
        if path.endswith("src.zip") and extracted is not None:  # OpenJDK packs its sources once more
            yield from _zip_members(io.BytesIO(extracted.read()), language, prefix=f"{path}/")
        else:
            wanted = extracted is not None and _wanted(path, info.size, language)
            yield path, info.size, extracted.read() if wanted and extracted is not None else None


def _deb_members(path: Path, language: str) -> Iterator[Member]:
    command = ["dpkg-deb", "--fsys-tarfile", str(path)]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path.name} cannot be read: dpkg-deb is missing. Install the package dpkg.") from error
    with process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            yield from _tar_members(archive, language, strip=0)
        process.stdout.read()  # the tar's padding; without it dpkg-deb ends by a broken pipe
    if process.returncode:
        raise ArchiveError(f"{path.name}: dpkg-deb ended with {process.returncode}. Delete it and fetch it again.")


def _stdlib_members(language: str) -> Iterator[Member]:
    root = Path(sysconfig.get_path("stdlib"))
    for folder, subfolders, names in os.walk(root):
        # installed packages and compiled files are no part of the library's source
        subfolders[:] = sorted(set(subfolders) - {"site-packages", "dist-packages", "__pycache__"})
        for path in (Path(folder, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                relative, size = path.relative_to(root).as_posix(), path.stat().st_size
                yield relative, size, path.read_bytes() if _wanted(relative, size, language) else None


def _members(source: Source, downloads: Path) -> Iterator[Member]:
    if source.ecosystem == "stdlib":
        yield from _stdlib_members(source.language)
        return
    path = archive_path(source, downloads)
    try:
        if source.ecosystem == "pypi":
            yield from _zip_members(path, source.language)
        elif source.ecosystem == "npm":
            with tarfile.open(path, "r:gz") as archive:
                yield from _tar_members(archive, source.language, strip=1)
        else:
            yield from _deb_members(path, source.language)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        remedy = "Delete it and fetch it again."
        raise ArchiveError(f"{source.ecosystem}/{path.name} cannot be read ({error}). {remedy}") from error


def version_of(source: Source) -> str:
    """The version of a source; the running Python's for the standard library."""
    return platform.python_version() if source.ecosystem == "stdlib" else source.version


def read_source(source: Source, downloads: Path) -> Iterator[RawFile]:
    """The files of a source, in the order of the archive.

    Args:
        source: The source.
        downloads: Folder of the archives, with one folder per ecosystem.

    Raises:
        ArchiveError: The archive is missing or damaged.
    """
    label = f"{source.ecosystem}/{source.name}-{version_of(source)}"
    n_files = 0
    for path, size, data in _members(source, downloads):
        if source.include and not any(fnmatchcase(path, pattern) for pattern in source.include):
            continue
        language = language_of(path)
        if data is not None:
            if source.limit is not None and n_files >= source.limit:
                return
            n_files += 1
        folder = f"{source.name}/{PurePosixPath(path).parent}"
        held_out = source.held_out or is_in_share(folder, source.held_out_share)
        yield RawFile(f"{label}/{path}", language, data, size, held_out)
