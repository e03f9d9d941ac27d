r"""Split source text into lines by one rule, with byte offsets.

Only ``\n`` ends a line, and a ``\r`` directly before it belongs to the terminator. ``str.splitlines`` is not used
anywhere: it also splits at form feeds, U+2028 and bare ``\r``, where neither editors nor tokenizers start a line.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Line(NamedTuple):
    r"""One line of a program.

    Attributes:
        number: 0-based line number.
        start: Byte offset of the line's first byte in the UTF-8 text.
        end: Byte offset after the last byte of the line's content.
        terminator_end: Byte offset after the terminator; equals ``end`` where the last line has none.
        text: The content, without ``\n`` or ``\r\n``.
    """

    number: int
    start: int
    end: int
    terminator_end: int
    text: str

    @property
    def terminator(self) -> str:
        r"""What ends the line: ``\n``, ``\r\n``, or nothing for a last line without a newline."""
        return ("", "\n", "\r\n")[self.terminator_end - self.end]

    @property
    def indentation(self) -> str:
        """The white space before the first character that is none."""
        return self.text[: len(self.text) - len(self.text.lstrip())]


def is_blank(text: str) -> bool:
    """Whether a line holds nothing but white space; blank lines have no state and are never scored."""
    return not text.strip()


def split_lines(code: str) -> list[Line]:
    r"""Split a program into its lines.

    A terminator at the very end starts no further line: ``"a\n"`` is one line, ``""`` is none.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    pieces = code.split("\n")
    terminated = len(pieces) - 1
    if not pieces[-1]:
        pieces.pop()
    lines = []
    start = 0
    for number, piece in enumerate(pieces):
        newline = number < terminated
        crlf = newline and piece.endswith("\r")
        text = piece[:-1] if crlf else piece
        end = start + len(text.encode("utf-8"))
        terminator_end = end + newline + crlf
        lines.append(Line(number, start, end, terminator_end, text))
        start = terminator_end
    return lines


def non_blank_lines(code: str) -> list[Line]:
    """The lines of a program that hold more than white space."""
    return [line for line in split_lines(code) if not is_blank(line.text)]


def with_final_newline(code: str) -> str:
    r"""The program with a terminator on its last line; ``\r\n`` if the program's first terminator is one.

    An empty program stays empty: it has no line to terminate.
    """
    if not code or code.endswith("\n"):
        return code
    first = code.find("\n")
    crlf = first > 0 and code[first - 1] == "\r"
    return code + ("\r\n" if crlf else "\n")


def join_lines(lines: Iterable[tuple[str, str]], final_newline: bool = True) -> str:
    """Put lines back together.

    Args:
        lines: ``(text, terminator)`` of each line, in order.
        final_newline: Whether the last line keeps its terminator; False keeps a program without a final newline so,
            even after its last line was deleted.
    """
    parts = [part for line in lines for part in line]
    if parts and not final_newline:
        parts[-1] = ""
    return "".join(parts)
