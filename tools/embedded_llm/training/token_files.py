"""Token files: a split of the corpus as one array of token ids a language, cut into windows and mixed."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import AutoTokenizer

from tools.embedded_llm.corpus_files import SPLITS, Split, languages_of, read_codes
from tools.embedded_llm.encoding import encode_codes

Tokens = NDArray[np.uint16]


def encode_split(corpus: Path, split: Split, language: str, tokenizer: Any) -> Tokens:
    """Token ids of all files of a language, each file after an end-of-text token. Shape ``(n_tokens,)``.

    Raises:
        ValueError: The vocabulary does not fit 16 bits.
    """
    if len(tokenizer) > 1 << 16:
        raise ValueError(f"the tokenizer has {len(tokenizer):,} tokens; token files hold 65,536 at most")
    codes = read_codes(corpus, split, language)
    parts = [np.array([tokenizer.bos_token_id, *ids], dtype=np.uint16) for ids in encode_codes(tokenizer, codes)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint16)


def window(tokens: Tokens, index: int, length: int) -> Tokens:
    """Window number ``index`` of ``length`` + 1 tokens (inputs, and each one's successor), round the end if need be."""
    start = index * length
    return np.take(tokens, np.arange(start, start + length + 1), mode="wrap")


def mixture(weights: dict[str, float], seed: int) -> Iterator[str]:
    """Which language each window comes from, without end: any stretch holds them in proportion.

    Low-discrepancy rather than drawn: each window goes to the language that lags furthest behind its share, so that
    runs of any length see the same mixture.

    Raises:
        ValueError: A weight is not positive.
    """
    if not weights or min(weights.values()) <= 0:
        raise ValueError(f"mixture weights are {weights}; each must be above 0")
    names = sorted(weights)
    share = np.array([weights[name] for name in names]) / sum(weights.values())
    offset = np.random.default_rng(seed).random(len(names))
    given = np.zeros(len(names))
    for step in itertools.count(1):
        chosen = int(np.argmax((share * step - given) / share + offset))
        given[chosen] += 1
        yield names[chosen]


def load_tokens(folder: Path, split: Split) -> dict[str, Tokens]:
    """Memory-mapped token files of a split, by language.

    Raises:
        FileNotFoundError: There are none.
    """
    found = {path.stem: np.load(path, mmap_mode="r") for path in sorted((folder / split).glob("*.npy"))}
    if not found:
        raise FileNotFoundError(
            f"{folder / split} holds no token files. Run python -m tools.embedded_llm.training.token_files"
        )
    return found


def main(args: Sequence[str] | None = None) -> None:
    """``python -m tools.embedded_llm.training.token_files``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("data/raw/embedded_llm/corpus"))
    parser.add_argument("--tokenizer", type=Path, default=Path("data/raw/embedded_llm/tokenizer"))
    parser.add_argument("--output", type=Path, default=Path("data/raw/embedded_llm/tokens"))
    options = parser.parse_args(args)
    tokenizer = AutoTokenizer.from_pretrained(str(options.tokenizer), trust_remote_code=False)
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for split in SPLITS:
        for language in tqdm(languages_of(options.corpus, split), desc=split):
            tokens = encode_split(options.corpus, split, language, tokenizer)
            path = options.output / split / f"{language}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, tokens)
            n_bytes = sum(len(code.encode()) for code in read_codes(options.corpus, split, language))
            counts.setdefault(split, {})[language] = {"tokens": len(tokens), "bytes": n_bytes}
    (options.output / "counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    for name, languages in counts.items():
        for language, count in languages.items():
            per_token = count["bytes"] / max(count["tokens"], 1)
            print(f"{name:9} {language:11} {count['tokens']:>12,} tokens {per_token:.2f} bytes a token")


if __name__ == "__main__":
    main()
