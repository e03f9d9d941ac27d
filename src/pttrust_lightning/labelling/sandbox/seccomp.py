"""A seccomp filter, assembled here: system calls that a program under test has no use for answer "no such call".

Filter format: the kernel's Documentation/userspace-api/seccomp_filter.rst; numbers: its system call tables.
"""

from __future__ import annotations

import platform
import struct

from pttrust_lightning.errors import SandboxError

# Memory that counts neither as a process's own nor as resident; interfaces through which kernels were attacked; the
# kernel's log.
_DENIED = {
    "x86_64": {
        "memfd_create": 319,
        "memfd_secret": 447,
        "shmget": 29,
        "msgget": 68,
        "mq_open": 240,
        "bpf": 321,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "io_uring_setup": 425,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "ptrace": 101,
        "syslog": 103,
    },
    "aarch64": {
        "memfd_create": 279,
        "memfd_secret": 447,
        "shmget": 194,
        "msgget": 186,
        "mq_open": 180,
        "bpf": 280,
        "perf_event_open": 241,
        "userfaultfd": 282,
        "io_uring_setup": 425,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "ptrace": 117,
        "syslog": 116,
    },
}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # calls of x86's other 64-bit interface start here

_LOAD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _NO_SUCH_CALL, _KILL = 0x7FFF0000, 0x00050000 | 38, 0x80000000
_NUMBER_OFFSET, _ARCH_OFFSET = 0, 4  # in struct seccomp_data


def filter_program(machine: str | None = None) -> bytes:
    """The filter as ``struct sock_filter[]``, for ``bwrap --seccomp``.

    Args:
        machine: Architecture as ``uname -m`` names it; this machine's by default.

    Raises:
        SandboxError: The architecture's call numbers are not known.
    """
    machine = machine or platform.machine()
    if machine not in _DENIED:
        raise SandboxError(
            f"No system call filter for {machine} (known: {', '.join(_DENIED)}). Use a rootless container instead."
        )
    denied = list(_DENIED[machine].values())
    program = [
        _instruction(_LOAD_WORD, _ARCH_OFFSET),
        _instruction(_JUMP_EQUAL, _AUDIT_ARCH[machine], if_true=1),
        _instruction(_RETURN, _KILL),  # another interface numbers its calls otherwise
        _instruction(_LOAD_WORD, _NUMBER_OFFSET),
        _instruction(_JUMP_AT_LEAST, _X32, if_true=len(denied) + 1),
        *(_instruction(_JUMP_EQUAL, call, if_true=len(denied) - i) for i, call in enumerate(denied)),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _NO_SUCH_CALL),
    ]
    return b"".join(program)


def _instruction(code: int, operand: int, if_true: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, 0, operand)
