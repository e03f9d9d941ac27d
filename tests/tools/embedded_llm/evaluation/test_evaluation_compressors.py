from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess

import pytest
from tools.embedded_llm.evaluation.compressors import COMPRESSORS, bits_by_file, solid_bits

FILES = [("".join(f"def f{i}(x):\n    return x * {i * k}\n" for i in range(40 + k))).encode() for k in range(3)]


def test_sizes_are_those_of_what_decompresses():
    packed = {"gzip -9": gzip.compress(FILES[0], 9), "xz -9e": lzma.compress(FILES[0], preset=9 | lzma.PRESET_EXTREME)}
    assert packed.keys() == COMPRESSORS.keys()
    for name, data in packed.items():
        assert COMPRESSORS[name](FILES[0]) == len(data)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_the_command_writes_as_much(name):
    command = name.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    written = len(subprocess.run([*command, "-c"], input=FILES[0], capture_output=True, check=True).stdout)
    assert COMPRESSORS[name](FILES[0]) == pytest.approx(written, rel=0.02)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_one_stream_is_the_stronger_rival(name):
    bits = bits_by_file(name, FILES)
    assert bits == [8 * COMPRESSORS[name](data) for data in FILES]
    assert solid_bits(name, FILES) == 8 * COMPRESSORS[name](FILES[0] + FILES[1] + FILES[2])
    assert solid_bits(name, FILES) < sum(bits)
