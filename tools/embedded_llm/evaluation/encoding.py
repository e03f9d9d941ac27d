"""From source files to the token ids that LLM and n-gram model score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pttrust_lightning.errors import TokenAlignmentError
from pttrust_lightning.states.line_map import token_spans
from pttrust_lightning.states.token_bytes import TokenBytes
from pttrust_lightning.types import IntArray
from tools.embedded_llm.encoding import encode_codes
from tools.embedded_llm.evaluation.corpus_split import CorpusFile


def encode(tokenizer: Any, files: Sequence[CorpusFile]) -> Iterator[IntArray]:
    """Token ids of each file."""
    for ids in encode_codes(tokenizer, (file.code for file in files)):
        yield np.array(ids, dtype=np.int64)


def encode_exactly(tokenizer: Any, files: Sequence[CorpusFile]) -> list[IntArray]:
    """Token ids of each file, checked to stand for exactly its bytes: else the bits would be those of another text.

    Raises:
        TokenAlignmentError: The tokenizer changes a file; names it.
    """
    token_bytes = TokenBytes(tokenizer)
    sequences = []
    for file, ids in zip(files, encode(tokenizer, files), strict=True):
        source = token_bytes.dummy_prefix(file.code).encode() + file.data
        try:
            token_spans(ids.tolist(), [0] * len(ids), token_bytes, source)
        except TokenAlignmentError as error:
            raise TokenAlignmentError(f"{file.id}: {error}. Use a lossless tokenizer (byte-level BPE).") from error
        sequences.append(ids)
    return sequences
