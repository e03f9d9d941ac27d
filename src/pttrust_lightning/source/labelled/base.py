"""What every source of labelled snippets is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pttrust_lightning.source.described import Described
from pttrust_lightning.types import Exclusions, LabelledSnippet


class LabelledSource(Described, ABC):
    """A source of snippets whose wrong lines are known. Subclass it to read labels of another kind."""

    @abstractmethod
    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The snippets, in an order that depends on the source and its settings alone; ids are unique.

        Args:
            exclusions: Where what is left out is counted, by reason.

        Raises:
            SourceError: The source cannot be read, or holds no snippet.
            SchemaError: A record does not follow the schema.
        """
