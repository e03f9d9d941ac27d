"""What every sandbox offers: run one command over some files, within limits, and say how it ended."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pttrust_lightning.errors import ConfigError, SandboxError

Stop = Literal["", "wall limit", "CPU limit", "memory limit", "output limit", "file limit"]
"""Why a run was ended from outside; empty where it ended by itself."""

OPEN_FILES = 128
"""File descriptors a process: also bounds what socket and pipe buffers, which no limit counts, can hold."""

FILES = 10_000
"""Files at one time: each takes kernel memory, however empty it is."""

STACK_BYTES = 8 * 2**20
"""The usual stack of a main thread, whatever this machine's is: how deep a recursion may go is part of a verdict."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use.

    Attributes:
        wall_seconds: Wall time of the whole run, compilation included.
        cpu_seconds: CPU time of each process.
        memory_bytes: Private memory of each process, and resident memory of all together.
        processes: Processes and threads at one time.
        output_bytes: What it may print, both streams together.
        file_bytes: What it may write into files, in all.
    """

    wall_seconds: float = 30.0
    cpu_seconds: int = 10
    memory_bytes: int = 2**30
    processes: int = 64
    output_bytes: int = 2**20
    file_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ConfigError(f"The limit {name} is {getattr(self, name)}. Set it above 0.")

    def prlimit(self) -> list[str]:
        """The command of util-linux that starts another one under those limits that the kernel keeps per process.

        A process over its CPU time gets SIGXCPU, and SIGKILL a second later. RLIMIT_DATA counts private writable
        memory; RLIMIT_AS would count what the Java and JavaScript engines reserve and never touch.
        """
        return [
            "prlimit",
            f"--cpu={self.cpu_seconds}:{self.cpu_seconds + 1}",
            f"--data={self.memory_bytes}",
            f"--fsize={self.file_bytes}",
            f"--nofile={OPEN_FILES}",
            f"--stack={STACK_BYTES}",
            "--core=0",
        ]


@dataclass(frozen=True, slots=True)
class Completed:
    """How a run ended.

    Attributes:
        exit_status: What the command returned; None where a signal ended it or it was stopped.
        signal: The signal that ended it; None where it returned or was stopped.
        stopped: The limit that it was stopped for, from outside.
        output: What it printed, both streams in the order of writing, cut at the limit.
        seconds: Wall time.
    """

    exit_status: int | None
    signal: int | None
    stopped: Stop
    output: bytes
    seconds: float


class Sandbox(ABC):
    """Runs a command that can read the machine's tools, write its own scratch folder, and reach nothing else."""

    name: str

    @abstractmethod
    def _run(
        self, command: Sequence[str], files: Mapping[str, str | bytes], limits: Limits, stdin: bytes
    ) -> Completed: ...

    def run(
        self, command: Sequence[str], files: Mapping[str, str | bytes], limits: Limits, stdin: bytes = b""
    ) -> Completed:
        """Run ``command`` in a fresh scratch folder that holds ``files``.

        Args:
            command: Program and arguments; found by name in the sandbox's own search path.
            files: Contents by name relative to the scratch folder.
            limits: What the run may use.
            stdin: What it reads, at most a few kB.

        Raises:
            SandboxError: The command was not even started. What the command does, however bad, is in the result.
        """
        # The first line of output proves that what follows comes from the command, and not from a sandbox that failed.
        token = secrets.token_hex(8)
        started = ["/bin/sh", "-c", 'echo "$0"; exec "$@"', token, *command]
        room = replace(limits, output_bytes=limits.output_bytes + len(token) + 1)
        completed = self._run(started, files, room, stdin)
        line, _, output = completed.output.partition(b"\n")
        if line != token.encode():
            said = completed.output.decode("utf-8", "replace").strip()[-500:] or "nothing"
            raise SandboxError(
                f"The sandbox {self.name} did not start the program ({completed.stopped or _ending(completed)}); it "
                f"said: {said}. Nothing was judged. See that it works for this user, or choose another sandbox."
            )
        return replace(completed, output=output)


def _ending(completed: Completed) -> str:
    return f"signal {completed.signal}" if completed.signal else f"exit status {completed.exit_status}"
