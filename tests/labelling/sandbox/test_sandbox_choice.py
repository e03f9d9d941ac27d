"""No containment, no run: what is missing, broken or leaky is refused, and never replaced by something weaker."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pttrust_lightning.errors import ConfigError, SandboxError
from pttrust_lightning.labelling.sandbox import Bubblewrap, Container, Limits, Unsafe, find_sandbox
from pttrust_lightning.labelling.sandbox.find import check_containment


def open_to_all(folder: Path) -> None:
    """Programs start as nobody where these tests run as root; pytest keeps its folders from others."""
    for parent in (folder, *folder.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o055)


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    open_to_all(folder)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder in front of the search path."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_missing_sandbox_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SandboxError, match=r"(?s)bubblewrap: .*podman: .*docker: .*apt-get install bubblewrap.*--unsafe"
    ):
        find_sandbox()


def test_unknown_sandbox_is_refused():
    with pytest.raises(SandboxError, match=r"no sandbox 'chroot'.*bubblewrap"):
        find_sandbox("chroot")


def test_only_an_explicit_wish_gives_no_sandbox():
    assert isinstance(find_sandbox(unsafe=True), Unsafe)


def test_sandbox_that_fails_to_start_is_refused(tools):
    tool(tools, "bwrap", 'echo "bwrap: No permissions to create new namespace" >&2; exit 1')
    with pytest.raises(SandboxError, match=r"did not start the program.*No permissions to create new namespace"):
        find_sandbox("bubblewrap")


def test_sandbox_that_runs_the_program_uncontained_is_refused(tools):
    tool(tools, "bwrap", 'while [ "$1" != "--" ]; do shift; done; shift; cd "$(mktemp -d)"; exec "$@"')
    with pytest.raises(SandboxError, match="No sandbox works here"):
        find_sandbox("bubblewrap")
    with pytest.raises(SandboxError, match="does not contain"):
        check_containment(Unsafe())


def without(command: list[str], *part: str) -> list[str]:
    where = next(i for i in range(len(command)) if tuple(command[i : i + len(part)]) == part)
    return command[:where] + command[where + len(part) :]


@pytest.mark.parametrize(
    ("leak", "promise"),
    [
        (lambda c, _: ["bwrap", "--unshare-pid", "--unshare-uts", *without(c, "--unshare-all")[1:]], "namespaces"),
        (lambda c, _: ["bwrap", "--unshare-all", "--share-net", *c[2:]], "namespaces"),
        (lambda c, _: without(c, "--nproc=24"), "a bound on processes"),
        (lambda c, _: without(c, "--remount-ro", "/"), "no file written outside the scratch folder"),
        (lambda c, host: bound(c, "--bind", host), "no file written outside"),
        (lambda c, host: bound(c, "--ro-bind", host), "a file outside it could be reached"),
    ],
    ids=["namespaces", "network", "processes", "root", "written files", "read files"],
)
def test_leak_is_found(sandbox, monkeypatch, tmp_path, leak, promise):
    class Leaky(Bubblewrap):
        def arguments(self, *arguments):
            return leak(super().arguments(*arguments), str(tmp_path))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the probe puts its secret
    open_to_all(tmp_path)
    check_containment(Bubblewrap())
    with pytest.raises(SandboxError, match=promise):
        check_containment(Leaky())


def bound(command: list[str], how: str, folder: str) -> list[str]:
    """A sandbox that shows a folder of the host's."""
    where = command.index("--remount-ro")
    return [*command[:where], how, folder, folder, *command[where:]]


def test_program_that_is_not_there_is_not_a_verdict_of_the_sandbox(sandbox):
    completed = sandbox.run(["no-such-program"], {}, Limits())
    assert completed.exit_status == 127


def test_toolchain_outside_the_system_is_shown_and_cannot_be_changed(sandbox, tmp_path):
    tool(tmp_path / "bin", "my-tool", 'echo "mine $1"; echo x > "$0" || echo refused')
    found = find_sandbox("bubblewrap", readable=[str(tmp_path)])
    completed = found.run(["my-tool", "argument"], {}, Limits())
    assert completed.output.startswith(b"mine argument") and completed.output.endswith(b"refused\n")


def test_ordinary_user_has_the_sandbox_too(sandbox):
    if os.geteuid() != 0:
        pytest.skip("these tests already run as an ordinary user")
    source = Path(__file__).parents[3] / "src"
    program = f"""
import sys
sys.path.insert(0, {str(source)!r})
from pttrust_lightning.labelling.sandbox import Limits, find_sandbox
print(find_sandbox("bubblewrap").run(["id", "-u"], {{}}, Limits()).output.decode().strip())
"""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            command = [python, "-c", program]
            done = subprocess.run(command, user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True)
        except PermissionError:
            continue
        if b"requires-python" in done.stderr or (done.returncode and b"ImportError" in done.stderr):
            continue
        assert done.stdout.split() == [b"65534"], done.stderr.decode()
        return
    pytest.skip("no Python that another user may run")


def test_failed_start_is_an_error_whatever_the_exit_status(tools):
    tool(tools, "bwrap", "exit 0")
    with pytest.raises(SandboxError, match="did not start"):
        Bubblewrap().run(["true"], {}, Limits())


@pytest.mark.parametrize("field", ["wall_seconds", "cpu_seconds", "memory_bytes", "processes", "output_bytes"])
def test_limit_of_nothing_is_refused(field):
    with pytest.raises(ConfigError, match=field):
        Limits(**{field: 0})


def test_container_is_asked_for_every_bound():
    limits = Limits(cpu_seconds=7, memory_bytes=123, processes=9, file_bytes=456)
    arguments = Container("podman", "tools:1").arguments(["java", "X"], Path("/t"), limits, "name")
    line = " ".join(arguments)
    for wanted in (
        "podman run --rm --interactive",
        "--name name",
        "--pull never",
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 65534:65534",
        "--pids-limit 9",
        "--memory 123 --memory-swap 123",
        "--ulimit cpu=7:8",
        "--ulimit fsize=456:456",
        "--tmpfs /work:rw,exec,nosuid,nodev,size=456",
        "source=/t,destination=/program,readonly",
    ):
        assert wanted in line
    assert line.endswith("sh java X")
    assert "--privileged" not in line and "--volume" not in line


ENGINE = """
echo "$*" >> {log}
case "$1" in
  info) echo {info} ;;
  kill) for pid in $(cat {folder}/$2); do kill -9 $pid; done ;;
  run)
    while [ "$1" != "--name" ]; do shift; done; name=$2
    while [ "${{1#type=bind}}" = "$1" ]; do shift; done; source=${{1#*source=}}; source=${{source%%,*}}
    while [ "$1" != "-c" ]; do shift; done; shift 3
    setsid sh -c 'echo $$ > "$0"; cd "$1"; shift; exec "$@"' {folder}/$name "$source" "$@" ;;
esac
"""
"""Stands in for a container engine: what it runs is, as in a container, no descendant that a signal to a group ends."""


@pytest.fixture
def engine(tools, tmp_path):
    def make(info: str) -> Path:
        folder = tmp_path / "engine"
        folder.mkdir()
        folder.chmod(0o777)
        log = folder / "log"
        log.touch()
        log.chmod(0o666)
        tool(tools, "podman", ENGINE.format(log=log, folder=folder, info=info))
        return log

    return make


def test_container_runs_a_program_over_its_files(engine):
    engine("true")
    completed = Container("podman", "tools:1").run(["cat", "a/b.txt", "-"], {"a/b.txt": "file "}, Limits(), b"input")
    assert (completed.exit_status, completed.output) == (0, b"file input")


def test_container_is_killed_by_name_at_the_wall_limit(engine):
    log = engine("true")
    completed = Container("podman", "tools:1").run(["sleep", "8"], {}, Limits(wall_seconds=1))
    assert completed.stopped == "wall limit"
    assert completed.seconds < 6
    name = log.read_text().split("--name ")[1].split()[0]
    assert f"kill {name}" in log.read_text()


def test_container_that_does_not_contain_is_refused(engine):
    engine("true")
    with pytest.raises(SandboxError, match="does not contain"):
        find_sandbox("podman", image="tools:1")


def test_engine_that_runs_as_root_is_refused(engine):
    engine("false")
    with pytest.raises(SandboxError, match="podman runs as root here"):
        find_sandbox("podman", image="tools:1")


def test_container_without_an_image_is_refused():
    with pytest.raises(SandboxError, match="no image is named"):
        find_sandbox("docker")


def test_unsafe_keeps_time_and_output_limits():
    assert Unsafe().run(["sleep", "5"], {}, Limits(wall_seconds=0.5)).stopped == "wall limit"
    flood = Unsafe().run(["sh", "-c", "head -c 1000000 /dev/zero"], {}, Limits(output_bytes=1000))
    assert (flood.stopped, len(flood.output)) == ("output limit", 1000)


def test_unsafe_runs_over_its_files():
    completed = Unsafe().run(["cat", "a/b.txt", "-"], {"a/b.txt": b"file "}, Limits(), b"input")
    assert (completed.exit_status, completed.output) == (0, b"file input")
