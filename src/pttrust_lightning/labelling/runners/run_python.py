"""Run candidate_program.py, then candidate_test.py in the same namespace, and report the outcome.

Tests are what the file does at its top level. Beyond that, its functions ``test*`` are called as pytest would, the
tests of its ``unittest.TestCase`` classes as unittest would, and ``check(candidate)`` as HumanEval does where the file
does not call it itself.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import itertools
import os
import random
import site
import sys
import traceback
import types
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROGRAM, TEST = "candidate_program.py", "candidate_test.py"


class UnrunnableTestError(Exception):
    """The test is at fault, not the program."""


def read_line(descriptor: int) -> str:
    """One line, and not a byte more, so that nothing of it stays in a buffer."""
    line = b""
    while (byte := os.read(descriptor, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode("ascii")


def show(error: BaseException) -> None:
    """Print an error where that can still be done: the program may have closed the stream, and its error may raise."""
    with contextlib.suppress(Exception):
        traceback.print_exception(error)


def outcome_of(entry_point: str) -> str:
    """Run everything; what is returned is the outcome."""
    try:
        program = compile(Path(PROGRAM).read_bytes(), PROGRAM, "exec", dont_inherit=True)
    except MemoryError:
        return "memory limit"
    except Exception as error:
        show(error)
        return "does not compile"
    try:
        tree = ast.parse(Path(TEST).read_bytes(), TEST)
        test = compile(tree, TEST, "exec", dont_inherit=True)
    except Exception as error:
        return f"unrunnable test: {type(error).__name__}: {error}"
    # Not "__main__": what a program does when it is called as a script is not what the tests ask for.
    module = types.ModuleType("candidate_program")
    module.__file__ = PROGRAM
    sys.modules[module.__name__] = module
    try:
        exec(program, module.__dict__)
        exec(test, module.__dict__)
        for call in calls(tree, module.__dict__, entry_point):
            call()
    except UnrunnableTestError as error:
        return f"unrunnable test: {error}"
    except AssertionError as error:
        show(error)
        return "assertion"
    except MemoryError:
        return "memory limit"
    except SystemExit:
        return "ended before the tests did"
    except BaseException as error:
        show(error)
        return f"exception: {type(error).__name__}"
    return "passed"


def calls(test: ast.Module, namespace: dict[str, Any], entry_point: str) -> Iterator[Callable[[], object]]:
    """What is left to call once the test's top level has run."""
    found = any(acts(statement) for statement in test.body)
    functions = [node.name for node in test.body if isinstance(node, ast.FunctionDef)]
    classes = [namespace[node.name] for node in test.body if isinstance(node, ast.ClassDef)]
    for name in functions:
        if name.startswith("test"):
            found = True
            yield from parametrised(namespace[name])
    for case in classes:
        if issubclass(case, unittest.TestCase):
            for name in unittest.defaultTestLoader.getTestCaseNames(case):
                found = True
                yield functools.partial(call_unless_skipped, case(name).debug, {})
    called = {node.id for statement in test.body for node in names_outside_functions(statement)}
    if "check" in functions and "check" not in called:
        found = True
        if not entry_point:
            raise UnrunnableTestError("check(candidate) needs the problem's entry_point")
        if entry_point not in namespace:
            raise NameError(f"the program does not define {entry_point}")
        yield lambda: namespace["check"](namespace[entry_point])
    if not found:
        raise UnrunnableTestError(
            "it tests nothing: no statement that can fail, no test* function, no check(candidate)"
        )


def acts(statement: ast.stmt) -> bool:
    """Whether a statement may test something, rather than define or describe."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If):  # what a file does when called as a script is not done here
        return all(node.id != "__name__" for node in names_outside_functions(statement.test))
    return isinstance(statement, (ast.Assert, ast.For, ast.While, ast.With, ast.Try, ast.Raise))


def names_outside_functions(node: ast.AST) -> Iterator[ast.Name]:
    """Names that are used as the file runs, and not first when one of its functions is called."""
    if isinstance(node, ast.Name):
        yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        for child in ast.iter_child_nodes(node):
            yield from names_outside_functions(child)


def parametrised(function: Callable[..., object]) -> Iterator[Callable[[], object]]:
    """One call for each combination of parameters (``pytest.mark.parametrize``)."""
    tables: list[list[dict[str, Any]]] = getattr(function, "parametrizations", [])
    for rows in itertools.product(*tables):
        arguments = {name: value for row in rows for name, value in row.items()}
        try:
            inspect.signature(function).bind(**arguments)
        except TypeError as error:
            raise UnrunnableTestError(f"{function.__name__}: {error}; fixtures are not supported") from None
        yield functools.partial(call_unless_skipped, function, arguments)


def call_unless_skipped(function: Callable[..., object], arguments: dict[str, Any]) -> None:
    """Call a test; that it skips itself is no failure."""
    try:
        function(**arguments)
    except Exception as error:
        if (type(error).__module__, type(error).__name__) not in (("pytest", "Skipped"), ("unittest.case", "SkipTest")):
            raise


def main(entry_point: str) -> None:
    """Take the secret, run, report, and leave whatever threads the program has left."""
    write, leave, report = os.write, os._exit, os.dup(1)  # a program may replace or close its own
    secret = read_line(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    site.setquit()  # exit() and quit(), which go with the site packages
    random.seed(0)  # some tests draw their cases
    outcome = outcome_of(entry_point)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the program may have closed or replaced it
            stream.flush()
    line = " ".join(outcome.split())[:200]
    write(report, f"\n{secret} {line}\n".encode("utf-8", "replace"))
    leave(0)


if __name__ == "__main__":
    main(sys.argv.pop() if len(sys.argv) > 1 else "")
