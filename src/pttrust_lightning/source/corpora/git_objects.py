"""Read commits and blobs of a git repository that need not be trusted.

Only plumbing commands run, which check nothing out and start no program that the repository's own configuration names:
no hook, pager, filter, external diff, signature check, file-system monitor, or fetch of missing objects.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from pttrust_lightning.errors import SourceError

_SAFE_SETTINGS = ("core.fsmonitor=false", "diff.external=", "core.hooksPath=/dev/null", "core.quotePath=false")
_REGULAR_FILES = ("100644", "100755")


class ChangedFile(NamedTuple):
    """A file that a commit changed.

    Attributes:
        path: Its path in the repository.
        before: Object name of its content before the commit.
        after: Object name of its content after it.
    """

    path: str
    before: str
    after: str


class Commit(NamedTuple):
    """A commit.

    Attributes:
        id: Its full object name.
        parents: Its parents' object names.
        message: The whole message.
    """

    id: str
    parents: tuple[str, ...]
    message: str


class GitRepository:
    """A repository on this machine, as a context: leaving it ends its ``git`` process.

    Args:
        path: Its working tree or bare folder; a folder within another repository is none.

    Raises:
        SourceError: ``git`` is not installed, or the path is no repository that it reads.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._folder = Path(path).expanduser().resolve()
        self._reader: subprocess.Popen[bytes] | None = None
        if not self._folder.is_dir():
            raise SourceError(f"{path} is no folder. Name the folder of a git repository.")
        self._run("rev-parse", "--git-dir")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None

    def resolve(self, revision: str) -> str:
        """The full object name of the commit that a branch, tag or other revision stands for.

        Raises:
            SourceError: There is no such commit.
        """
        if revision.startswith("-"):
            raise SourceError(f"{revision!r} is no revision. Name a branch, a tag or a commit.")
        try:
            return self._run("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
        except SourceError as error:
            raise SourceError(f"{self.path} has no commit {revision!r}. Name a branch, a tag or a commit.") from error

    def commits(self, head: str) -> Iterator[Commit]:
        """A commit and all before it, newest first.

        Args:
            head: A full object name.
        """
        for name in self._run("rev-list", head).decode().split():
            headers, _, message = self._object(name).partition(b"\n\n")
            parents = [line[7:].decode() for line in headers.split(b"\n") if line.startswith(b"parent ")]
            yield Commit(name, tuple(parents), message.decode("utf-8", "replace"))

    def changed_files(self, commits: list[str]) -> Iterator[tuple[str, list[ChangedFile]]]:
        """Each commit's regular files whose content it changed, by path; neither new nor deleted nor renamed ones.

        Args:
            commits: Full object names of commits with one parent.
        """
        output = self._run(
            *("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--diff-filter=M", "--no-renames"),
            *("--no-ext-diff", "--no-textconv"),
            stdin="".join(f"{name}\n" for name in commits).encode(),
        )
        files: dict[str, list[ChangedFile]] = {name: [] for name in commits}
        fields = iter(output.split(b"\0"))
        commit = ""
        for field in fields:
            if not field.startswith(b":"):
                commit = field.decode().strip() or commit  # the output ends in a separator
                continue
            old_mode, new_mode, before, after, _ = field[1:].decode().split(" ")
            path = os.fsdecode(next(fields))
            if old_mode in _REGULAR_FILES and new_mode in _REGULAR_FILES and before != after:
                files[commit].append(ChangedFile(path, before, after))
        return ((name, sorted(files[name])) for name in commits)

    def sizes(self, names: list[str]) -> dict[str, int]:
        """Bytes of each object that the repository holds."""
        output = self._run("cat-file", "--batch-check", stdin="".join(f"{name}\n" for name in names).encode())
        answers = (line.split() for line in output.decode().splitlines())
        return {answer[0]: int(answer[2]) for answer in answers if len(answer) == 3}

    def blob(self, name: str) -> bytes:
        """The content of a file by its object name."""
        return self._object(name)

    def _object(self, name: str) -> bytes:
        if self._reader is None:
            self._reader = subprocess.Popen(
                self._command("cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment(),
            )
        stdin, stdout = self._reader.stdin, self._reader.stdout
        assert stdin is not None and stdout is not None
        stdin.write(f"{name}\n".encode())
        stdin.flush()
        header = stdout.readline().split()
        if len(header) != 3:
            raise SourceError(
                f"{self.path} lacks the object {name}. Name a complete clone, not a shallow or partial one."
            )
        content = stdout.read(int(header[2]))
        stdout.read(1)  # the newline after the content
        return content

    def _command(self, *arguments: str) -> list[str]:
        settings = [part for setting in _SAFE_SETTINGS for part in ("-c", setting)]
        return ["git", "--no-pager", *settings, "-C", str(self._folder), *arguments]

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return own | {
            "GIT_ALLOW_PROTOCOL": "none",  # no fetch of objects that a partial clone lacks
            "GIT_CEILING_DIRECTORIES": str(self._folder.parent),  # the repository is here, not further up
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        try:
            result = subprocess.run(
                self._command(*arguments), input=stdin, capture_output=True, env=self._environment(), check=False
            )
        except FileNotFoundError as error:
            raise SourceError("Reading a git repository needs the git command. Install git.") from error
        if result.returncode != 0:
            problem = (result.stderr.decode("utf-8", "replace").strip() or f"git {arguments[0]} failed").split("\n")[0]
            raise SourceError(f"{self.path} cannot be read as a git repository ({problem}). Name its folder.")
        return result.stdout
