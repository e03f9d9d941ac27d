"""What each line of a program is: blank, comment, punctuation or code."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Literal, get_args

from pttrust_lightning.source.languages.lexemes import Lexeme, lexemes
from pttrust_lightning.source.lines import split_lines

LineKind = Literal["blank", "comment", "punctuation", "code"]

LINE_KINDS: tuple[LineKind, ...] = get_args(LineKind)

_COMMENT, _PUNCTUATION, _CODE = 1, 2, 3
_SAYS_NOTHING = {"comment", "punctuation", "indent", "dedent"}
_MARKS = {"comment": _COMMENT, "punctuation": _PUNCTUATION}


def line_kinds(code: str, language: str) -> list[LineKind]:
    r"""The kind of each line, as :func:`~pttrust_lightning.source.lines.split_lines` splits them.

    - ``blank``: white space alone, also within a string or a comment.
    - ``comment``: comments alone. A Python string that is a whole statement counts as one, docstrings above all: it
      does nothing. So does an expression of JSX that holds nothing but comments.
    - ``punctuation``: brackets, ``;``, ``,`` and ``:`` alone, with or without a comment behind them: ``});``.
    - ``code``: all else, such as the lines of a string that spans several.

    Fragments and broken programs are read as far as the grammar goes; what it cannot place is code. In a language
    without a grammar comments cannot be told apart, and are code.

    Args:
        code: The program.
        language: Its language, by the name in ``LANGUAGES``.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    return kinds_of_lines(code, lexemes(code, language))


def could_be_wrong(code: str, language: str) -> list[bool]:
    """Whether each line could be wrong at all: not one that is blank, a comment (docstrings included) or a bare else.

    A bare else says nothing beside the word: ``else:``, ``} else {``, with or without a comment. Punctuation alone can
    be wrong: a closing brace in the wrong place.

    Args:
        code: The program.
        language: Its language, by the name in ``LANGUAGES``.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    found = lexemes(code, language)
    source = code.encode("utf-8")
    says = [(start, source[start:end]) for kind, start, end in found if kind not in _SAYS_NOTHING]
    starts = [start for start, _ in says]
    possible = []
    for line, kind in zip(split_lines(code), kinds_of_lines(code, found), strict=True):
        words = [text for _, text in says[bisect_left(starts, line.start) : bisect_left(starts, line.end)]]
        possible.append(kind not in ("blank", "comment") and words != [b"else"])
    return possible


def kinds_of_lines(code: str, found: Iterable[Lexeme]) -> list[LineKind]:
    """As :func:`line_kinds`, of a program whose lexemes are known."""
    marks = bytearray(len(code.encode("utf-8")))
    for kind, start, end in found:
        mark = _MARKS.get(kind, _CODE)
        if end - start == 1:
            marks[start] = mark
        else:
            marks[start:end] = bytes((mark,)) * (end - start)
    kinds: list[LineKind] = []
    for line in split_lines(code):
        text = line.text.strip()
        if not text:
            kinds.append("blank")
            continue
        start = line.start + len(line.indentation.encode("utf-8"))
        here = marks[start : start + len(text.encode("utf-8"))]
        if _CODE in here or _has_unplaced_text(text, here):
            kinds.append("code")
        else:
            kinds.append("punctuation" if _PUNCTUATION in here else "comment")
    return kinds


def _has_unplaced_text(text: str, marks: bytearray) -> bool:
    """Whether there is more than white space outside of every lexeme."""
    if 0 not in marks:
        return False
    outside = bytes(byte for byte, mark in zip(text.encode("utf-8"), marks, strict=True) if not mark)
    return bool(outside.decode("utf-8", "replace").strip())
