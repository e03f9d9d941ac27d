"""Source code to token ids, as training and evaluation both read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

_BATCH = 256


def encode_codes(tokenizer: Any, codes: Iterable[str]) -> Iterator[list[int]]:
    """Token ids of each text, no special token among them: text that looks like one is text."""
    remaining = iter(codes)
    while batch := list(islice(remaining, _BATCH)):
        yield from tokenizer(
            batch, add_special_tokens=False, return_attention_mask=False, split_special_tokens=True, verbose=False
        )["input_ids"]
