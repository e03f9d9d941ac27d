"""Where LLMs run."""

from __future__ import annotations

import torch

from pttrust_lightning.errors import ConfigError


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: There is no such device.
    """
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigError(f"--device {name} cannot be used ({error}). Set it to auto, cpu, cuda or cuda:0.") from error
    return device
