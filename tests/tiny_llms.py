r"""Tiny code LLMs with random weights, made on the spot: five architectures, each with its family's kind of tokenizer.

The tokenizers are trained on the few programs below, so that the families' ways with line ends show: ``):\n`` is one
token in the Qwen2 and Llama-3 style, a newline merges with the next indentation in the GPT-2 style, and ``<0x0A>``
stands alone in the SentencePiece style.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Starcoder2Config,
)

N_LAYERS, WIDTH, POSITIONS = 8, 32, 512

PYTHON = '''def area(width, height):
    """The area."""
    return width * height


class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        if not self.items:
            raise IndexError("empty")
        return self.items.pop()


def main(names):
    for name in names:
        if name.startswith("é"):
            print(name)

    while True:
        total = sum(x ** 2 for x in range(10))
        break
    return total
'''
JAVA = """class Main {\r
    int twice(int x) {\r
        log();\r
        return 2 * x;\r
    }\r
\r
    void log() {\r
        System.out.println();\r
    }\r
}\r
"""
TRAINING_TEXT = [PYTHON, JAVA, PYTHON.replace("    ", "\t"), JAVA.replace("\r", ""), "x = 'naïve 😀 \u2028'\n"]

END_OF_TEXT = "<|endoftext|>"
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Llama 3's is the same, but for numbers of up to three digits."""


def byte_level(pre_tokenizer: Any, normalizer: Any = None, bos: str | None = None) -> PreTrainedTokenizerFast:
    """Byte-level BPE; ``bos`` is put before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    special = [END_OF_TEXT] if bos is None else [END_OF_TEXT, bos]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING_TEXT * 2, trainer)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(f"{bos} $A", special_tokens=[(bos, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT, bos_token=bos)


def gpt2_tokenizer() -> PreTrainedTokenizerFast:
    """GPT-2's pattern: a newline merges with white space only."""
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def starcoder2_tokenizer() -> PreTrainedTokenizerFast:
    """GPT-2's pattern with single digits."""
    digits = pre_tokenizers.Digits(individual_digits=True)
    return byte_level(pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]))


def gpt_neox_tokenizer() -> PreTrainedTokenizerFast:
    """GPT-2's pattern with NFC, and tokens for runs of spaces that were added later and are not special."""
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC())
    tokenizer.add_tokens([AddedToken(" " * n, normalized=False, special=False) for n in range(12, 1, -1)])
    return tokenizer


def _split_by(pattern: str) -> Any:
    byte_level_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level_only])


def qwen2_tokenizer() -> PreTrainedTokenizerFast:
    """Punctuation merges with the newlines that follow; NFC."""
    return byte_level(_split_by(QWEN2_PATTERN), normalizers.NFC())


def llama3_tokenizer() -> PreTrainedTokenizerFast:
    """Qwen2's pattern but for numbers, no normalisation, and a token before every text."""
    return byte_level(_split_by(QWEN2_PATTERN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)), bos="<|begin_of_text|>")


def _sentencepiece_model() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a SentencePiece-style BPE with byte fallback; it has no token with a newline or tab."""
    tokenizer = Tokenizer(models.BPE())
    line_ends = pre_tokenizers.Split(Regex(r"[\n\t]"), "removed")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([line_ends, pre_tokenizers.Metaspace()])
    tokenizer.train_from_iterator(
        TRAINING_TEXT[:4] * 2, trainers.BpeTrainer(vocab_size=200, min_frequency=2, show_progress=False)
    )
    pieces = tokenizer.get_vocab()
    names = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *sorted(pieces, key=pieces.__getitem__)]
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    return {name: i for i, name in enumerate(names)}, merges


def codellama_tokenizer() -> LlamaTokenizer:
    """SentencePiece style: a dummy space before the text, ``<s>``, and bytes for what has no token."""
    vocabulary, merges = _sentencepiece_model()
    return LlamaTokenizer(vocab=vocabulary, merges=merges)


def legacy_sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
    """The same as older converters wrote it: a normaliser puts the dummy space, even before a space."""
    vocabulary, merges = _sentencepiece_model()
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "gpt2": gpt2_tokenizer,
    "starcoder2": starcoder2_tokenizer,
    "gpt_neox": gpt_neox_tokenizer,
    "qwen2": qwen2_tokenizer,
    "llama3": llama3_tokenizer,
    "codellama": codellama_tokenizer,
    "legacy_sentencepiece": legacy_sentencepiece_tokenizer,
}

FAMILIES = {"llama": "codellama", "qwen2": "qwen2", "starcoder2": "starcoder2", "gpt_neox": "gpt_neox", "gpt2": "gpt2"}
"""The kind of tokenizer of each architecture."""


def llm_config(family: str, vocab_size: int, **changes: Any) -> Any:
    """The configuration of a tiny LLM; weights large enough for attention to matter."""
    common = {
        "vocab_size": vocab_size, "num_hidden_layers": N_LAYERS, "hidden_size": WIDTH, "num_attention_heads": 4,
        "max_position_embeddings": POSITIONS, "initializer_range": 0.15, "bos_token_id": 1, "eos_token_id": 0,
    }  # fmt: skip
    if family == "gpt2":
        return GPT2Config(**common | changes)
    common["intermediate_size"] = 2 * WIDTH
    if family == "gpt_neox":
        return GPTNeoXConfig(**common | changes)
    kind = {"llama": LlamaConfig, "qwen2": Qwen2Config, "starcoder2": Starcoder2Config}[family]
    return kind(**{**common, "num_key_value_heads": 2, **changes})


def save_llm(folder: Path, family: str, seed: int = 0, **changes: Any) -> Path:
    """Write a tiny LLM and its tokenizer as Hugging Face folders are; ``changes`` are settings of its configuration."""
    tokenizer = TOKENIZERS[FAMILIES[family]]()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(llm_config(family, len(tokenizer), **changes))
        for parameter in model.parameters():  # biases and norms too, so that none can be left out unnoticed
            parameter.data += 0.02 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
