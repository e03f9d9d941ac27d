"""Subcommands that train nothing themselves; what they train, they train through Lightning's."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

TOOLS = {
    "data": "look at data: data stats --config configs/data/*.yaml",
    "extract": "read line states into a cache: --config configs/data/*.yaml",
    "label": "candidate programs to labelled lines: --problems *.jsonl --candidates *.jsonl --output *.jsonl",
    "latents": "what each latent of an encoder says: --encoder FOLDER --config configs/data/*.yaml --output FOLDER",
    "benchmark": "both stages, the baselines and the tables: --config configs/benchmark/*.yaml",
    "compare": "methods that were scored, paired, on some snippets: combined surface --runs FOLDER --only=[...]",
    "sweep": "a search over options of fit, as a W&B sweep file asks for it: --config configs/sweep/*.yaml",
}
"""What each tool does, by name; the module of that name has its ``run``."""

RunLightning = Callable[[list[str]], Any]
"""Runs one of Lightning's subcommands and returns its CLI (``trainer``, ``model``, ``datamodule``)."""


def run_tool(name: str, args: Sequence[str], lightning: RunLightning) -> None:
    """Run a tool; imported only now, so that help is quick.

    Args:
        name: One of ``TOOLS``.
        args: Its arguments.
        lightning: Runs Lightning's subcommands, for tools that train.
    """
    importlib.import_module(f"pttrust_lightning.tools.{name}").run(args, lightning)
