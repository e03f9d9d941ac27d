"""Which programs are run: candidates, their repaired versions, and the references that the tests are tried on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pttrust_lightning.errors import SourceError
from pttrust_lightning.labelling.problems import Candidate, Problem, TestRun, reference_candidates
from pttrust_lightning.source.lines import is_blank
from pttrust_lightning.types import Exclusions

UNKNOWN_PROBLEM = "candidate of a problem that is not among the problems"
NO_CODE = "candidate without a line of code"
DUPLICATE = "candidate with the same code as another one of its problem"
UNKNOWN_CANDIDATE = "repaired program of a candidate that is not labelled"


class CandidateRun(NamedTuple):
    """A candidate beside its problem and what the problem's tests said of it."""

    problem: Problem
    candidate: Candidate
    run: TestRun


@dataclass(frozen=True, slots=True)
class Programs:
    """All programs of a labelling run.

    Attributes:
        problems: Problems with a candidate, by id.
        candidates: What is to be labelled.
        references: The solution of each problem that has one, by the problem's id.
        repaired: Repaired versions by the id of the candidate that they repair.
    """

    problems: Mapping[str, Problem]
    candidates: Sequence[Candidate]
    references: Mapping[str, Candidate]
    repaired: Mapping[str, Candidate]

    def all(self) -> list[Candidate]:
        """Everything that is run, the references first: where they fail, nothing else need be run."""
        return [*self.references.values(), *self.repaired.values(), *self.candidates]

    def tested(self, runs: Mapping[str, TestRun]) -> Iterator[CandidateRun]:
        """The candidates with their runs, in order."""
        for candidate in self.candidates:
            yield CandidateRun(self.problems[candidate.problem_id], candidate, runs[candidate.id])


def select_programs(
    problems: Iterable[Problem], candidates: Iterable[Candidate], repaired: Iterable[Candidate], exclusions: Exclusions
) -> Programs:
    """Choose what is run; of candidates with the same code, the one whose id sorts first is kept.

    Args:
        problems: The problems.
        candidates: Programs to be labelled.
        repaired: Programs thought to be right, each under the id of the candidate that it repairs.
        exclusions: Where what is left out is counted.

    Raises:
        SourceError: No candidate is left, or two programs have the same id.
    """
    known = {problem.id: problem for problem in problems}
    kept = _distinct(_of_known_problems(candidates, known, exclusions), exclusions)
    if not kept:
        reasons = "; ".join(exclusions.describe()) or "there is none"
        raise SourceError(f"No candidate can be labelled ({reasons}). Give candidates of the problems.")
    used = {candidate.problem_id for candidate in kept}
    repaired_of = dict(_repaired(repaired, {c.id: c for c in kept}, exclusions))
    references = {c.problem_id: c for c in reference_candidates(known[id_] for id_ in known if id_ in used)}
    _check_ids([*references.values(), *repaired_of.values(), *kept])
    return Programs({id_: known[id_] for id_ in known if id_ in used}, kept, references, repaired_of)


def _check_ids(programs: Iterable[Candidate]) -> None:
    """Refuse ids that are there twice: runs and labels go by them."""
    seen: set[str] = set()
    for program in programs:
        if program.id in seen:
            raise SourceError(
                f"{program.origin or 'A candidate'}: another program has the id {program.id!r}, too (references are "
                "<problem id>#reference, repaired programs <candidate id>#repaired). Rename the candidate."
            )
        seen.add(program.id)


def _of_known_problems(
    candidates: Iterable[Candidate], problems: Mapping[str, Problem], exclusions: Exclusions
) -> Iterator[Candidate]:
    for candidate in candidates:
        if candidate.problem_id not in problems:
            exclusions.add(UNKNOWN_PROBLEM, candidate.id)
        elif is_blank(candidate.code):
            exclusions.add(NO_CODE, candidate.id)
        else:
            yield candidate


def _distinct(candidates: Iterable[Candidate], exclusions: Exclusions) -> list[Candidate]:
    every = list(candidates)
    first = {(c.problem_id, c.code): c.id for c in sorted(every, key=lambda c: c.id, reverse=True)}
    kept = [c for c in every if first[c.problem_id, c.code] == c.id]
    for candidate in every:
        if first[candidate.problem_id, candidate.code] != candidate.id:
            exclusions.add(DUPLICATE, candidate.id)
    return kept


def _repaired(
    repaired: Iterable[Candidate], candidates: Mapping[str, Candidate], exclusions: Exclusions
) -> Iterator[tuple[str, Candidate]]:
    for program in repaired:
        candidate = candidates.get(program.id)
        if candidate is None or candidate.problem_id != program.problem_id:
            exclusions.add(UNKNOWN_CANDIDATE, program.id)
        else:
            yield program.id, replace(program, id=f"{program.id}#repaired")
