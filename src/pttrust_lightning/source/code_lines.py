"""What a line of code says, apart from its comments and the white space between its tokens.

Two versions of a program often differ in comments, docstrings or spacing too. Compared by what is returned here, a line
differs only where its code does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node, Tree

from pttrust_lightning.source.lines import non_blank_lines

_COMMENTS = frozenset({"comment", "line_comment", "block_comment"})
_STRINGS = frozenset(
    {
        "string",
        "string_literal",
        "raw_string_literal",
        "interpreted_string_literal",
        "template_string",
        "char_literal",
        "character_literal",
        "rune_literal",
        "regex",
    }
)
"""Node types whose white space counts, in all grammars."""

_SPACING = re.compile(rb"(?<!\w)\s+|\s+(?!\w)")
"""White space that separates no two words."""


class CodeLine(NamedTuple):
    """A line that holds code.

    Attributes:
        number: 0-based line number in the program.
        content: What it says; equal for lines whose code is the same.
    """

    number: int
    content: bytes


def code_lines(code: str, tree: Tree | None = None) -> list[CodeLine]:
    """The lines of a program that hold code, in order.

    Comments are no code, and neither are Python's docstrings (strings that are statements). Indentation takes no part.

    Args:
        code: The program.
        tree: Its syntax tree; without one, every non-blank line counts, by its text without the white space around it.
    """
    if tree is None:
        return [CodeLine(line.number, line.text.strip().encode("utf-8")) for line in non_blank_lines(code)]
    contents: defaultdict[int, bytes] = defaultdict(bytes)
    row = 0
    for text, is_code in _segments(tree.root_node, code.encode("utf-8")):
        for number, part in enumerate(text.split(b"\n"), start=row):
            contents[number] += part if is_code else b""
        row += text.count(b"\n")
    return [CodeLine(number, content) for number, content in sorted(contents.items()) if content.strip()]


def _segments(root: Node, data: bytes) -> Iterator[tuple[bytes, bool]]:
    """The program in pieces: code without its spacing, strings as they are; and comments, which are no code."""
    end = 0
    for node in _comments_and_strings(root):
        yield _without_spacing(data[end : node.start_byte]), True
        yield data[node.start_byte : node.end_byte].replace(b"\r\n", b"\n"), node.type in _STRINGS
        end = node.end_byte
    yield _without_spacing(data[end:]), True


def _without_spacing(code: bytes) -> bytes:
    return b"\n".join(_SPACING.sub(b"", line) for line in code.split(b"\n"))


def _comments_and_strings(root: Node) -> Iterator[Node]:
    """Comments, docstrings and other strings, in order; a loop, since trees nest deep."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in _COMMENTS or node.type in _STRINGS or _is_docstring(node):
            yield node
        else:
            pending += reversed(node.children)


def _is_docstring(node: Node) -> bool:
    """Whether a node is a string that is a statement, as in Python; JavaScript's ``"use strict"`` ends in ``;``."""
    return node.type == "expression_statement" and [child.type for child in node.children] == ["string"]
