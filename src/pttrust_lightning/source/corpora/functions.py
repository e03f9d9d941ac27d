"""Files cut into functions, in every language that is read.

Python has rules of its own (``python_functions``). Elsewhere a function is any that has a body and a name: methods and
constructors, and in JavaScript and TypeScript also functions that are assigned to a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Language, Node

from pttrust_lightning.source.corpora import python_functions
from pttrust_lightning.source.languages.lexemes import COMMENTS, lexemes_of
from pttrust_lightning.source.languages.syntax import parse_tolerant
from pttrust_lightning.source.lines import Line, split_lines
from pttrust_lightning.types import Exclusions, Program

NOT_PARSEABLE = "not parseable"
PARTLY_PARSEABLE = "file that does not parse outside its functions (these were read)"
BROKEN_FUNCTION = "function that does not parse"
CHANGED_BY_DEDENT = "function that dedenting would change"

_FUNCTIONS = {
    *("method_declaration", "constructor_declaration", "compact_constructor_declaration"),  # Java, Go
    *("function_declaration", "generator_function_declaration", "method_definition"),  # JavaScript, TypeScript, Go
    *("function_definition", "function_item"),  # C and C++, Rust
}
_FUNCTION_VALUES = {"arrow_function", "function_expression", "generator_function"}
_VALUE_OF = {
    "variable_declarator": ("name", "value"),
    "assignment_expression": ("left", "right"),
    "field_definition": ("property", "value"),
    "public_field_definition": ("name", "value"),
    "pair": ("key", "value"),
}
"""What names a function in JavaScript and TypeScript: the fields of the name and of the function."""

_SCOPES = {
    *("class_declaration", "abstract_class_declaration", "class", "interface_declaration", "enum_declaration"),
    *("record_declaration", "annotation_type_declaration", "internal_module", "module"),
    *("class_specifier", "struct_specifier", "union_specifier", "namespace_definition"),
    *("trait_item", "mod_item", "variable_declarator", "pair"),
}
"""What stands before a function's name, by the field ``name`` (``key`` of a pair)."""

_WRAPPERS = {
    *("lexical_declaration", "variable_declaration", "expression_statement", "export_statement"),
    "template_declaration",
}
"""What belongs to a function where it holds nothing else: ``export``, ``const``, ``template <class T>``."""

_LEADING = {"decorator", "attribute_item"}
"""Siblings that belong to the function they precede."""


class _Function(NamedTuple):
    name: str
    first: Node
    last: Node


def functions(program: Program, exclusions: Exclusions) -> Iterator[Program]:
    """Cut a file into its outermost named functions and methods, in file order.

    Nested functions stay within their outer one. Decorators, annotations and attributes belong to their function, and
    so do comments directly above it. A function is dedented by the indentation of its first line; where that would
    change a string that spans lines it is left out and counted, as is a function with a syntax error. Of a file that
    does not parse as a whole the functions that do are read, and the file is counted.

    Args:
        program: The file; its id is the path that the functions' ids start with.
        exclusions: Where what is left out is counted.
    """
    if program.language == "python":
        yield from python_functions.functions(program, exclusions)
        return
    tree = parse_tolerant(program.code, program.language)
    found = [] if tree is None else list(_outermost_functions(tree.root_node))
    if tree is None or (tree.root_node.has_error and not found):
        exclusions.add(NOT_PARSEABLE, program.id)
        return
    if _has_error_outside(tree.root_node, {function.last.id for function in found}):
        exclusions.add(PARTLY_PARSEABLE, program.id)
    data, lines = program.code.encode("utf-8"), split_lines(program.code)
    seen: Counter[str] = Counter()
    for function in found:
        first = lines[function.first.start_point.row]
        id_ = f"{program.id}::{function.name}"
        seen[id_] += 1
        if seen[id_] > 1:
            id_ += f"@{first.number + 1}"
        if function.last.has_error:
            exclusions.add(BROKEN_FUNCTION, id_)
            continue
        own = lines[first.number : function.last.end_point.row + 1]
        code = _dedented(data, own, function, tree.language)
        if code is None:
            exclusions.add(CHANGED_BY_DEDENT, id_)
        else:
            yield Program(id=id_, code=code, language=program.language, origin=program.origin)


def _outermost_functions(root: Node) -> Iterator[_Function]:
    """In file order; a stack, since syntax trees may be deeper than Python's."""
    stack: list[tuple[str, list[Node], int]] = [("", [root], 0)]
    while stack:
        prefix, siblings, place = stack.pop()
        if place == len(siblings):
            continue
        stack.append((prefix, siblings, place + 1))
        node = siblings[place]
        name = _function_name(node)
        if name is not None:
            unit, before = _with_wrappers(node), siblings[:place]
            if unit != node:
                before = list(_children_before(unit))
            yield _Function(prefix + name, _with_leading(unit, before), unit)
        elif node.named_child_count:
            stack.append((prefix + _scope_name(node), node.children, 0))


def _function_name(node: Node) -> str | None:
    """The name of a function with a body; None where the node is none."""
    if node.type in _FUNCTIONS and node.child_by_field_name("body") is not None:
        return _declared_name(node)
    if node.type in _VALUE_OF:
        name, value = (node.child_by_field_name(field) for field in _VALUE_OF[node.type])
        if name is not None and value is not None and value.type in _FUNCTION_VALUES:
            return _text(name)
    return None


def _declared_name(node: Node) -> str | None:
    name = node.child_by_field_name("name")
    receiver = node.child_by_field_name("receiver")
    if name is not None and receiver is not None:  # Go
        types = [n for n in _descendants(receiver) if n.type == "type_identifier"]
        return f"{_text(types[0])}.{_text(name)}" if types else _text(name)
    declarator = node.child_by_field_name("declarator")
    while name is None and declarator is not None:  # C and C++: `int *(*f)(void)` declares from the inside out
        if declarator.type == "operator_cast":  # `operator bool()` has a type where others have a name
            converted = declarator.child_by_field_name("type")
            return "operator" if converted is None else f"operator {_text(converted)}"
        inner = declarator.child_by_field_name("declarator")
        if inner is None and declarator.type.endswith("declarator"):  # references and parentheses name no field
            inner = next(iter(declarator.named_children), None)
        name, declarator = (declarator, None) if inner is None else (None, inner)
    return None if name is None else _text(name)


def _scope_name(node: Node) -> str:
    if node.type == "impl_item":
        name = node.child_by_field_name("type")
    elif node.type in _SCOPES:
        name = node.child_by_field_name("key" if node.type == "pair" else "name")
    else:
        name = None
    return "" if name is None else f"{_text(name)}."


def _with_wrappers(node: Node) -> Node:
    parent = node.parent
    while parent is not None and parent.type in _WRAPPERS:
        own = [child for child in parent.named_children if child.type not in _NOT_CONTENT]
        if own != [node]:
            break
        node, parent = parent, parent.parent
    return node


_NOT_CONTENT = COMMENTS | {"decorator", "template_parameter_list", "requires_clause"}


def _children_before(node: Node) -> Iterator[Node]:
    for child in () if node.parent is None else node.parent.children:
        if child == node:
            return
        yield child


def _with_leading(node: Node, before: list[Node]) -> Node:
    """The first node of what belongs to a function: comments, decorators and attributes directly above it."""
    first = node
    for place in range(len(before) - 1, -1, -1):
        candidate = before[place]
        if candidate.type not in _LEADING | COMMENTS or first.start_point.row - _last_row(candidate) > 1:
            break
        if candidate.type in COMMENTS and place and _last_row(before[place - 1]) == candidate.start_point.row:
            break  # it stands behind other code
        first = candidate
    return first


def _last_row(node: Node) -> int:
    """The row a node's text ends in; Rust's documentation comments hold their newline."""
    return node.end_point.row - (node.end_point.column == 0 and node.end_byte > node.start_byte)


def _has_error_outside(root: Node, functions_: set[int]) -> bool:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.id in functions_:
            continue
        if node.is_error or node.is_missing:
            return True
        stack += [child for child in node.children if child.has_error]
    return False


def _dedented(data: bytes, lines: list[Line], function: _Function, language: Language) -> str | None:
    """The function's text without the indentation of its first line; None where that would change a string."""
    margin = lines[0].indentation.encode("utf-8")
    moved = {line.start for line in lines[1:] if margin and data.startswith(margin, line.start)}
    if moved and any(
        lexeme.kind == "string" and any(lexeme.start < start < lexeme.end for start in moved)
        for lexeme in lexemes_of(function.last, language)
        if b"\n" in data[lexeme.start : lexeme.end]
    ):
        return None
    end = function.last.end_byte
    parts = [data[function.first.start_byte : min(lines[0].terminator_end, end)]]
    for line in lines[1:]:
        start = line.start + (len(margin) if line.start in moved else 0)
        parts.append(data[start : min(line.terminator_end, end)])
    text = b"".join(parts).decode("utf-8")
    return text if text.endswith("\n") else text + lines[-1].terminator


def _descendants(node: Node) -> Iterator[Node]:
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack += reversed(here.children)


def _text(node: Node) -> str:
    """A name on one line."""
    return " ".join((node.text or b"").decode("utf-8").split())
