"""``python -m tools.embedded_llm.training fit --config tools/embedded_llm/configs/cpu.yaml``."""

from __future__ import annotations

import jsonargparse
import torch
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from tools.embedded_llm.training.data import TokenWindows
from tools.embedded_llm.training.module import CausalLanguageModelling

IMPORTABLE = ("lightning", "tools.embedded_llm", "torch")
"""Modules that a YAML file may name: naming one runs it."""


class TrainingCLI(LightningCLI):
    """The LightningCLI of the recipe: one module, one data module, context length given once."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Make the windows as long as the model's context."""
        parser.link_arguments("data.context_length", "model.context_length")


def main(args: ArgsType = None) -> None:
    """Run the command line."""
    jsonargparse.set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=list(IMPORTABLE))
    torch.set_float32_matmul_precision("high")  # where a GPU multiplies in fp32 at all
    TrainingCLI(
        CausalLanguageModelling,
        TokenWindows,
        auto_configure_optimizers=False,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        args=args,
    )


if __name__ == "__main__":
    main()
