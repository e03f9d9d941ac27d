"""Corpora: where unlabelled programs come from.

Every corpus gives its programs in an order that depends on its settings alone, and counts what it leaves out.
"""

from pttrust_lightning.source.corpora.base import Corpus
from pttrust_lightning.source.corpora.folder import FolderCorpus
from pttrust_lightning.source.corpora.records import JsonlCorpus
from pttrust_lightning.source.corpora.standard_library import StandardLibrary

__all__ = ["Corpus", "FolderCorpus", "JsonlCorpus", "StandardLibrary"]
