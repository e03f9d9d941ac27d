"""``pttrust extract``: read line states into a cache, without training."""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import ArgumentParser

from pttrust_lightning.datamodules.cached_states import CachedStates
from pttrust_lightning.tools import RunLightning


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Fill the state cache of a data configuration; interrupted, it goes on where it stopped."""
    prepare(args)


def prepare(args: Sequence[str]) -> CachedStates:
    """Build the DataModule that the arguments describe, fill its cache, and return it."""
    parser = ArgumentParser(prog="pttrust extract", description=run.__doc__)
    parser.add_argument(
        "--config", action="config", help="Data configuration, as for fit (other keys are not allowed)."
    )
    parser.add_subclass_arguments(CachedStates, "data", required=True)
    config = parser.instantiate(parser.parse_args(list(args)))
    data: CachedStates = config.data
    data.prepare_data()
    return data
