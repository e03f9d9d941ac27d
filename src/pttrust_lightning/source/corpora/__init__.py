"""Corpora: where unlabelled programs come from.

Every corpus gives its programs in an order that depends on its settings alone, and counts what it leaves out.
"""

from pttrust_lightning.source.corpora.base import Corpus
from pttrust_lightning.source.corpora.bug_fixes import BugFixes, FixCorpus
from pttrust_lightning.source.corpora.folder import FolderCorpus
from pttrust_lightning.source.corpora.git_history import GitHistory
from pttrust_lightning.source.corpora.mixed import Mixed
from pttrust_lightning.source.corpora.records import JsonlCorpus
from pttrust_lightning.source.corpora.standard_library import StandardLibrary

__all__ = [
    "BugFixes",
    "Corpus",
    "FixCorpus",
    "FolderCorpus",
    "GitHistory",
    "JsonlCorpus",
    "Mixed",
    "StandardLibrary",
]
