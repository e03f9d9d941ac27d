"""The data that passes between rooms, documented once.

This is a leaf module: it imports nothing from the rest of the package.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # rooms without torch, such as source, import this module too
    from torch import Tensor

FloatArray = NDArray[np.float64]
"""Scores, features and metric values outside the training loop."""

IntArray = NDArray[np.int64]

BoolArray = NDArray[np.bool_]

LineRule = Literal["newline", "last_code", "mean"]
"""Which token's state stands for a line (METHOD: line states)."""

LINE_RULES: tuple[str, ...] = get_args(LineRule)


STATE_IDENTITY = ("weights_sha256", "tokenizer_sha256", "quantisation", "layer", "line_rule", "dtype")
"""Fields of the states' provenance that must agree between a model and the states it is given.

Not the context length: a state depends on what precedes it alone. Not the LLM's name: its hash says what it is.
"""


@dataclass(frozen=True, slots=True)
class Program:
    """One program (a file, a function, a snippet) as text.

    Attributes:
        id: Unique within its corpus; stable between runs.
        code: Source text, exactly as read (line ends included).
        language: Lower-case name, such as ``python``; the one that ``source.languages.canonical_language`` gives.
        prompt: Text that precedes the code for the LLM (problem statement, signature); may be empty.
        origin: The file that the program came from, for messages; may be empty.
    """

    id: str
    code: str
    language: str
    prompt: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class LabelledSnippet:
    """A snippet whose wrong lines are known: one record of the labelled-lines JSONL.

    Attributes:
        id: Unique within its set.
        problem_id: What the snippet solves; snippets that share it never straddle a split.
        language: Lower-case name, such as ``python``; the one that ``source.languages.canonical_language`` gives.
        task: What the snippet was written for: ``generation``, ``repair``, ``editing``, ``translation``, ...
        prompt: Text that precedes the code for the LLM; may be empty.
        code: Source text of the snippet.
        wrong_lines: 0-based line numbers in ``code``, strictly increasing.
        correct: Whether the snippet is right; then it has no wrong line.
        label_source: Where the label comes from (``diff``, ``implanted:<operator>``, ``human``, ...).
        bug_type: What kind of bug it is, as its source or the operator that made it names it; empty where not known.
        data_set: The set it is of, where several are mixed; empty elsewhere.
        relevance: How much each wrong line matters, above 0, as many as there are wrong lines; empty where each counts
            as 1.
    """

    id: str
    problem_id: str
    language: str
    task: str
    prompt: str
    code: str
    wrong_lines: tuple[int, ...]
    correct: bool
    label_source: str
    bug_type: str = ""
    data_set: str = ""
    relevance: tuple[float, ...] = ()

    def relevance_of(self, numbers: IntArray) -> FloatArray:
        """The relevance of lines by their 0-based numbers, ``(T,)``; 0 where a line is not known to be wrong.

        In single precision, so that methods which see tensors and methods which see arrays see the same.

        Raises:
            ValueError: There are not as many of ``relevance`` as of ``wrong_lines``.
        """
        grades = dict(zip(self.wrong_lines, self.relevance or (1.0,) * len(self.wrong_lines), strict=True))
        return np.array([grades.get(number, 0.0) for number in numbers.tolist()], dtype=np.float32).astype(np.float64)

    def program(self) -> Program:
        """The snippet without its labels, as the LLM reads it."""
        return Program(id=self.id, code=self.code, language=self.language, prompt=self.prompt)


class LinePair(NamedTuple):
    """A contrastive pair: a line of the original and the line of the mutant that took its place.

    Attributes:
        original_line: 0-based line number in the original.
        mutant_line: 0-based line number in the mutant.
    """

    original_line: int
    mutant_line: int


@dataclass(frozen=True, slots=True)
class Mutation:
    """One edit, so that every mutant can say how it came about.

    Attributes:
        operator: Name of the operator that made it.
        line: 0-based line of the original that was edited.
        before: The text of the edited lines.
        after: The text of the lines that took their place (empty for a deletion).
        span: First byte and the one after the last that were edited, in the original's UTF-8 text.
    """

    operator: str
    line: int
    before: str
    after: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutated program with its provenance and its line pairs.

    Attributes:
        program: The mutated program; its id is the original's id, ``#`` and a suffix.
        mutations: Every edit made, in line order.
        pairs: The contrastive pairs, in line order.
    """

    program: Program
    mutations: tuple[Mutation, ...]
    pairs: tuple[LinePair, ...]


@dataclass(frozen=True, slots=True)
class ProgramGroup:
    """An original and its mutants: the unit that is cached, batched and split as a whole."""

    original: Program
    mutants: tuple[Mutant, ...] = ()

    @property
    def programs(self) -> tuple[Program, ...]:
        """The original, then the mutants."""
        return (self.original, *(m.program for m in self.mutants))


@dataclass(slots=True)
class Exclusions:
    """What was left out, counted by reason, with a few examples: nothing is skipped silently.

    Attributes:
        counts: Number of items left out, by reason.
        examples: Up to ``MAX_EXAMPLES`` names of such items, by reason.
    """

    MAX_EXAMPLES = 3

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Count ``count`` items left out for ``reason``; ``name`` says where."""
        if count <= 0:
            return
        self.counts[reason] += count
        shown = self.examples.setdefault(reason, [])
        if len(shown) < self.MAX_EXAMPLES and name not in shown:
            shown.append(name)

    def merge(self, other: Exclusions) -> None:
        """Add another's counts to these."""
        for reason, count in other.counts.items():
            names = other.examples.get(reason) or [""]
            self.add(reason, names[0], count)
            for name in names[1:]:
                shown = self.examples[reason]
                if len(shown) < self.MAX_EXAMPLES and name not in shown:
                    shown.append(name)

    def describe(self) -> list[str]:
        """One line a reason: ``12 left out: empty file (a.py, b.py, ...)``."""
        lines = []
        for reason, count in sorted(self.counts.items()):
            names = [n for n in self.examples.get(reason, []) if n]
            more = ", ..." if count > len(names) and names else ""
            where = f" ({', '.join(names)}{more})" if names else ""
            lines.append(f"{count} left out: {reason}{where}")
        return lines


@dataclass(frozen=True, slots=True)
class ProgramStates:
    """What one pass of the LLM leaves of a program: the states of its scored lines in every layer that is read.

    Attributes:
        program_id: The program's id.
        line_numbers: 0-based numbers of the scored lines, strictly increasing, ``(T,)``.
        states: One state a layer and line, layers in ascending order, ``(L, T, D)``; on the CPU, as they are stored.
        uncertainty: As in :class:`LineStates`, ``(T, 3)``.
        n_lines: Number of non-blank lines of the program, scored or not.
        line_tokens: As in :class:`LineStates`, ``(T,)``.
        lookback: As in :class:`LineStates`, ``(T, H)``.
    """

    program_id: str
    line_numbers: IntArray
    states: Tensor
    uncertainty: FloatArray | None = None
    n_lines: int = 0
    line_tokens: IntArray | None = None
    lookback: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class LineStates:
    """The states of one program's scored lines, with what is known of each from the same pass.

    Attributes:
        program_id: The program's id.
        line_numbers: 0-based numbers of the scored lines, strictly increasing, ``(T,)``.
        states: One state a line, ``(T, D)``; of several layers, one after the other.
        uncertainty: Mean and minimum token log-probability (nats) and mean entropy (nats) of each line,
            ``(T, 3)``; None where the pass did not run the LM head.
        n_lines: Number of non-blank lines of the program, scored or not.
        line_tokens: How many tokens start in each line, at least 1, ``(T,)``; None in caches that do not have it.
        lookback: Share of attention that goes to the prompt, by head (``states/lookback.py``), ``(T, H)``; None where
            it was not read.
        prompt_difference: The state minus that of the same line without the prompt, ``(T, D)``; None where that was
            not read.
    """

    program_id: str
    line_numbers: IntArray
    states: Tensor
    uncertainty: FloatArray | None
    n_lines: int
    line_tokens: IntArray | None = None
    lookback: FloatArray | None = None
    prompt_difference: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class SnippetStates:
    """A labelled snippet beside the states of its scored lines: what every method learns from and scores.

    Attributes:
        snippet: The snippet and its labels.
        lines: The states of its scored lines.
        labels: Relevance of each scored line, 1 where it is wrong, ``(T,)``.
    """

    snippet: LabelledSnippet
    lines: LineStates
    labels: FloatArray

    @property
    def rankable(self) -> bool:
        """Whether there is something to rank: at least two scored lines, at least one of them wrong."""
        return len(self.labels) > 1 and bool(self.labels.any())


@runtime_checkable
class LabelledSplits(Protocol):
    """What a method that is fitted without batches needs of its data: the snippets of each split."""

    uncertainty: bool
    """Whether token probabilities were read."""

    lookback: bool
    """Whether attention was read."""

    verdicts: bool
    """Whether its batches hold the snippets that cannot be ranked too, so that whole snippets can be judged."""

    @property
    def split(self) -> Mapping[Any, Sequence[SnippetStates]]:
        """The snippets of ``train``, ``val`` and ``test``; there once the data is set up."""


class StateBatch(NamedTuple):
    """A stage-1 batch: the lines of some program groups.

    Attributes:
        states: Line states of originals and mutants, ``(N, D)``.
        pairs: Row numbers in ``states`` of each contrastive pair, ``(P, 2)``.
    """

    states: Tensor
    pairs: Tensor


class SnippetBatch(NamedTuple):
    """A stage-2 batch: snippets padded to the longest.

    Attributes:
        states: Line states, ``(B, T, D)``; zero where padded.
        labels: Relevance of each line, ``(B, T)``; zero where padded.
        mask: True where there is a line, ``(B, T)``.
        line_numbers: 0-based line numbers in the snippet, ``(B, T)``; -1 where padded.
        snippet_ids: The snippets' ids, in order.
        correct: The snippets' verdicts, True where the snippet is right, ``(B,)``.
        features: What else is known of each line, by name, ``(B, T, F)`` each; zero where padded.
    """

    states: Tensor
    labels: Tensor
    mask: Tensor
    line_numbers: Tensor
    snippet_ids: list[str]
    correct: Tensor
    features: dict[str, Tensor]


class ScoredSnippet(NamedTuple):
    """The scores a method gave the lines of one snippet, and the snippet itself where it judges snippets too.

    Attributes:
        snippet_id: The snippet's id.
        line_numbers: 0-based numbers of the scored lines, ``(T,)``.
        scores: The higher, the riskier; ``(T,)``.
        probabilities: Calibrated P(line is wrong), ``(T,)``.
        labels: Relevance, 1 where the line is wrong, ``(T,)``.
        fold: Which model of a cross-validation scored it; scores of different folds share no scale.
        correct: The snippet's verdict; None where it is not known.
        snippet_score: The higher, the likelier the snippet is wrong; None where the method judges lines alone.
        snippet_probability: Calibrated P(snippet is wrong); None where the method judges lines alone.
        line_tokens: How many tokens each line has, ``(T,)``; None where that is not known.
    """

    snippet_id: str
    line_numbers: IntArray
    scores: FloatArray
    probabilities: FloatArray
    labels: FloatArray
    fold: int = 0
    correct: bool | None = None
    snippet_score: float | None = None
    snippet_probability: float | None = None
    line_tokens: IntArray | None = None
