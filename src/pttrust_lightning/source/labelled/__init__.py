"""Labelled snippets: where lines come from that are known to be wrong."""

from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.labelled.debugbench import DebugBench
from pttrust_lightning.source.labelled.defects4j import Defects4J
from pttrust_lightning.source.labelled.edits import CanItEdit, EditEval
from pttrust_lightning.source.labelled.fixed_programs import FixedPrograms
from pttrust_lightning.source.labelled.generations import Generations
from pttrust_lightning.source.labelled.humanevalpack import HumanEvalPack
from pttrust_lightning.source.labelled.implanted import ImplantedBugs
from pttrust_lightning.source.labelled.lines_jsonl import JsonlLabelled
from pttrust_lightning.source.labelled.mixed import MixedLabelled
from pttrust_lightning.source.labelled.quixbugs import QuixBugs
from pttrust_lightning.source.labelled.sarif import SarifFindings

__all__ = [
    "CanItEdit",
    "DebugBench",
    "Defects4J",
    "EditEval",
    "FixedPrograms",
    "Generations",
    "HumanEvalPack",
    "ImplantedBugs",
    "JsonlLabelled",
    "LabelledSource",
    "MixedLabelled",
    "QuixBugs",
    "SarifFindings",
]
