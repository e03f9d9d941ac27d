"""Syntax trees, by tree-sitter; each grammar comes as a wheel of its own, so that nothing is downloaded at run time."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache

from tree_sitter import Language, Node, Parser, Tree

GRAMMARS: dict[str, tuple[tuple[str, str], ...]] = {
    "python": (("tree_sitter_python", "language"),),
    "java": (("tree_sitter_java", "language"),),
    "javascript": (("tree_sitter_javascript", "language"),),
    "typescript": (("tree_sitter_typescript", "language_typescript"), ("tree_sitter_typescript", "language_tsx")),
    "c": (("tree_sitter_c", "language"),),
    "cpp": (("tree_sitter_cpp", "language"),),
    "go": (("tree_sitter_go", "language"),),
    "rust": (("tree_sitter_rust", "language"),),
}
"""Module and function of each language's grammars, in the order in which they are tried."""


def parse(code: str, language: str) -> Tree | None:
    """The syntax tree of a program, over its UTF-8 bytes; None where it has an error, or the language no grammar.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    return next((tree for tree in _trees(code, language) if not tree.root_node.has_error), None)


def parse_tolerant(code: str, language: str) -> Tree | None:
    """A syntax tree of any text, broken programs and fragments included; None where the language has no grammar.

    What the grammar cannot place stands below ``ERROR`` nodes, mostly as the tokens that it is made of. Of a language
    with several grammars the one that places most of the text is taken.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    trees = []
    for tree in _trees(code, language):
        if not tree.root_node.has_error:
            return tree
        trees.append(tree)
    return min(trees, key=_misplaced, default=None)


def _trees(code: str, language: str) -> Iterator[Tree]:
    data = code.encode("utf-8")
    for module, function in GRAMMARS.get(language, ()):
        yield _parser(module, function).parse(data)


def _misplaced(tree: Tree) -> int:
    """Bytes below ``ERROR`` nodes, and one for each token that is missing."""
    found = 0
    stack: list[Node] = [tree.root_node]
    while stack:
        node = stack.pop()
        if node.is_error or node.is_missing:
            found += max(node.end_byte - node.start_byte, 1)
        else:
            stack += [child for child in node.children if child.has_error]
    return found


@cache
def _parser(module: str, function: str) -> Parser:
    return Parser(Language(getattr(importlib.import_module(module), function)()))
