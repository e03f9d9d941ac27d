"""What is known of a program before it is edited: named nodes of its syntax tree, what may be edited, and its names."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cache, cached_property
from importlib.resources import files
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from tree_sitter import Language, Node, Query, QueryCursor, Tree

from pttrust_lightning.source.languages import parse
from pttrust_lightning.source.lines import Line, split_lines
from pttrust_lightning.source.mutation.semantic.vocabulary import MESSAGE_CALLS, MESSAGE_OBJECTS, last_word
from pttrust_lightning.types import Program

QUERIES: dict[str, tuple[str, ...]] = {
    "python": ("python",),
    "java": ("java",),
    "javascript": ("ecmascript", "javascript"),
    "typescript": ("ecmascript", "typescript"),
    "c": ("c_family", "c"),
    "cpp": ("c_family", "cpp"),
    "go": ("go",),
    "rust": ("rust",),
}
"""The query files of each language; together they are its table."""

NAME_LISTS = frozenset({"pattern_list", "tuple_pattern", "list_pattern", "expression_list"})
"""Nodes that hold several targets of one assignment."""

_WORD = re.compile(rb"\w+")
_NO_NAMES = frozenset({b"let", b"mut"})
_UNTYPED = frozenset({"python"})  # annotations there bind nobody

T = TypeVar("T")


class Span(NamedTuple):
    """Bytes ``start:end``."""

    start: int
    end: int


class Variable(NamedTuple):
    """One definition of a name.

    Attributes:
        name: The name.
        type: Its declared type as written, empty where none is.
        known_from: First byte where it may be read: the definition's, or the function's for a parameter.
        scope: Where it may be read at all.
    """

    name: bytes
    type: bytes
    known_from: int
    scope: Span


class Regions(Generic[T]):
    """Nested labelled spans, to ask which one is innermost at a byte."""

    def __init__(self, spans: Iterable[tuple[int, int, T]]) -> None:
        self._starts: list[int] = []
        self._labels: list[T | None] = []
        open_: list[tuple[int, T]] = []
        for start, end, label in sorted(spans, key=lambda span: (span[0], -span[1])):
            self._close(open_, start)
            self._mark(start, label)
            open_.append((end, label))
        self._close(open_, None)

    def at(self, position: int) -> T | None:
        """The label of the innermost span at that byte, None outside of all."""
        index = bisect_right(self._starts, position) - 1
        return self._labels[index] if index >= 0 else None

    def _close(self, open_: list[tuple[int, T]], until: int | None) -> None:
        while open_ and (until is None or open_[-1][0] <= until):
            end, _ = open_.pop()
            self._mark(end, open_[-1][1] if open_ else None)

    def _mark(self, position: int, label: T | None) -> None:
        self._starts.append(position)
        self._labels.append(label)


class Facts:
    """A program's named nodes, with what its operators ask about them.

    Attributes:
        language: The program's language.
        tree: Its syntax tree.
        data: Its bytes, which the nodes address.
        lines: Its lines.
    """

    def __init__(self, program: Program, tree: Tree) -> None:
        self.tree = tree
        self.language = program.language
        self.data = program.code.encode("utf-8")
        self.lines: list[Line] = split_lines(program.code)
        self._captures = QueryCursor(_query(tree.language, program.language)).captures(tree.root_node)
        self._ids: dict[str, frozenset[int]] = {}
        functions = [Span(node.start_byte, node.end_byte) for node in self.nodes("function")]
        self.functions = Regions((*span, span) for span in functions)
        outermost: list[Span] = []
        for span in sorted(functions, key=lambda span: (span.start, -span.end)):
            if not outermost or span.start >= outermost[-1].end:
                outermost.append(span)
        self._outermost = Regions((*span, span) for span in outermost)
        self._editable = Regions(
            chain(
                ((node.start_byte, node.end_byte, True) for node in self.nodes("body")),
                (
                    (node.start_byte, node.end_byte, False)
                    for node in self.nodes("opaque")
                    if not self.is_("throw", node)
                ),
                # what a `throw` holds stays, but the whole of it may go
                ((node.start_byte + 1, node.end_byte, False) for node in self.nodes("throw")),
                ((node.start_byte, node.end_byte, False) for node in self.nodes("call") if self.is_message(node)),
            )
        )

    def nodes(self, name: str) -> list[Node]:
        """The nodes that the language's query calls ``@name``, in no order that matters."""
        return self._captures.get(name, [])

    def is_(self, name: str, node: Node) -> bool:
        """Whether the language's query calls this node ``@name``."""
        ids = self._ids.get(name)
        if ids is None:
            ids = self._ids[name] = frozenset(n.id for n in self.nodes(name))
        return node.id in ids

    def text(self, node: Node) -> bytes:
        """The node's bytes."""
        return self.data[node.start_byte : node.end_byte]

    def editable(self, position: int) -> bool:
        """Whether a byte is in a function's body and not within what is never edited."""
        return self._editable.at(position) is True

    def function_at(self, position: int) -> Span:
        """The innermost function; the program outside of all."""
        return self.functions.at(position) or Span(0, len(self.data))

    def line_of(self, position: int) -> int:
        """0-based number of the line that holds a byte."""
        return bisect_right(self.lines, position, key=lambda line: line.start) - 1

    def one_line(self, node: Node) -> bool:
        """Whether a node begins and ends on one line."""
        return bool(node.start_point.row == node.end_point.row)

    def called(self, call: Node) -> bytes:
        """The whole of what is called, such as ``a.b``."""
        arguments = call.child_by_field_name("arguments")
        end = call.end_byte if arguments is None else arguments.start_byte
        return self.data[call.start_byte : end].strip()

    def is_message(self, call: Node) -> bool:
        """Whether a call only tells somebody something."""
        called = self.called(call)
        return last_word(called) in MESSAGE_CALLS or called.startswith(MESSAGE_OBJECTS)

    # Names ------------------------------------------------------------------------------------------------------------

    @cached_property
    def reads(self) -> list[Node]:
        """The identifiers that read something: variables, but also called functions, constants and modules."""
        others = {n.id for name in ("variable", "parameter", "fixed", "attribute") for n in self.nodes(name)}
        return [node for node in self.nodes("name") if node.id not in others]

    @cached_property
    def read_at(self) -> dict[bytes, list[int]]:
        """Where each name is read, ascending."""
        places = defaultdict(list)
        for node in chain(self.reads, self.nodes("read")):
            places[self.text(node)].append(node.start_byte)
        return {name: sorted(starts) for name, starts in places.items()}

    def is_read(self, name: bytes, within: Span) -> bool:
        """Whether a name is read anywhere in a span."""
        places = self.read_at.get(name, [])
        index = bisect_right(places, within.start - 1)
        return index < len(places) and places[index] < within.end

    def statement_start(self, position: int) -> int:
        """Where the innermost statement at a byte starts."""
        start = self._statements.at(position)
        return position if start is None else start

    def variables(self, position: int) -> list[Variable]:
        """The definitions whose scope holds a byte, wherever they stand in it, in source order."""
        root = self._outermost.at(position)
        return [v for v in self._variables[root] if v.scope.start <= position < v.scope.end] if root else []

    def aliases(self, position: int) -> Collection[frozenset[bytes]]:
        """Pairs of names of which one was assigned the other, in the outermost function at a byte."""
        return self._aliases[self._outermost.at(position)]

    @cached_property
    def _statements(self) -> Regions[int]:
        return Regions((node.start_byte, node.end_byte, node.start_byte) for node in self.nodes("statement"))

    @cached_property
    def _variables(self) -> defaultdict[Span | None, list[Variable]]:
        scopes = (Span(node.start_byte, node.end_byte) for node in chain(self.nodes("scope"), self.nodes("function")))
        innermost = Regions((*span, span) for span in scopes)
        found: defaultdict[Span | None, list[Variable]] = defaultdict(list)
        for is_parameter, node in self._definitions():
            scope = self.functions.at(node.start_byte) if is_parameter else innermost.at(node.start_byte)
            if scope is not None:
                known_from = scope.start if is_parameter else node.start_byte
                variable = Variable(self.text(node), self._type(node), known_from, scope)
                found[self._outermost.at(node.start_byte)].append(variable)
        return found

    def _definitions(self) -> Iterator[tuple[bool, Node]]:
        nodes = [(True, node) for node in self.nodes("parameter")] + [(False, node) for node in self.nodes("variable")]
        return iter(sorted(nodes, key=lambda entry: entry[1].start_byte))

    @cached_property
    def _aliases(self) -> defaultdict[Span | None, set[frozenset[bytes]]]:
        found: defaultdict[Span | None, set[frozenset[bytes]]] = defaultdict(set)
        for node in self.nodes("alias"):
            words = [word for word in _WORD.findall(self.text(node)) if word not in _NO_NAMES]
            found[self._outermost.at(node.start_byte)].add(frozenset({words[0], words[-1]}))
        return found

    def _type(self, name: Node) -> bytes:
        """The declared type of a name, with the pointer signs and brackets that stand beside it."""
        if self.language in _UNTYPED:
            return b""
        node, beside = name.parent, b""
        while node is not None and not self.is_("body", node) and not self.is_("function", node):
            declared = node.child_by_field_name("type")
            if declared is not None:
                between = self.data[declared.end_byte : name.start_byte].rsplit(b",")[-1].strip()
                return self.text(declared) + between + beside
            if "array" in node.type or "dimensions" in node.type:
                beside += b"[]"
            node = node.parent
        return b""


def facts_of(program: Program) -> Facts | None:
    """What is known of a program; None where it does not parse, or its language has no grammar."""
    tree = parse(program.code, program.language)
    return None if tree is None else Facts(program, tree)


@cache
def _query(grammar: Language, language: str) -> Query:
    folder = files("pttrust_lightning.source.mutation.semantic") / "queries"
    parts = [(folder / f"{name}.scm").read_text(encoding="utf-8") for name in QUERIES[language]]
    return Query(grammar, "\n".join(parts))
