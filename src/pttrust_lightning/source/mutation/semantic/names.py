"""Operators on names: the wrong variable, the wrong attribute or API, arguments in the wrong order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tree_sitter import Node

from pttrust_lightning.source.mutation.semantic.conditions import without_parentheses
from pttrust_lightning.source.mutation.semantic.edit import Edit
from pttrust_lightning.source.mutation.semantic.facts import NAME_LISTS, Facts, Variable
from pttrust_lightning.source.mutation.semantic.vocabulary import CONFUSED, SELF, UNSWAPPABLE, last_word

_NOT_POSITIONAL = ("splat", "spread", "variadic", "keyword", "pack_expansion", "placeholder")


def wrong_variable(facts: Facts) -> Iterator[Edit]:
    """Another variable that is known before the statement, of the same declared type, and no alias of this one."""
    for node in facts.reads:
        name = facts.text(node)
        if name in SELF or facts.is_("callee", node):
            continue
        found = facts.variables(node.start_byte)
        own = [v for v in found if v.name == name]
        if not own:
            continue
        type_ = _nearest(own, node.start_byte).type
        start = facts.statement_start(node.start_byte)
        known = {v.name: v for v in found if v.known_from < start}  # the last one that is known
        aliases = facts.aliases(node.start_byte)
        for other, variable in known.items():
            if other != name and other not in SELF and variable.type == type_ and {name, other} not in aliases:
                yield Edit("wrong_variable", node.start_byte, node.end_byte, other)


def wrong_attribute(facts: Facts) -> Iterator[Edit]:
    """Another attribute of the same object, called with as many arguments, or an API that is easily confused."""
    confused = CONFUSED[facts.language]
    places: dict[tuple[bytes, int], list[Node]] = defaultdict(list)
    for node in facts.nodes("attribute"):
        owner = node.parent
        assert owner is not None
        places[facts.data[owner.start_byte : node.start_byte], _n_arguments(owner)].append(node)
    for nodes in places.values():
        names = {facts.text(node) for node in nodes}
        for node in nodes:
            own = facts.text(node)
            if own.startswith(b"__") or _is_assigned(node):
                continue
            for other in (names - {own}) | confused.get(own, frozenset()):
                if not other.startswith(b"__"):
                    yield Edit("wrong_attribute", node.start_byte, node.end_byte, other)
    for node in facts.nodes("callee"):
        for other in confused.get(facts.text(node), ()):
            yield Edit("wrong_attribute", node.start_byte, node.end_byte, other)


def swapped_arguments(facts: Facts) -> Iterator[Edit]:
    """Two neighbouring arguments, each on one line, whose order matters as far as their text tells."""
    for call in facts.nodes("call"):
        arguments = call.child_by_field_name("arguments")
        if arguments is None or last_word(facts.called(call)) in UNSWAPPABLE or facts.is_message(call):
            continue
        nodes = [node for node in arguments.named_children if "comment" not in node.type]
        for first, second in pairwise(nodes):
            if all(_is_positional(node) and facts.one_line(node) for node in (first, second)):
                yield from _swapped(first, second, facts)


def _swapped(first: Node, second: Node, facts: Facts) -> Iterator[Edit]:
    inner = [without_parentheses(node) for node in (first, second)]
    one, other = (facts.text(node) for node in inner)
    if b"".join(one.split()) == b"".join(other.split()) or not SELF.isdisjoint({one, other}):
        return
    if {one, other} in facts.aliases(first.start_byte) or _of_other_types(one, other, first.start_byte, facts):
        return
    between = facts.data[inner[0].end_byte : inner[1].start_byte]
    yield Edit("swapped_arguments", inner[0].start_byte, inner[1].end_byte, other + between + one)


def _of_other_types(one: bytes, other: bytes, position: int, facts: Facts) -> bool:
    """Whether both are variables whose declared types differ."""
    types = []
    for name in (one, other):
        found = [v for v in facts.variables(position) if v.name == name]
        types.append(_nearest(found, position).type if found else b"")
    return all(types) and types[0] != types[1]


def _nearest(definitions: list[Variable], position: int) -> Variable:
    """The definition that a read at a position most likely means: the last one before it."""
    before = [v for v in definitions if v.known_from <= position]
    return before[-1] if before else definitions[0]


def _is_positional(node: Node) -> bool:
    return not any(part in node.type for part in _NOT_POSITIONAL)


def _n_arguments(owner: Node) -> int:
    """With how many arguments the attribute of this access is called; -1 where it is not."""
    call = owner if owner.type == "method_invocation" else owner.parent
    function = None if call is None else call.child_by_field_name("function")
    if call is None or not (call.id == owner.id or (function is not None and function.id == owner.id)):
        return -1
    arguments = call.child_by_field_name("arguments")
    return 0 if arguments is None else arguments.named_child_count


def _is_assigned(attribute: Node) -> bool:
    target = attribute.parent
    if target is not None and target.parent is not None and target.parent.type in NAME_LISTS:
        target = target.parent
    holder = None if target is None else target.parent
    left = None if holder is None or "assignment" not in holder.type else holder.child_by_field_name("left")
    return target is not None and left is not None and left.id == target.id
