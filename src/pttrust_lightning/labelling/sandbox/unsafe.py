"""No sandbox at all, for where there is none and the programs are known to be harmless."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pttrust_lightning.labelling.sandbox.base import Completed, Limits, Sandbox
from pttrust_lightning.labelling.sandbox.process import NOBODY, exceeded, run_bounded
from pttrust_lightning.labelling.sandbox.process_tree import tree_usage


class Unsafe(Sandbox):
    """A plain subprocess with limits on time, memory, output and the size of a file.

    It can read and write what this user can (as root: what nobody can), reach the network, and leave processes behind.
    :func:`find_sandbox` gives it only to those who ask for it.
    """

    name = "unsafe"

    def _run(self, command: Sequence[str], files: Mapping[str, str | bytes], limits: Limits, stdin: bytes) -> Completed:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}
        with tempfile.TemporaryDirectory(prefix="pttrust-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            write_files(folder, files)
            environment["HOME"] = environment["TMPDIR"] = name
            return run_bounded(
                [*limits.prlimit(), *command],
                limits,
                stdin,
                environment=environment,
                folder=folder,
                watch=lambda pid: exceeded(tree_usage(pid), limits),
            )


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write ``files`` under ``folder``, for the user that programs run as."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
