"""Syntax trees, by tree-sitter; each grammar comes as a wheel of its own, so that nothing is downloaded at run time."""

from __future__ import annotations

import importlib
from functools import cache

from tree_sitter import Language, Parser, Tree

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
    data = code.encode("utf-8")
    for module, function in GRAMMARS.get(language, ()):
        tree = _parser(module, function).parse(data)
        if not tree.root_node.has_error:
            return tree
    return None


@cache
def _parser(module: str, function: str) -> Parser:
    return Parser(Language(getattr(importlib.import_module(module), function)()))
