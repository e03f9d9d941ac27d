"""Lines per second of the state extractor against the usual way, on the same programs in turn.

The usual way: one program at a time, the whole model with its LM head, every token's hidden states to the host, one
HDF5 group a program. Ours: only the blocks up to the layer, in batches, only the lines' states to the host, one data
set; with and without sharing the prefix of a program and its mutants. All give the same states, which is checked.
Padding could be avoided by packing: programs one after the other in rows of a length (``--packed 512``), each with
positions of its own, under a block-diagonal attention mask. That way takes part too where it is asked for.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import saelens_store
import torch
from side_by_side import in_words, ratios, time_in_turn, write_json
from transformers import AutoModelForCausalLM, Qwen2Config

from pttrust_lightning.source import HumanEvalPack, StandardLibrary
from pttrust_lightning.source.mutation.mutants import make_mutants
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.states.batching import ENOUGH_TOKENS, in_order, next_batch, padded_tokens
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.language_model import (
    context_length,
    load_causal_lm,
    load_config,
    load_tokenizer,
    model_folder,
    resolve_device,
)
from pttrust_lightning.states.layers import state_layers
from pttrust_lightning.states.rows import Row
from pttrust_lightning.states.tokenise import LineTokeniser
from pttrust_lightning.types import Exclusions, Program, ProgramGroup

TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}
"""Largest relative difference of a state that batching may make; beyond it the ways did not do the same work."""

States = list[torch.Tensor]
Way = Callable[[Sequence[ProgramGroup], Path], States]

SHAPES: dict[str, tuple[dict[str, int], int]] = {
    "qwen2.5-coder-0.5b": (
        {"num_hidden_layers": 24, "hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2,
         "intermediate_size": 4864, "vocab_size": 151936, "max_position_embeddings": 32768},
        5,
    ),
    "tiny": (
        {"num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 128, "vocab_size": 8192, "max_position_embeddings": 2048},
        1,
    ),
}  # fmt: skip
"""Sizes of real models, filled with random weights: their speed without their download; and the layer that is read."""


def save_shape(name: str, folder: Path) -> None:
    """Write a model of that shape, with random weights and the embedded LLM's tokenizer."""
    sizes, _ = SHAPES[name]
    torch.manual_seed(0)
    config = Qwen2Config(**sizes, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    for file in model_folder("embedded").glob("tokenizer*.json"):
        shutil.copy(file, folder)


def read_groups(args: argparse.Namespace) -> list[ProgramGroup]:
    """Real programs and their mutants: the standard library's, and HumanEvalPack's where its files are named."""
    library = StandardLibrary(unit=args.unit, limit=args.programs, min_lines=3, max_lines=args.max_lines)
    programs = list(library.programs(Exclusions()))
    if args.humanevalpack is not None:
        snippets = HumanEvalPack(args.humanevalpack, ["python"]).snippets(Exclusions())
        programs += [snippet.program() for snippet in snippets][: args.programs]
    rounds = (0.15, 0.20, 0.25)[: args.mutants]
    if not rounds:
        return [ProgramGroup(program) for program in programs]
    return list(make_mutants(programs, OutsideLines.of(programs), rounds=rounds))


def usual_way(config: LineStateConfig) -> Way:
    """Batch 1, whole model, all tokens to the host, one group a program."""
    llm_config = load_config(config)
    (layer,) = state_layers(config.layer, llm_config.num_hidden_layers)
    tokenise = LineTokeniser(load_tokenizer(config), config.line_rule, context_length(config, llm_config))
    device = resolve_device(config.device)
    model: Any = load_causal_lm(config)

    def read(program: Program, file: Any) -> torch.Tensor | None:
        item = tokenise(program)
        if not len(item.tokens.last):
            return None
        ids = torch.from_numpy(item.token_ids)[None].to(device)
        with torch.no_grad():
            output = model(input_ids=ids, output_hidden_states=True)
        hidden: torch.Tensor = output.hidden_states[layer + 1][0].float().cpu()
        group = file.create_group(program.id.replace("/", "_"))
        group["states"], group["line_tokens"] = hidden.numpy(), item.tokens.last
        return hidden[torch.from_numpy(item.tokens.last)]

    def run(groups: Sequence[ProgramGroup], path: Path) -> States:
        with h5py.File(path, "w") as file:
            found = [read(program, file) for group in groups for program in group.programs]
        return [states for states in found if states is not None]

    return run


def ours(extractor: LineStateExtractor) -> Way:
    """The extractor, and one data set of what it gives."""

    def run(groups: Sequence[ProgramGroup], path: Path) -> States:
        states = [program.states[0] for program in extractor.extract(groups, Exclusions())]
        with h5py.File(path, "w") as file:
            file["states"] = torch.cat(states).float().numpy()
        return states

    return run


def pack(rows: Sequence[Row], length: int) -> list[Row]:
    """Programs that share nothing in rows of at most ``length`` tokens, the longest first into the first that fits."""
    packed: list[list[Row]] = []
    for row in in_order(rows):
        n = len(row.token_ids)
        fitting = (p for p in packed if sum(len(r.token_ids) for r in p) + n <= length)
        if (found := next(fitting, None)) is not None:
            found.append(row)
        else:
            packed.append([row])
    return [
        Row(
            tuple(row.members[0] for row in together),
            np.concatenate([row.token_ids for row in together]),
            (0,) * len(together),
            tuple(len(row.token_ids) for row in together),
        )
        for together in packed
    ]


def packed_way(extractor: LineStateExtractor, length: int) -> Way:
    """The extractor on packed rows."""

    def run(groups: Sequence[ProgramGroup], path: Path) -> States:
        programs, rows = extractor.layout(groups, Exclusions())
        states = [program.states[0] for program in extractor.read(programs, pack(rows, length))]
        with h5py.File(path, "w") as file:
            file["states"] = torch.cat(states).float().numpy()
        return states

    return run


def matmul_rate(dtype: str, device: torch.device) -> float:
    """Measured FLOP/s of a large matrix product: what the useful FLOP/s are held against."""
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=getattr(torch, dtype))
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / statistics.median(seconds[1:])


def relative_difference(a: States, b: States) -> float:
    """The largest relative difference of a state."""
    pairs = [(x.float(), y.float()) for x, y in zip(a, b, strict=True)]
    return max(float(((x - y).norm(dim=-1) / y.norm(dim=-1).clamp_min(1e-12)).max()) for x, y in pairs)


def measure(
    groups: Sequence[ProgramGroup], config: LineStateConfig, repeats: int, bf16: bool, packed: int | None
) -> dict[str, Any]:
    """Time every way in turn, ``repeats`` times after a warm-up."""
    settings = {
        "separate": dataclasses.replace(config, share_prefixes=False),
        "shared": config,
    }
    if bf16 and config.dtype != "bfloat16":
        settings["shared_bf16"] = dataclasses.replace(config, dtype="bfloat16")
    extractors = {name: LineStateExtractor(setting) for name, setting in settings.items()}
    ways: dict[str, Callable[[Sequence[ProgramGroup], Path], Any]] = {
        "usual_way": usual_way(config),
        **{name: ours(e) for name, e in extractors.items()},
    }
    if packed is not None:
        ways["packed"] = packed_way(extractors["separate"], packed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "states.h5"
        states = {name: way(groups, file) for name, way in ways.items()}  # the warm-up
        if saelens_store.is_installed():  # no states to compare: its contexts are others
            ways["sae_lens"] = saelens_store.SaeLensStore(config, extractors["separate"])
            ways["sae_lens"](groups, file)
        seconds = time_in_turn({name: partial(way, groups, file) for name, way in ways.items()}, repeats)
    n_lines = sum(len(s) for s in states["usual_way"])
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    device = resolve_device(config.device)
    enough = ENOUGH_TOKENS.get(device.type, config.batch_tokens)
    work = {name: token_counts(e, groups, config.batch_tokens, enough) for name, e in extractors.items()}
    n_blocks = extractors["separate"].layers[-1] + 1
    utilisation = {}
    for name, counts in work.items():
        rate = matmul_rate(settings[name].dtype, device)
        useful = useful_flops(config, n_blocks, counts["tokens_run"], n_lines) / medians[name]
        utilisation[name] = {"useful_flops": useful, "matmul_flops": rate, "share": useful / rate}
    return {
        "llm": Path(config.llm).name,
        "layer": extractors["separate"].layers[-1],
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "dtype": config.dtype,
        "groups": len(groups),
        "programs": len(states["usual_way"]),
        "lines": n_lines,
        "repeats": repeats,
        "batch_tokens": config.batch_tokens,
        "torch_threads": torch.get_num_threads(),
        "tokens": work,
        "largest_relative_difference": {
            name: relative_difference(found, states["usual_way"])
            for name, found in states.items()
            if name != "usual_way"
        },
        "lines_per_second": {name: n_lines / median for name, median in medians.items()},
        "speed_up": {
            name: ratios(seconds["usual_way"], times) for name, times in seconds.items() if name in extractors
        },
        "speed_up_over_sae_lens": {
            name: ratios(seconds["sae_lens"], seconds[name]) for name in extractors if "sae_lens" in seconds
        },
        "speed_up_of_sharing": ratios(seconds["separate"], seconds["shared"]),
        "speed_up_of_packing": ratios(seconds["separate"], seconds["packed"]) if packed is not None else None,
        "useful": utilisation,
    }


def token_counts(
    extractor: LineStateExtractor, groups: Sequence[ProgramGroup], budget: int, enough: int
) -> dict[str, float]:
    """Tokens of the programs, those that run (a shared prefix once), and the share of padding beside these."""
    programs, rows = extractor.layout(groups, Exclusions())
    rows, start, padded = in_order(rows), 0, 0
    while start < len(rows):
        batch = next_batch(rows, start, budget, enough)
        padded += padded_tokens(batch)
        start += len(batch)
    alone, run = sum(len(p.token_ids) for p in programs), sum(len(row.token_ids) for row in rows)
    return {
        "tokens": alone,
        "tokens_run": run,
        "share_run": run / alone,
        "share_padding": 1 - run / padded,
        "rows_shared": sum(row.shared for row in rows),
    }


def useful_flops(config: LineStateConfig, n_blocks: int, tokens: float, lines: int) -> float:
    """FLOPs in the matrices that are needed: the last block's MLP at lines only; attention is not counted."""
    llm = load_config(config)
    width, head = llm.hidden_size, getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads
    heads = llm.num_attention_heads + (getattr(llm, "num_key_value_heads", None) or llm.num_attention_heads)
    inner = getattr(llm, "intermediate_size", None) or 4 * width
    attention = 2 * width * head * heads
    mlp = (3 if getattr(llm, "hidden_act", "") == "silu" else 2) * width * inner
    return float(2 * (attention * n_blocks * tokens + mlp * ((n_blocks - 1) * tokens + lines)))


def print_table(result: dict[str, Any]) -> None:
    """The result, for people."""
    print(f"{'way':14} {'lines/s':>10} {'speed-up (min to max)':>24} {'tokens run':>11} {'of matmul':>10} difference")
    for name, speed in result["lines_per_second"].items():
        if name not in result["speed_up"]:
            print(f"{name:14} {speed:10.0f}")
            continue
        ratio, useful = result["speed_up"][name], result["useful"][name]
        span = in_words(ratio)
        print(
            f"{name:14} {speed:10.0f} {span:>24} {result['tokens'][name]['share_run']:11.2f} {useful['share']:10.0%} "
            f"{result['largest_relative_difference'][name]:10.1e}"
        )
    print(f"speed-up of sharing prefixes: {result['speed_up_of_sharing']['median']:.2f}; {result['repeats']} runs each")
    padding = f"padding: {result['tokens']['separate']['share_padding']:.1%} of the tokens of separate"
    packing = result["speed_up_of_packing"]
    print(padding + (f"; packed is {in_words(packing)} times as fast" if packing else ""))
    for name, ratio in result["speed_up_over_sae_lens"].items():
        print(f"{name}: {in_words(ratio)} times sae_lens, which keeps every token and knows no lines")
    if not result["speed_up_over_sae_lens"]:
        print("left out: sae_lens (not installed)")


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", default="embedded")
    parser.add_argument(
        "--shape", choices=list(SHAPES), help="a model of this size with random weights, in llm's place"
    )
    parser.add_argument("--layer", type=int)
    parser.add_argument("--programs", type=int, default=64, help="originals of each source")
    parser.add_argument("--humanevalpack", help="folder of its JSONL files, to read its Python programs as well")
    parser.add_argument("--mutants", type=int, default=3, choices=range(4), help="mutants of each original")
    parser.add_argument("--unit", choices=["function", "file"], default="function")
    parser.add_argument("--max-lines", type=int, default=40)
    parser.add_argument("--context-length", type=int, help="default: what the LLM allows")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--packed", type=int, metavar="TOKENS", help="also packed, in rows of at most so many tokens")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--bf16", action="store_true", help="also ours in bfloat16; always on a GPU")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/extraction.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        llm, layer = args.llm, args.layer
        if args.shape:
            llm = str(Path(folder) / args.shape)
            save_shape(args.shape, Path(llm))
            layer = SHAPES[args.shape][1] if layer is None else layer
        config = LineStateConfig(
            llm=llm, layer=layer, context_length=args.context_length, dtype=args.dtype, device=args.device,
            batch_tokens=args.batch_tokens,
        )  # fmt: skip
        on_gpu = resolve_device(args.device).type == "cuda"
        result = measure(read_groups(args), config, args.repeats, args.bf16 or on_gpu, args.packed)
    write_json(result, args.out)
    print_table(result)
    if (worst := result["largest_relative_difference"]["separate"]) > TOLERANCE[args.dtype]:
        raise SystemExit(f"States differ by {worst:.1e} of their norm: the ways did not do the same work.")


if __name__ == "__main__":
    main()
