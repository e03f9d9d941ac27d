"""Programs as text: read corpora, split lines, mutate, label, align. No torch."""

from pttrust_lightning.source.corpus import Corpus, FolderCorpus, JsonlCorpus, StandardLibrary
from pttrust_lightning.source.debugbench import DebugBench
from pttrust_lightning.source.humanevalpack import HumanEvalPack
from pttrust_lightning.source.implanted import ImplantedBugs
from pttrust_lightning.source.labelled import JsonlLabelled, LabelledSource

__all__ = [
    "Corpus",
    "DebugBench",
    "FolderCorpus",
    "HumanEvalPack",
    "ImplantedBugs",
    "JsonlCorpus",
    "JsonlLabelled",
    "LabelledSource",
    "StandardLibrary",
]
