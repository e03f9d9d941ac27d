"""The bytes that each token of a vocabulary stands for, from the tokenizer's own tables.

Decoded text cannot be trusted for this: decoders clean up, and fast tokenizers' offsets are off for some families
(huggingface/tokenizers issues 1553 and 1688). Two encodings cover the code LLMs in use: byte-level BPE (GPT-2, Llama 3,
Qwen, StarCoder) and SentencePiece with byte fallback (Llama 2, CodeLlama).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from pttrust_lightning.errors import LanguageModelError

_SENTENCEPIECE_SPACE = "\u2581"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_level_alphabet() -> dict[str, int]:
    """The printable stand-in character of each byte in byte-level BPE (GPT-2's table), inverted."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(b): b for b in printable}
    others = [b for b in range(256) if b not in set(printable)]
    alphabet.update({chr(256 + i): b for i, b in enumerate(others)})
    return alphabet


def _kinds(decoder: dict[str, Any] | None) -> set[str]:
    """The types named anywhere in a decoder's description."""
    if not decoder:
        return set()
    kinds = {str(decoder.get("type"))}
    for part in decoder.get("decoders", []):
        kinds |= _kinds(part)
    return kinds


class _Known(dict[int, bytes]):
    """The bytes of the tokens that have been met; a new one is worked out."""

    def __init__(self, encode: Callable[[str], bytes], tokenizer: Any) -> None:
        super().__init__()
        self._encode, self._tokenizer = encode, tokenizer

    def __missing__(self, token_id: int) -> bytes:
        found = self[token_id] = self._encode(self._tokenizer.convert_ids_to_tokens(token_id))
        return found


class TokenBytes:
    """The bytes of each token id of one fast tokenizer.

    Args:
        tokenizer: A fast ``transformers`` tokenizer.

    Attributes:
        lookup: The same as a call, without its overhead, for many tokens.

    Raises:
        LanguageModelError: The tokenizer is not fast, or of an encoding whose bytes are not known.
    """

    def __init__(self, tokenizer: Any) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise LanguageModelError(
                f"The tokenizer {type(tokenizer).__name__} has no fast backend, so its tokens' bytes are not known. "
                "Convert it to a fast tokenizer (tokenizer.json) first."
            )
        description = json.loads(backend.to_str())
        kinds = _kinds(description.get("decoder"))
        if "ByteLevel" in kinds:
            self._encode = _byte_level_bytes(byte_level_alphabet())
        elif "ByteFallback" in kinds:
            self._encode = _sentencepiece_bytes
        else:
            raise LanguageModelError(
                f"The tokenizer's decoder ({', '.join(sorted(kinds)) or 'none'}) is neither byte-level BPE nor "
                "SentencePiece with byte fallback, so its tokens cannot be mapped to source bytes. "
                "Use a code LLM with one of these."
            )
        self._known = _Known(self._encode, tokenizer)
        self._known.update((int(t["id"]), str(t["content"]).encode()) for t in description.get("added_tokens", []))
        self.lookup: Callable[[int], bytes] = self._known.__getitem__
        # SentencePiece puts a dummy space before the text; some versions only where the text does not start with one.
        self._space_before = {start: self._adds_space(backend, start) for start in ("x", " x")}

    def __call__(self, token_id: int) -> bytes:
        """The bytes that the token stands for (an added token: its own text)."""
        return self._known[token_id]

    def dummy_prefix(self, text: str) -> str:
        """What the tokenizer puts before ``text`` of its own: a space, or nothing."""
        return " " if self._space_before[" x" if text.startswith(" ") else "x"] else ""

    def _adds_space(self, backend: Any, text: str) -> bool:
        ids = backend.encode(text, add_special_tokens=False).ids
        return b"".join(self(i) for i in ids) == b" " + text.encode()


def _byte_level_bytes(alphabet: dict[str, int]) -> Any:
    def encode(token: str) -> bytes:
        return bytes(alphabet[c] for c in token)

    return encode


def _sentencepiece_bytes(token: str) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace(_SENTENCEPIECE_SPACE, " ").encode()
