"""From source files to the token ids that LLM and n-gram model score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pttrust_lightning.errors import TokenAlignmentError
from pttrust_lightning.states.line_map import token_spans
from pttrust_lightning.states.token_bytes import TokenBytes
from pttrust_lightning.types import IntArray
from tools.embedded_llm.evaluation.corpus_split import CorpusFile

_BATCH = 256


def encode(tokenizer: Any, files: Sequence[CorpusFile]) -> Iterator[IntArray]:
    """Token ids of each file, no special token among them: text that looks like one is text."""
    for start in range(0, len(files), _BATCH):
        codes = [file.code for file in files[start : start + _BATCH]]
        encoded = tokenizer(
            codes, add_special_tokens=False, return_attention_mask=False, split_special_tokens=True, verbose=False
        )
        for ids in encoded["input_ids"]:
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
