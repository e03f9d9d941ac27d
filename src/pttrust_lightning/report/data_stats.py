"""What is in a set of programs or labelled snippets, and which of them are copies of one another."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from pttrust_lightning.source.languages.lexemes import lexemes
from pttrust_lightning.source.languages.line_kinds import LINE_KINDS, kinds_of_lines
from pttrust_lightning.source.languages.tokens import fingerprint_of
from pttrust_lightning.types import Exclusions, LabelledSnippet, Program

SPLITS = ("train", "val", "test")

COPIED = ("code", "tokens", "problem")
"""How one program may repeat another, the plainest first: the same text, the same normalised tokens, one problem."""

_QUANTILES = {"min": 0, "q25": 25, "median": 50, "q75": 75, "q95": 95, "max": 100}


@dataclass(frozen=True, slots=True)
class Measured:
    """What is counted of one program or snippet; its text is not kept.

    Attributes:
        id: Its id.
        language: Its language.
        lines: Number of its lines of each kind, in the order of ``LINE_KINDS``.
        wrong_lines: The same of its wrong lines.
        text: Hash of its language and text.
        fingerprint: Hash of its language and normalised tokens.
        problem: What it solves; None where it is not labelled, and so for the rest.
        task: What it was written for.
        label_source: Where its label comes from.
        bug_type: What kind of bug it has; None where that is not known.
        correct: Whether it is right.
    """

    id: str
    language: str
    lines: tuple[int, ...]
    wrong_lines: tuple[int, ...]
    text: str
    fingerprint: str
    problem: str | None = None
    task: str | None = None
    label_source: str | None = None
    bug_type: str | None = None
    correct: bool | None = None

    @property
    def n_scored(self) -> int:
        """Its lines that are not blank."""
        return sum(self.lines) - self.lines[LINE_KINDS.index("blank")]

    @property
    def rankable(self) -> bool:
        """Whether there is something to rank, if the LLM's context holds all of it."""
        return self.n_scored > 1 and any(self.wrong_lines)

    def content(self, copied: str) -> str | None:
        """What another must share to repeat it, by one of ``COPIED``."""
        return {"code": self.text, "tokens": self.fingerprint, "problem": self.problem}[copied]


class Counts(NamedTuple):
    """How much there is of something.

    Attributes:
        snippets: Programs or snippets.
        rankable: Those with a wrong line among at least two lines.
        lines: Lines that are not blank.
        wrong_lines: Those of them known to be wrong.
    """

    snippets: int
    rankable: int
    lines: int
    wrong_lines: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Programs of one part that are also in another.

    Attributes:
        part: The one, such as ``test``.
        other: The other, such as ``train``.
        snippets: Number of the one's programs that repeat one of the other's.
        of: Number of all its programs.
        by: That number by the plainest way in which each does, see ``COPIED``.
        examples: A few of them: its id, the id that it repeats, and how.
    """

    part: str
    other: str
    snippets: int
    of: int
    by: dict[str, int]
    examples: list[tuple[str, str, str]]

    MAX_EXAMPLES = 5

    def describe(self) -> str:
        """A sentence that names the first pairs."""
        how = ", ".join(f"{count} by {way}" for way, count in self.by.items())
        pairs = "; ".join(f"{own} = {other} ({way})" for own, other, way in self.examples)
        more = "; ..." if self.snippets > len(self.examples) else ""
        return f"{self.snippets} of {self.of} in {self.part} repeat what is in {self.other} ({how}): {pairs}{more}"


@dataclass(frozen=True, slots=True)
class DataStats:
    """What is in a set.

    Attributes:
        source: What was read.
        labelled: Whether its wrong lines are known.
        total: How much there is in all.
        correct: Snippets that are right.
        without_lines: Snippets that are wrong, nobody knows where (weak labels).
        problems: Distinct problems; None for programs without labels.
        line_kinds: Lines by kind, the blank ones included.
        wrong_line_kinds: Wrong lines by kind. One without code may be where something is missing, or a doubtful label.
        scored_lines: Quantiles over programs of their number of lines that are not blank.
        copies: Programs that repeat an earlier one of the set, by code and by tokens (those by code included).
        parts: Counts by language, task, label source, bug type and split.
        overlaps: What its splits share.
        left_out: What is no part of the set, by reason.
    """

    source: str
    labelled: bool
    total: Counts
    correct: int
    without_lines: int
    problems: int | None
    line_kinds: dict[str, int]
    wrong_line_kinds: dict[str, int]
    scored_lines: dict[str, float]
    copies: dict[str, int]
    parts: dict[str, dict[str, Counts]]
    overlaps: list[Overlap]
    left_out: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Plain types; counts by their names."""
        record = asdict(self)
        record["total"] = self.total._asdict()
        record["parts"] = {by: {n: c._asdict() for n, c in part.items()} for by, part in self.parts.items()}
        return record


def measure_program(program: Program) -> Measured:
    """Count what is in a program without labels."""
    return Measured(**_text_of(program.id, program.code, program.language, ()))


def measure_snippet(snippet: LabelledSnippet) -> Measured:
    """Count what is in a labelled snippet."""
    return Measured(
        **_text_of(snippet.id, snippet.code, snippet.language, snippet.wrong_lines),
        problem=snippet.problem_id,
        task=snippet.task,
        label_source=snippet.label_source,
        bug_type=snippet.bug_type or None,
        correct=snippet.correct,
    )


def _text_of(id_: str, code: str, language: str, wrong_lines: Sequence[int]) -> dict[str, Any]:
    found = lexemes(code, language)
    kinds = kinds_of_lines(code, found)
    lines, wrong = Counter(kinds), Counter(kinds[number] for number in wrong_lines)
    return {
        "id": id_,
        "language": language,
        "lines": tuple(lines[kind] for kind in LINE_KINDS),
        "wrong_lines": tuple(wrong[kind] for kind in LINE_KINDS),
        "text": hashlib.blake2b(f"{language}\0{code}".encode(), digest_size=16).hexdigest(),
        "fingerprint": fingerprint_of(code, language, found),
    }


def data_stats(source: str, measured: Sequence[Measured], splits: Sequence[str], left_out: Exclusions) -> DataStats:
    """Sum up a set.

    Args:
        source: What was read.
        measured: Its programs or snippets.
        splits: The split of each.
        left_out: What was left out while it was read.
    """
    of_split = {name: [m for m, own in zip(measured, splits, strict=True) if own == name] for name in SPLITS}
    parts = {
        "language": _parts(measured, lambda m: m.language),
        "task": _parts(measured, lambda m: m.task),
        "label source": _parts(measured, lambda m: m.label_source),
        "bug type": _parts(measured, lambda m: m.bug_type),
        "split": {name: _counts(part) for name, part in of_split.items() if part},
    }
    labelled = any(m.problem is not None for m in measured)
    shared = [overlap(of_split[b], of_split[a], b, a) for a, b in combinations(SPLITS, 2)]
    return DataStats(
        source=source,
        labelled=labelled,
        total=_counts(measured),
        correct=sum(m.correct is True for m in measured),
        without_lines=sum(m.correct is False and not any(m.wrong_lines) for m in measured),
        problems=len({m.problem for m in measured}) if labelled else None,
        line_kinds=_by_kind(m.lines for m in measured),
        wrong_line_kinds=_by_kind(m.wrong_lines for m in measured),
        scored_lines=_quantiles([m.n_scored for m in measured]),
        copies={way: len(measured) - len({m.content(way) for m in measured}) for way in ("code", "tokens")},
        parts={by: part for by, part in parts.items() if part},
        overlaps=[found for found in shared if found is not None],
        left_out=dict(sorted(left_out.counts.items())),
    )


def overlap(ours: Sequence[Measured], theirs: Sequence[Measured], part: str, other: str) -> Overlap | None:
    """What of ``ours`` repeats something in ``theirs``; None where nothing does.

    Args:
        ours: Programs or snippets.
        theirs: Others.
        part: What ours are called.
        other: What theirs are called.
    """
    first: dict[str, dict[str | None, str]] = {way: {} for way in COPIED}
    for way, holders in first.items():
        for m in theirs:
            content = m.content(way)
            if content is not None:
                holders.setdefault(content, m.id)
    pairs = [pair for m in ours if (pair := _first_repeated(m, first)) is not None]
    if not pairs:
        return None
    by = Counter(way for _, _, way in pairs)
    ordered = {way: by[way] for way in COPIED if by[way]}
    return Overlap(part, other, len(pairs), len(ours), ordered, pairs[: Overlap.MAX_EXAMPLES])


def _first_repeated(m: Measured, first: dict[str, dict[str | None, str]]) -> tuple[str, str, str] | None:
    """Its id, the id that it repeats and how, in the plainest way; None where it repeats nothing."""
    for way, holders in first.items():
        content = m.content(way)
        if content in holders:
            return m.id, holders[content], way
    return None


def _counts(measured: Iterable[Measured]) -> Counts:
    measured = list(measured)
    return Counts(
        snippets=len(measured),
        rankable=sum(m.rankable for m in measured),
        lines=sum(m.n_scored for m in measured),
        wrong_lines=sum(sum(m.wrong_lines) for m in measured),
    )


def _parts(measured: Sequence[Measured], name_of: Callable[[Measured], str | None]) -> dict[str, Counts]:
    """Counts by a name, those of the most snippets first; nothing where no program has one."""
    parts: dict[str, list[Measured]] = {}
    for m in measured:
        name = name_of(m)
        if name is not None:
            parts.setdefault(name, []).append(m)
    return {name: _counts(part) for name, part in sorted(parts.items(), key=lambda item: (-len(item[1]), item[0]))}


def _by_kind(counts: Iterable[tuple[int, ...]]) -> dict[str, int]:
    sums = np.array([(0,) * len(LINE_KINDS), *counts]).sum(axis=0)
    return {kind: int(count) for kind, count in zip(LINE_KINDS, sums, strict=True)}


def _quantiles(lengths: Sequence[int]) -> dict[str, float]:
    if not lengths:
        return {}
    values = np.percentile(lengths, list(_QUANTILES.values()))
    return {name: float(value) for name, value in zip(_QUANTILES, values, strict=True)}
