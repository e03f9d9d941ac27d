"""Operators on statements: what is not there, or comes too early."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from tree_sitter import Node

from pttrust_lightning.source.mutation.semantic.edit import Edit
from pttrust_lightning.source.mutation.semantic.facts import NAME_LISTS, Facts
from pttrust_lightning.source.mutation.semantic.vocabulary import RELEASES, is_null_test, last_word

_MAX_DROPPED_LINES = 3

_JUMPS = ("return", "throw", "break", "continue", "jump")

_COMMENT_ONLY = re.compile(rb"(#.*|//.*|/\*.*\*/)?")
_BLOCKS = ("block", "compound", "statement_list", "body", "case", "group")
_NOT_IDLE_BLOCKS = ("try", "catch", "except", "finally", "switch", "case", "lambda", "closure", "function")


def missing_statement(facts: Facts) -> Iterator[Edit]:
    """A statement of up to three lines that is not there; by what it is, another operator leaves it out."""
    for node in facts.nodes("return"):
        if not (_returns_nothing(node, facts) and _ends(node, "body", facts)):
            yield from _dropped("wrong_return", node, facts)
    for name in ("throw", "break", "continue", "jump"):
        for node in facts.nodes(name):
            if not ("continue" in facts.text(node)[:8].decode("latin-1") and _ends(node, "loop", facts)):
                yield from _dropped("dropped_statement", node, facts)
    for node in facts.nodes("initial_statement"):
        if not _is_unread(node, facts):
            yield from _dropped("missing_initialisation", node, facts)
    for node in facts.nodes("assignment"):
        if not _is_unread(node, facts) and not facts.is_("initial_statement", node):
            yield from _dropped("dropped_statement", node, facts)
    for node in facts.nodes("action"):
        if not _is_message(node, facts):
            yield from _dropped("dropped_call" if _releases(node, facts) else "dropped_statement", node, facts)
    for node in facts.nodes("guard"):
        yield from _dropped_guard(node, facts)


def missing_value(facts: Facts) -> Iterator[Edit]:
    """A declaration without its first value."""
    for value in facts.nodes("initial_value"):
        sign = value.prev_sibling
        before = None if sign is None else sign.prev_sibling
        if before is not None and not facts.is_("loop_start", value):
            yield Edit("missing_initialisation", before.end_byte, value.end_byte, b"")


def early_return(facts: Facts) -> Iterator[Edit]:
    """A ``return`` that ends the function where the loop's round, or the loop, should end.

    It returns a literal that the function returns elsewhere, or nothing, where the language or the function's other
    returns allow that.
    """
    returned: dict[object, set[bytes]] = {}
    for node in facts.nodes("return"):
        returned.setdefault(facts.function_at(node.start_byte), set()).add(_returned(node, facts))
    for node in chain(facts.nodes("break"), facts.nodes("continue")):
        if node.named_children:  # a label or value
            continue
        texts = returned.get(facts.function_at(node.start_byte), {b"return"})
        bare = texts == {b"return"} or facts.language in ("python", "javascript")
        for text in sorted(texts - {b"", b"return"}) or ([b"return"] if bare else []):
            keyword = node.children[0] if node.children else node
            yield Edit("wrong_return", keyword.start_byte, keyword.end_byte, text)


def unwrapped(facts: Facts) -> Iterator[Edit]:
    """A value that is not awaited, or whose error is not passed on."""
    for node in facts.nodes("unwrapped"):
        inner = node.named_children[-1]
        if facts.one_line(node):
            yield Edit("dropped_call", node.start_byte, node.end_byte, facts.text(inner))


def _dropped(operator: str, node: Node, facts: Facts) -> Iterator[Edit]:
    """Drop a statement that has whole lines to itself, and others beside it in its block."""
    block = node.parent
    if block is None or not facts.is_("block", block) or len(_statements(block)) < 2:
        return
    rows = node.start_point.row, node.end_point.row
    if rows[1] - rows[0] >= _MAX_DROPPED_LINES:
        return
    first, last = facts.lines[rows[0]], facts.lines[rows[1]]
    before = facts.data[first.start : node.start_byte].strip()
    after = facts.data[node.end_byte : last.end].strip().removeprefix(b";").strip()
    if not before and _COMMENT_ONLY.fullmatch(after):
        yield Edit(operator, first.start, last.terminator_end, b"", dropped_from=node.start_byte)


def _dropped_guard(node: Node, facts: Facts) -> Iterator[Edit]:
    """Drop an ``if`` without ``else``: a guard clause, which only leaves, a null check, or a statement like others."""
    test = node if node.child_by_field_name("consequence") is not None else node.named_children[0]
    condition, consequence = (test.child_by_field_name(name) for name in ("condition", "consequence"))
    if condition is None or consequence is None:
        return
    inner = _statements(consequence)
    if all("pass" in s.type or _is_message(s, facts) for s in inner):
        return
    if len(inner) == 1 and any(facts.is_(name, inner[0]) for name in _JUMPS):
        operator = "dropped_call" if is_null_test(facts.text(condition)) else "missing_condition"
    else:
        operator = "dropped_statement"
    yield from _dropped(operator, node, facts)


def _statements(block: Node) -> list[Node]:
    """The statements of a block, without comments and a docstring; of a lone statement, itself."""
    if not any(part in block.type for part in _BLOCKS):
        return [block]
    nodes = [child for child in block.named_children if "comment" not in child.type]
    if len(nodes) == 1 and nodes[0].type == "statement_list":  # Go
        return _statements(nodes[0])
    return nodes[1:] if nodes and _is_docstring(nodes[0]) else nodes


def _is_docstring(statement: Node) -> bool:
    return statement.type == "expression_statement" and [child.type for child in statement.named_children] == ["string"]


def _ends(node: Node, what: str, facts: Facts) -> bool:
    """Whether a function's body, or a loop's round, ends where a statement ends."""
    while node.parent is not None:
        if facts.is_(what, node):
            return True
        following = node.next_named_sibling
        while following is not None and ("comment" in following.type or _is_alternative(following, node.parent)):
            following = following.next_named_sibling
        if following is not None or any(part in node.type for part in _NOT_IDLE_BLOCKS):
            return False
        if facts.is_("loop", node) or facts.is_("body", node):
            return False
        node = node.parent
    return False


def _is_alternative(node: Node, parent: Node) -> bool:
    """Whether a node is another branch of the ``if`` that holds it."""
    return "if" in parent.type and ("else" in node.type or "elif" in node.type or "block" in node.type)


def _returns_nothing(node: Node, facts: Facts) -> bool:
    return facts.text(node).rstrip(b"; ") in (b"return", b"return None")


def _returned(node: Node, facts: Facts) -> bytes:
    """The statement without its end where it returns a literal or nothing; empty where it returns anything else."""
    text = facts.text(node).rstrip(b"; ")
    if text == b"return":
        return text
    value = node.named_children[0]
    while not facts.is_("literal", value) and len(value.named_children) == 1 and value.type in _WRAPPERS:
        value = value.named_children[0]
    return text if facts.is_("literal", value) and facts.one_line(node) else b""


_WRAPPERS = frozenset({"expression_list", "return_expression"})


def _is_message(statement: Node, facts: Facts) -> bool:
    call = statement.named_children[0] if statement.named_children else statement
    return facts.is_("call", call) and facts.is_message(call)


def _releases(statement: Node, facts: Facts) -> bool:
    """Whether a statement calls something that gives back what is held; ``defer`` and ``delete`` count."""
    node = statement.named_children[0]
    while not facts.is_("call", node) and node.named_children and "delete" not in node.type:
        node = node.named_children[0]
    return "delete" in node.type or last_word(facts.called(node)) in RELEASES


def _is_unread(statement: Node, facts: Facts) -> bool:
    """Whether an assignment's targets are names that the function never reads."""
    assignment = statement if statement.child_by_field_name("left") is not None else statement.named_children[0]
    target = assignment.child_by_field_name("left") or assignment
    if target.type == "update_expression":
        target = target.named_children[0]
    names = target.named_children if target.type in NAME_LISTS else [target]
    if any(name.type != "identifier" for name in names):
        return False
    function = facts.function_at(statement.start_byte)
    return all(not facts.is_read(facts.text(name), function) for name in names)
