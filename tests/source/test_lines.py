from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.source.lines import (
    Line,
    is_blank,
    join_lines,
    non_blank_lines,
    split_lines,
    with_final_newline,
)

# Every character that some tool takes for a line end, and characters of 1 to 4 UTF-8 bytes.
CODE = st.text(st.sampled_from("ab \t\n\r\x0b\x0c\x1c\x85\u2028\u2029é€😀#"), max_size=60)
PROPERTY = settings(deadline=None, derandomize=True)


def test_offsets_are_utf8_bytes():
    assert split_lines("é = 1\r\n\n😀") == [
        Line(0, 0, 6, 8, "é = 1"),
        Line(1, 8, 8, 9, ""),
        Line(2, 9, 13, 13, "😀"),
    ]


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb", ["a", "b"]),
        ("a\rb\n", ["a\rb"]),
        ("a\r\r\nb\r", ["a\r", "b\r"]),
        ("a\x0cb\u2028c\x85d\x1ce\n", ["a\x0cb\u2028c\x85d\x1ce"]),
    ],
)
def test_only_newline_ends_a_line(code, texts):
    assert [line.text for line in split_lines(code)] == texts


def test_terminator_and_indentation():
    first, second, third = split_lines("\t x\r\n  \ny ")
    assert (first.terminator, second.terminator, third.terminator) == ("\r\n", "\n", "")
    assert (first.indentation, second.indentation, third.indentation) == ("\t ", "  ", "")


@PROPERTY
@given(CODE)
def test_lines_tile_the_source(code):
    data = code.encode()
    lines = split_lines(code)
    assert [line.number for line in lines] == list(range(len(lines)))
    assert [line.start for line in lines] + [len(data)] == [0, *(line.terminator_end for line in lines)]
    for line in lines:
        assert data[line.start : line.end].decode() == line.text
        assert data[line.end : line.terminator_end].decode() == line.terminator
        assert "\n" not in line.text
        assert line.terminator or line is lines[-1]


@PROPERTY
@given(CODE)
def test_join_is_the_inverse_of_split(code):
    assert join_lines((line.text, line.terminator) for line in split_lines(code)) == code


def test_join_can_leave_out_the_final_newline():
    assert join_lines([("a", "\r\n"), ("b", "\r\n")], final_newline=False) == "a\r\nb"
    assert join_lines([], final_newline=False) == ""


@pytest.mark.parametrize(
    ("code", "expected"),
    [("", ""), ("a", "a\n"), ("a\n", "a\n"), ("a\r\nb", "a\r\nb\r\n"), ("a\nb\r\nc", "a\nb\r\nc\n"), ("\nb", "\nb\n")],
)
def test_final_newline(code, expected):
    assert with_final_newline(code) == expected


@PROPERTY
@given(CODE)
def test_final_newline_changes_no_line_but_for_a_last_carriage_return(code):
    completed = with_final_newline(code)
    assert with_final_newline(completed) == completed
    if not code.endswith("\r"):
        assert [line.text for line in split_lines(completed)] == [line.text for line in split_lines(code)]


def test_blank_lines():
    assert is_blank("") and is_blank(" \t\x0c\u2028")
    assert not is_blank(" # ")
    assert [line.number for line in non_blank_lines("a\n \n\nb\n")] == [0, 3]


def test_lone_surrogate_is_refused():
    with pytest.raises(UnicodeEncodeError):
        split_lines("x = '\ud800'")
