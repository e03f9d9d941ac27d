"""Find the places in a Python program where a bug could be implanted, and the text that would do it.

Edits are byte spans of the source, found through the syntax tree, so that formatting and comments stay. Only statements
within functions are edited: never signatures, decorators, annotations, docstrings, f-strings, patterns, ``raise``
statements, assertion messages or logging calls, where an edit would not be a bug that a reader should find.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pttrust_lightning.source.corpora.python_functions import Function, docstring_of
from pttrust_lightning.source.lines import split_lines


class Edit(NamedTuple):
    """Replace the bytes ``start:end`` of a program.

    Attributes:
        operator: Name of the operator that proposes it.
        start: First byte, in the UTF-8 text.
        end: Byte after the last one.
        replacement: What takes their place, with as many newlines; nothing for a dropped statement.
        last_line: 0-based last line of the function that the edit is in.
    """

    operator: str
    start: int
    end: int
    replacement: bytes
    last_line: int


Role = Literal["condition", "bound", "counted", "negative", ""]
"""Where an expression stands.

``condition``: the test of an ``if``, ``while`` or comprehension. ``bound``: an end of a slice or range. ``counted``: an
index, or an operand of a comparison. ``negative``: one of these behind a minus sign.
"""


class _Site(NamedTuple):
    """An expression that may be edited, with its role and the byte offset at which its statement starts."""

    node: ast.expr
    role: Role
    statement_start: int


class _Statement(NamedTuple):
    """A statement, and what a block's end means for it.

    Attributes:
        node: The statement.
        removable: Whether its block has others, so that it may be dropped.
        last_of: What else ends where it ends: the function, a loop's round, or nothing.
    """

    node: ast.stmt
    removable: bool
    last_of: Literal["function", "loop", ""]


@dataclass(slots=True)
class _Scope:
    """What a function knows of its own names.

    Attributes:
        stored: Name -> byte offsets where it is assigned; -1 for parameters.
        loaded: Names that are read anywhere in it, nested functions included.
        aliases: Pairs of names of which one was assigned the other.
        strings: String literals that it compares with or subscripts by, as written.
    """

    stored: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    loaded: set[str] = field(default_factory=set)
    aliases: set[frozenset[str]] = field(default_factory=set)
    strings: set[bytes] = field(default_factory=set)


class _Source:
    """The program's bytes, addressed by syntax-tree nodes (whose columns are UTF-8 byte offsets)."""

    def __init__(self, code: str) -> None:
        self.data = code.encode("utf-8")
        self.lines = split_lines(code)

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.lines[node.lineno - 1].start + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None  # ast.parse sets both
        return self.lines[node.end_lineno - 1].start + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> bytes:
        return self.data[self.start(node) : self.end(node)]


# What a hasty author writes instead: the other boundary, the other direction, or the opposite.
_CONFUSED_WITH: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">="),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<="),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
}
_NEGATION: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_COMPARISON = re.compile(rb"[\s()\\]*(<=|>=|==|!=|<|>|not[ \t]+in|is[ \t]+not|in|is)[\s()\\]*")
_PLUS_OR_MINUS = re.compile(rb"[ \t]*[+-][ \t]*")
_NOT = re.compile(rb"not[ \t]*")
_DECIMAL_INTEGER = re.compile(rb"0|[1-9][0-9]*")
_DECIMAL_FRACTION = re.compile(rb"[0-9]+\.[0-9]+")

_SELF = frozenset({"self", "cls", "mcs", "mcls", "_"})
_MESSAGE_CALLS = frozenset({"print", "warn", "debug", "info", "warning", "exception", "log"})
# Calls whose arguments may change places without effect, or only by an error that nobody makes.
_UNSWAPPABLE = frozenset(
    {"min", "max", "gcd", "lcm", "hypot", "isclose", "union", "intersection", "symmetric_difference"}
    | {"isinstance", "issubclass"}
)
# f-strings have unreliable positions inside before Python 3.12, and template strings are like them.
_OPAQUE_EXPRESSIONS = frozenset({"JoinedStr", "TemplateStr"})
_OPAQUE_STATEMENTS = (
    ast.FunctionDef,  # a nested function is visited by itself, with its own names
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Raise,
    ast.Import,
    ast.ImportFrom,
    ast.Global,
    ast.Nonlocal,
)
_DROPPABLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Raise, ast.Continue, ast.Break)
_MAX_DROPPED_LINES = 3


def propose_edits(code: str, tree: ast.Module) -> Iterator[Edit]:
    """All edits that the operators can think of, function by function; a few may turn out not to parse."""
    source = _Source(code)
    for function in ast.walk(tree):
        if isinstance(function, Function):
            scope = _scope_of(function, source)
            assert function.end_lineno is not None
            last_line = function.end_lineno - 1
            for statement in _statements(function.body, "function"):
                for span in _dropped_statement(statement, scope, source):
                    yield Edit("dropped_statement", *span, b"", last_line)
                for site in _sites(statement.node, source):
                    for operator, start, end, replacement in _expression_edits(site, scope, source):
                        yield Edit(operator, start, end, replacement, last_line)


# Where to edit -------------------------------------------------------------------------------------------------------


def _statements(body: Sequence[ast.stmt], last_of: Literal["function", "loop", ""]) -> Iterator[_Statement]:
    """The statements of a block and of the blocks within it."""
    own = body[1:] if docstring_of(list(body)) is not None else body
    for node in own:
        ends = last_of if node is own[-1] else ""
        yield _Statement(node, len(own) > 1, ends)
        match node:
            case ast.If():
                yield from _statements(node.body, ends)
                yield from _statements(node.orelse, ends)
            case ast.For() | ast.AsyncFor() | ast.While():
                yield from _statements(node.body, "loop")
                yield from _statements(node.orelse, "")
            case ast.With() | ast.AsyncWith():
                yield from _statements(node.body, ends)
            case ast.Try() | ast.TryStar():
                for block in (node.body, *(h.body for h in node.handlers), node.orelse, node.finalbody):
                    yield from _statements(block, "")
            case ast.Match():
                for case in node.cases:
                    yield from _statements(case.body, ends)


def _sites(node: ast.stmt, source: _Source) -> Iterator[_Site]:
    """The expressions of one statement, without those of the blocks within it."""
    roots: list[tuple[ast.expr | None, Role]] = []
    match node:
        case ast.If() | ast.While():
            roots = [(node.test, "condition")]
        case ast.Assert():
            roots = [(node.test, "")]
        case ast.AnnAssign():
            roots = [(node.target, ""), (node.value, "")]
        case ast.With() | ast.AsyncWith():
            roots = [(item.context_expr, "") for item in node.items]
        case ast.Match():
            roots = [(node.subject, ""), *((case.guard, "condition") for case in node.cases)]
        case _ if not isinstance(node, _OPAQUE_STATEMENTS):
            roots = [(child, "") for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    start = source.start(node)
    for expression, role in roots:
        if expression is not None:
            yield from _expressions(expression, role, start)


def _expressions(node: ast.expr, role: Role, statement_start: int) -> Iterator[_Site]:
    if type(node).__name__ in _OPAQUE_EXPRESSIONS or _is_message(node):
        return
    yield _Site(node, role, statement_start)
    for child, child_role in _children(node, role):
        yield from _expressions(child, child_role, statement_start)


def _children(node: ast.expr, role: Role) -> Iterator[tuple[ast.expr, Role]]:
    match node:
        case ast.IfExp():
            yield from ((node.test, "condition"), (node.body, ""), (node.orelse, ""))
        case ast.Lambda():
            yield node.body, ""
        case ast.UnaryOp(op=ast.USub()):
            yield node.operand, ("negative" if role in ("bound", "counted") else "")
        case ast.Subscript():
            yield node.value, ""
            yield node.slice, "counted"
        case ast.Slice():
            for bound in (node.lower, node.upper):
                if bound is not None:  # a slice that ends past the length is the same slice
                    yield bound, ("" if isinstance(bound, ast.Call) and _called(bound) == "len" else "bound")
        case ast.Compare():
            for operand in (node.left, *node.comparators):
                yield operand, "counted"
        case ast.Call():
            if not isinstance(node.func, ast.Name):  # a function's own name is not a variable to confuse
                yield node.func, ""
            for position, argument in enumerate(node.args):
                yield argument, ("bound" if _called(node) == "range" and position < 2 else "")
            for keyword in node.keywords:
                yield keyword.value, ""
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
                yield part, ""
            for generator in node.generators:
                yield generator.iter, ""
                for test in generator.ifs:
                    yield test, "condition"
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield child, ""


def _called(node: ast.Call) -> str:
    """The last part of the called function's name, or nothing where it has none."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_message(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _called(node) in _MESSAGE_CALLS


# The functions' names ------------------------------------------------------------------------------------------------


def _scope_of(function: Function, source: _Source) -> _Scope:
    scope = _Scope()
    arguments = function.args
    for parameter in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        *(a for a in (arguments.vararg, arguments.kwarg) if a is not None),
    ):
        scope.stored[parameter.arg].append(-1)
    for statement in function.body:
        names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
        scope.loaded |= {name.id for name in names if isinstance(name.ctx, ast.Load)}
    for node in _own_nodes(function):
        match node:
            case ast.Name(ctx=ast.Store()):
                scope.stored[node.id].append(source.start(node))
            case ast.Assign(value=ast.Name()):
                targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
                scope.aliases |= {frozenset({name, node.value.id}) for name in targets}  # type: ignore[attr-defined]
            case ast.Compare():
                operands = (node.left, *node.comparators)
                scope.strings |= {source.text(operand) for operand in operands if _is_plain_string(operand, source)}
            case ast.Subscript() if _is_plain_string(node.slice, source):
                scope.strings.add(source.text(node.slice))
    return scope


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body without nested functions, classes, f-strings and comprehension variables."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if type(node).__name__ in _OPAQUE_EXPRESSIONS:
            continue
        yield node
        if isinstance(node, ast.comprehension):
            waiting += [node.iter, *node.ifs]
        else:
            waiting += ast.iter_child_nodes(node)


def _is_plain_string(node: ast.expr, source: _Source) -> bool:
    """Whether the node is a string literal on one line, without prefix, escapes or concatenation."""
    match node:
        case ast.Constant(value=str(value)) if value and node.lineno == node.end_lineno:
            return source.text(node) in (f"'{value}'".encode(), f'"{value}"'.encode())
    return False


# The operators -------------------------------------------------------------------------------------------------------

_Change = tuple[str, int, int, bytes]  # operator, start, end, replacement


def _expression_edits(site: _Site, scope: _Scope, source: _Source) -> Iterator[_Change]:
    yield from _wrong_comparison(site, source)
    yield from _off_by_one(site, source)
    yield from _wrong_variable(site, scope, source)
    yield from _negated_condition(site, source)
    yield from _swapped_arguments(site, scope, source)
    yield from _wrong_constant(site, scope, source)


def _wrong_comparison(site: _Site, source: _Source) -> Iterator[_Change]:
    node = site.node
    if not isinstance(node, ast.Compare):
        return
    for position, comparison in enumerate(node.ops):
        for symbol in _CONFUSED_WITH[type(comparison)]:
            opposite = symbol == _NEGATION[type(comparison)]
            if not (opposite and site.role == "condition" and len(node.ops) == 1):  # that is negated_condition's edit
                yield from _with_symbol("wrong_comparison", node, position, symbol, source)


def _with_symbol(operator: str, node: ast.Compare, position: int, symbol: str, source: _Source) -> Iterator[_Change]:
    """Write another symbol for one of a comparison's; none where a comment stands beside it."""
    operands = (node.left, *node.comparators)
    start = source.end(operands[position])
    between = _COMPARISON.fullmatch(source.data[start : source.start(operands[position + 1])])
    if between is not None:
        yield operator, start + between.start(1), start + between.end(1), symbol.encode()


def _negated_condition(site: _Site, source: _Source) -> Iterator[_Change]:
    node, start, end = site.node, source.start(site.node), source.end(site.node)
    if site.role != "condition":
        return
    match node:
        case ast.UnaryOp(op=ast.Not()):
            prefix = _NOT.match(source.data, start)
            if prefix is not None:
                yield "negated_condition", start, prefix.end(), b""
        case ast.Compare(ops=[comparison]):  # as an author would write it, rather than with `not` in front
            yield from _with_symbol("negated_condition", node, 0, _NEGATION[type(comparison)], source)
        case ast.BoolOp() if node.lineno == node.end_lineno:
            yield "negated_condition", start, end, b"not (" + source.text(node) + b")"
        case ast.Name() | ast.Attribute() | ast.Call() | ast.Subscript():
            yield "negated_condition", start, start, b"not "


def _off_by_one(site: _Site, source: _Source) -> Iterator[_Change]:
    node, start, end = site.node, source.start(site.node), source.end(site.node)
    match node:
        case ast.Constant(value=int(value)) if site.role in ("bound", "counted", "negative"):
            if _DECIMAL_INTEGER.fullmatch(source.text(node)):
                lowest = 1 if site.role == "negative" else 0  # nobody writes -0
                for other in (value - 1, value + 1):
                    if other >= lowest:
                        yield "off_by_one", start, end, b"%d" % other
        case ast.Name() | ast.Attribute() | ast.Call() | ast.Subscript() if site.role == "bound":
            yield "off_by_one", end, end, b" + 1"
            yield "off_by_one", end, end, b" - 1"
        case ast.BinOp(op=ast.Add() | ast.Sub(), right=ast.Constant(value=int(value)) as right):
            if _DECIMAL_INTEGER.fullmatch(source.text(right)):
                yield "off_by_one", source.start(right), source.end(right), b"%d" % (value + 1)
                sign = slice(source.end(node.left), source.start(right))
                if value == 1 and _PLUS_OR_MINUS.fullmatch(source.data[sign]):
                    yield "off_by_one", sign.start, end, b""


def _wrong_variable(site: _Site, scope: _Scope, source: _Source) -> Iterator[_Change]:
    match site.node:
        case ast.Name(id=name, ctx=ast.Load()) if name in scope.stored and name not in _SELF:
            for other, offsets in scope.stored.items():
                known = min(offsets) < site.statement_start
                if known and other != name and other not in _SELF and frozenset({name, other}) not in scope.aliases:
                    yield "wrong_variable", source.start(site.node), source.end(site.node), other.encode()


def _swapped_arguments(site: _Site, scope: _Scope, source: _Source) -> Iterator[_Change]:
    node = site.node
    if not isinstance(node, ast.Call) or _called(node) in _UNSWAPPABLE:
        return
    for first, second in zip(node.args, node.args[1:], strict=False):
        if any(isinstance(a, ast.Starred) or a.lineno != a.end_lineno for a in (first, second)):
            continue
        names = frozenset(a.id for a in (first, second) if isinstance(a, ast.Name))
        if names not in scope.aliases and names.isdisjoint(_SELF) and ast.dump(first) != ast.dump(second):
            between = source.data[source.end(first) : source.start(second)]
            swapped = source.text(second) + between + source.text(first)
            yield "swapped_arguments", source.start(first), source.end(second), swapped


def _wrong_constant(site: _Site, scope: _Scope, source: _Source) -> Iterator[_Change]:
    node, start, end = site.node, source.start(site.node), source.end(site.node)
    if not isinstance(node, ast.Constant) or site.role == "condition":
        return
    text = source.text(node)
    others: list[str] = []
    match node.value:
        case bool(value):
            others = [str(not value)]
        case int(value) if site.role == "" and _DECIMAL_INTEGER.fullmatch(text):
            others = [str(other) for other in {value - 1, value + 1, 2 * value} if other >= 0 and other != value]
        case float(value) if _DECIMAL_FRACTION.fullmatch(text):
            others = [repr(other) for other in {value / 2, 2 * value, value + 1} if other != value]
        case str() if site.role == "counted" and text in scope.strings:
            others = [other.decode("utf-8") for other in scope.strings if other[1:-1] != text[1:-1]]
    for other in others:
        yield "wrong_constant", start, end, other.encode("utf-8")


def _dropped_statement(statement: _Statement, scope: _Scope, source: _Source) -> Iterator[tuple[int, int]]:
    """The span of the whole lines of a statement that can go."""
    node = statement.node
    assert node.end_lineno is not None
    droppable = isinstance(node, _DROPPABLE) or (isinstance(node, ast.If) and not node.orelse)
    if not statement.removable or not droppable or node.end_lineno - node.lineno >= _MAX_DROPPED_LINES:
        return
    first, last = source.lines[node.lineno - 1], source.lines[node.end_lineno - 1]
    before = source.data[first.start : source.start(node)].strip()
    after = source.data[source.end(node) : last.end].strip()
    alone = not before and (not after or after.startswith(b"#"))
    if alone and not _is_idle(statement, scope):
        yield first.start, last.terminator_end


def _is_idle(statement: _Statement, scope: _Scope) -> bool:
    """Whether the program would knowingly do the same without the statement."""
    match statement.node:
        case ast.Expr(value=value):
            return isinstance(value, ast.Constant) or _is_message(value)
        case ast.Return(value=None | ast.Constant(value=None)):
            return statement.last_of == "function"
        case ast.Continue():
            return statement.last_of == "loop"
        case ast.Assign(targets=targets):
            return all(_is_unread(target, scope) for target in targets)
        case ast.AnnAssign(target=target, value=value):
            return value is None or _is_unread(target, scope)
        case ast.AugAssign(target=target):
            return _is_unread(target, scope)
        case ast.If(body=body):
            return all(isinstance(n, ast.Pass) or (isinstance(n, ast.Expr) and _is_idle_value(n)) for n in body)
    return False


def _is_idle_value(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant) or _is_message(node.value)


def _is_unread(target: ast.expr, scope: _Scope) -> bool:
    """Whether an assignment's target consists of names that the function never reads."""
    match target:
        case ast.Name(id=name):
            return name not in scope.loaded
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(_is_unread(part, scope) for part in parts)
    return False
