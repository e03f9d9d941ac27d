"""Operators on numbers, strings and bounds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from tree_sitter import Node

from pttrust_lightning.source.mutation.semantic.conditions import BOUNDARY, SIMPLE_EXPRESSIONS, without_parentheses
from pttrust_lightning.source.mutation.semantic.edit import Edit
from pttrust_lightning.source.mutation.semantic.facts import Facts, Span
from pttrust_lightning.source.mutation.semantic.vocabulary import last_word

_DECIMAL_INTEGER = re.compile(rb"0|[1-9][0-9]*")
_DECIMAL_FRACTION = re.compile(rb"[0-9]+\.[0-9]+")
_TRUTHS = {b"True": b"False", b"true": b"false", b"TRUE": b"FALSE"}
_OPPOSITE = _TRUTHS | {false: true for true, false in _TRUTHS.items()}
_SLICES = frozenset({"slice", "slice_expression"})
_PLAIN_STRING = re.compile(rb"(['\"])[^'\"\\\n{}]+\1")


def off_by_one(facts: Facts) -> Iterator[Edit]:
    """Indices, bounds, compared and added numbers that are one too high or too low."""
    for name in ("counted", "bound"):
        for node in facts.nodes(name):
            if not facts.is_("loop_bound", node) and not facts.is_("step", node):
                yield from _off_by_one("off_by_one", node, name == "bound", facts)
    for node in facts.nodes("arithmetic"):
        if not (facts.is_("loop_bound", node) or facts.is_("loop_start", node)):
            yield from _added("off_by_one", node, facts)


def wrong_loop_bound(facts: Facts) -> Iterator[Edit]:
    """A first or last round too many or too few."""
    for node in facts.nodes("loop_start"):
        yield from _off_by_one("wrong_loop_bound", node, False, facts)
        if facts.is_("arithmetic", node):
            yield from _added("wrong_loop_bound", node, facts)
    for node in facts.nodes("loop_bound"):
        if not facts.is_("step", node):
            yield from _off_by_one("wrong_loop_bound", node, True, facts)
            if facts.is_("arithmetic", node):
                yield from _added("wrong_loop_bound", node, facts)
    for node in facts.nodes("loop_comparison"):
        yield Edit("wrong_loop_bound", node.start_byte, node.end_byte, BOUNDARY[facts.text(node)])


def wrong_constant(facts: Facts) -> Iterator[Edit]:
    """Another truth value, number, or string out of those that the function compares with or subscripts by."""
    conditions = {without_parentheses(node).id for node in facts.nodes("condition")}
    for node in facts.nodes("boolean"):
        if node.id not in conditions:
            yield Edit("wrong_constant", node.start_byte, node.end_byte, _OPPOSITE[facts.text(node)])
    for node in facts.nodes("integer"):
        number = facts.text(node)
        if _DECIMAL_INTEGER.fullmatch(number) and not (
            node.id in conditions or facts.is_("fixed", node) or _is_counted(node, facts)
        ):
            value = int(number)
            for other in {value - 1, value + 1, 2 * value} - {value}:
                if other >= 0:
                    yield Edit("wrong_constant", node.start_byte, node.end_byte, b"%d" % other)
    for node in facts.nodes("float"):
        number = facts.text(node)
        if _DECIMAL_FRACTION.fullmatch(number):
            fraction = float(number)
            for changed in {fraction / 2, 2 * fraction, fraction + 1} - {fraction}:
                yield Edit("wrong_constant", node.start_byte, node.end_byte, repr(changed).encode())
    for nodes in _compared_strings(facts).values():
        texts = {facts.text(node) for node in nodes}
        for node in nodes:
            own = facts.text(node)
            for text in texts:
                if text[1:-1] != own[1:-1]:
                    yield Edit("wrong_constant", node.start_byte, node.end_byte, own[:1] + text[1:-1] + own[-1:])


def _off_by_one(operator: str, node: Node, is_bound: bool, facts: Facts) -> Iterator[Edit]:
    negative = facts.is_("negative", node)
    node = without_parentheses(node.named_children[-1] if negative else node)
    start, end = node.start_byte, node.end_byte
    if facts.is_("integer", node):
        if _DECIMAL_INTEGER.fullmatch(facts.text(node)):
            value = int(facts.text(node))
            for other in (value - 1, value + 1):
                if other >= (1 if negative else 0):  # nobody writes -0
                    yield Edit(operator, start, end, b"%d" % other)
    elif is_bound and not negative and node.type in SIMPLE_EXPRESSIONS and not _is_full_length(node, facts):
        yield Edit(operator, end, end, b" + 1")
        yield Edit(operator, end, end, b" - 1")


def _added(operator: str, node: Node, facts: Facts) -> Iterator[Edit]:
    """Another number that is added or subtracted, or none where it was one."""
    left, right, sign = (node.child_by_field_name(name) for name in ("left", "right", "operator"))
    if left is None or right is None or sign is None or facts.text(sign) not in (b"+", b"-"):
        return
    number = without_parentheses(right)
    if not (facts.is_("integer", number) and _DECIMAL_INTEGER.fullmatch(facts.text(number))):
        return
    value = int(facts.text(number))
    yield Edit(operator, number.start_byte, number.end_byte, b"%d" % (value + 1))
    if value == 1 and number.id == right.id:
        yield Edit(operator, left.end_byte, node.end_byte, b"")


def _is_full_length(node: Node, facts: Facts) -> bool:
    """Whether a slice ends at the length: one that ends past it is the same slice."""
    in_slice = node.parent is not None and node.parent.type in _SLICES
    return in_slice and "call" in node.type and last_word(facts.called(node)) == b"len"


def _is_counted(node: Node, facts: Facts) -> bool:
    """Whether a number is one that ``off_by_one`` or ``wrong_loop_bound`` edits."""
    outer = node.parent
    while outer is not None and (outer.type == "parenthesized_expression" or facts.is_("negative", outer)):
        node, outer = outer, outer.parent
    roles = ("counted", "bound", "loop_bound", "loop_start")
    return any(facts.is_(role, node) for role in roles) and not facts.is_("step", node)


def _compared_strings(facts: Facts) -> dict[Span, list[Node]]:
    """The plain string literals that each function compares with or subscripts by, by function."""
    found = defaultdict(list)
    for node in facts.nodes("string"):
        if facts.is_("counted", node) and _PLAIN_STRING.fullmatch(facts.text(node)):
            found[facts.function_at(node.start_byte)].append(node)
    return found
