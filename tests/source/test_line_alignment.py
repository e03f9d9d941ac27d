from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.source.alignment import line_pairs_by_alignment, wrong_lines_by_alignment
from pttrust_lightning.source.lines import is_blank, split_lines

CODE = st.lists(st.sampled_from(["a", "  a", "b", "c", "d", "", "  "]), max_size=10).map("\n".join)
PROPERTY = settings(deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("buggy", "correct", "wrong"),
    [
        pytest.param("a\nX\nc\n", "a\nb\nc\n", (1,), id="replaced"),
        pytest.param("a\n\nX\nc\n", "a\nb\nc\n", (2,), id="replaced after a blank line"),
        pytest.param("a\nX\nb\n", "a\nb\n", (1,), id="extra"),
        pytest.param("a\n\nc\n", "a\nb\nc\n", (2,), id="omitted, the next non-blank line is marked"),
        pytest.param("a\n\n", "a\nb\n", (0,), id="omitted at the end, the line before is marked"),
        pytest.param("X\nY\nc\n", "a\nc\n", (0, 1), id="two lines for one"),
        pytest.param("X\nc\n", "a\nb\nc\n", (0,), id="one line for two"),
        pytest.param("a\nc\nX\ne", "a\nb\nc\nd\ne\n", (1, 2), id="omitted and replaced"),
        pytest.param("  a\r\n\r\nb", "a\nb\n", (), id="white space alone"),
        pytest.param("", "a\n", (), id="nothing to mark"),
        pytest.param("a\n", "", (0,), id="everything is extra"),
    ],
)
def test_wrong_lines(buggy, correct, wrong):
    assert wrong_lines_by_alignment(buggy, correct) == wrong


def test_frequent_lines_are_aligned_in_long_programs():
    correct = "".join(f"if x{i}:\n}}\n" for i in range(150))  # autojunk would drop the 150 braces
    buggy = correct.replace("if x70:", "if y70:").replace("if x71:", "if y71:")
    assert wrong_lines_by_alignment(buggy, correct) == (140, 142)


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        pytest.param("a\nX\nc\n", "a\nb\nc\n", ((1, 1),), id="replaced"),
        pytest.param("X\n\nY\nc\n", "a\nb\nc\n", ((0, 0), (2, 1)), id="replaced in order"),
        pytest.param("X\nY\nc\n", "a\nc\n", ((0, 0),), id="two lines for one"),
        pytest.param("a\nb\n\nc\n", "a\nc\n", ((3, 1),), id="deleted"),
        pytest.param("a\nc\n", "a\nb\n\nc\n", ((1, 3),), id="inserted"),
        pytest.param("a\nb\n", "a\n", (), id="deleted at the end"),
        pytest.param("a\n", "  a\n", (), id="equal"),
    ],
)
def test_line_pairs(before, after, pairs):
    assert line_pairs_by_alignment(before, after) == pairs


@PROPERTY
@given(CODE, CODE)
def test_wrong_lines_are_sorted_and_not_blank(buggy, correct):
    wrong = wrong_lines_by_alignment(buggy, correct)
    texts = [line.text for line in split_lines(buggy)]
    assert list(wrong) == sorted(set(wrong))
    assert not any(is_blank(texts[number]) for number in wrong)
    if any(not is_blank(text) for text in texts):
        same = [text.strip() for text in texts if text.strip()] == correct.split()
        assert bool(wrong) != same


@PROPERTY
@given(CODE, CODE)
def test_pairs_increase_and_are_not_blank(before, after):
    pairs = line_pairs_by_alignment(before, after)
    olds, news = [line.text for line in split_lines(before)], [line.text for line in split_lines(after)]
    for first, second in pairwise(pairs):
        assert first.original_line < second.original_line
        assert first.mutant_line < second.mutant_line
    assert not any(is_blank(olds[pair.original_line]) or is_blank(news[pair.mutant_line]) for pair in pairs)


@PROPERTY
@given(CODE)
def test_a_program_aligns_with_itself(code):
    assert wrong_lines_by_alignment(code, code) == ()
    assert line_pairs_by_alignment(code, code) == ()
