"""Programs as text: read corpora, split lines, mutate, label, align. No torch."""

from pttrust_lightning.source.corpora import Corpus, FolderCorpus, JsonlCorpus, StandardLibrary
from pttrust_lightning.source.labelled import (
    DebugBench,
    HumanEvalPack,
    ImplantedBugs,
    JsonlLabelled,
    LabelledSource,
)

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
