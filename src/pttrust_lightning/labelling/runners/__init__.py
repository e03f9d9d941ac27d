"""What goes beside a program into the sandbox: one runner a language, and a stand-in for pytest.

A runner reads a secret line from its standard input before any code of the program runs, gives the program an empty
input, runs program and test, and prints the secret with the outcome. Only that counts: a program that prints
"all passed", or ends itself with status 0 before the tests finish, is not correct. Program and runner share a process,
so code that *sets out* to find the secret can; this guards against accidents, and the sandbox against harm.

These files run with whatever interpreter the sandbox holds, and import nothing of this package.
"""

from __future__ import annotations

from pathlib import Path


def runner_text(name: str) -> str:
    """The text of a file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
