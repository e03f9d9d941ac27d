"""Entry point ``pttrust``: Lightning's subcommands and the tools.

The only place that sets process-wide state.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import jsonargparse

from pttrust_lightning import __version__
from pttrust_lightning.errors import own_error
from pttrust_lightning.tools import TOOLS, run_tool

LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")

USAGE = f"""usage: pttrust COMMAND [options]     (pttrust COMMAND --help for the options)

  fit, validate, test, predict   train or run a model: --config model.yaml --config data.yaml ...
{chr(10).join(f"  {name:<30} {summary}" for name, summary in TOOLS.items())}
"""

_AGAIN = "What is finished is kept: run it again."
_HOW_TO_GO_ON = {
    "fit": "States that were read are kept; training goes on from its last checkpoint: "
    "pttrust fit --config RUN/config.yaml --ckpt_path RUN/checkpoints/FILE.ckpt"
}

# YAML is code: a class_path imports the module that it names. Only these may be named.
IMPORTABLE = ["pttrust_lightning", "lightning", "pytorch_lightning", "torch", "torchmetrics"]
# Your own classes (a Corpus, say): PTTRUST_IMPORTS=my_package,other. From the environment, never from YAML.
IMPORTS_VARIABLE = "PTTRUST_IMPORTS"


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 2 for an error that the user can mend, 130 when interrupted."""
    args = list(sys.argv[1:] if args is None else args)
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if args[0] == "--version":
        print(f"pttrust {__version__}")
        return 0
    if args[0] not in (*LIGHTNING_COMMANDS, *TOOLS):
        print(f"pttrust: unknown command {args[0]!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    _configure_process()
    try:
        if args[0] in TOOLS:
            run_tool(args[0], args[1:], _lightning)
        else:
            _lightning(args)
    except Exception as error:
        own = own_error(error)
        if own is None:
            raise
        print(f"pttrust {args[0]}: {own}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\npttrust {args[0]}: interrupted. {_HOW_TO_GO_ON.get(args[0], _AGAIN)}", file=sys.stderr)
        return 130
    finally:
        _finish_wandb_run()
    return 0


def _lightning(args: list[str]) -> Any:
    """Run one of Lightning's subcommands; imported only now, so that help is quick.

    Tools call it in processes of their own, too, which main has not configured.

    Raises:
        KeyboardInterrupt: The run was interrupted.
    """
    _configure_process()
    from pttrust_lightning.cli import PtTrustCLI

    try:
        return PtTrustCLI(args)
    except SystemExit as exit_:
        if isinstance(exit_.__context__, KeyboardInterrupt):  # Lightning ends the process with 1, and says no more
            raise KeyboardInterrupt from exit_
        raise


def _finish_wandb_run() -> None:
    """Close the W&B run of this command: the next one in this process (a notebook, a tool) gets a run of its own."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish()


def _configure_process() -> None:
    own = [name.strip() for name in os.environ.get(IMPORTS_VARIABLE, "").split(",") if name.strip()]
    jsonargparse.set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=[*IMPORTABLE, *own])
    if own and "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` would: modules of the working folder can be named
    # Advice that does not apply: states come from a cache, and epochs are short.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*The number of training batches.*")
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
    # As meant: a test writes into a run of its own, and without a logger metrics are a CSV file.
    warnings.filterwarnings("ignore", message=".*The dirpath has changed from.*")
    warnings.filterwarnings("ignore", message=".*`tensorboardX` has been removed.*")
    # main() hands its arguments on, so that tools can run stages in this process.
    warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
    console = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    console.setLevel(logging.INFO)
    console.addFilter(_not_an_advertisement)


def _not_an_advertisement(record: logging.LogRecord) -> bool:
    """Whether a message of Lightning's is about this run, not about another product."""
    return "Tip: For seamless cloud" not in record.getMessage()


if __name__ == "__main__":
    sys.exit(main())
