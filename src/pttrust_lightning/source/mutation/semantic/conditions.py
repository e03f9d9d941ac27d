"""Operators on comparisons and logic: what is compared, negated, left out or grouped wrongly."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from pttrust_lightning.source.mutation.semantic.edit import Edit
from pttrust_lightning.source.mutation.semantic.facts import Facts
from pttrust_lightning.source.mutation.semantic.vocabulary import is_null_test

NEGATION: dict[bytes, bytes] = {
    b"<": b">=",
    b"<=": b">",
    b">": b"<=",
    b">=": b"<",
    b"==": b"!=",
    b"!=": b"==",
    b"===": b"!==",
    b"!==": b"===",
    b"in": b"not in",
    b"not in": b"in",
    b"is": b"is not",
    b"is not": b"is",
}

BOUNDARY: dict[bytes, bytes] = {b"<": b"<=", b"<=": b"<", b">": b">=", b">=": b">", b"..": b"..=", b"..=": b".."}

_DIRECTION: dict[bytes, bytes] = {b"<": b">", b"<=": b">=", b">": b"<", b">=": b"<="}

SIMPLE_EXPRESSIONS = frozenset(
    {"identifier", "attribute", "call", "subscript", "member_expression", "call_expression", "subscript_expression"}
    | {"field_access", "method_invocation", "array_access"}
    | {"field_expression", "selector_expression", "index_expression"}
)
"""Nodes that bind more tightly than any operator, in all grammars."""

# Higher binds tighter, alike in all languages; operators of one table only are regrouped.
_PRECEDENCE: dict[bytes, tuple[str, int]] = {
    **dict.fromkeys((b"*", b"/", b"%", b"//"), ("arithmetic", 2)),
    **dict.fromkeys((b"+", b"-"), ("arithmetic", 1)),
    **dict.fromkeys((b"and", b"&&"), ("logical", 2)),
    **dict.fromkeys((b"or", b"||"), ("logical", 1)),
}
# a + (b - c) is (a + b) - c, and so on
_ASSOCIATIVE: frozenset[tuple[bytes, bytes]] = frozenset(
    {(b"+", b"+"), (b"+", b"-"), (b"*", b"*"), (b"*", b"/")} | {(o, o) for o in (b"and", b"or", b"&&", b"||")}
)


def without_parentheses(node: Node) -> Node:
    """What stands in the parentheses, if the node is an expression in them."""
    while node.type == "parenthesized_expression":
        inner = [child for child in node.named_children if "comment" not in child.type]
        if len(inner) != 1:
            break
        node = inner[0]
    return node


def wrong_comparison(facts: Facts) -> Iterator[Edit]:
    """Another boundary, direction, or the opposite; the opposite of a whole condition is another operator's edit."""
    negated = {node.id for condition in _conditions(facts) for node in _symbols(condition, facts)[:1]}
    for node in facts.nodes("comparison"):
        symbol = _symbol(node, facts)
        if symbol not in NEGATION or facts.is_("loop_comparison", node):
            continue
        others = {BOUNDARY.get(symbol), _DIRECTION.get(symbol)} - {None} or {NEGATION[symbol]}
        alone = node.id in negated and len(_symbols(node.parent, facts)) == 1
        for other in others - ({NEGATION[symbol]} if alone else set()):
            assert other is not None
            yield Edit("wrong_comparison", node.start_byte, node.end_byte, other)


def negated_condition(facts: Facts) -> Iterator[Edit]:
    """The opposite test, as an author would write it: another symbol rather than a negation in front."""
    prefix = b"not " if facts.language == "python" else b"!"
    for node in _conditions(facts):
        start, end = node.start_byte, node.end_byte
        symbols = _symbols(node, facts)
        if facts.is_("not", node):
            yield Edit("negated_condition", start, node.named_children[-1].start_byte, b"")
        elif len(symbols) == 1 and (symbol := _symbol(symbols[0], facts)) in NEGATION:
            yield Edit("negated_condition", symbols[0].start_byte, symbols[0].end_byte, NEGATION[symbol])
        elif facts.is_("logical", node) and facts.one_line(node):
            yield Edit("negated_condition", start, end, prefix + b"(" + facts.text(node) + b")")
        elif node.type in SIMPLE_EXPRESSIONS:
            yield Edit("negated_condition", start, start, prefix)


def missing_operand(facts: Facts) -> Iterator[Edit]:
    """A logical operation without one of its operands."""
    for node in facts.nodes("logical"):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            continue
        for dropped, start, end in (
            (left, node.start_byte, right.start_byte),
            (right, left.end_byte, node.end_byte),
        ):
            operator = "dropped_call" if is_null_test(facts.text(dropped)) else "missing_condition"
            yield Edit(operator, start, end, b"")


def wrong_precedence(facts: Facts) -> Iterator[Edit]:
    """Operands that are grouped as the operators' precedence, or its neglect, would have them."""
    for name in ("arithmetic", "logical"):
        for node in facts.nodes(name):
            if facts.one_line(node):
                yield from _regrouped(node, facts)
    for node in facts.nodes("not"):
        bracketed = node.named_children[-1]
        inner = without_parentheses(bracketed)
        if inner.id != bracketed.id and facts.is_("logical", inner) and facts.one_line(node):
            separator = b" " if facts.data[bracketed.start_byte - 1 : bracketed.start_byte].isalpha() else b""
            yield Edit("wrong_precedence", bracketed.start_byte, bracketed.end_byte, separator + facts.text(inner))


def _regrouped(node: Node, facts: Facts) -> Iterator[Edit]:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    outer = _operator(node, facts)
    if left is None or right is None or outer not in _PRECEDENCE:
        return
    for is_left, side in ((True, left), (False, right)):
        inner = without_parentheses(side)
        operator = _operator(inner, facts)
        if _PRECEDENCE.get(operator, ("",))[0] != _PRECEDENCE[outer][0]:
            continue
        pair = (operator, outer) if is_left else (outer, operator)  # as they follow each other in the text
        if pair in _ASSOCIATIVE:
            continue
        if inner.id == side.id:
            bracketed = _bracketed(node, inner, is_left, facts)
            if bracketed is not None:
                yield bracketed
        elif _PRECEDENCE[operator] < _PRECEDENCE[outer] or (
            _PRECEDENCE[operator] == _PRECEDENCE[outer] and not is_left
        ):
            yield Edit("wrong_precedence", side.start_byte, side.end_byte, facts.text(inner))


def _bracketed(node: Node, inner: Node, is_left: bool, facts: Facts) -> Edit | None:
    """Parentheses around the operands that the inner operator does not join."""
    kept = inner.child_by_field_name("right" if is_left else "left")
    if kept is None:
        return None
    start, end = (kept.start_byte, node.end_byte) if is_left else (node.start_byte, kept.end_byte)
    return Edit("wrong_precedence", start, end, b"(" + facts.data[start:end] + b")")


def _operator(node: Node, facts: Facts) -> bytes:
    if not (facts.is_("arithmetic", node) or facts.is_("logical", node)):
        return b""
    symbol = node.child_by_field_name("operator")
    return b"" if symbol is None else facts.text(symbol)


def _conditions(facts: Facts) -> list[Node]:
    return [without_parentheses(node) for node in facts.nodes("condition")]


def _symbols(node: Node | None, facts: Facts) -> list[Node]:
    """The comparison symbols that are a node's own."""
    return [] if node is None else [child for child in node.children if facts.is_("comparison", child)]


def _symbol(node: Node, facts: Facts) -> bytes:
    return b" ".join(facts.text(node).split())
