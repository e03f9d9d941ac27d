"""What kind of batch a module takes."""

from __future__ import annotations

from pttrust_lightning.errors import ConfigError


def check_batch(batch: object, kind: type, module: object, remedy: str) -> None:
    """Refuse data of the other stage, before a tensor of it is touched.

    Args:
        batch: What the data gives.
        kind: The class of batches that the module takes.
        module: Whose batch it is.
        remedy: Which data to give instead.

    Raises:
        ConfigError: The batch is of another class.
    """
    if not isinstance(batch, kind):
        raise ConfigError(f"{type(module).__name__} cannot use this data: it gives {type(batch).__name__}. {remedy}")
