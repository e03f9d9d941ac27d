"""Download the archives of the sources with their ecosystems' own clients: pip, npm and apt-get.

A download goes to a folder of its own and is renamed only once it is complete and is the wanted archive, so that an
interrupted run is simply started again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tools.embedded_llm.corpus.archives import file_sha256
from tools.embedded_llm.corpus.errors import ArchiveError, ArchiveMismatchError
from tools.embedded_llm.corpus.sources import Source

SUBSTITUTES = "substitutes.json"
"""Beside the archives: which Debian archives have another version than the list says, since mirrors drop old ones."""

TIMEOUT_SECONDS = 1800
_FIELDS = ("version", "file", "sha256")

Run = Callable[[list[str], Path], None]
"""Runs a command in a folder; raises ``ArchiveError`` where it fails."""


def run_command(command: list[str], folder: Path) -> None:
    """Run a client in a folder.

    Raises:
        ArchiveError: It is not installed, fails or takes too long.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except FileNotFoundError as error:
        raise ArchiveError(f"{command[0]} is not installed. Install it, or copy the archive there by hand.") from error
    except subprocess.TimeoutExpired as error:
        raise ArchiveError(f"{command[0]} took longer than {TIMEOUT_SECONDS} s. Try again later.") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise ArchiveError(f"{command[0]} ended with {done.returncode}: {last}. Check the network and the version.")


def wheel_options(file: str) -> list[str]:
    """Options of ``pip download`` that ask for the wheel of this name, whatever machine they run on."""
    python, abi, platforms = file.removesuffix(".whl").split("-")[-3:]
    if platforms == "any":
        return []
    options = [option for platform in platforms.split(".") for option in ("--platform", platform)]
    if python.startswith("cp"):
        options += ["--implementation", "cp", "--python-version", f"{python[2]}.{python[3:]}"]
    return [*options, "--abi", abi]


def pypi_command(source: Source) -> list[str]:
    """How pip downloads a source into the current folder."""
    chosen = wheel_options(source.file) if source.file else []
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    return [*pip, "--no-deps", "--only-binary=:all:", "--dest", ".", *chosen, f"{source.name}=={source.version}"]


def npm_command(source: Source) -> list[str]:
    """How npm downloads a source into the current folder."""
    return ["npm", "pack", "--silent", f"{source.name}@{source.version}"]


def debian_command(source: Source, version: str | None) -> list[str]:
    """How apt-get downloads a source into the current folder; the version that the mirror has where None."""
    return ["apt-get", "download", "--quiet", source.name if version is None else f"{source.name}={version}"]


def _download(source: Source, folder: Path, run: Run) -> bool:
    """Download a source into an empty folder; whether it is another version than the list says."""
    if source.ecosystem == "pypi":
        run(pypi_command(source), folder)
    elif source.ecosystem == "npm":
        run(npm_command(source), folder)
    else:
        try:
            run(debian_command(source, source.version), folder)
        except ArchiveError:
            run(debian_command(source, None), folder)
            return True
    return False


def _debian_version(file: str) -> str:
    """The version in the name of a Debian archive, where apt-get writes ``:`` as ``%3a``."""
    return file.split("_")[1].replace("%3a", ":")


def read_substitutes(downloads: Path) -> dict[str, dict[str, str]]:
    """Archives that stand in for those of the list, by ``ecosystem/name``."""
    path = downloads / SUBSTITUTES
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: {field: str(entry[field]) for field in _FIELDS} for name, entry in content.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ArchiveError(f"{path} cannot be read ({error!r}). Delete it and fetch again.") from error


def with_substitutes(sources: Iterable[Source], downloads: Path) -> list[Source]:
    """The sources, with version, name and hash of the archives that stand in for those of the list."""
    substitutes = read_substitutes(downloads)
    result = []
    for source in sources:
        entry = substitutes.get(f"{source.ecosystem}/{source.name}")
        if entry is not None:
            source = replace(source, version=entry["version"], file=entry["file"], sha256=entry["sha256"])
        result.append(source)
    return result


def _record_substitute(source: Source, archive: Path, downloads: Path) -> None:
    entry = {"version": _debian_version(archive.name), "file": archive.name, "sha256": file_sha256(archive)}
    content = {**read_substitutes(downloads), f"{source.ecosystem}/{source.name}": entry}
    temporary = downloads / f"{SUBSTITUTES}.tmp"
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(downloads / SUBSTITUTES)


def fetch_one(source: Source, downloads: Path, run: Run = run_command) -> Path:
    """Download one archive, check it and put it in its place.

    Args:
        source: What to download.
        downloads: Folder of the archives.
        run: Runs the client.

    Returns:
        The archive.

    Raises:
        ArchiveError: It cannot be downloaded.
        ArchiveMismatchError: It is not the archive of the list.
    """
    partial = downloads / source.ecosystem / f".partial-{source.name.replace('/', '-')}"
    shutil.rmtree(partial, ignore_errors=True)  # what an interrupted run left
    partial.mkdir(parents=True)
    try:
        is_substitute = _download(source, partial, run)
        files = sorted(partial.iterdir())
        if len(files) != 1:
            raise ArchiveError(f"the client left {len(files)} files rather than one. Fetch it by hand.")
        archive = files[0]
        if not is_substitute:
            if source.sha256 and (found := file_sha256(archive)) != source.sha256:
                raise ArchiveMismatchError(f"{source.ecosystem}/{archive.name}", source.sha256, found)
            if source.file and archive.name != source.file:
                raise ArchiveError(f"the client gave {archive.name} rather than {source.file}. Correct field 'file'.")
        place = downloads / source.ecosystem / archive.name
        archive.replace(place)
        if is_substitute:
            _record_substitute(source, place, downloads)
        return place
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@dataclass(frozen=True)
class Plan:
    """What is there and what is not.

    Attributes:
        missing: Sources to download.
        present: Sources whose archive is there.
    """

    missing: list[Source]
    present: list[Source]

    def __str__(self) -> str:
        """One line: how many downloads, and of how many MB."""
        size = sum(source.mb for source in self.missing)
        return f"{len(self.missing)} archives to download, about {size:.0f} MB; {len(self.present)} are there."


def plan(sources: Iterable[Source], downloads: Path) -> Plan:
    """Compare the list of sources with the folder of archives; the standard library needs no download.

    Raises:
        ArchiveMismatchError: An archive that is there is not the one of the list.
    """
    missing: list[Source] = []
    present: list[Source] = []
    for source in with_substitutes(sources, downloads):
        if source.ecosystem == "stdlib":
            continue
        path = downloads / source.ecosystem / source.file
        if not source.file or not path.is_file():
            missing.append(source)
            continue
        if source.sha256 and (found := file_sha256(path)) != source.sha256:
            raise ArchiveMismatchError(f"{source.ecosystem}/{path.name}", source.sha256, found)
        present.append(source)
    return Plan(missing, present)


def fetch(
    sources: Iterable[Source], downloads: Path, run: Run = run_command, say: Callable[[str], None] = print
) -> list[str]:
    """Download what is missing, one after the other; a failure does not stop the rest.

    Args:
        sources: The sources.
        downloads: Folder of the archives.
        run: Runs the clients.
        say: Takes lines of progress.

    Returns:
        One line per failure.
    """
    todo = plan(sources, downloads)
    say(str(todo))
    failures: list[str] = []
    for i, source in enumerate(todo.missing, start=1):
        try:
            place = fetch_one(source, downloads, run)
            say(f"[{i}/{len(todo.missing)}] {source.ecosystem}/{place.name}")
        except ArchiveError as error:
            failures.append(f"{source.label}: {error}")
            say(f"[{i}/{len(todo.missing)}] {source.label} FAILED")
    return failures
