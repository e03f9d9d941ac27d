from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.errors import ConfigError, SourceError
from pttrust_lightning.source.corpora import BugFixes, Corpus, JsonlCorpus, Mixed
from pttrust_lightning.source.fixes import BugFix, FixSource
from pttrust_lightning.source.labelled import DebugBench
from pttrust_lightning.source.lines import is_blank, split_lines
from pttrust_lightning.types import Exclusions, LinePair, Mutation, Program, ProgramGroup


class Fixes(FixSource):
    def __init__(self, *fixes: BugFix) -> None:
        self._fixes = fixes

    def fixes(self, exclusions: Exclusions) -> Iterator[BugFix]:
        return iter(self._fixes)


def fix(id_: str, buggy: str, correct: str, language: str = "python", prompt: str = "") -> BugFix:
    return BugFix(id_, f"problem of {id_}", language, prompt, buggy, correct)


def read(corpus: Corpus) -> tuple[list[ProgramGroup], Exclusions]:
    exclusions = Exclusions()
    return list(corpus.groups(exclusions)), exclusions


def test_a_correct_program_and_its_buggy_version():
    source = Fixes(fix("a", "x = 1\ny = 3\nz = 4\n", "x = 1  # c\ny = 2\nw = 0\nz = 4\n", prompt="p"))
    (group,), exclusions = read(BugFixes(source))
    assert group.original == Program("a", "x = 1  # c\ny = 2\nw = 0\nz = 4\n", "python", "p", "problem of a")
    (mutant,) = group.mutants
    assert mutant.program == Program("a#bug0", "x = 1\ny = 3\nz = 4\n", "python", "p", "problem of a")
    assert mutant.pairs == (LinePair(1, 1),)
    assert mutant.mutations == (Mutation("bug_fix", 1, "y = 2\nw = 0", "y = 3", (11, 22)),)
    assert not exclusions.counts
    assert list(BugFixes(source).programs(Exclusions())) == [group.original]


def test_deletions_and_insertions():
    source = Fixes(
        fix("a", "x = 1\nz = 3\n", "x = 1\ny = 2\nz = 3\n"), fix("b", "x = 1\ny = 2\nz = 3\n", "x = 1\nz = 3\n")
    )
    (deleted, inserted), _ = read(BugFixes(source))
    assert deleted.mutants[0].mutations == (Mutation("bug_fix", 1, "y = 2", "", (6, 11)),)
    assert deleted.mutants[0].pairs == (LinePair(2, 1),)
    assert inserted.mutants[0].mutations == (Mutation("bug_fix", 1, "", "y = 2", (6, 6)),)
    assert inserted.mutants[0].pairs == (LinePair(1, 1),)


def test_bugs_of_one_program_are_its_mutants():
    correct = "x = 1\ny = 2\n"
    source = Fixes(
        fix("a", "x = 2\ny = 2\n", correct), fix("b", "x = 0\n", "x = 3\n"), fix("c", "x = 1\ny = 3\n", correct)
    )
    (first, second), _ = read(BugFixes(source))
    assert [m.program.id for m in first.mutants] == ["a#bug0", "a#bug1"]
    assert [m.pairs for m in first.mutants] == [(LinePair(0, 0),), (LinePair(1, 1),)]
    assert second.original.id == "b"


def test_what_is_left_out_is_counted():
    source = Fixes(
        fix("same", "x = 1 # c\n", "x = 1\n"),
        fix("end", "x = 1\n", "x = 1\ny = 2\n"),
        fix("empty", "\n", "x = 1\n"),
        fix("nul", "x", "x\0"),
        fix("good", "x = 1\n", "x = 2\n"),
        fix("long", "x = 1\ny = 3\n", "x = 1\ny = 2\n"),
    )
    groups, exclusions = read(BugFixes(source, max_lines=1))
    assert [group.original.id for group in groups] == ["good"]
    assert exclusions.examples == {
        "buggy code does not differ from the correct code": ["same"],
        "buggy code differs at its end alone": ["end"],
        "empty buggy program": ["empty"],
        "binary correct program": ["nul"],
        "more than 1 non-blank lines": ["long"],
    }
    with pytest.raises(SourceError, match=r"bug fixes of Fixes, all gives no program .*does not differ"):
        read(BugFixes(Fixes(fix("same", "x\n", "x\n"))))
    with pytest.raises(ConfigError, match="limit is 0"):
        BugFixes(source, limit=0)


def test_a_sample_keeps_the_order_and_does_not_depend_on_the_other_settings():
    source = Fixes(*(fix(f"{n:02}", f"x = {n}\n", f"x = {n}\n".replace("=", "+=")) for n in range(30)))
    drawn = [g.original.id for g in read(BugFixes(source, limit=5, seed=1))[0]]
    assert drawn == sorted(drawn) and len(drawn) == 5
    assert drawn == [g.original.id for g in read(BugFixes(source, limit=5, seed=1))[0]]
    assert drawn != [g.original.id for g in read(BugFixes(source, limit=5, seed=2))[0]]
    assert read(BugFixes(source, limit=5))[1].counts == {"not drawn (limit 5)": 25}


LINES = st.lists(st.sampled_from(["a = 1", "  b = 2", "c()", "# d", "'''e'''", "if x:", ""]), max_size=8).map("\n".join)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=4))
def test_groups_hold_together(versions):
    source = Fixes(*(fix(str(n), *pair) for n, pair in enumerate(versions)))
    exclusions = Exclusions()
    try:
        groups = list(BugFixes(source).groups(exclusions))
    except SourceError:
        groups = []
    mutants = [(group.original, mutant) for group in groups for mutant in group.mutants]
    assert len(mutants) + exclusions.counts.total() >= len(versions), "nothing is left out unnoticed"
    ids = [program.id for group in groups for program in group.programs]
    assert len(set(ids)) == len(ids)
    for original, mutant in mutants:
        ours, theirs = split_lines(original.code), split_lines(mutant.program.code)
        assert mutant.pairs and mutant.mutations
        for i, j in mutant.pairs:
            assert not is_blank(ours[i].text) and not is_blank(theirs[j].text)
        assert [p.original_line for p in mutant.pairs] == sorted({p.original_line for p in mutant.pairs})
        for mutation in mutant.mutations:
            assert all(line in original.code for line in mutation.before.split("\n"))
            assert all(line in mutant.program.code for line in mutation.after.split("\n"))


def test_published_fixes(shared_data):
    corpus = BugFixes(DebugBench(str(shared_data / "debugbench"), ["python"]))
    groups, exclusions = read(corpus)
    assert sum(len(group.mutants) for group in groups) == 208
    assert exclusions.counts["buggy code differs at its end alone"] == 3
    assert len({group.original.code for group in groups}) == len(groups) < 120, "its solutions have several bugs each"
    assert corpus.fingerprint() is None


def test_several_corpora(tmp_path):
    for name, codes in (("one", ["x = 1", "y = 1"]), ("two", ["y = 1", "z = 1"])):
        (tmp_path / name).write_text("".join(json.dumps({"code": c, "id": c[0]}) + "\n" for c in codes))
    one, two = (JsonlCorpus(str(tmp_path / name)) for name in ("one", "two"))
    fixes = BugFixes(Fixes(fix("f", "a = 1\n", "a = 2\n")))
    mixed = Mixed([one, fixes, two])
    groups, exclusions = read(mixed)
    assert [group.original.id for group in groups] == ["0/x", "0/y", "1/f", "2/z"]
    assert [mutant.program.id for group in groups for mutant in group.mutants] == ["1/f#bug0"]
    assert exclusions.counts == {"duplicate": 1}
    assert list(mixed.programs(Exclusions())) == [group.original for group in groups]
    assert mixed.name == "one + bug fixes of Fixes + two"
    assert mixed.fingerprint() is None
    before = Mixed([one, two]).fingerprint()
    assert before is not None and before != Mixed([two, one]).fingerprint()
    (tmp_path / "two").write_text(json.dumps({"code": "other"}))
    assert Mixed([one, two]).fingerprint() not in (None, before)
    with pytest.raises(ConfigError, match="corpora is empty"):
        Mixed([])


def test_programs_of_other_corpora_have_no_mutants(tmp_path):
    (tmp_path / "c").write_text('{"code": "x = 1"}\n')
    corpus = JsonlCorpus(str(tmp_path / "c"))
    assert read(corpus)[0] == [ProgramGroup(program) for program in corpus.programs(Exclusions())]
