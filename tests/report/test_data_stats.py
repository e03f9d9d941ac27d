from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pttrust_lightning.report.data_stats import (
    SPLITS,
    Counts,
    Measured,
    data_stats,
    measure_program,
    measure_snippet,
    overlap,
)
from pttrust_lightning.report.data_tables import print_data_stats
from pttrust_lightning.source.languages import LINE_KINDS
from pttrust_lightning.types import Exclusions, LabelledSnippet, Program


def snippet(id_, code, wrong=(), language="python", problem="p", task="repair", source="diff", correct=None):
    correct = not wrong if correct is None else correct
    return LabelledSnippet(id_, problem, language, task, "", code, tuple(wrong), correct, source)


LONG = "def f(a):\n" + "    a = g(a, 1)\n" * 10
SNIPPETS = [
    snippet("a", "# c\nx = [\n    1,\n]\n\ny = 2\n", wrong=(0, 3, 5), problem="p1"),
    replace(snippet("b", "x = 1\n", wrong=(0,), problem="p1", source="human"), bug_type="off by one"),
    snippet("c", "// c\nint x;\n", language="java", problem="p2", task="generation"),
    snippet("d", LONG, wrong=(1,), problem="p3"),
    snippet("e", LONG.replace("a", "b").replace("1", "2").replace("\n", "  # c\n"), problem="p3", correct=False),
    snippet("f", LONG, problem="p4"),
]


def test_a_set_by_hand():
    left_out = Exclusions()
    left_out.add("too long", "z", 3)
    splits = ["train", "train", "val", "test", "test", "train"]
    stats = data_stats("mine", [measure_snippet(s) for s in SNIPPETS], splits, left_out)
    assert stats.labelled
    assert stats.total == Counts(snippets=6, rankable=2, lines=5 + 1 + 2 + 3 * 11, wrong_lines=5)
    assert stats.line_kinds == {"blank": 1, "comment": 2, "punctuation": 1, "code": 3 + 1 + 1 + 33}
    assert stats.wrong_line_kinds == {"blank": 0, "comment": 1, "punctuation": 1, "code": 3}
    assert (stats.correct, stats.without_lines, stats.problems) == (2, 1, 4)
    assert stats.parts == {
        "language": {"python": Counts(5, 2, 39, 5), "java": Counts(1, 0, 2, 0)},
        "task": {"repair": Counts(5, 2, 39, 5), "generation": Counts(1, 0, 2, 0)},
        "label source": {"diff": Counts(5, 2, 40, 4), "human": Counts(1, 0, 1, 1)},
        "bug type": {"off by one": Counts(1, 0, 1, 1)},
        "split": {"train": Counts(3, 1, 17, 4), "val": Counts(1, 0, 2, 0), "test": Counts(2, 1, 22, 1)},
    }
    assert stats.scored_lines == {"min": 1, "q25": 2.75, "median": 8, "q75": 11, "q95": 11, "max": 11}
    assert stats.copies == {"code": 1, "tokens": 2}
    assert stats.left_out == {"too long": 3}
    (shared,) = stats.overlaps
    assert (shared.part, shared.other, shared.snippets, shared.of) == ("test", "train", 2, 2)
    assert shared.by == {"code": 1, "tokens": 1}
    assert shared.examples == [("d", "f", "code"), ("e", "f", "tokens")]
    assert shared.describe() == (
        "2 of 2 in test repeat what is in train (1 by code, 1 by tokens): d = f (code); e = f (tokens)"
    )
    assert json.loads(json.dumps(stats.as_json()))["parts"]["split"]["val"]["lines"] == 2


def test_programs_have_no_labels():
    programs = [Program("a", "x = 1\n\ny = 2\n", "python"), Program("b", "x = 1\n", "kotlin")]
    stats = data_stats("mine", [measure_program(p) for p in programs], ["train", "val"], Exclusions())
    assert not stats.labelled
    assert stats.problems is None
    assert stats.total == Counts(2, 0, 3, 0)
    assert set(stats.parts) == {"language", "split"}
    assert stats.overlaps == []


def test_the_same_text_in_two_languages_is_no_copy():
    c, cpp = (measure_program(Program("a", "int f() {}\n", language)) for language in ("c", "cpp"))
    assert overlap([c], [cpp], "one", "other") is None
    assert overlap([c], [c], "one", "other").by == {"code": 1}


def test_only_labelled_snippets_share_problems():
    ours, theirs = snippet("a", "x = 1\n", problem="p"), snippet("b", "y = 2\n", problem="p")
    assert overlap([measure_snippet(ours)], [measure_snippet(theirs)], "a", "b").examples == [("a", "b", "problem")]
    programs = [measure_program(s.program()) for s in (ours, theirs)]
    assert overlap(programs[:1], programs[1:], "a", "b") is None


CONTENTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from("xyz"), st.sampled_from(["p", "q", "r", None]), st.sampled_from(SPLITS)
    ),
    max_size=12,
)


@settings(deadline=None, derandomize=True)
@given(CONTENTS)
def test_overlaps_are_those_of_all_pairs(contents):
    none = (0,) * len(LINE_KINDS)
    measured = [Measured(str(i), "c", none, none, a, b, problem=p) for i, (a, b, p, _) in enumerate(contents)]
    splits = [c[3] for c in contents]
    found = {(o.part, o.other): o for o in data_stats("s", measured, splits, Exclusions()).overlaps}
    for other, part in (("train", "val"), ("train", "test"), ("val", "test")):
        by = {"code": 0, "tokens": 0, "problem": 0}
        for a, b, p, _ in (c for c in contents if c[3] == part):
            theirs = [c for c in contents if c[3] == other]
            same = (any(c[0] == a for c in theirs), any(c[1] == b for c in theirs))
            ways = [*same, p is not None and any(c[2] == p for c in theirs)]
            if any(ways):
                by[list(by)[ways.index(True)]] += 1
        expected = {way: count for way, count in by.items() if count}
        assert (found[part, other].by if (part, other) in found else {}) == expected
        if expected:
            assert found[part, other].snippets == sum(expected.values())
            assert found[part, other].of == splits.count(part)
    assert set(found) <= {("val", "train"), ("test", "train"), ("test", "val")}


@pytest.mark.parametrize("labelled", [True, False])
def test_the_table_holds_every_figure_in_80_columns(labelled):
    measured = [measure_snippet(s) if labelled else measure_program(s.program()) for s in SNIPPETS]
    left_out = Exclusions()
    left_out.add("[odd] reason", "z", 12)
    stats = data_stats("set [with] marks", measured, ["train"] * 6, left_out)
    stream = io.StringIO()
    print_data_stats(stats, Console(file=stream, width=80))
    text = stream.getvalue()
    assert "set [with] marks" in text
    assert "left out: 12 [odd] reason" in text
    for part in ("language: python", "language: java", "split: train", "1 blank, 2 comment, 1 punctuation, 38 code"):
        assert part in text
    assert (
        ("label source: human" in text) == ("wrong lines by kind: 1 comment, 1 punctuation, 3 code" in text) == labelled
    )
    assert ("programs" in text) == (not labelled)
