"""Several corpora as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.corpora.base import Corpus
from pttrust_lightning.source.corpora.selection import select_groups
from pttrust_lightning.types import Exclusions, Program, ProgramGroup


class Mixed(Corpus):
    """The programs of several corpora, one corpus after the other, without what an earlier one has already.

    Ids are preceded by the corpus's number, ``0/``, ``1/``, ..., so that they stay unique. The ``limit`` of each corpus
    sets its share.

    Args:
        corpora: The corpora.
    """

    def __init__(self, corpora: list[Corpus]) -> None:
        if not corpora:
            raise ConfigError("corpora is empty. Name at least one corpus.")
        self.corpora = corpora

    @property
    def name(self) -> str:
        """The corpora's names."""
        return " + ".join(corpus.name for corpus in self.corpora)

    def describe(self) -> str:
        """What is read of each corpus."""
        return "; ".join(f"{number}/: {corpus.describe()}" for number, corpus in enumerate(self.corpora))

    def fingerprint(self) -> str | None:
        """That of all corpora together; None where one of them has none."""
        digest = hashlib.sha256()
        for corpus in self.corpora:
            fingerprint = corpus.fingerprint()
            if fingerprint is None:
                return None
            digest.update(f"{len(fingerprint)}:{fingerprint}".encode())
        return digest.hexdigest()

    def programs(self, exclusions: Exclusions) -> Iterator[Program]:
        """The programs of each corpus in turn.

        Raises:
            SourceError: A corpus cannot be read, or holds no usable program.
        """
        return (group.original for group in self.groups(exclusions))

    def groups(self, exclusions: Exclusions) -> Iterator[ProgramGroup]:
        """The programs of each corpus in turn, with the mutants that come with them.

        Raises:
            SourceError: A corpus cannot be read, or holds no usable program.
        """
        return select_groups(self._read, exclusions, source=self.name)

    def _read(self, exclusions: Exclusions) -> Iterator[ProgramGroup]:
        for number, corpus in enumerate(self.corpora):
            for group in corpus.groups(exclusions):
                yield ProgramGroup(
                    original=_prefixed(group.original, number),
                    mutants=tuple(
                        replace(mutant, program=_prefixed(mutant.program, number)) for mutant in group.mutants
                    ),
                )


def _prefixed(program: Program, number: int) -> Program:
    return replace(program, id=f"{number}/{program.id}")
