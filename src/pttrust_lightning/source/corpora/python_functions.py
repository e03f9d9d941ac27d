"""Python programs by function: parse them, and cut functions out of files unchanged."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pttrust_lightning.source.lines import is_blank, split_lines
from pttrust_lightning.types import Exclusions, Program

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_BARE_CARRIAGE_RETURN = re.compile(r"\r(?!\n)")


def parse_python(code: str) -> ast.Module | None:
    r"""The syntax tree of a program, or None where it has none whose line numbers can be trusted.

    A bare ``\r`` is content by this project's line rule but ends a line for Python's parser, so programs that hold one
    count as not parseable.
    """
    if _BARE_CARRIAGE_RETURN.search(code):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's code are not this program's concern
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # what ast.parse documents for text that is no program, or nests too deep


def docstring_of(body: list[ast.stmt]) -> ast.Constant | None:
    """The docstring node of a function's, class's or module's body, if it has one."""
    if body and isinstance(body[0], ast.Expr):
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value
    return None


class PlacedFunction(NamedTuple):
    """A function that was cut out of a file.

    Attributes:
        program: The function.
        first_line: 0-based number of its first line in the file; its lines follow each other as they do there.
    """

    program: Program
    first_line: int


def functions(program: Program, exclusions: Exclusions) -> Iterator[Program]:
    """The functions of :func:`placed_functions`, without their places."""
    return (function.program for function in placed_functions(program, exclusions))


def placed_functions(program: Program, exclusions: Exclusions) -> Iterator[PlacedFunction]:
    """Cut a Python file into its top-level functions and methods, in file order.

    Nested functions stay within their outer one; decorators belong to their function. A method is dedented, which may
    change the white space inside its docstring. Where it would change the program in any other way (a multi-line
    string), the function is left out and counted.

    Args:
        program: The file; its id is the path that the functions' ids start with.
        exclusions: Where what is left out is counted.
    """
    tree = parse_python(program.code)
    if tree is None:
        exclusions.add("not parseable", program.id)
        return
    lines = split_lines(program.code)
    seen: Counter[str] = Counter()
    for qualified_name, function in _outermost_functions(tree.body, ""):
        first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
        seen[qualified_name] += 1
        id_ = f"{program.id}::{qualified_name}"
        if seen[qualified_name] > 1:
            id_ += f"@{first}"
        own = lines[first - 1 : function.end_lineno]
        code = _dedented([line.text + line.terminator for line in own], function)
        if code is not None:
            cut = Program(id=id_, code=code, language=program.language, origin=program.origin)
            yield PlacedFunction(cut, first - 1)
        else:
            exclusions.add("function that dedenting would change", id_)


def _outermost_functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Function]]:
    for node in body:
        if isinstance(node, Function):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _outermost_functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):  # `if sys.platform == ...: def f` is still top level
            for block in _blocks(node):
                yield from _outermost_functions(block, prefix)


def _blocks(node: ast.If | ast.Try | ast.With) -> Iterator[list[ast.stmt]]:
    yield node.body
    if isinstance(node, ast.Try):
        for handler in node.handlers:
            yield handler.body
    if not isinstance(node, ast.With):
        yield node.orelse
    if isinstance(node, ast.Try):
        yield node.finalbody


def _dedented(lines: list[str], function: Function) -> str | None:
    """The function's lines without the first one's indentation, or None where that would change what it does.

    ``textwrap.dedent`` would also rewrite white-space-only lines, and give up where a continuation line is less
    indented than the function.
    """
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    code = "".join(line.removeprefix(margin) for line in lines)
    # Parsing every function again is slow, and pointless where all lines move alike and no string spans two of them.
    alike = all(line.startswith(margin) or is_blank(line) for line in lines)
    if not margin or (alike and not _has_multiline_string(code, function)):
        return code
    tree = parse_python(code)
    same = tree is not None and len(tree.body) == 1 and _meaning(tree.body[0]) == _meaning(function)
    return code if same else None


def _has_multiline_string(code: str, function: Function) -> bool:
    if not any(mark in code for mark in ('"""', "'''", "\\\n", "\\\r")):
        return False
    docstrings: set[int] = set()
    of_several_lines: set[int] = set()
    for node in ast.walk(function):
        if isinstance(node, Documented):
            docstrings.add(id(docstring_of(node.body)))
        elif isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
            of_several_lines.add(id(node))
    return not of_several_lines <= docstrings


def _meaning(node: ast.AST) -> str:
    """``ast.dump`` with the white space around docstring lines removed, since dedenting moves them."""
    originals: list[tuple[ast.Constant, object]] = []
    for inner in ast.walk(node):
        if isinstance(inner, Documented):
            docstring = docstring_of(inner.body)
            if docstring is not None:
                originals.append((docstring, docstring.value))
                docstring.value = "\n".join(line.strip() for line in str(docstring.value).split("\n"))
    dump = ast.dump(node)
    for constant, value in originals:
        constant.value = value  # type: ignore[assignment]
    return dump
