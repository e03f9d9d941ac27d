"""From a training checkpoint to the folder that the package ships: bf16 safetensors, configuration, tokenizer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.embedded_llm.training.module import CausalLanguageModelling

MAX_BYTES = 60_000_000
"""What the embedded LLM may weigh in the package."""


def export(checkpoint: Path, tokenizer: Path, output: Path) -> int:
    """Write weights, configuration and tokenizer; what they weigh, in bytes.

    Raises:
        ValueError: Tokenizer and weights are of different vocabularies, the weights hold NaN, or the folder would weigh
            more than ``MAX_BYTES``.
    """
    module = CausalLanguageModelling.load_from_checkpoint(
        checkpoint, map_location="cpu", weights_only=True, compile=False
    )
    model, words = module.language_model, AutoTokenizer.from_pretrained(str(tokenizer), trust_remote_code=False)
    if len(words) != model.config.vocab_size:
        raise ValueError(
            f"{tokenizer} has {len(words):,} tokens, {checkpoint} was trained with {model.config.vocab_size:,}: "
            "give the tokenizer of the token files that it was trained on"
        )
    damaged = [name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()]
    if damaged:
        raise ValueError(f"{checkpoint}: {damaged[0]} is not finite; export an earlier checkpoint")
    weight = 2 * sum(parameter.numel() for parameter in model.parameters())
    if weight > MAX_BYTES:
        raise ValueError(f"{weight / 1e6:.0f} MB in bf16 is more than the {MAX_BYTES / 1e6:.0f} MB that may ship")
    model = model.to(torch.bfloat16)
    model.config.use_cache = True  # training switched it off; generation wants it
    model.generation_config.use_cache = True
    model.save_pretrained(output)
    words.save_pretrained(output)
    AutoModelForCausalLM.from_pretrained(output, trust_remote_code=False)  # what users will call
    return sum(path.stat().st_size for path in output.iterdir())


def main(args: Sequence[str] | None = None) -> None:
    """``python -m tools.embedded_llm.export``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, default=Path("data/raw/embedded_llm/tokenizer"))
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(args)
    size = export(options.checkpoint, options.tokenizer, options.output)
    print(f"{options.output}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
