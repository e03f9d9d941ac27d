"""A rootless container, for where bubblewrap is missing and podman or docker is there."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pttrust_lightning.errors import SandboxError
from pttrust_lightning.labelling.sandbox.base import OPEN_FILES, Completed, Limits, Sandbox
from pttrust_lightning.labelling.sandbox.process import NOBODY, run_bounded
from pttrust_lightning.labelling.sandbox.unsafe import write_files

Engine = Literal["podman", "docker"]

_ROOTLESS = {
    "podman": ["info", "--format", "{{.Host.Security.Rootless}}"],
    "docker": ["info", "--format", "{{.SecurityOptions}}"],
}
_ENGINE_SECONDS = 30


class Container(Sandbox):
    """A fresh container a run: no network, nothing writable but a scratch folder in memory, no capabilities.

    The kernel's control groups hold processes and memory, files in the scratch folder included.

    Args:
        engine: ``podman`` or ``docker``.
        image: An image that is on this machine and holds a shell, coreutils and the toolchains; never pulled.
    """

    def __init__(self, engine: Engine, image: str) -> None:
        self.engine = engine
        self.image = image
        self.name = f"{engine} ({image})"

    def check_rootless(self) -> None:
        """Refuse an engine that runs as root, where an escape from the container would own the machine.

        Raises:
            SandboxError: The engine is missing, does not answer, or is not rootless.
        """
        try:
            answer = subprocess.run(
                [self.engine, *_ROOTLESS[self.engine]],
                capture_output=True,
                text=True,
                timeout=_ENGINE_SECONDS,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise SandboxError(f"{self.engine} does not answer ({error}). Install it, or start its daemon.") from error
        if not ("true" in answer if self.engine == "podman" else "name=rootless" in answer):
            raise SandboxError(f"{self.engine} runs as root here. Set it up rootless, for a user other than root.")

    def _run(self, command: Sequence[str], files: Mapping[str, str | bytes], limits: Limits, stdin: bytes) -> Completed:
        container = f"pttrust-{secrets.token_hex(8)}"
        with tempfile.TemporaryDirectory(prefix="pttrust-") as folder:
            write_files(Path(folder), files)
            Path(folder).chmod(0o755)  # another user reads it
            return run_bounded(
                self.arguments(command, Path(folder), limits, container),
                limits,
                stdin,
                environment=dict(os.environ),  # the engine's own; the container gets none of it
                watch=lambda _: "",  # its control group does
                stop=lambda: self._kill(container),
            )

    def arguments(self, command: Sequence[str], folder: Path, limits: Limits, container: str) -> list[str]:
        """The whole command line; ``folder`` holds the files, which the container copies to its scratch folder."""
        scratch = f"/work:rw,exec,nosuid,nodev,size={limits.file_bytes},mode=1777"
        return [
            *(self.engine, "run", "--rm", "--interactive", "--init", "--name", container, "--pull", "never"),
            *("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--user", f"{NOBODY}:{NOBODY}", "--hostname", "sandbox", "--ipc", "none", "--log-driver", "none"),
            *("--pids-limit", str(limits.processes)),
            *("--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)),
            *("--ulimit", f"cpu={limits.cpu_seconds}:{limits.cpu_seconds + 1}"),
            *("--ulimit", f"fsize={limits.file_bytes}:{limits.file_bytes}"),
            *("--ulimit", f"nofile={OPEN_FILES}:{OPEN_FILES}", "--ulimit", "core=0:0"),
            *("--tmpfs", scratch, "--mount", f"type=bind,source={folder},destination=/program,readonly"),
            *("--workdir", "/work", "--env", "HOME=/work", "--env", "TMPDIR=/work", "--env", "LANG=C.UTF-8"),
            *("--entrypoint", "/bin/sh", self.image, "-c", 'cp -R /program/. . && exec "$@"', "sh", *command),
        ]

    def _kill(self, container: str) -> None:
        subprocess.run([self.engine, "kill", container], capture_output=True, timeout=_ENGINE_SECONDS, check=False)
