"""The tokenizer: byte-level BPE in which a newline, and a run of indentation, is a token of its own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tools.embedded_llm.corpus_files import languages_of, read_codes

END_OF_TEXT = "<|endoftext|>"
"""Stands between files; id 0."""

PIECES = "|".join(
    (
        r"\n",
        r"[ \t]+(?=\n|$)",
        r"(?:(?<=\n)|(?<=^))[ \t]+",
        r"[ \t]{2,}(?=\S)",
        r" ?[\p{L}_]+",
        r" ?\p{N}",
        r" ?[^\s\p{L}\p{N}_]+",
        r"\s",
    )
)
"""What merges stay within, by order of preference.

A newline; blanks at a line's end; indentation; alignment within a line; a word (``snake_case`` is one) with the space
before it; one digit (numbers off by one differ in a token); a run of punctuation, which never takes in the newline, so
that a line's last token is always a bare newline; other blanks.
"""


def train_tokenizer(codes: Iterator[str], vocab_size: int, context_length: int) -> PreTrainedTokenizerFast:
    """Learn the merges from source files.

    Args:
        codes: Texts of source files.
        vocab_size: Tokens in all, the 256 bytes and the end-of-text token among them.
        context_length: What the tokenizer names as the LLM's longest input, in tokens.

    Raises:
        ValueError: ``vocab_size`` does not even hold the bytes.
    """
    if vocab_size < 257:
        raise ValueError(f"vocab_size is {vocab_size}; 256 bytes and {END_OF_TEXT} need 257 at least")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=32,  # longer ones are ruled lines and licence phrases
        show_progress=False,
    )
    bpe.train_from_iterator(codes, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
        model_max_length=context_length,
    )


def sample_codes(corpus: Path, shares: dict[str, int]) -> Iterator[str]:
    """Yield files of the training split until each language has given its bytes.

    Args:
        corpus: The corpus's folder.
        shares: Bytes by language.
    """
    for language, limit in shares.items():
        taken = 0
        for code in read_codes(corpus, "train", language):
            if taken >= limit:
                break
            taken += len(code.encode())
            yield code


def main(args: Sequence[str] | None = None) -> None:
    """``python -m tools.embedded_llm.tokenizer``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("data/raw/embedded_llm/corpus"))
    parser.add_argument("--output", type=Path, default=Path("data/raw/embedded_llm/tokenizer"))
    parser.add_argument("--vocab_size", type=int, default=8192, help="8,192 for a CPU's budget, 16,384 for a GPU's")
    parser.add_argument("--context_length", type=int, default=1024)
    parser.add_argument("--python_bytes", type=int, default=30_000_000, help="Python to learn from")
    parser.add_argument("--other_bytes", type=int, default=5_000_000, help="of each other language")
    options = parser.parse_args(args)
    shares = {
        language: options.python_bytes if language == "python" else options.other_bytes
        for language in languages_of(options.corpus, "train")
    }
    tokenizer = train_tokenizer(sample_codes(options.corpus, shares), options.vocab_size, options.context_length)
    tokenizer.save_pretrained(options.output)
    print(f"{len(tokenizer):,} tokens from {', '.join(shares)} in {options.output}")


if __name__ == "__main__":
    main()
