"""Labelled snippets without labelling: correct programs with one implanted bug each."""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import NamedTuple

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.corpora import Corpus
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.languages import GRAMMARS
from pttrust_lightning.source.mutation.implant import implant_bugs
from pttrust_lightning.source.mutation.operators import SEMANTIC_OPERATORS, operator_weights
from pttrust_lightning.types import Exclusions, LabelledSnippet, Program

REMEMBERED = 4
"""Of the sets that were made last in this process: every fit of a benchmark asks for the same."""


class Made(NamedTuple):
    """What was made of a corpus, and what was left out."""

    snippets: list[LabelledSnippet]
    left_out: Exclusions


_made: OrderedDict[tuple[object, ...], Made] = OrderedDict()


class ImplantedBugs(LabelledSource):
    """Mutants of a corpus, each with one semantic bug whose lines are known.

    The mutants of one file share a problem id, so that no split separates them.

    Args:
        corpus: Where the programs come from; those in languages without a grammar are left out.
        mutants_per_program: Most mutants of one program; all differ.
        operators: Names of semantic operators, drawn equally often, or a weight for each; all where null.
        seed: Seed of the operators and of the sample.
        limit: Size of a random sample of the snippets; all where null.
        include_correct: Whether each mutated program is a snippet too, without wrong lines.
    """

    def __init__(
        self,
        corpus: Corpus,
        mutants_per_program: int = 1,
        operators: list[str] | dict[str, float] | None = None,
        seed: int = 0,
        limit: int | None = None,
        include_correct: bool = False,
    ) -> None:
        if mutants_per_program < 1:
            raise ConfigError(f"mutants_per_program is {mutants_per_program}; it must be at least 1.")
        if limit is not None and limit < 1:
            raise ConfigError(f"limit is {limit}; it must be at least 1, or null for all snippets.")
        self.corpus = corpus
        self.mutants_per_program = mutants_per_program
        self.operators = operator_weights(SEMANTIC_OPERATORS if operators is None else operators, SEMANTIC_OPERATORS)
        self.seed = seed
        self.limit = limit
        self.include_correct = include_correct

    @property
    def name(self) -> str:
        """The corpus's name, with what was done to it."""
        return f"bugs implanted in {self.corpus.name}"

    def describe(self) -> str:
        """The operators, with their weights where they differ, the seed and the corpus."""
        alike = len(set(self.operators.values())) == 1
        names = (name if alike else f"{weight:g} x {name}" for name, weight in self.operators.items())
        return f"{', '.join(names)} (seed {self.seed}) implanted in {self.corpus.describe()}"

    def snippets(self, exclusions: Exclusions) -> list[LabelledSnippet]:
        """The mutants, in the corpus's order; ids are ``<program id>#<operator>:<0-based line>``.

        They are made once in a process, unless the corpus's files are touched.

        Raises:
            SourceError: The corpus cannot be read, or none of its programs can be mutated.
        """
        made = self._remembered()
        exclusions.merge(made.left_out)
        return list(made.snippets)

    def _remembered(self) -> Made:
        corpus = self.corpus.fingerprint()
        if corpus is None:  # it cannot be told whether it has changed
            return self._make()
        weights = tuple(self.operators.items())
        settings = (self.mutants_per_program, weights, self.seed, self.limit, self.include_correct)
        key = (type(self.corpus), corpus, *settings)
        if key not in _made:
            _made[key] = self._make()
        _made.move_to_end(key)
        while len(_made) > REMEMBERED:
            _made.popitem(last=False)
        return _made[key]

    def _make(self) -> Made:
        exclusions = Exclusions()
        snippets: list[LabelledSnippet] = []
        for program in self.corpus.programs(exclusions):
            if program.language not in GRAMMARS:
                exclusions.add(f"no grammar for {program.language} (implanted bugs)", program.id)
                continue
            bugs = implant_bugs(program, self.seed, self.mutants_per_program, self.operators)
            if not bugs:
                exclusions.add("no bug can be implanted", program.id)
                continue
            if self.include_correct:
                snippets.append(_snippet(program, program, (), ""))
            snippets += [_snippet(program, b.program, b.wrong_lines, b.mutation.operator) for b in bugs]
        if not snippets:
            reasons = "; ".join(exclusions.describe())
            raise SourceError(f"No bug could be implanted in {self.corpus.describe()} ({reasons}). Choose more code.")
        if self.limit is not None and self.limit < len(snippets):
            exclusions.add(f"not drawn (limit {self.limit})", "", len(snippets) - self.limit)
            drawn = sorted(random.Random(self.seed).sample(range(len(snippets)), self.limit))
            snippets = [snippets[i] for i in drawn]
        return Made(snippets, exclusions)


def _snippet(original: Program, program: Program, wrong_lines: tuple[int, ...], operator: str) -> LabelledSnippet:
    return LabelledSnippet(
        id=program.id,
        problem_id=original.origin or original.id,
        language=program.language,
        task="generation",
        prompt=program.prompt,
        code=program.code,
        wrong_lines=wrong_lines,
        correct=not wrong_lines,
        label_source=f"implanted:{operator}" if operator else "presumed correct",
        bug_type=operator,
    )
