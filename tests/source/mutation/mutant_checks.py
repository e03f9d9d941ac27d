"""What must hold for every mutant, found without the code that makes them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tree_sitter import Node

from pttrust_lightning.source.languages import language_of, parse
from pttrust_lightning.source.mutation.implant import ImplantedBug
from pttrust_lightning.types import Program

SAMPLES = sorted((Path(__file__).parent / "samples").iterdir())


def sample(file: Path) -> Program:
    language = language_of(file)
    assert language is not None
    return Program(file.name, file.read_text(encoding="utf-8"), language, origin=file.name)


def tokens(code: str, language: str) -> list[str]:
    """The leaves of the syntax tree without comments; an error where it does not parse."""
    tree = parse(code, language)
    assert tree is not None and not tree.root_node.has_error, f"does not parse:\n{code}"
    data, found = code.encode(), []
    waiting: list[Node] = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if "comment" in node.type:
            continue
        if node.children:
            waiting += reversed(node.children)
        elif text := data[node.start_byte : node.end_byte].decode().strip():
            found.append(text)
    return found


def check_code(original: Program, code: str) -> None:
    """It parses, and differs beyond comments and white space."""
    assert tokens(code, original.language) != _original_tokens(original)
    if original.language == "python":
        assert ast.dump(ast.parse(code)) != _original_dump(original)


@cache
def _original_tokens(program: Program) -> list[str]:
    return tokens(program.code, program.language)


@cache
def _original_dump(program: Program) -> str:
    return ast.dump(ast.parse(program.code))


def check_bug(original: Program, bug: ImplantedBug) -> None:
    """It is valid, its wrong lines are those that differ, and its provenance leads to it."""
    check_code(original, bug.program.code)
    mutation = bug.mutation
    assert bug.program.id == f"{original.id}#{mutation.operator}:{mutation.line}"
    assert (bug.program.origin, bug.program.prompt) == (original.origin, original.prompt)
    before, after = original.code.encode(), bug.program.code.encode()
    start, end = mutation.span
    assert before[:start] == after[:start] and after.endswith(before[end:])
    assert before[:start].count(b"\n") == mutation.line
    old, new = original.code.split("\n"), bug.program.code.split("\n")
    strip = [line.removesuffix("\r") for line in old]
    n_before = mutation.before.count("\n") + 1
    assert mutation.before == "\n".join(strip[mutation.line : mutation.line + n_before])
    if mutation.after == "":  # whole lines are gone
        assert old[: mutation.line] + old[mutation.line + n_before :] == new
        (wrong,) = bug.wrong_lines
        following = [i for i in range(mutation.line, len(new)) if new[i].strip()]
        preceding = [i for i in range(mutation.line) if new[i].strip()]
        assert wrong in (*following[:1], *preceding[-1:])
    else:
        assert len(old) == len(new)
        assert bug.wrong_lines == tuple(i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)
        assert all(new[i].strip() for i in bug.wrong_lines)
