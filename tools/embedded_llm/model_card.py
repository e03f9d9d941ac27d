"""The model card and the data manifest that ship with the weights, written from what the other steps measured."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

Json = dict[str, Any]
_CURVE_POINTS = 12


def data_manifest(manifest: Json) -> Json:
    """What a user of the weights wants to know of the corpus: its sources and their licences."""
    fields = ("ecosystem", "name", "version", "licence", "language", "held_out", "files", "bytes")
    return {
        "corpus_sha256": manifest["corpus_sha256"],
        "sizes": manifest["sizes"],
        "contamination": manifest["contamination"],
        "sources": [{field: source[field] for field in fields} for source in manifest["sources"]],
    }


def loss_table(curve: Sequence[Json], counts: Json) -> list[str]:
    """Rows of the held-out loss curve, in bits per byte, at about a dozen of its points.

    Args:
        curve: Records of the loss curve, as the training wrote them.
        counts: Tokens and bytes by split and language.
    """
    tokens_at = {record["step"]: record["tokens"] for record in curve if "train" in record}
    points = [record for record in curve if "held_out" in record]
    every = max(1, math.ceil(len(points) / _CURVE_POINTS))
    shown = points[::-1][::every][::-1]
    if not shown:
        return ["The run logged no held-out losses."]
    languages = sorted(shown[-1]["held_out"])
    bits = {
        name: counts["held_out"][name]["tokens"] / counts["held_out"][name]["bytes"] / math.log(2) for name in languages
    }
    rows = [f"| step | tokens | {' | '.join(languages)} |", "|---" * (2 + len(languages)) + "|"]
    for record in shown:
        losses = " | ".join(f"{record['held_out'][name] * bits[name]:.3f}" for name in languages)
        tokens = tokens_at.get(record["step"])
        seen = "" if tokens is None else f"{tokens / 1e6:.1f} M"
        rows.append(f"| {record['step']} | {seen} | {losses} |")
    return rows


def compression_table(report: Json) -> list[str]:
    """Rows of held-out bits per byte: methods by languages."""
    languages = report["languages"]
    methods = list(next(iter(languages.values()))["methods"])
    rows = [f"| bits per byte | {' | '.join(languages)} |", "|---" * (1 + len(languages)) + "|"]
    for method in methods:
        values = " | ".join(f"{found['methods'][method]['bits_per_byte']['value']:.3f}" for found in languages.values())
        rows.append(f"| {method} | {values} |")
    accuracies = " | ".join(
        f"{found['methods'][report['llms'][0]['name']]['top_1']:.3f}" for found in languages.values()
    )
    return [*rows, f"| *next token right* | {accuracies} |"]


def write_card(
    folder: Path, manifest: Json, counts: Json, curve: Sequence[Json], compression: Json, mixture: str
) -> None:
    """Write ``README.md`` and ``data_manifest.json`` beside the weights.

    Args:
        folder: The exported LLM.
        manifest: The corpus's manifest.
        counts: The token files' counts.
        curve: Records of the loss curve.
        compression: Report of ``evaluation compression`` on the exported LLM.
        mixture: How the training mixture is described.

    Raises:
        ValueError: The compression report is of another LLM.
    """
    if compression["llms"][0]["name"] != folder.name:
        raise ValueError(
            f"the compression report is of {compression['llms'][0]['name']}, not of {folder.name}; run it on {folder}"
        )
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    vocabulary = len(AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False))
    parameters = vocabulary * config.hidden_size + config.num_hidden_layers * (
        4 * config.hidden_size**2 + 3 * config.hidden_size * config.intermediate_size
    )
    weight = (folder / "model.safetensors").stat().st_size / 1e6
    last = [record for record in curve if "train" in record][-1]
    checked = manifest["contamination"]
    matches = sum(checked.get("files_dropped_per_benchmark", {}).values())
    held_out = sorted(source["name"] for source in manifest["sources"] if source["held_out"])
    licences = sorted({source["licence"] for source in manifest["sources"]})
    text = f"""# Embedded code LLM

A stock `transformers` Llama: {parameters / 1e6:.1f} M parameters, {config.num_hidden_layers} blocks, width
{config.hidden_size}, byte-level BPE of {vocabulary:,} tokens in which a newline and a run of indentation is a token of
its own. bf16 safetensors, {weight:.0f} MB. `pttrust` uses it where `states.llm` is `embedded`; `AutoModelForCausalLM`
and `AutoTokenizer` load this folder. Made by `tools/embedded_llm` of the source repository.

- **Trained on** {last["tokens"] / 1e6:.1f} M tokens ({mixture}) of the standard libraries and permissively licensed
  packages in `data_manifest.json`: {len(manifest["sources"])} sources; name, version, licence and bytes of each.
  Licences of the sources: {"; ".join(licences)}.
- **Not trained on** HumanEval, QuixBugs, DebugBench, MBPP or LeetCode: files that name one, or share a passage of
  {checked.get("gram_tokens", "n/a")} tokens with the benchmarks at hand, were left out ({matches} matches;
  {checked.get("files_left_in_output", "n/a")} left in the corpus, by a second check of what was written).
- **Context** {config.max_position_embeddings} tokens.
- **Licence** of the weights: Apache-2.0, as the rest of the package. The sources keep their own licences.
- **Limits**: small. It knows the idioms of library code, not how to solve problems; it writes plausible lines, not
  programs. It has seen Python's standard library: what it makes of that code is not what it would make of unseen code.
  Conclusions about PtTrust need a better LLM; this one is here so that states of real code exist offline.

## Held-out files

Whole packages ({", ".join(held_out)}) and, of the standard libraries, whole folders. Compressors see all files of a
language as one stream, or each by itself; the 5-gram model has counted the training files of that language.

{chr(10).join(compression_table(compression))}

## Loss curve

Held-out bits per byte while training (the first windows of each language, bf16):

{chr(10).join(loss_table(curve, counts))}
"""
    (folder / "README.md").write_text(text)
    (folder / "data_manifest.json").write_text(json.dumps(data_manifest(manifest), indent=1) + "\n")


def main(args: Sequence[str] | None = None) -> None:
    """``python -m tools.embedded_llm.model_card``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", type=Path, required=True, help="the exported folder; the card is written there")
    parser.add_argument("--corpus", type=Path, default=Path("data/raw/embedded_llm/corpus"))
    parser.add_argument("--tokens", type=Path, default=Path("data/raw/embedded_llm/tokens"))
    parser.add_argument("--curve", type=Path, required=True, help="loss.jsonl of the training run")
    parser.add_argument("--compression", type=Path, required=True, help="JSON of `evaluation compression`")
    parser.add_argument("--mixture", required=True, help="the mixture in words, such as '64 %% Python'")
    options = parser.parse_args(args)
    write_card(
        options.llm,
        json.loads((options.corpus / "manifest.json").read_text()),
        json.loads((options.tokens / "counts.json").read_text()),
        [json.loads(line) for line in options.curve.read_text().splitlines()],
        json.loads(options.compression.read_text()),
        options.mixture,
    )
    print(f"{options.llm / 'README.md'} and data_manifest.json")


if __name__ == "__main__":
    main()
