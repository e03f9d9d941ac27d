"""Judge what an edit makes of a program: it parses, and differs beyond comments and white space."""

from __future__ import annotations

from functools import cache

from tree_sitter import Language, Query, QueryCursor, Tree

from pttrust_lightning.source.corpora.python_functions import parse_python
from pttrust_lightning.source.languages import GRAMMARS, parse
from pttrust_lightning.source.languages.lexemes import COMMENTS
from pttrust_lightning.source.mutation.semantic.facts import Facts

_COMMENT_SIGNS = dict.fromkeys(GRAMMARS, (b"//", b"/*")) | {"python": (b"#",)}
_SPACE = b" \t\r\n\f\v\\"  # and the backslash that continues a line


class Validity:
    """What a program's mutants are held against.

    Args:
        facts: The original.
    """

    def __init__(self, facts: Facts) -> None:
        self._language = facts.language
        self._original = _code_alone(facts.data, facts.tree, facts.language)

    def holds(self, code: str) -> bool:
        """Whether a mutant parses, and its code without comments and white space is another one.

        For Python, its own parser judges too: the grammar lets through what it refuses.
        """
        tree = parse(code, self._language)
        if tree is None or _code_alone(code.encode("utf-8"), tree, self._language) == self._original:
            return False
        return self._language != "python" or parse_python(code) is not None


def _code_alone(data: bytes, tree: Tree, language: str) -> bytes:
    """The code without comments and white space; where two differ, so do their sequences of tokens."""
    parts, position = [], 0
    if any(sign in data for sign in _COMMENT_SIGNS[language]):
        captures = QueryCursor(_comments(tree.language)).captures(tree.root_node)
        for node in sorted(captures.get("comment", []), key=lambda node: node.start_byte):
            parts.append(data[position : node.start_byte])
            position = max(position, node.end_byte)
    return b"".join([*parts, data[position:]]).translate(None, _SPACE)


@cache
def _comments(grammar: Language) -> Query:
    known = {grammar.node_kind_for_id(number) for number in range(grammar.node_kind_count)}
    return Query(grammar, " ".join(f"({name}) @comment" for name in sorted(COMMENTS & known)))
