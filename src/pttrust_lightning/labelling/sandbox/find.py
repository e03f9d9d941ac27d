"""Choose a sandbox, and trust it only after it has shown that it contains."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pttrust_lightning.errors import SandboxError
from pttrust_lightning.labelling.sandbox.base import Limits, Sandbox
from pttrust_lightning.labelling.sandbox.bubblewrap import Bubblewrap
from pttrust_lightning.labelling.sandbox.container import Container
from pttrust_lightning.labelling.sandbox.unsafe import Unsafe

SANDBOXES = ("bubblewrap", "podman", "docker")
"""Those that ``auto`` tries, in this order."""

NAMESPACES = ("ipc", "mnt", "net", "pid", "user")

REMEDY = (
    "Install bubblewrap 0.8 or later (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap) on "
    "Linux 5.14 or later that lets users create namespaces (Ubuntu 24.04: sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0), or rootless podman with an image of the toolchains. Only for "
    "programs that are known to be harmless: --unsafe, which contains nothing."
)

_SELF_TEST = """
for space in {namespaces}; do echo "namespace $(readlink /proc/self/ns/$space)"; done
sed -n 's/^ *\\([^ ]*\\):.*/interface \\1/p' /proc/net/dev
sed -n 's/^CapEff:[[:space:]]*/capabilities /p; s/^NoNewPrivs:[[:space:]]*/no_new_privileges /p' /proc/self/status
echo "user $(id -u)"
for file in "{inside}" /usr/pttrust-probe /etc/pttrust-probe /pttrust-probe; do
    (echo x > "$file") 2>/dev/null && echo "wrote $file"
done
echo x > probe && echo "scratch $(cat probe)"
echo "secret $(cat "{secret_file}" 2>/dev/null)"
count=0
while [ $count -lt 64 ]; do sleep 3 & count=$((count + 1)); done 2>/dev/null
echo "unbounded processes"
"""
_SELF_TEST_LIMITS = Limits(wall_seconds=20, processes=24)


def find_sandbox(name: str = "auto", unsafe: bool = False, *, image: str = "", readable: Sequence[str] = ()) -> Sandbox:
    """The sandbox to run candidates in, after its self-test.

    Args:
        name: ``bubblewrap``, ``podman``, ``docker``, or ``auto``: the first of them that works.
        unsafe: Do without containment: :class:`Unsafe`, whatever ``name`` says.
        image: The container image that holds the toolchains, for ``podman`` and ``docker``.
        readable: Toolchain folders outside /usr that bubblewrap shows to programs.

    Raises:
        SandboxError: The name is unknown, or none of the sandboxes works; says why, and what to do.
    """
    if unsafe:
        return Unsafe()
    if name != "auto" and name not in SANDBOXES:
        raise SandboxError(f"There is no sandbox '{name}'. Choose one of: auto, {', '.join(SANDBOXES)}.")
    reasons = []
    for wanted in SANDBOXES if name == "auto" else (name,):
        try:
            sandbox = _build(wanted, image, readable)
            check_containment(sandbox)
        except SandboxError as error:
            reasons.append(f"{wanted}: {error}")
        else:
            return sandbox
    raise SandboxError("No sandbox works here.\n- " + "\n- ".join(reasons) + f"\n{REMEDY}")


def _build(name: str, image: str, readable: Sequence[str]) -> Sandbox:
    if name == "bubblewrap":
        return Bubblewrap(readable)
    if not image:
        raise SandboxError("no image is named. Name one that holds the toolchains.")
    container = Container("podman" if name == "podman" else "docker", image)
    container.check_rootless()
    return container


def check_containment(sandbox: Sandbox) -> None:
    """Run a probe that tries what a program must not be able to do.

    It looks for a private user, process, network, IPC and file system view; for capabilities; whether a file of this
    user's can be read or written; whether system folders can be written; whether processes are bounded.

    Raises:
        SandboxError: The sandbox does not start, or does not contain; names what failed.
    """
    secret = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="pttrust-probe-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "secret").write_text(secret, encoding="utf-8")
        (folder / "secret").chmod(0o666)
        script = _SELF_TEST.format(
            namespaces=" ".join(NAMESPACES), inside=folder / "secret", secret_file=folder / "secret"
        )
        completed = sandbox.run(["/bin/sh", "probe.sh"], {"probe.sh": script}, _SELF_TEST_LIMITS)
        said = completed.output.decode("utf-8", "replace").splitlines()
        untouched = (folder / "secret").read_text(encoding="utf-8") == secret
    for promise, kept in _PROMISES.items():
        if not kept(said):
            raise SandboxError(f"{sandbox.name} does not contain: {promise} failed. Its probe said: {said}.")
    if not untouched or any(secret in line for line in said):
        raise SandboxError(f"{sandbox.name} does not contain: a file outside it could be reached.")


def _values(said: Sequence[str], name: str) -> list[str]:
    return [line.partition(" ")[2] for line in said if line.partition(" ")[0] == name]


def _own_namespaces(said: Sequence[str]) -> bool:
    ours = {str(Path(f"/proc/self/ns/{space}").readlink()) for space in NAMESPACES}
    theirs = set(_values(said, "namespace"))
    return len(theirs) == len(NAMESPACES) and not ours & theirs


_PROMISES: dict[str, Callable[[Sequence[str]], bool]] = {
    "a scratch folder that can be written": lambda said: _values(said, "scratch") == ["x"],
    "namespaces of its own": _own_namespaces,
    "no network interface but its own loopback": lambda said: set(_values(said, "interface")) <= {"lo"},
    "no capabilities": lambda said: _values(said, "capabilities") == ["0" * 16],
    "no new privileges": lambda said: _values(said, "no_new_privileges") == ["1"],
    "a user other than root": lambda said: _values(said, "user") not in ([], ["0"]),
    "no file written outside the scratch folder": lambda said: not _values(said, "wrote"),
    "a bound on processes": lambda said: not _values(said, "unbounded"),
}
