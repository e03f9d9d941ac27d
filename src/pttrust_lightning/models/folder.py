"""A model is a folder: ``config.json``, ``model.safetensors`` and a golden vector that is checked on load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pttrust_lightning.errors import ConfigError, ModelFolderError
from pttrust_lightning.types import STATE_IDENTITY

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
FORMAT_VERSION = 1

_GOLDEN_INPUT = "golden.input"
_GOLDEN_OUTPUT = "golden.output"
GOLDEN_TOLERANCE = 1e-4
"""Largest difference, relative to the largest golden output, that another machine's arithmetic may make."""


class ModelFolder(NamedTuple):
    """What a model folder holds.

    Attributes:
        config: Constructor arguments and provenance, plain JSON.
        tensors: The model's state dict.
        golden_input: States that the model was tried on before it was saved, ``(N, D)``.
        golden_output: What it made of them.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    golden_input: Tensor
    golden_output: Tensor


def save_folder(folder: Path, kind: str, content: ModelFolder) -> None:
    """Write a model folder.

    Raises:
        ModelFolderError: The folder exists: an exported model is never overwritten.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ModelFolderError(
            f"{folder} is not an empty folder, and an exported model is never overwritten. Choose another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    config = {"kind": kind, "format_version": FORMAT_VERSION, **content.config}
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {**content.tensors, _GOLDEN_INPUT: content.golden_input, _GOLDEN_OUTPUT: content.golden_output}
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, folder / WEIGHTS_NAME)


def load_folder(folder: Path, kind: str) -> ModelFolder:
    """Read a model folder of the given kind.

    Raises:
        ModelFolderError: It is missing, damaged, or holds something else (a Lightning checkpoint, say).
    """
    if folder.is_file():
        raise ModelFolderError(
            f"{folder} is a file, not an exported model folder. If it is a Lightning checkpoint of stage 1, give the "
            "folder that `pttrust fit` exported beside it instead."
        )
    path = folder / CONFIG_NAME
    if not path.is_file():
        inside = folder / "export"
        remedy = f"Give {inside}" if (inside / CONFIG_NAME).is_file() else "Give an exported folder"
        raise ModelFolderError(f"{folder} is not an exported model: it has no {CONFIG_NAME}. {remedy}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found = config["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFolderError(
            f"{path} is not the configuration of an exported model ({error}). Export it again."
        ) from error
    if found != kind:
        raise ModelFolderError(f"{folder} holds a {found!r}, but a {kind!r} is needed here. Give the folder of one.")
    if config.get("format_version") != FORMAT_VERSION:
        raise ModelFolderError(
            f"{path}, field 'format_version': {config.get('format_version')!r} instead of {FORMAT_VERSION}. "
            "Export the model again."
        )
    try:
        tensors = load_file(folder / WEIGHTS_NAME)
        golden_input, golden_output = tensors.pop(_GOLDEN_INPUT), tensors.pop(_GOLDEN_OUTPUT)
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelFolderError(f"{folder / WEIGHTS_NAME} cannot be read ({error}). Export the model again.") from error
    return ModelFolder(config, tensors, golden_input, golden_output)


def check_states(trained_on: dict[str, Any], given: dict[str, Any], folder: str) -> None:
    """Refuse states of another LLM, layer or line rule than a model was trained on.

    Args:
        trained_on: The provenance that the model's folder holds.
        given: The provenance of the states.
        folder: The model's, for the message.

    Raises:
        ConfigError: Names the field that differs.
    """
    for field in STATE_IDENTITY:
        if given.get(field) != trained_on.get(field):
            raise ConfigError(
                f"{folder} was trained on states with {field} = {trained_on.get(field)!r}, but the data has "
                f"{given.get(field)!r}. Use the same `states` settings, or pre-train again."
            )


def check_golden(folder: Path, expected: Tensor, actual: Tensor) -> None:
    """Compare what a loaded model makes of the golden input with what it made of it when saved.

    Raises:
        ModelFolderError: They differ: the weights and the code do not belong together.
    """
    scale = max(float(expected.abs().max()), 1e-12)
    if expected.shape != actual.shape or not torch.allclose(actual, expected, rtol=0, atol=GOLDEN_TOLERANCE * scale):
        raise ModelFolderError(
            f"{folder}: the loaded model does not reproduce its golden vector. The weights were changed, or another "
            "version of the package wrote them: export the model again."
        )
