"""Hand-made archives in each ecosystem's own form."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # tools/ is no part of the installed package

from tools.embedded_llm.corpus.sources import Source  # noqa: E402

Files = dict[str, str | bytes]


def as_bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def zip_bytes(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), as_bytes(content))
    return buffer.getvalue()


def function(name: str, words: int = 40) -> str:
    """A Python program that is large enough to be kept and resembles none of another name."""
    lines = [f"    {name}_{i} = {name}_{i}_of(argument, other_{name}_{i})" for i in range(words)]
    return "\n".join([f"def {name}(argument):", *lines, f"    return {name}_0", ""])


class Downloads:
    """A folder of archives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for ecosystem in ("pypi", "npm", "debian"):
            (root / ecosystem).mkdir(parents=True)

    def wheel(self, name: str, files: Files, **fields) -> Source:
        file = f"{name}-1.0-py3-none-any.whl"
        (self.root / "pypi" / file).write_bytes(zip_bytes(files))
        return Source("pypi", name, "1.0", "MIT", "python", file=file, **fields)

    def tarball(self, name: str, files: Files, **fields) -> Source:
        file = f"{name}-1.0.tgz"
        with tarfile.open(self.root / "npm" / file, "w:gz") as archive:
            for path, content in files.items():
                info = tarfile.TarInfo(f"package/{path}")
                info.size = len(as_bytes(content))
                archive.addfile(info, io.BytesIO(as_bytes(content)))
        return Source("npm", name, "1.0", "MIT", "javascript", file=file, **fields)

    def deb(self, name: str, files: Files, language: str, **fields) -> Source:
        if shutil.which("dpkg-deb") is None:
            pytest.skip("dpkg-deb is missing: Debian archives can be neither made nor read")
        tree = self.root / "tree" / name
        control = tree / "DEBIAN" / "control"
        control.parent.mkdir(parents=True)
        control.write_text(
            f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <n@example.org>\nDescription: test\n"
        )
        for path, content in files.items():
            place = tree / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(as_bytes(content))
        file = f"{name}_1.0_all.deb"
        command = ["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", str(tree), str(self.root / "debian" / file)]
        subprocess.run(command, check=True, capture_output=True)
        return Source("debian", name, "1.0", "MIT", language, file=file, **fields)


@pytest.fixture(name="zip_bytes")
def zip_bytes_fixture():
    return zip_bytes


@pytest.fixture(name="function")
def function_fixture():
    return function


@pytest.fixture
def downloads(tmp_path) -> Downloads:
    return Downloads(tmp_path / "downloads")


@pytest.fixture
def benchmarks(tmp_path) -> Path:
    """One problem of each benchmark."""
    root = tmp_path / "benchmarks"
    pack = (
        '{"prompt": "def longest_run(values):\\n", "canonical_solution": "    best = current = previous = None\\n'
        '    for value in values:\\n        current = current + 1 if value == previous else 1\\n    return best\\n", '
        '"buggy_solution": "    return values\\n", "test": "assert longest_run([1, 1]) == 2\\n"}\n'
    )
    bench = (
        '{"solution": "class Solution { int climb(int steps) { int first = 1, second = 2; return first + second + '
        'steps; } }", "buggy_code": "class Solution { }"}\n'
    )
    for path, content in {
        "humanevalpack/python.jsonl": pack,
        "quixbugs/python_programs/gcd.py": "def gcd(a, b):\n    return a if b == 0 else gcd(a % b, b)\n",
        "quixbugs/correct_python_programs/gcd.py": "def gcd(a, b):\n    return a\n",
        "quixbugs/java_programs/GCD.java": "class GCD { }\n",
        "debugbench/java.jsonl": bench,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root
