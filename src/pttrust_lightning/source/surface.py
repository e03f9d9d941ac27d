"""What any editor shows of a line: numbers that know nothing of an LLM."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.types import FloatArray

_MODIFIERS = re.compile(
    r"^(?:(?:public|private|protected|internal|static|final|abstract|async|export|default|override|virtual|inline|pub"
    r"|unsafe|extern|synchronized|open|sealed)\b(?:\([\w:]*\))?\s*|[})\]]+\s*)+(?=\S)"
)
"""What may stand before the word that says what a line does: modifiers, and the end of the block before."""

_KEYWORDS: dict[str, re.Pattern[str]] = {
    "comment": re.compile(r'^(?://|/\*|\*/|\*\s|\*$|#(?!include\b|define\b|pragma\b)|--\s|"""|\'\'\'|<!--)'),
    "import": re.compile(r"^(?:import|from|#\s*include|#\s*import|using|package|require\w*|use|module|mod)\b"),
    "definition": re.compile(
        r"^(?:def|class|func|function|fn|fun|interface|enum|struct|trait|impl|type|typedef|record|namespace|object|sub"
        r"|lambda|template)\b|^@\w"
    ),
    "return": re.compile(r"^(?:return|yield)\b"),
    "branch": re.compile(r"^(?:if|elif|else|elsif|elseif|unless|switch|case|match|when|select|default)\b"),
    "loop": re.compile(r"^(?:for|foreach|while|do|loop|until|repeat)\b"),
    "exception": re.compile(r"^(?:try|except|catch|finally|raise|throw|with|assert|defer|rescue|ensure|panic)\b"),
    "jump": re.compile(r"^(?:break|continue|pass|goto|next|fallthrough)\b"),
    "closer": re.compile(r"^(?:[\s{}()\[\];,:]+|end\b.*)$"),
    "signature": re.compile(
        r"^(?!(?:await|new|delete|not)\b)[\w<>\[\],.*&:\s]+\s[\w~:]+\s*\([^()]*\)\s*(?:const\s*)?(?:throws\s[\w.,\s]+)?(?:->.*)?\{?$"
    ),
    "assignment": re.compile(r"^[^=(\"']*(?:(?<![=!<>])=(?![=>])|<<=|>>=|<-\s)|^[^=]*(?:\+\+|--);?$"),
    "call": re.compile(r"^(?:await\s+|new\s+)?[\w.:>\-\[\]]+!?\s*\("),
}
"""Line classes by what a line starts with, in order of precedence, over the keywords of common languages."""

KEYWORD_CLASSES: tuple[str, ...] = (*_KEYWORDS, "other")
"""The classes that ``keyword_class`` tells apart."""

SURFACE_FEATURES: tuple[str, ...] = (
    "length",
    "indentation",
    "line_number",
    "relative_position",
    "n_lines",
    "brackets",
    "operators",
    "numbers",
    *(f"is_{name}" for name in KEYWORD_CLASSES),
)
"""The columns of ``surface_features``, in order."""

_TAB = 4

_OPERATORS = re.compile(r"[-+*/%<>=!&|^~]+")
_NUMBERS = re.compile(r"(?<![\w.])\d[\w.]*")


def keyword_class(text: str) -> str:
    """What a line does, by its first word or punctuation, whatever the language.

    Args:
        text: The line.

    Returns:
        One of ``KEYWORD_CLASSES``.
    """
    stripped = text.strip()
    if _KEYWORDS["closer"].match(stripped):
        return "closer"
    bare = _MODIFIERS.sub("", stripped)
    return next((name for name, pattern in _KEYWORDS.items() if pattern.match(bare)), "other")


def _line_features(text: str, number: int, n_physical: int, n_lines: int) -> list[float]:
    body = text.strip()
    lead = text[: len(text) - len(text.lstrip())].expandtabs(_TAB)
    kind = keyword_class(text)
    return [
        float(len(text.rstrip())),
        float(len(lead)),
        float(number),
        number / max(n_physical - 1, 1),
        float(n_lines),
        float(sum(body.count(c) for c in "()[]{}")),
        float(len(_OPERATORS.findall(body))),
        float(len(_NUMBERS.findall(body))),
        *(float(kind == name) for name in KEYWORD_CLASSES),
    ]


def surface_features(code: str, line_numbers: Iterable[int]) -> FloatArray:
    """What lines look like.

    Length in characters, indentation in columns, line number, line number relative to the last, number of non-blank
    lines, counts of brackets, operators and number literals, and the keyword class as 0/1.

    Args:
        code: The snippet.
        line_numbers: 0-based numbers of the lines asked for.

    Returns:
        ``(T, len(SURFACE_FEATURES))``.
    """
    lines = [line.rstrip("\r") for line in code.split("\n")]
    n_physical = len(lines) - (lines[-1] == "")
    n_lines = len(non_blank_lines(code))
    rows = [_line_features(lines[n], n, n_physical, n_lines) for n in line_numbers]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(SURFACE_FEATURES))
