"""Several labelled sets as one."""

from __future__ import annotations

import re
from dataclasses import replace

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.types import Exclusions, LabelledSnippet


class MixedLabelled(LabelledSource):
    """The snippets of several labelled sets, one set after the other.

    Each snippet knows its set (``LabelledSnippet.data_set``), and its id is preceded by it, ``humanevalpack/...``, so
    that ids stay unique. Problem ids are left as they are: a problem that two sets share is one problem, and never
    straddles a split.

    Args:
        sources: The sets, by name.
    """

    def __init__(self, sources: dict[str, LabelledSource]) -> None:
        if not sources:
            raise ConfigError("sources is empty. Name at least one labelled set.")
        for name in sources:
            if not re.fullmatch(r"\w[\w.+-]*", name):
                raise ConfigError(f"{name!r} cannot be a set's name. Use letters, digits, _, ., + and -.")
        self.sources = sources

    @property
    def name(self) -> str:
        """The sets' names."""
        return " + ".join(self.sources)

    def describe(self) -> str:
        """What is read of each set."""
        return "; ".join(f"{name}: {source.describe()}" for name, source in self.sources.items())

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The snippets of each set in turn.

        Raises:
            SourceError: A set cannot be read, or holds no snippet.
            SchemaError: A record does not follow the schema.
        """
        return [
            replace(snippet, id=f"{name}/{snippet.id}", data_set=name)
            for name, source in self.sources.items()
            for snippet in source.snippets(exclusions)
        ]
