"""What a line of code says, apart from its comments and the white space between its tokens.

Two versions of a program often differ in comments, docstrings or spacing too. Compared by what is returned here, a line
differs only where its code does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import NamedTuple

from tree_sitter import Tree

from pttrust_lightning.source.languages.lexemes import lexemes_of
from pttrust_lightning.source.lines import non_blank_lines, split_lines


class CodeLine(NamedTuple):
    """A line that holds code.

    Attributes:
        number: 0-based line number in the program.
        content: What it says; equal for lines whose code is the same.
    """

    number: int
    content: bytes


def code_lines(code: str, tree: Tree | None = None) -> list[CodeLine]:
    """The lines of a program that hold code, in order.

    Comments are no code, and neither are Python's docstrings (strings that are statements). Indentation takes no part.

    Args:
        code: The program.
        tree: Its syntax tree; without one, every non-blank line counts, by its text without the white space around it.
    """
    if tree is None:
        return [CodeLine(line.number, line.text.strip().encode("utf-8")) for line in non_blank_lines(code)]
    data = code.encode("utf-8")
    starts = [line.start for line in split_lines(code)]
    contents: defaultdict[int, list[bytes]] = defaultdict(list)
    for kind, start, end in lexemes_of(tree.root_node, tree.language):
        if kind not in ("comment", "indent", "dedent"):
            first = bisect_right(starts, start) - 1
            for number, part in enumerate(data[start:end].split(b"\n"), start=first):  # a string may span lines
                contents[number].append(part.removesuffix(b"\r"))
    joined = ((number, b"\0".join(parts)) for number, parts in sorted(contents.items()))
    return [CodeLine(number, content) for number, content in joined if content.strip()]
