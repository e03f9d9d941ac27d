"""Programs as text: read corpora, split lines, mutate, label, align. No torch."""

from pttrust_lightning.source.corpus import Corpus, FolderCorpus, JsonlCorpus, StandardLibrary
from pttrust_lightning.source.humanevalpack import HumanEvalPack
from pttrust_lightning.source.implanted import ImplantedBugs
from pttrust_lightning.source.labelled import JsonlLabelled, LabelledSource

__all__ = [
    "Corpus",
    "FolderCorpus",
    "HumanEvalPack",
    "ImplantedBugs",
    "JsonlCorpus",
    "JsonlLabelled",
    "LabelledSource",
    "StandardLibrary",
]
