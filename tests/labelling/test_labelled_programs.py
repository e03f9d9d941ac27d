"""Which programs are run and what becomes of each verdict, on runs that are made up."""

from __future__ import annotations

import pytest

from pttrust_lightning.errors import SourceError
from pttrust_lightning.labelling.labels import CRASHED, TIMEOUT, UNTRUSTED_REPAIR, UNTRUSTED_TESTS, label_programs
from pttrust_lightning.labelling.problems import Candidate, Problem, TestRun
from pttrust_lightning.labelling.programs import DUPLICATE, NO_CODE, UNKNOWN_CANDIDATE, UNKNOWN_PROBLEM, select_programs
from pttrust_lightning.labelling.wrong_lines import NO_CORRECT_PROGRAM
from pttrust_lightning.types import Exclusions, LabelledSnippet

REFERENCE = "    a = 1\n    b = 2\n    return a + b\n"
WRONG = REFERENCE.replace("b = 2", "b = 3")
WITH = Problem("with", "python", "def f():\n", "assert f() == 3", "f", REFERENCE)
WITHOUT = Problem("without", "python", "def g():\n", "assert g() == 3", "g")


def candidate(id_: str, code: str = WRONG, problem: str = "with") -> Candidate:
    return Candidate(id_, problem, code)


def labelled(candidates, verdicts, repaired=(), share=0.5):
    """The snippets by id, and what was left out; whatever ``verdicts`` does not name is correct."""
    exclusions = Exclusions()
    programs = select_programs([WITH, WITHOUT], candidates, repaired, exclusions)
    runs = {p.id: TestRun(p.id, verdicts.get(p.id, "correct"), "", 0.1, "") for p in programs.all()}
    found = label_programs(programs, runs, share, exclusions)
    return {p.tested.candidate.id: (p.snippet("generation"), p.label.why_weak) for p in found}, exclusions.counts


def test_correct_and_wrong_candidates():
    found, left_out = labelled([candidate("good", REFERENCE + "\n\n"), candidate("bad")], {"bad": "wrong"})
    expected = LabelledSnippet(
        "bad", "with", "python", "generation", "def f():\n", WRONG, (1,), False, "diff:reference"
    )
    assert found["bad"] == (expected, "")
    good = found["good"][0]
    assert (good.correct, good.wrong_lines, good.label_source) == (True, (), "tests")
    assert not left_out


def test_without_a_reference_the_candidates_that_pass_decide():
    candidates = [candidate("bad", WRONG, "without"), candidate("good", REFERENCE, "without")]
    found, _ = labelled(candidates, {"bad": "wrong"})
    assert found["bad"][0].label_source == "diff:candidate:good"
    found, _ = labelled(candidates, {"bad": "wrong", "good": "timeout"})
    snippet, why_weak = found["bad"]
    assert (snippet.correct, snippet.wrong_lines, snippet.label_source) == (False, (), "tests")
    assert why_weak == NO_CORRECT_PROGRAM


def test_candidates_of_other_problems_do_not_decide():
    found, _ = labelled([candidate("bad", WRONG, "without"), candidate("good", REFERENCE + "#\n")], {"bad": "wrong"})
    assert found["bad"][1] == NO_CORRECT_PROGRAM


def test_timeouts_and_crashes_are_no_labels():
    candidates = [candidate("slow"), candidate("dead", WRONG + "#\n"), candidate("bad", WRONG + "##\n")]
    found, left_out = labelled(candidates, {"slow": "timeout", "dead": "crashed", "bad": "wrong"})
    assert list(found) == ["bad"]
    assert left_out == {TIMEOUT: 1, CRASHED: 1}


@pytest.mark.parametrize("verdict", ["wrong", "timeout", "crashed"])
def test_where_the_reference_fails_nothing_is_believed(verdict):
    candidates = [candidate("good", REFERENCE + "#\n"), candidate("bad"), candidate("other", WRONG, "without")]
    found, left_out = labelled(candidates, {"with#reference": verdict, "bad": "wrong"})
    assert list(found) == ["other"]
    assert left_out == {UNTRUSTED_TESTS: 2}


def test_a_repaired_program_counts_if_it_passes():
    repaired = [candidate("bad", WRONG.replace("return a + b", "return 3"))]
    found, left_out = labelled([candidate("bad")], {"bad": "wrong"}, repaired)
    assert (found["bad"][0].wrong_lines, found["bad"][0].label_source) == ((2,), "diff:repaired")
    assert not left_out
    found, left_out = labelled([candidate("bad")], {"bad": "wrong", "bad#repaired": "wrong"}, repaired)
    assert found["bad"][0].label_source == "diff:reference"
    assert left_out == {UNTRUSTED_REPAIR: 1}


def test_what_is_not_run_is_counted():
    candidates = [
        candidate("b"),
        candidate("a"),
        candidate("c", problem="without"),
        candidate("blank", " \n\t\n"),
        candidate("lost", problem="nowhere"),
    ]
    exclusions = Exclusions()
    repaired = [candidate("lost"), candidate("c", problem="with"), candidate("a")]
    programs = select_programs([WITHOUT, WITH], candidates, repaired, exclusions)
    assert [p.id for p in programs.all()] == ["with#reference", "a#repaired", "a", "c"]
    assert exclusions.counts == {DUPLICATE: 1, NO_CODE: 1, UNKNOWN_PROBLEM: 1, UNKNOWN_CANDIDATE: 2}
    assert exclusions.examples[DUPLICATE] == ["b"]


def test_nothing_to_label_and_ids_that_are_taken():
    with pytest.raises(SourceError, match=r"No candidate can be labelled \(1 left out: candidate without"):
        select_programs([WITH], [candidate("blank", "\n")], [], Exclusions())
    with pytest.raises(SourceError, match="another program has the id 'with#reference'"):
        select_programs([WITH], [candidate("with#reference")], [], Exclusions())
    with pytest.raises(SourceError, match="another program has the id 'a'"):
        select_programs([WITH], [candidate("a"), candidate("a", REFERENCE)], [], Exclusions())
