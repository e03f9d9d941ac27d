"""Programs by what they say rather than how they look: tokens without layout, comments, names and literals.

Two programs with equal normalised tokens are clones of type 2 (Roy and Cordy, "A survey on software clone detection
research", 2007): copies with names and literals changed, such as should not be learnt from and tested on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pttrust_lightning.hashing import remembered
from pttrust_lightning.source.languages.lexemes import Lexeme, lexemes

MIN_TOKENS = 50
"""Shorter programs agree by chance once their names are gone; their fingerprints keep names and literals."""


def normalised_tokens(code: str, language: str) -> tuple[str, ...]:
    """The tokens of a program without what an author is free to choose.

    Comments (Python's docstrings too) are left out, white space within a token is one blank, a name is the number of
    its first occurrence (``<name 0>``), a string ``<string>`` followed by the tokens of its interpolations, and a
    number ``<number>``. Python's blocks begin and end with ``<indent>`` and ``<dedent>``. Names are told apart by
    their text alone, not by scope or role.

    Args:
        code: The program, or any fragment.
        language: Its language, by the name in ``LANGUAGES``; of others words and signs are kept as they are.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    return tokens_of(code, lexemes(code, language), normalised=True)


def tokens_of(code: str, found: Iterable[Lexeme], normalised: bool) -> tuple[str, ...]:
    """The tokens of a program whose lexemes are known; where not ``normalised``, with its names and literals."""
    data = code.encode("utf-8")
    numbers: dict[bytes, int] = {}
    tokens: list[str] = []
    for kind, start, end in found:
        if kind == "comment":
            continue
        if kind in ("indent", "dedent") or (normalised and kind in ("string", "number")):
            tokens.append(f"<{kind}>")
        elif normalised and kind == "name":
            tokens.append(f"<name {numbers.setdefault(data[start:end], len(numbers))}>")
        elif kind == "string":
            tokens.append(data[start:end].decode("utf-8"))
        else:
            tokens.append(" ".join(data[start:end].decode("utf-8").split()))
    return tuple(tokens)


@remembered
def fingerprint(code: str, language: str) -> str:
    """A hash that programs of a language share where they differ in layout, comments, names and literals alone.

    Programs of less than ``MIN_TOKENS`` tokens share it only where they differ in layout and comments.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate, which UTF-8 cannot express.
    """
    return fingerprint_of(code, language, lexemes(code, language))


def fingerprint_of(code: str, language: str, found: Iterable[Lexeme]) -> str:
    """As :func:`fingerprint`, of a program whose lexemes are known."""
    found = list(found)
    tokens = tokens_of(code, found, normalised=True)
    if len(tokens) < MIN_TOKENS:
        tokens = tokens_of(code, found, normalised=False)
    return hashlib.blake2b("\0".join((language, *tokens)).encode("utf-8"), digest_size=16).hexdigest()
