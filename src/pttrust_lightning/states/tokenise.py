"""From a program to what the LLM reads: token ids, and the tokens that stand for its lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pttrust_lightning.errors import TokenAlignmentError
from pttrust_lightning.source.lines import Line, non_blank_lines, with_final_newline
from pttrust_lightning.states.line_map import LineTokens, line_tokens, token_spans
from pttrust_lightning.states.token_bytes import TokenBytes
from pttrust_lightning.types import IntArray, LineRule, Program


class TokenisedProgram(NamedTuple):
    """A program as the LLM reads it.

    Attributes:
        program_id: The program's id.
        token_ids: Prompt and code, cut after the last scored line, ``(n,)``.
        tokens: The tokens that stand for the scored lines, all within ``token_ids``.
        n_lines: Non-blank lines of the program, scored or not.
        n_context: Tokens that start before the code: the prompt's, with what the tokenizer puts in front; 0 where there
            is no prompt.
    """

    program_id: str
    token_ids: IntArray
    tokens: LineTokens
    n_lines: int
    n_context: int

    @property
    def line_tokens(self) -> IntArray:
        """How many tokens start in each scored line, at least 1, ``(T,)``."""
        return self.tokens.own_last - self.tokens.own_first + 1


class _Text(NamedTuple):
    """A program as the tokenizer reads it.

    Attributes:
        text: Prompt and code.
        source: Its bytes, with the tokenizer's own prefix.
        lines: The code's non-blank lines.
        prompt_end: Where in ``source`` the prompt ends and the code begins; 0 where there is no prompt.
    """

    text: str
    source: bytes
    lines: list[Line]
    prompt_end: int


class LineTokeniser:
    """Maps programs to tokens and lines for one LLM.

    Args:
        tokenizer: The LLM's fast tokenizer.
        rule: The token that stands for a line.
        context_length: Tokens read per program.
    """

    def __init__(self, tokenizer: Any, rule: LineRule, context_length: int) -> None:
        self._tokenizer = tokenizer
        self._bytes = TokenBytes(tokenizer)
        self._rule = rule
        self._context_length = context_length

    def __call__(self, program: Program) -> TokenisedProgram:
        """Tokenise the program's prompt and code as one text, and map its non-blank lines to tokens.

        Raises:
            TokenAlignmentError: The tokens cannot be mapped to the source, byte by byte.
        """
        (item,) = self.many([program])
        if isinstance(item, TokenAlignmentError):
            raise item
        return item

    def many(self, programs: Sequence[Program]) -> list[TokenisedProgram | TokenAlignmentError]:
        """Each program as by itself, or what keeps its tokens from its source; the tokenizer runs them in parallel."""
        texts = [self._text(program) for program in programs]
        encoded = iter(self._encode([t.text for t in texts if isinstance(t, _Text) and t.lines]))
        found: list[TokenisedProgram | TokenAlignmentError] = []
        for program, text in zip(programs, texts, strict=True):
            if isinstance(text, TokenAlignmentError):
                found.append(text)
            elif not text.lines:
                nothing = np.zeros(0, dtype=np.int64)
                found.append(TokenisedProgram(program.id, nothing, LineTokens(*[nothing] * 5), 0, 0))
            else:
                try:
                    found.append(self._map(program.id, text, *next(encoded)))
                except TokenAlignmentError as error:
                    found.append(error)
        return found

    def _text(self, program: Program) -> _Text | TokenAlignmentError:
        prompt = with_final_newline(program.prompt) if program.prompt else ""
        text = prompt + with_final_newline(program.code)
        prefix = self._bytes.dummy_prefix(text)
        try:
            source = (prefix + text).encode()
        except UnicodeEncodeError:
            return TokenAlignmentError("the source holds lone surrogates, which are not text")
        start = len((prefix + prompt).encode())
        lines = [
            Line(line.number, line.start + start, line.end + start, line.terminator_end + start, line.text)
            for line in non_blank_lines(with_final_newline(program.code))
        ]
        return _Text(text, source, lines, start if prompt else 0)

    def _encode(self, texts: list[str]) -> Iterator[tuple[list[int], list[int]]]:
        """Token ids of each text, and which of them the tokenizer added."""
        if not texts:
            return iter(())
        # A program may well contain the text of a special token: it is text like any other here.
        encoded = self._tokenizer(
            texts,
            return_special_tokens_mask=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            split_special_tokens=True,
            verbose=False,
        )
        return zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)

    def _map(self, program_id: str, text: _Text, ids: list[int], is_special: list[int]) -> TokenisedProgram:
        spans = token_spans(ids, is_special, self._bytes.lookup, text.source)
        tokens = line_tokens(text.lines, spans, self._rule)
        scored = np.maximum(tokens.last, tokens.own_last) < self._context_length
        kept = LineTokens(*(a[scored] for a in tokens))
        n_tokens = int(max(kept.last.max(), kept.own_last.max())) + 1 if scored.any() else 0
        n_context = int(np.searchsorted(spans.starts, text.prompt_end))  # a token belongs to where it starts
        return TokenisedProgram(program_id, np.array(ids[:n_tokens], dtype=np.int64), kept, len(text.lines), n_context)
