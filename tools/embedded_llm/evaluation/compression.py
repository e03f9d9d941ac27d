"""Held-out bits per byte of LLMs, an n-gram model and compressors, on the same files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.states.language_model import load_causal_lm
from pttrust_lightning.types import Exclusions
from tools.embedded_llm.evaluation import bootstrap, ngram
from tools.embedded_llm.evaluation.compressors import COMPRESSORS, bits_by_file, solid_bits
from tools.embedded_llm.evaluation.corpus_split import CorpusFile, read_files
from tools.embedded_llm.evaluation.encoding import encode, encode_exactly
from tools.embedded_llm.evaluation.likelihood import score_tokens
from tools.embedded_llm.evaluation.llms import ComparedLlm, bos_token_id, compared_llms, tokenizer_of
from tools.embedded_llm.evaluation.reports import plain


@dataclass(frozen=True, slots=True)
class CompressionOptions:
    """What is compared on what.

    Attributes:
        llm: The LLMs, ``FOLDER`` or ``FOLDER:CONTEXT``; the n-gram model counts the tokens of the first.
        corpus: Folder of ``train/`` and ``held_out/``.
        languages: Which files of it.
        max_bytes: Held-out bytes of each language to read, in whole files.
        context: Tokens read at once by LLMs that name no context of their own.
        ngram_bytes: Bytes of each language's training split to count, in whole files; 0 leaves the n-gram model out,
            None takes all.
        device: Where the LLMs run.
        bootstrap_samples: Resamples of the files behind the intervals.
        seed: Of the resamples.
    """

    llm: Sequence[str]
    corpus: Path
    languages: Sequence[str]
    max_bytes: int
    context: int
    ngram_bytes: int | None
    device: str
    bootstrap_samples: int
    seed: int


@dataclass(frozen=True, slots=True)
class Coded:
    """What one method makes of the held-out files of a language.

    Attributes:
        bits: Bits of each file, or of all of them as one stream.
        figures: What else is known of it.
    """

    bits: list[float]
    figures: dict[str, float]


def run_compression(options: CompressionOptions) -> dict[str, Any]:
    """Compare on each language.

    Returns:
        The report, ready for JSON; the same options and files give the same report.

    Raises:
        PtTrustError: An LLM or the corpus cannot be used.
    """
    llms = compared_llms(options.llm, options.device, options.context)
    held_out: dict[str, list[CorpusFile]] = {}
    left_out: dict[str, Exclusions] = {}
    for language in options.languages:  # all of them before hours are spent on the first
        left_out[language] = Exclusions()
        held_out[language] = read_files(options.corpus, "held_out", language, options.max_bytes, left_out[language])
    coded: dict[str, dict[str, Coded]] = {language: _compressed(files) for language, files in held_out.items()}
    if options.ngram_bytes != 0:
        for language, files in held_out.items():
            coded[language][f"{ngram.ORDER}-gram"] = _ngram(options, llms[0], language, files)
    for llm in llms:
        for language, scored in _llm(llm, held_out).items():
            coded[language][llm.name] = scored
    return {
        "command": "compression",
        "max_bytes": options.max_bytes,
        "ngram_bytes": options.ngram_bytes,
        "bootstrap_samples": options.bootstrap_samples,
        "seed": options.seed,
        "llms": [llm.describe() for llm in llms],
        "languages": {
            language: _language_report(options, files, left_out[language], coded[language], llms[0].name)
            for language, files in held_out.items()
        },
    }


def _compressed(files: Sequence[CorpusFile]) -> dict[str, Coded]:
    data = [file.data for file in files]
    coded = {f"{name}, file by file": Coded(bits_by_file(name, data), {}) for name in COMPRESSORS}
    return coded | {f"{name}, one stream": Coded([solid_bits(name, data)], {}) for name in COMPRESSORS}


def _ngram(options: CompressionOptions, llm: ComparedLlm, language: str, files: Sequence[CorpusFile]) -> Coded:
    exclusions = Exclusions()  # told by the bytes and files that were read
    training = read_files(options.corpus, "train", language, options.ngram_bytes, exclusions)
    tokenizer = tokenizer_of(llm)
    model = ngram.fit(encode(tokenizer, training), llm.vocab_size)
    seen = {hashlib.sha256(file.data).digest() for file in training}
    nats = ngram.nats(model, encode_exactly(tokenizer, files))
    return Coded(
        bits=[float(n.sum()) / math.log(2) for n in nats],
        figures={
            "nats_per_token": float(np.concatenate(nats).mean()),
            "training_files": len(training),
            "training_files_left_out": exclusions.counts.total(),
            "training_bytes": sum(len(file.data) for file in training),
            "training_tokens": model.n_tokens,
            "held_out_files_also_in_training": sum(hashlib.sha256(file.data).digest() in seen for file in files),
        },
    )


def _llm(llm: ComparedLlm, held_out: dict[str, list[CorpusFile]]) -> dict[str, Coded]:
    tokenizer = tokenizer_of(llm)
    model: Any = load_causal_lm(llm.config)
    bos = bos_token_id(llm, tokenizer)
    result = {}
    for language, files in held_out.items():
        sequences = encode_exactly(tokenizer, files)
        scores = score_tokens(model, sequences, bos, llm.context, f"{llm.name}, {language}")
        n_tokens = sum(len(s) for s in sequences)
        result[language] = Coded(
            bits=[float(s.nats.sum()) / math.log(2) for s in scores],
            figures={
                "nats_per_token": sum(float(s.nats.sum()) for s in scores) / n_tokens,
                "bytes_per_token": sum(len(file.data) for file in files) / n_tokens,
                "top_1": sum(int(s.top_1.sum()) for s in scores) / n_tokens,
                "tokens": n_tokens,
            },
        )
    return result


def _language_report(
    options: CompressionOptions,
    files: Sequence[CorpusFile],
    left_out: Exclusions,
    coded: dict[str, Coded],
    first: str,
) -> dict[str, Any]:
    sizes = [float(len(file.data)) for file in files]

    def per_byte(bits: Sequence[float]) -> Estimate:
        if len(bits) != len(sizes):  # one stream: no file has bits of its own to draw
            return Estimate(sum(bits) / sum(sizes), math.nan, math.nan)
        return bootstrap.ratio(bits, sizes, options.bootstrap_samples, options.seed)

    ours = coded[first].bits
    gaps = {
        name: per_byte([a - b for a, b in zip(ours, other.bits, strict=True)])
        if len(other.bits) == len(ours)
        else per_byte([sum(ours) - sum(other.bits)])
        for name, other in coded.items()
        if name != first
    }
    return {
        "files": len(files),
        "bytes": int(sum(sizes)),
        "left_out": dict(sorted(left_out.counts.items())),
        "methods": {
            name: {"bits_per_byte": plain(per_byte(method.bits)), **method.figures} for name, method in coded.items()
        },
        "first_llm_minus": {name: plain(gap) for name, gap in gaps.items()},
    }
