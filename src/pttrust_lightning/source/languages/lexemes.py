"""The lexemes of a program in any language: its smallest pieces of one kind, with their byte offsets.

They are the leaves of the syntax tree, but for comments and literals, which are one lexeme each whatever the grammar
makes of their insides. Broken programs and fragments have them too.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, NamedTuple

from tree_sitter import Language, Node

from pttrust_lightning.source.languages.syntax import parse_tolerant

LexemeKind = Literal["comment", "string", "number", "name", "punctuation", "other", "indent", "dedent"]


class Lexeme(NamedTuple):
    """One lexeme.

    Attributes:
        kind: What it is. ``other`` are keywords, operators and text of JSX; ``indent`` and ``dedent`` are empty, and
            stand where a Python block begins and ends: there, white space is structure.
        start: Byte offset of its first byte in the UTF-8 text.
        end: Byte offset after its last byte.
    """

    kind: LexemeKind
    start: int
    end: int


PUNCTUATION = frozenset("()[]{};,:") | {"/>", "</"}
"""Tokens that hold a program together and do nothing; ``<`` and ``>`` too where they are brackets."""

COMMENTS = {"comment", "line_comment", "block_comment", "html_comment", "hash_bang_line", "shebang"}
_STRINGS = {
    *("string", "string_literal", "raw_string_literal", "interpreted_string_literal", "template_string"),
    *("char_literal", "character_literal", "rune_literal", "regex"),
    *("string_content", "string_fragment", "multiline_string_fragment"),  # of a string that is not complete
}
_NUMBERS = {
    *("integer", "float", "number", "number_literal", "integer_literal", "int_literal", "float_literal"),
    *("decimal_integer_literal", "hex_integer_literal", "octal_integer_literal", "binary_integer_literal"),
    *("decimal_floating_point_literal", "hex_floating_point_literal", "imaginary_literal"),
}
_NAMES = {
    *("identifier", "type_identifier", "field_identifier", "property_identifier", "private_property_identifier"),
    *("shorthand_property_identifier", "shorthand_property_identifier_pattern", "shorthand_field_identifier"),
    *("statement_identifier", "package_identifier", "namespace_identifier", "label_name", "metavariable"),
}
_INTERPOLATIONS = {"interpolation", "string_interpolation", "template_substitution"}
_BRACKETING = ("jsx_", "type_argument", "type_parameter", "template_")

# fmt: off
_Action = Literal[
    "comment", "string", "number", "name", "punctuation", "other",
    "angle", "brackets", "text", "layout", "block", "statement",
]
# fmt: on
"""What to do with a node: make it a lexeme of that kind, or look closer."""

_KINDS: dict[_Action, LexemeKind] = {
    "comment": "comment",
    "string": "string",
    "number": "number",
    "name": "name",
    "punctuation": "punctuation",
}
_ATOMIC = ("comment", "string")


def lexemes(code: str, language: str) -> list[Lexeme]:
    """The lexemes of any text, in order; those in an interpolation come after the string that holds them.

    A language without a grammar has words and signs: neither comments nor literals are told apart there.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    tree = parse_tolerant(code, language)
    return _words(code) if tree is None else lexemes_of(tree.root_node, tree.language)


def lexemes_of(root: Node, language: Language) -> list[Lexeme]:
    """The lexemes below a node of a syntax tree of the language's grammar."""
    actions = _actions(language)
    found: list[Lexeme] = []
    # The actions of the nodes above; to ask a node for its parent takes longer the deeper it is.
    above: list[_Action] = []
    cursor = root.walk()
    while True:
        node = cursor.node
        assert node is not None
        action = actions.get(node.kind_id, "other")
        if action == "statement":
            action = "comment" if _is_comment(node) else "other"
        if action not in _ATOMIC and cursor.goto_first_child():
            if action == "block":
                found.append(Lexeme("indent", node.start_byte, node.start_byte))
            above.append(action)
            continue
        if action == "angle":
            action = "punctuation" if above[-1:] == ["brackets"] else "other"
        _add(found, node, action)
        if action == "string":
            for child in node.children:
                if child.type in _INTERPOLATIONS:
                    found += lexemes_of(child, language)
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return found
            if above.pop() == "block":
                end = found[-1].end
                found.append(Lexeme("dedent", end, end))


def _add(found: list[Lexeme], node: Node, action: _Action) -> None:
    """Add the lexeme of a leaf, unless it is empty, as missing tokens are, or nothing but layout."""
    start, end = node.start_byte, node.end_byte
    if start == end or action == "layout" or (action == "text" and not (node.text or b"").strip()):
        return
    found.append(Lexeme(_KINDS.get(action, "other"), start, end))


def _is_comment(node: Node) -> bool:
    """Whether a Python statement is a string that is never read, or an expression of JSX holds comments alone."""
    if node.type == "jsx_expression":
        return node.named_child_count > 0 and all(child.type in COMMENTS for child in node.named_children)
    children = node.children
    if len(children) != 1 or children[0].type not in ("string", "concatenated_string"):
        return False
    strings = [children[0], *children[0].children]
    return not any(part.type == "interpolation" for string in strings for part in string.children)


@cache
def _actions(language: Language) -> dict[int, _Action]:
    """What to do with a node, by the number of its kind; a look-up by name would take most of the time."""
    actions: dict[int, _Action] = {}
    python = (language.name or "") == "python"
    for number in range(language.node_kind_count):
        name = language.node_kind_for_id(number) or "other"
        if language.node_kind_is_named(number):
            if name.startswith(_BRACKETING):
                actions[number] = "brackets"
            for action, names in _NAMED:
                if name in names:
                    actions[number] = action
            if python and name in ("block", "expression_statement"):
                actions[number] = "block" if name == "block" else "statement"
        elif name in PUNCTUATION:
            actions[number] = "punctuation"
        elif not name.strip():  # a newline
            actions[number] = "layout"
        elif name in ("<", ">"):
            actions[number] = "angle"
    return actions


_NAMED: tuple[tuple[_Action, set[str]], ...] = (
    ("comment", COMMENTS),
    ("string", _STRINGS),
    ("number", _NUMBERS),
    ("name", _NAMES),
    ("statement", {"jsx_expression"}),
    ("text", {"jsx_text"}),
    ("layout", {"line_continuation"}),
)

_WORD = re.compile(rb"[\w\x80-\xff]+|[^\w\s]")


def _words(code: str) -> list[Lexeme]:
    found = []
    for match in _WORD.finditer(code.encode("utf-8")):
        punctuation = match.group().decode("utf-8") in PUNCTUATION
        found.append(Lexeme("punctuation" if punctuation else "other", *match.span()))
    return found
