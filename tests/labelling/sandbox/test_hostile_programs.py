"""Hostile programs, one a test: each tries something, and the host is looked at afterwards.

Each is bounded by itself (200 processes, 2 GiB, 10 seconds), so that it does no harm where it is not contained.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pttrust_lightning.labelling.sandbox import Completed, Limits
from pttrust_lightning.labelling.sandbox.process import NOBODY

MB = 2**20
LIMITS = Limits(wall_seconds=20, cpu_seconds=5, memory_bytes=256 * MB, processes=24, file_bytes=16 * MB)

pytestmark = pytest.mark.usefixtures("sandbox")


def run(sandbox, program: str, limits: Limits = LIMITS) -> Completed:
    return sandbox.run(["python3", "-I", "program.py"], {"program.py": program}, limits)


def said(completed: Completed) -> list[str]:
    return completed.output.decode().split()


def processes_named(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def assert_none_named(marker: str) -> None:
    deadline = time.monotonic() + 5
    while processes_named(marker):
        assert time.monotonic() < deadline, f"{processes_named(marker)} outlived their sandbox"
        time.sleep(0.02)


def test_fork_bomb_stays_within_its_processes_and_leaves_none(sandbox):
    program = """
import os, sys, time
children = 0
for _ in range(200):
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        time.sleep(10)
        os._exit(0)
    children += 1
print(children)
"""
    completed = run(sandbox, program)
    assert 1 <= int(said(completed)[0]) < LIMITS.processes
    assert completed.seconds < 8, "the children sleep 10 s; they must not be waited for"


def test_thread_bomb_stays_within_its_processes(sandbox):
    program = """
import threading, time
try:
    for started in range(200):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
except RuntimeError:
    pass
print(started)
"""
    assert 1 <= int(said(run(sandbox, program))[0]) < LIMITS.processes


def test_forks_that_fork_are_all_ended_at_the_wall_limit(sandbox):
    marker = f"pttrust-marker-{os.getpid()}"
    program = f"""
import os
for _ in range(4):
    try:
        os.fork()
    except OSError:
        pass
os.execvp("python3", ["python3", "-c", "import time; time.sleep(10) # {marker}"])
"""
    completed = run(sandbox, program, replace(LIMITS, wall_seconds=1.5))
    assert completed.stopped == "wall limit"
    assert_none_named(marker)


def test_daemon_does_not_outlive_its_program(sandbox):
    marker = f"pttrust-daemon-{os.getpid()}"
    program = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.execvp("python3", ["python3", "-c", "import time; time.sleep(10) # {marker}"])
    os._exit(0)
time.sleep(0.3)
print("gone")
"""
    completed = run(sandbox, program)
    assert (completed.exit_status, said(completed)) == (0, ["gone"])
    assert_none_named(marker)


def test_sandboxed_program_dies_with_the_process_that_started_it(sandbox):
    marker = f"pttrust-orphan-{os.getpid()}"
    starter = f"""
from pttrust_lightning.labelling.sandbox import Bubblewrap, Limits
Bubblewrap().run(["python3", "-c", "import time; time.sleep(10) # {marker}"], {{}}, Limits())
"""
    host = subprocess.Popen(
        [sys.executable, "-c", starter], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    deadline = time.monotonic() + 20
    while len(processes_named(marker)) < 2:  # the starter and the started
        assert time.monotonic() < deadline and host.poll() is None
        time.sleep(0.05)
    host.send_signal(signal.SIGKILL)
    host.wait()
    assert_none_named(marker)


def test_private_memory_is_refused_past_the_limit(sandbox):
    program = """
held = []
try:
    for i in range(32):
        held.append(bytearray(64 * 2**20))
        print(i + 1, flush=True)
except MemoryError:
    print("refused")
"""
    completed = run(sandbox, program)
    assert said(completed)[-1] == "refused"
    assert len(said(completed)) - 1 < LIMITS.memory_bytes // (64 * MB)


@pytest.mark.parametrize(
    "program",
    [
        # pages shared between processes do not count as any one's private memory
        """
import mmap, time
held = []
for _ in range(128):
    page = mmap.mmap(-1, 16 * 2**20, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    page.write(b"x" * len(page))
    held.append(page)
    time.sleep(0.02)
time.sleep(5)
print("survived")
""",
        # pages that are only read are all the same one, but the tables that map them are not
        """
import mmap, time
NORESERVE = 0x4000
page = mmap.mmap(-1, 512 * 2**30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE, prot=mmap.PROT_READ)
for i in range(0, len(page), 2**21):
    page[i]
time.sleep(5)
print("survived")
""",
        # each process stays within the limit, all together do not
        """
import os, time
for _ in range(8):
    if os.fork() == 0:
        held = bytearray(b"x") * (100 * 2**20)
        time.sleep(5)
        os._exit(0)
time.sleep(5)
print("survived")
""",
    ],
    ids=["shared", "page tables", "many processes"],
)
def test_memory_of_the_whole_tree_is_bounded(sandbox, program):
    completed = run(sandbox, program)
    assert completed.stopped == "memory limit", completed.output
    assert b"survived" not in completed.output


def test_memory_that_nothing_counts_cannot_be_had(sandbox):
    program = """
import ctypes, os
try:
    os.memfd_create("hog")
    print("memfd")
except OSError as error:
    print(error.errno)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, 2**20, 0o1600), ctypes.get_errno(), libc.msgget(0, 0o1600), ctypes.get_errno())
"""
    assert said(run(sandbox, program)) == ["38", "-1", "38", "-1", "38"]


def test_files_in_all_places_together_are_bounded(sandbox):
    program = """
import os
written = 0
for folder in ("/tmp", "/tmp/work", "/dev/shm", "/dev", "/", "/var/tmp", "/run", "/usr", "/proc"):
    for i in range(8):
        try:
            with open(f"{folder}/hog{i}", "wb", buffering=0) as stream:
                for _ in range(16):
                    written += stream.write(bytes(2**20))
        except OSError:
            break
print(written)
"""
    written = int(said(run(sandbox, program))[0])
    assert LIMITS.file_bytes // 4 < written <= LIMITS.file_bytes


def test_number_of_files_is_bounded(sandbox):
    program = """
import os, time
for i in range(200_000):
    os.close(os.open(f"/tmp/{i}", os.O_CREAT))
time.sleep(5)
print("survived")
"""
    completed = run(sandbox, program)
    assert completed.stopped == "file limit", completed.output


def test_network_is_out_of_reach(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        name = f"pttrust-{os.getpid()}"
        abstract.bind("\0" + name)
        abstract.listen()
        program = f"""
import socket
def attempt(family, kind, address):
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        try:
            s.connect(address)
            s.send(b"x")
            print("reached", address)
        except OSError as error:
            print("refused")
attempt(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {server.getsockname()[1]}))
attempt(socket.AF_UNIX, socket.SOCK_STREAM, "\\0{name}")
attempt(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53))
attempt(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))
try:
    print("resolved", socket.getaddrinfo("example.org", 80))
except OSError:
    print("refused")
"""
        with socket.create_connection(server.getsockname()):  # the listener can be reached from here
            server.accept()[0].close()
        assert said(run(sandbox, program)) == ["refused"] * 5
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody waits to be accepted
            server.accept()


def test_host_files_are_neither_read_nor_written(sandbox, tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("secret-of-the-host")
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o005)  # nobody could come here, but for the sandbox
    victim.chmod(0o666)
    tmp_path.chmod(0o777)
    program = f"""
import os
for path in ({str(victim)!r}, {str(tmp_path / "new.txt")!r}, "/etc/pttrust-new", "/usr/pttrust-new", "/usr/bin/env"):
    try:
        with open(path, "a") as stream:
            stream.write("overwritten")
        print("wrote", path)
    except OSError:
        print("refused")
try:
    print(open({str(victim)!r}).read())
except OSError:
    print("unread")
for folder in ("/root", "/home", "/etc/shadow", "/etc/passwd", "/var", "/work", "/sys", "/mnt", "/boot"):
    if os.path.lexists(folder):
        print("visible", folder)
"""
    completed = run(sandbox, program)
    assert said(completed) == ["refused"] * 5 + ["unread"]
    assert [path.name for path in tmp_path.iterdir()] == ["victim.txt"]
    assert victim.read_text() == "secret-of-the-host"


def test_environment_and_descriptors_of_the_host_are_not_inherited(sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("PTTRUST_TEST_SECRET", "host-secret")
    (tmp_path / "open.txt").write_text("host-secret")
    with (tmp_path / "open.txt").open() as stream:
        os.set_inheritable(stream.fileno(), True)
        program = """
import os
print([k for k in os.environ if "SECRET" in k], [d for d in range(3, 256) if os.path.exists(f"/proc/self/fd/{d}")])
print("host-secret" in open("/proc/1/environ").read() if os.access("/proc/1/environ", os.R_OK) else False)
"""
        assert said(run(sandbox, program)) == ["[]", "[]", "False"]


def test_other_processes_are_neither_seen_nor_killed(sandbox):
    drop = {"user": NOBODY} if os.geteuid() == 0 else {}  # the very user that sandboxed programs are to the kernel
    with subprocess.Popen(["sleep", "20"], **drop) as bystander:
        try:
            program = f"""
import os, signal
print(len([p for p in os.listdir("/proc") if p.isdecimal()]) <= 6)
for pid in ({bystander.pid}, {os.getpid()}):
    try:
        os.kill(pid, signal.SIGKILL)
        print("killed")
    except OSError:
        print("refused")
print("last", flush=True)
if os.getpid() < 100:  # in a namespace of its own, or this would end more than a test
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        print("nobody else")
"""
            assert said(run(sandbox, program)) == ["True", "refused", "refused", "last", "nobody", "else"]
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_privileges_cannot_be_had(sandbox):
    program = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
print(libc.unshare(CLONE_NEWUSER), libc.unshare(CLONE_NEWNS), libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
for attempt in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: os.chroot("/tmp"),
                lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0)),
                lambda: __import__("resource").setrlimit(6, (10**4, 10**4))):
    try:
        attempt()
        print("allowed")
    except (OSError, ValueError):
        print("refused")
"""
    assert said(run(sandbox, program)) == ["-1", "-1", "-1"] + ["refused"] * 5


def test_endless_output_is_cut_and_ended(sandbox):
    program = """
import os
block = b"x" * 65536
for _ in range(200 * 16):
    os.write(1, block)
"""
    completed = run(sandbox, program, replace(LIMITS, output_bytes=MB))
    assert completed.stopped == "output limit"
    assert len(completed.output) == MB
    assert completed.seconds < 10


def test_output_at_the_limit_is_whole(sandbox):
    completed = run(sandbox, "print('x' * 999)", replace(LIMITS, output_bytes=1000))
    assert (completed.stopped, len(completed.output)) == ("", 1000)


def test_busy_loop_ends_at_its_cpu_time(sandbox):
    completed = run(sandbox, "import time\nwhile time.process_time() < 10: pass", replace(LIMITS, cpu_seconds=1))
    assert completed.signal == signal.SIGXCPU or completed.stopped == "CPU limit"
    assert completed.seconds < 10


def test_busy_loop_that_ignores_the_warning_ends_too(sandbox):
    program = """
import signal, time
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while time.process_time() < 10: pass
print("survived")
"""
    completed = run(sandbox, program, replace(LIMITS, cpu_seconds=1))
    assert completed.stopped == "CPU limit" or completed.signal == signal.SIGKILL
    assert b"survived" not in completed.output


@pytest.mark.parametrize("closing", ["", "import os; os.close(0); os.close(1); os.close(2)"], ids=["open", "closed"])
def test_sleeper_ends_at_the_wall_limit(sandbox, closing):
    completed = run(sandbox, f"import time\n{closing}\ntime.sleep(10)", replace(LIMITS, wall_seconds=1))
    assert completed.stopped == "wall limit"
    assert 1 <= completed.seconds < 5


def test_runs_do_not_see_each_other(sandbox):
    run(sandbox, "open('/tmp/left-behind', 'w').write('x')")
    assert said(run(sandbox, "import os; print(os.path.exists('/tmp/left-behind'))")) == ["False"]
