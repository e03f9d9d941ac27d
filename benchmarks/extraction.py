"""Lines per second of the state extractor against the usual way, on the same programs in turn.

The usual way: one program at a time, the whole model with its LM head, every token's hidden states to the host, then
the rows of its lines. Both give the same states, which is checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from pttrust_lightning.source import StandardLibrary
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.language_model import context_length, load_causal_lm, load_config, load_tokenizer
from pttrust_lightning.states.layers import resolve_layer
from pttrust_lightning.states.tokenise import LineTokeniser
from pttrust_lightning.types import Exclusions, Program

States = list[torch.Tensor]


def usual_way(config: LineStateConfig) -> Callable[[Sequence[Program]], States]:
    """Batch 1, whole model, all tokens to the host."""
    llm_config = load_config(config)
    layer = resolve_layer(config.layer, llm_config.num_hidden_layers)
    tokenise = LineTokeniser(load_tokenizer(config), config.line_rule, context_length(config, llm_config))
    model: Any = load_causal_lm(config)

    def run(programs: Sequence[Program]) -> States:
        result = []
        for program in programs:
            item = tokenise(program)
            with torch.no_grad():
                output = model(input_ids=torch.tensor([item.token_ids]), output_hidden_states=True)
            hidden = output.hidden_states[layer + 1][0].cpu()
            result.append(hidden[torch.from_numpy(item.tokens.last)])
        return result

    return run


def this_package(config: LineStateConfig) -> Callable[[Sequence[Program]], States]:
    """Only the needed blocks, in batches, only the lines' rows kept."""
    extractor = LineStateExtractor(config)

    def run(programs: Sequence[Program]) -> States:
        return [lines.states for lines in extractor.extract(programs, Exclusions())]

    return run


def measure(programs: Sequence[Program], config: LineStateConfig, repeats: int) -> dict[str, Any]:
    """Time both in turn, ``repeats`` times after a warm-up."""
    ways = {"usual_way": usual_way(config), "pttrust_lightning": this_package(config)}
    states = {name: way(programs) for name, way in ways.items()}
    difference = max(
        float((a - b).abs().max()) for a, b in zip(states["usual_way"], states["pttrust_lightning"], strict=True)
    )
    n_lines = sum(len(s) for s in states["pttrust_lightning"])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way(programs)
            seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["usual_way"], seconds["pttrust_lightning"], strict=True)]
    return {
        "llm": config.llm,
        "programs": len(programs),
        "lines": n_lines,
        "repeats": repeats,
        "torch_threads": torch.get_num_threads(),
        "largest_difference": difference,
        "lines_per_second": {name: n_lines / statistics.median(times) for name, times in seconds.items()},
        "speed_up": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
    }


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", default="embedded")
    parser.add_argument("--layer", type=int)
    parser.add_argument("--programs", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/extraction.json"))
    args = parser.parse_args()
    config = LineStateConfig(llm=args.llm, layer=args.layer, context_length=384)
    programs = list(StandardLibrary(limit=args.programs, min_lines=3, max_lines=40).programs(Exclusions()))
    result = measure(programs, config, args.repeats)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for name, speed in result["lines_per_second"].items():
        print(f"{name:20} {speed:10.0f} lines/s")
    ratio = result["speed_up"]
    print(f"speed-up {ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f}), {args.repeats} pairs of runs")
    print(f"largest difference between the two ways' states: {result['largest_difference']:.1e}")


if __name__ == "__main__":
    main()
