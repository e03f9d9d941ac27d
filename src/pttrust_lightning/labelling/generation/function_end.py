"""Where a generated function ends: what a language model writes after it is no part of the answer."""

from __future__ import annotations

import re

_PYTHON = re.compile(
    r"\#[^\n]*"
    r"|(?P<quotes>\"\"\"|''')(?:\\.|(?!(?P=quotes)).)*(?:(?P=quotes)|\Z)"
    r"|\"(?:\\.|[^\"\\\n])*\"?"
    r"|'(?:\\.|[^'\\\n])*'?",
    flags=re.S,
)
_COMMENT_OR_STRING = r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:\\.|[^\"\\])*(?:\"|\Z)"
_TEMPLATE = r"|`(?:\\.|[^`\\])*(?:`|\Z)"
_BRACES = re.compile(
    _COMMENT_OR_STRING + _TEMPLATE + r"|'(?:\\[^'\n]*|[^\\'\n])'", flags=re.S
)  # a lone ' starts a lifetime
_JAVASCRIPT = re.compile(_COMMENT_OR_STRING + _TEMPLATE + r"|'(?:\\.|[^'\\\n])*'?", flags=re.S)

_BRACE, _CLOSERS = re.compile(r"[{}]"), re.compile(r"[ \t]*[;,)]*")

_TEXT_OF = {"python": _PYTHON, "javascript": _JAVASCRIPT, "typescript": _JAVASCRIPT}


def function_end(prompt: str, completion: str, language: str) -> int | None:
    """Where in ``completion`` the function ends that ``prompt`` began; None where it does not end yet.

    Python: before the first line after the body that is not indented, outside strings and brackets (a comment is such a
    line). Other languages: after the brace that closes the outermost one, and the ``;`` or ``)`` behind it.
    Where the prompt began no function, the first one that the completion begins counts. Strings and comments are found
    by their delimiters; JavaScript's regular expressions are not, so a quote or brace in one may hide the end.

    Args:
        prompt: What precedes the completion.
        completion: What the LLM wrote.
        language: Lower-case name.
    """
    code = _TEXT_OF.get(language, _BRACES).sub(_blanked, prompt + completion)
    end = _python_end(code, len(prompt)) if language == "python" else _braces_end(code, len(prompt))
    return None if end is None else end - len(prompt)


def _blanked(match: re.Match[str]) -> str:
    """A string or comment as its first character and spaces: nothing in it counts, but lines and columns stay."""
    return match[0][0] + re.sub(r"[^\n]", " ", match[0][1:])


def _python_end(code: str, start: int) -> int | None:
    before = code[:start]
    last = next((line for line in reversed(before.split("\n")) if line.strip()), "")
    in_body = last[:1].isspace() or last.rstrip().endswith(":")
    depth = _open_brackets(before)
    position = code.rfind("\n", 0, start) + 1
    depth -= _open_brackets(code[position:start])  # the line that the prompt leaves unfinished is read as a whole
    for line in code[position:].split("\n"):
        if line.strip() and depth <= 0:
            if line[0].isspace() or position < start:
                in_body = True
            elif in_body:
                return position
        depth += _open_brackets(line)
        position += len(line) + 1
    return None


def _open_brackets(code: str) -> int:
    return sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")


def _braces_end(code: str, start: int) -> int | None:
    depth = code.count("{", 0, start) - code.count("}", 0, start)
    for match in _BRACE.finditer(code, start):
        depth += 1 if match[0] == "{" else -1
        if depth <= 0:
            closed = _CLOSERS.match(code, match.end())
            assert closed is not None  # it matches nothing, too
            return closed.end() if closed.end() < len(code) else None  # more of them may follow
    return None
