"""Start a process, watch it from outside, read a bounded part of what it prints, and kill all of it when it is over."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pttrust_lightning.errors import SandboxError
from pttrust_lightning.labelling.sandbox.base import Completed, Limits, Stop
from pttrust_lightning.labelling.sandbox.process_tree import Usage

POLL_SECONDS = 0.1
"""How often memory and CPU time are looked at: what can be used up meanwhile is the overshoot."""

NOBODY = 65534
"""The user and group that own nothing."""

AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--")
"""Starts a command of root's as that user (util-linux)."""

Watch = Callable[[int], Stop]
"""From a process's id to the limit that it and its descendants exceed, or an empty string."""


def exceeded(usage: Usage, limits: Limits) -> Stop:
    """The limit that a process tree exceeds, if any."""
    if usage.memory_bytes > limits.memory_bytes:
        return "memory limit"
    # A process that ignores the kernel's signal at this limit is caught here.
    return "CPU limit" if usage.cpu_seconds > limits.cpu_seconds else ""


def run_bounded(
    command: Sequence[str],
    limits: Limits,
    stdin: bytes,
    *,
    environment: Mapping[str, str],
    folder: str | Path = "/",
    descriptors: Sequence[int] = (),
    watch: Watch,
    stop: Callable[[], None] = lambda: None,
) -> Completed:
    """Run a command, as nobody where this process is root, until it ends or breaks a limit.

    Args:
        command: Program and arguments.
        limits: Wall time and output are watched here; holding it to the rest is the caller's work.
        stdin: What the command reads.
        environment: All of its environment.
        folder: Its working folder.
        descriptors: File descriptors that it inherits.
        watch: Says from time to time whether another limit is exceeded.
        stop: Called before the process group is killed, for what is no descendant.

    Raises:
        SandboxError: The command cannot be started.
    """
    start = time.monotonic()
    # By a command, and not by Popen's own means: those copy the page tables of this process, which may hold an LLM.
    arguments = [*AS_NOBODY, *command] if os.geteuid() == 0 else list(command)
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            pass_fds=tuple(descriptors),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: an argument with a NUL character
        raise SandboxError(f"{arguments[0]} cannot be started ({error}). Install it, or mend its rights.") from error
    output = bytearray()
    stopped: Stop = "wall limit"
    assert process.stdin is not None and process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(stdin)
        stopped = _wait(process.pid, process.stdout.fileno(), output, limits, start + limits.wall_seconds, watch)
    finally:
        if stopped:
            stop()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        process.stdout.close()
    # Shells and bubblewrap return 128 + N for a command that signal N ended.
    ended_by = -code if code < 0 else code - 128 if 128 < code < 128 + signal.NSIG else None
    return Completed(
        exit_status=None if stopped or ended_by else code,
        signal=None if stopped else ended_by,
        stopped=stopped,
        output=bytes(output[: limits.output_bytes]),
        seconds=time.monotonic() - start,
    )


def _wait(pid: int, stream: int, output: bytearray, limits: Limits, deadline: float, watch: Watch) -> Stop:
    """Collect output until the process has ended (not yet reaped, so that its group's number stays its own)."""
    os.set_blocking(stream, False)
    ended = os.pidfd_open(pid)
    next_look = 0.0
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(stream, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(POLL_SECONDS)}
                if stream in ready and not _read(stream, output, limits.output_bytes):
                    selector.unregister(stream)
                if len(output) > limits.output_bytes:
                    return "output limit"
                if ended in ready and stream not in ready:
                    return ""
                now = time.monotonic()
                if now > deadline:
                    return "wall limit"
                if now > next_look:
                    if stopped := watch(pid):
                        return stopped
                    next_look = now + POLL_SECONDS
    finally:
        os.close(ended)


def _read(stream: int, output: bytearray, limit: int) -> bool:
    """Append what is there, to one byte past the limit; False at the end of the stream."""
    try:
        data = os.read(stream, min(2**16, limit + 1 - len(output)))
    except BlockingIOError:
        return True
    output += data
    return bool(data)
