"""Labelled snippets: where lines come from that are known to be wrong."""

from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.labelled.debugbench import DebugBench
from pttrust_lightning.source.labelled.humanevalpack import HumanEvalPack
from pttrust_lightning.source.labelled.implanted import ImplantedBugs
from pttrust_lightning.source.labelled.lines_jsonl import JsonlLabelled

__all__ = ["DebugBench", "HumanEvalPack", "ImplantedBugs", "JsonlLabelled", "LabelledSource"]
