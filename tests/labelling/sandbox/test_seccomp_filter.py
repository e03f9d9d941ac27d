from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from pttrust_lightning.errors import SandboxError
from pttrust_lightning.labelling.sandbox.seccomp import _DENIED, filter_program

ALLOW, NO_SUCH_CALL, KILL = 0x7FFF0000, 0x00050026, 0x80000000
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "__NR_"),
    "aarch64": ("/usr/include/asm-generic/unistd.h", "__NR(?:3264)?_"),
}


def evaluate(program: bytes, call: int, architecture: int) -> int:
    """What the kernel would answer: an interpreter of the few instructions that the filter may use."""
    data = struct.pack("=II", call, architecture)
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, operand)
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: accumulator == operand, 0x35: accumulator >= operand}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", list(ARCHITECTURE))
def test_exactly_the_named_calls_are_denied(machine):
    program = filter_program(machine)
    denied = set(_DENIED[machine].values())
    for call in range(600):
        expected = NO_SUCH_CALL if call in denied else ALLOW
        assert evaluate(program, call, ARCHITECTURE[machine]) == expected, call
    assert evaluate(program, 0x40000000 + 1, ARCHITECTURE[machine]) == NO_SUCH_CALL  # x86's second table
    assert evaluate(program, 1, 0x40000003) == KILL  # 32-bit x86


@pytest.mark.parametrize("machine", list(HEADERS))
def test_numbers_are_those_of_the_kernel_headers(machine):
    header, prefix = HEADERS[machine]
    if not Path(header).exists():
        pytest.skip(f"{header} is missing (Debian: linux-libc-dev)")
    numbers = dict(re.findall(rf"#define {prefix}(\w+) (\d+)", Path(header).read_text()))
    assert {name: int(numbers[name]) for name in _DENIED[machine]} == _DENIED[machine]


def test_unknown_architecture_is_refused():
    with pytest.raises(SandboxError, match="No system call filter for riscv64"):
        filter_program("riscv64")
