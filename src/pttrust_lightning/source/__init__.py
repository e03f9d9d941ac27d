"""Programs as text: read corpora, split lines, mutate, label, align. No torch."""

from pttrust_lightning.source.corpora import (
    BugFixes,
    Corpus,
    FixCorpus,
    FolderCorpus,
    GitHistory,
    JsonlCorpus,
    Mixed,
    StandardLibrary,
)
from pttrust_lightning.source.fixes import BugFix, FixSource
from pttrust_lightning.source.labelled import (
    CanItEdit,
    DebugBench,
    Defects4J,
    EditEval,
    FixedPrograms,
    Generations,
    HumanEvalPack,
    ImplantedBugs,
    JsonlLabelled,
    LabelledSource,
    MixedLabelled,
    QuixBugs,
    SarifFindings,
)

__all__ = [
    "BugFix",
    "BugFixes",
    "CanItEdit",
    "Corpus",
    "DebugBench",
    "Defects4J",
    "EditEval",
    "FixCorpus",
    "FixSource",
    "FixedPrograms",
    "FolderCorpus",
    "Generations",
    "GitHistory",
    "HumanEvalPack",
    "ImplantedBugs",
    "JsonlCorpus",
    "JsonlLabelled",
    "LabelledSource",
    "Mixed",
    "MixedLabelled",
    "QuixBugs",
    "SarifFindings",
    "StandardLibrary",
]
