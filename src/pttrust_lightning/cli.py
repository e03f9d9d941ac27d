"""The LightningCLI that joins DataModules and LightningModules by YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

import pttrust_lightning.datamodules
import pttrust_lightning.modules
import pttrust_lightning.source  # noqa: F401 (imported, their classes may be given by name alone: --model=RiskFineTuning)
from pttrust_lightning.callbacks.predictions import WritePredictions
from pttrust_lightning.callbacks.save_config import SaveFitConfig
from pttrust_lightning.callbacks.wandb_run import RUN_ID, WandbRun
from pttrust_lightning.errors import CheckpointMismatchError, ConfigError
from pttrust_lightning.parsing import LightningParser

_CHECKPOINTS_BY_NAME = ("best", "last", "hpc", "registry")  # Lightning finds these itself


class PtTrustCLI(LightningCLI):
    """``pttrust fit | validate | test | predict``.

    Model and data are chosen by ``class_path``; each module brings its own optimiser. The width of the states is linked
    from the data to the model.
    """

    def __init__(self, args: ArgsType = None, **kwargs: Any) -> None:
        self._asked = args[0] if isinstance(args, list) and args else None
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            save_config_callback=SaveFitConfig,
            seed_everything_default=0,
            parser_kwargs={"parser_mode": "yaml", "prog": "pttrust"},
            parser_class=LightningParser,
            args=args,
            **kwargs,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # a static method there
        """The one that is asked for, where it is known: a fit need not describe all the others to the parser."""
        known = super().subcommands()
        return {self._asked: known[self._asked]} if self._asked in known else known

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link the width of the states, and what else the data knows of a line."""
        parser.link_arguments("data.d_in", "model.init_args.d_in", apply_on="instantiate")
        parser.link_arguments("data.feature_widths", "model.init_args.feature_widths", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and refuse a checkpoint that is missing or of another class before anything is built or read.

        Raises:
            ConfigError: There is no such checkpoint, or none is given to test or predict with.
            CheckpointMismatchError: The checkpoint was written by another class than the configuration's.
        """
        super().parse_arguments(parser, args)
        subcommand = self.config.get("subcommand")
        config = self.config.get(subcommand or "", self.config)
        path = config.get("ckpt_path")
        self._resumed_run: str | None = None
        if path is None and subcommand in ("test", "predict"):
            raise ConfigError(
                "No checkpoint is given. Add --ckpt_path=RUN/checkpoints/FILE.ckpt, of the run that fit wrote."
            )
        if path and path not in _CHECKPOINTS_BY_NAME and "://" not in path:
            if not Path(path).is_file():
                raise ConfigError(f"The checkpoint {path} does not exist. A run keeps its own in RUN/checkpoints/.")
            checkpoint = check_checkpoint_class(Path(path), config["model"]["class_path"])
            if self.config.get("subcommand") == "fit":
                self._resumed_run = checkpoint.get("callbacks", {}).get(WandbRun.__qualname__, {}).get(RUN_ID)

    def instantiate_classes(self) -> None:
        """Instantiate; a fit that goes on from a checkpoint goes on in its W&B run, unless another is asked for."""
        loggers = [] if self._resumed_run is None else _wandb_loggers_without_id(self.config["fit"])
        as_given = [(init_args["id"], init_args["resume"]) for init_args in loggers]
        for init_args in loggers:
            init_args["id"], init_args["resume"] = self._resumed_run, init_args["resume"] or "allow"
        super().instantiate_classes()
        # The configuration that is saved does not name the run: to repeat it is not to resume it.
        for init_args, given in zip(loggers, as_given, strict=True):
            init_args["id"], init_args["resume"] = given

    def before_predict(self) -> None:
        """Refuse to predict what nothing would write: the command line has no other use for it.

        Raises:
            ConfigError: No callback writes predictions.
        """
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        if not any(isinstance(callback, WritePredictions | BasePredictionWriter) for callback in callbacks):
            raise ConfigError(
                "Nothing would write what is predicted. Add callbacks.WritePredictions to trainer.callbacks, as "
                "configs/trainer/finetune.yaml does for stage 2. What stage 1 learned is shown by pttrust latents."
            )


def _wandb_loggers_without_id(config: Any) -> list[Any]:
    """The constructor arguments of each W&B logger that is not told which run it belongs to."""
    logger = config["trainer"]["logger"]
    loggers = logger if isinstance(logger, list) else [logger]
    ours = [part for part in loggers if str(getattr(part, "class_path", "")).endswith(".WandbLogger")]
    return [part["init_args"] for part in ours if not (part["init_args"].get("id") or part["init_args"].get("version"))]


def check_checkpoint_class(path: Path, class_path: str) -> dict[str, Any]:
    """Refuse a checkpoint that another class wrote: Lightning would silently run *that* class.

    Returns:
        The checkpoint.

    Raises:
        CheckpointMismatchError: Names both classes.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written_by = checkpoint.get("hyper_parameters", {}).get("_class_path")
    except Exception as error:  # torch.load raises errors of many kinds for a damaged file
        raise CheckpointMismatchError(
            f"{path} is not a Lightning checkpoint that can be loaded safely ({type(error).__name__}). "
            "Give a .ckpt file that pttrust fit wrote."
        ) from error
    expected = class_path.rsplit(".", 1)[-1]
    if written_by is not None and written_by.rsplit(".", 1)[-1] != expected:
        raise CheckpointMismatchError(
            f"{path} was written by {written_by.rsplit('.', 1)[-1]}, but this run is of {expected}. "
            f"Give a checkpoint of {expected}; stage 2 takes stage 1 as an exported folder (model.init_args.encoder)."
        )
    return checkpoint
