"""Licence headers: the comments before the code that state copyright and licence."""

from __future__ import annotations

import re

_LICENCE = re.compile(
    r"copyright|\(c\)\s*\d{4}|©|licen[cs]e|\bSPDX-|all rights reserved|\b[AL]?GPL\b|redistribut|warrant(?:y|ies)\b"
    r"|public domain|@preserve",
    re.IGNORECASE,
)
_KEPT_LINE = re.compile(r"#!|#.*coding[:=]|#[ \t]*(?:type|mypy|pylint|flake8|ruff):|//go:build|// \+build")
"""First lines that are no prose: shebang, coding line, instructions to tools."""

_LINE_COMMENT = {"python": "#"}
"""What starts a comment line; ``//`` in all other languages."""


def _line_block(lines: list[str], start: int, marker: str) -> int:
    """The end of the run of comment lines at ``start``; lines that are kept end it."""
    end = start
    while end < len(lines) and lines[end].lstrip().startswith(marker) and not _KEPT_LINE.match(lines[end]):
        end += 1
    return end


def _star_block(lines: list[str], start: int) -> int:
    """The end of the ``/* ... */`` comment at ``start``; ``start`` itself where code follows it on its last line."""
    for i in range(start, len(lines)):
        close = lines[i].find("*/", 2 if i == start else 0)
        if close >= 0:
            return start if lines[i][close + 2 :].strip() else i + 1
    return start


def strip_licence_header(text: str, language: str) -> str:
    """Drop those leading comments that speak of copyright or licence; docstrings and other comments stay.

    Args:
        text: The program, with LF line ends.
        language: Its language.
    """
    marker = _LINE_COMMENT.get(language, "//")
    lines = text.split("\n")
    kept: list[str] = []
    i = 0
    stripped = False
    while i < len(lines):
        if not lines[i].strip() or _KEPT_LINE.match(lines[i]):
            end, is_comment = i + 1, False
        elif lines[i].lstrip().startswith(marker):
            end, is_comment = _line_block(lines, i, marker), True
        elif marker == "//" and lines[i].lstrip().startswith("/*"):
            end, is_comment = _star_block(lines, i), True
            if end == i:
                break
        else:
            break
        if is_comment and _LICENCE.search("\n".join(lines[i:end])):
            stripped = True
        else:
            kept += lines[i:end]
        i = end
    if not stripped:
        return text
    head = re.sub(r"\n{3,}", "\n\n", "\n".join(kept).strip("\n"))
    rest = "\n".join(lines[i:])
    return f"{head}\n\n{rest}" if head and kept and not kept[-1].strip() else f"{head}\n{rest}" if head else rest
