"""The sandbox of choice: bubblewrap, which needs no daemon, no image and no privilege."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pttrust_lightning.labelling.sandbox.base import FILES, Completed, Limits, Sandbox, Stop
from pttrust_lightning.labelling.sandbox.process import NOBODY, Watch, exceeded, run_bounded
from pttrust_lightning.labelling.sandbox.process_tree import files_in, tree_usage
from pttrust_lightning.labelling.sandbox.seccomp import filter_program

SYSTEM_FOLDERS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin", "/usr")
"""Where the machine's programs are; each a folder or, on a merged /usr, a link into it."""

SYSTEM_SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
"""What programs under /usr need of /etc; beside it the folders of the Java installations."""

WRITABLE = ("/dev/shm", "/tmp")
"""The only places that take files."""

SCRATCH = "/tmp/work"


class Bubblewrap(Sandbox):
    """Namespaces of its own for files, processes, network, users; the machine's programs read-only; one scratch folder.

    The command runs without capabilities as a user that owns nothing, even where this process is root. It sees the
    system's programs and nothing of anyone's home; writes go to memory, are bounded by ``file_bytes`` and vanish. When
    the first process of the namespace dies, the kernel kills all others in it.

    Limits hold by these means: CPU time, private memory, size of a file and open files by ``prlimit``; processes by
    RLIMIT_NPROC, which since Linux 5.14 counts within the user namespace; all files together by the size of the tmpfs;
    shared memory, page tables and the number of files by a watch from outside; memory that nothing counts by a seccomp
    filter. Buffers of sockets stay: at most 0.2 MB for each of ``OPEN_FILES`` of each process.

    Args:
        readable: Further folders that programs may read, such as a toolchain outside /usr; their ``bin`` folders are
            searched for commands before the system's.
    """

    name = "bubblewrap"

    def __init__(self, readable: Sequence[str | Path] = ()) -> None:
        self.readable = tuple(str(Path(folder).expanduser().absolute()) for folder in readable)

    def _run(self, command: Sequence[str], files: Mapping[str, str | bytes], limits: Limits, stdin: bytes) -> Completed:
        with _descriptors([filter_program(), *map(_as_bytes, files.values())]) as (seccomp, *contents):
            arguments = self.arguments(command, dict(zip(files, contents, strict=True)), limits, seccomp)
            own = {"PATH": os.environ.get("PATH", os.defpath)}  # to find bwrap by; the command gets none of it
            descriptors = [seccomp, *contents]
            return run_bounded(arguments, limits, stdin, environment=own, descriptors=descriptors, watch=_watch(limits))

    def arguments(
        self, command: Sequence[str], descriptors: Mapping[str, int], limits: Limits, seccomp: int
    ) -> list[str]:
        """The whole command line: ``descriptors`` hold the files' contents, ``seccomp`` the filter."""
        bin_folders = [f"{folder}/bin" for folder in self.readable]
        path = ":".join([*bin_folders, "/usr/local/bin", "/usr/bin", "/bin"])
        arguments = ["bwrap", "--unshare-all", "--unshare-user", "--disable-userns"]
        arguments += ["--die-with-parent", "--new-session"]
        arguments += ["--cap-drop", "ALL", "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox"]
        arguments += ["--seccomp", str(seccomp), "--clearenv"]
        for name, value in {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8", "TZ": "UTC"}.items():
            arguments += ["--setenv", name, value]
        for folder in SYSTEM_FOLDERS:
            arguments += _as_on_host(folder)
        for setting in [*SYSTEM_SETTINGS, *sorted(map(str, Path("/etc").glob("java*")))]:
            arguments += ["--ro-bind-try", setting, setting]
        arguments += ["--proc", "/proc", "--dev", "/dev"]
        share = str(max(limits.file_bytes // len(WRITABLE), 4096))
        for folder in WRITABLE:
            arguments += ["--size", share, "--tmpfs", folder]
        for folder in self.readable:  # after /tmp, which would hide those in it
            arguments += ["--ro-bind", folder, folder]
        arguments += ["--dir", SCRATCH]
        for name, descriptor in descriptors.items():
            arguments += ["--file", str(descriptor), f"{SCRATCH}/{name}"]
        # What bubblewrap builds of its own is memory without a size: writable, it would be a way around the limit.
        arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH, "--"]
        return [*arguments, *limits.prlimit(), f"--nproc={limits.processes}", *command]


def _watch(limits: Limits) -> Watch:
    def watch(pid: int) -> Stop:
        usage = tree_usage(pid)
        newest = usage.pids[-1]  # the oldest, bubblewrap itself, stays outside
        if any(files_in(folder, newest) > FILES for folder in WRITABLE):
            return "file limit"
        return exceeded(usage, limits)

    return watch


def _as_on_host(folder: str) -> list[str]:
    path = Path(folder)
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), folder]
    return ["--ro-bind-try", folder, folder]


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode("utf-8") if isinstance(content, str) else content


@contextmanager
def _descriptors(contents: Sequence[bytes]) -> Iterator[list[int]]:
    """File descriptors in memory, each at its start, that yield ``contents``."""
    with ExitStack() as stack:
        descriptors = []
        for content in contents:
            stream = stack.enter_context(os.fdopen(os.memfd_create("pttrust"), "w+b", buffering=0))
            stream.write(content)
            stream.seek(0)
            descriptors.append(stream.fileno())
        yield descriptors
