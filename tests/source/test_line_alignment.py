from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.source.alignment import wrong_lines_by_alignment
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
@given(CODE)
def test_a_program_aligns_with_itself(code):
    assert wrong_lines_by_alignment(code, code) == ()
