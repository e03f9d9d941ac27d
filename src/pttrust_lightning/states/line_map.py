"""From tokens to lines, byte by byte.

A token's span comes from the bytes of the model's own token ids, which must add up to the source's bytes; a line's span
comes from :mod:`pttrust_lightning.source.lines`. Nothing is decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pttrust_lightning.errors import TokenAlignmentError
from pttrust_lightning.source.lines import Line
from pttrust_lightning.types import IntArray, LineRule


class TokenSpans(NamedTuple):
    """Where each token lies in the text, in bytes; a special token that stands for no text has an empty span.

    Attributes:
        starts: First byte of each token, ``(n,)``.
        ends: Byte after its last, ``(n,)``.
    """

    starts: IntArray
    ends: IntArray


class LineTokens(NamedTuple):
    """The tokens whose states stand for the lines: the mean over ``first .. last`` (one token for two of the rules).

    Attributes:
        line_numbers: 0-based line numbers, strictly increasing, ``(T,)``.
        first: First token of each line's pool, ``(T,)``.
        last: Last token of it (included), strictly increasing, ``(T,)``.
        own_first: First token that starts inside the line, ``(T,)``.
        own_last: Last token that starts inside the line (included), ``(T,)``.
    """

    line_numbers: IntArray
    first: IntArray
    last: IntArray
    own_first: IntArray
    own_last: IntArray


def token_spans(
    token_ids: Sequence[int], is_special: Sequence[int], token_bytes: Callable[[int], bytes], text: bytes
) -> TokenSpans:
    """Where each token lies in ``text``.

    Args:
        token_ids: What the LLM reads, special tokens included, ``(n,)``.
        is_special: Non-zero where the tokenizer added a token that stands for no text, ``(n,)``.
        token_bytes: The bytes of a token id; a leading space of the tokenizer's own must be part of ``text``.
        text: What was tokenised, as UTF-8.

    Raises:
        TokenAlignmentError: The tokens' bytes are not the text's bytes (the tokenizer normalises, for example).
    """
    if any(is_special):
        pieces = [b"" if special else token_bytes(i) for i, special in zip(token_ids, is_special, strict=True)]
    else:
        pieces = list(map(token_bytes, token_ids))
    joined = b"".join(pieces)
    if joined != text:
        where = next(
            (i for i, (a, b) in enumerate(zip(joined, text, strict=False)) if a != b), min(len(joined), len(text))
        )
        raise TokenAlignmentError(
            f"the tokens' bytes differ from the source's at byte {where} "
            f"({joined[where : where + 8]!r} for {text[where : where + 8]!r}): the tokenizer changes this text"
        )
    lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    ends = np.cumsum(lengths)
    return TokenSpans(ends - lengths, ends)


def line_tokens(lines: Sequence[Line], spans: TokenSpans, rule: LineRule) -> LineTokens:
    """The tokens that stand for each line (METHOD: line states).

    Args:
        lines: Non-blank lines, each with a terminating newline, in order; spans in bytes of the tokenised text.
        spans: Where each token lies.
        rule: ``newline``, ``last_code`` or ``mean``. For ``mean`` a line's tokens are those that start in it, so that
            a newline merged with the next line's indentation belongs to the line it ends.

    Raises:
        TokenAlignmentError: Two lines share their token, or a line has no token of its own.
    """
    newline = _covering(spans, [line.terminator_end - 1 for line in lines])
    code_end = [line.start + len(line.text.rstrip().encode()) - 1 for line in lines]
    last_code = _covering(spans, code_end)
    visible = spans.ends > spans.starts
    # Special tokens have empty spans: their starts must not count as being inside a line.
    starts = np.where(visible, spans.starts, -1)
    order = np.flatnonzero(visible)
    own_first = order[
        np.searchsorted(starts[order], [line.start for line in lines], side="left").clip(max=len(order) - 1)
    ]
    own_last = _covering(spans, [line.terminator_end - 1 for line in lines])
    if rule == "newline":
        first = last = newline
    elif rule == "last_code":
        first = last = last_code
    else:
        first, last = own_first, own_last
    numbers = np.array([line.number for line in lines], dtype=np.int64)
    shared = np.flatnonzero(np.diff(last) <= 0)
    if len(shared):
        a, b = numbers[shared[0]] + 1, numbers[shared[0] + 1] + 1
        raise TokenAlignmentError(f"lines {a} and {b} end in one token, so their states cannot be told apart")
    empty = np.flatnonzero(first > last)
    if len(empty):
        raise TokenAlignmentError(f"line {numbers[empty[0]] + 1} has no token of its own")
    # A line whose every token began in the line before still owns the token that ends it.
    return LineTokens(numbers, first, last, np.minimum(own_first, own_last), own_last)


def _covering(spans: TokenSpans, offsets: Sequence[int]) -> IntArray:
    """The token that covers each byte offset: empty spans never do, since the last of equal starts is taken."""
    return np.searchsorted(spans.starts, np.asarray(offsets, dtype=np.int64), side="right") - 1
