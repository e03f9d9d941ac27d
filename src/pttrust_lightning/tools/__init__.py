"""Subcommands that train nothing themselves: extract, experiment."""

from pttrust_lightning.tools.base import Tool
from pttrust_lightning.tools.experiment import EXPERIMENT
from pttrust_lightning.tools.extract import EXTRACT

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (EXTRACT, EXPERIMENT)}
"""The tools by name."""
