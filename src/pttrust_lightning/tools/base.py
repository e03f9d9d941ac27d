"""What a tool is to the entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

RunLightning = Callable[[list[str]], Any]
"""Runs one of Lightning's subcommands and returns its CLI (``trainer``, ``model``, ``datamodule``)."""


class Tool(NamedTuple):
    """A subcommand.

    Attributes:
        name: What the user types.
        summary: One line for the usage text.
        run: Runs it on the remaining arguments; tools that train do so through the Lightning CLI that they are given.
    """

    name: str
    summary: str
    run: Callable[[Sequence[str], RunLightning], None]
