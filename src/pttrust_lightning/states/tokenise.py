"""From a program to what the LLM reads: token ids, and the tokens that stand for its lines."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pttrust_lightning.errors import TokenAlignmentError
from pttrust_lightning.source.lines import Line, non_blank_lines, with_final_newline
from pttrust_lightning.states.line_map import LineTokens, line_tokens, token_spans
from pttrust_lightning.states.token_bytes import TokenBytes
from pttrust_lightning.types import LineRule, Program


class TokenisedProgram(NamedTuple):
    """A program as the LLM reads it.

    Attributes:
        program_id: The program's id.
        token_ids: Prompt and code, cut at the context length.
        tokens: The tokens that stand for the scored lines, all within ``token_ids``.
        n_lines: Non-blank lines of the program, scored or not.
    """

    program_id: str
    token_ids: list[int]
    tokens: LineTokens
    n_lines: int


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
        prompt = with_final_newline(program.prompt) if program.prompt else ""
        text = prompt + with_final_newline(program.code)
        prefix = self._bytes.dummy_prefix(text)
        try:
            source = (prefix + text).encode()
        except UnicodeEncodeError as error:
            raise TokenAlignmentError("the source holds lone surrogates, which are not text") from error
        code_start = len((prefix + prompt).encode())
        lines = [
            Line(
                line.number, line.start + code_start, line.end + code_start, line.terminator_end + code_start, line.text
            )
            for line in non_blank_lines(with_final_newline(program.code))
        ]
        if not lines:
            nothing = np.zeros(0, dtype=np.int64)
            return TokenisedProgram(program.id, [], LineTokens(*[nothing] * 5), 0)
        # A program may well contain the text of a special token: it is text like any other here.
        encoded = self._tokenizer(
            text,
            return_special_tokens_mask=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            split_special_tokens=True,
            verbose=False,
        )
        ids: list[int] = encoded["input_ids"]
        spans = token_spans(ids, encoded["special_tokens_mask"], self._bytes, source)
        tokens = line_tokens(lines, spans, self._rule)
        scored = np.maximum(tokens.last, tokens.own_last) < self._context_length
        kept = LineTokens(*(a[scored] for a in tokens))
        n_tokens = int(max(kept.last.max(), kept.own_last.max())) + 1 if scored.any() else 0
        return TokenisedProgram(program.id, ids[:n_tokens], kept, len(lines))
