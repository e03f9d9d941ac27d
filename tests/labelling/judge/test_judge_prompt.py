from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.labelling.judge.prompt import InvalidAnswerError, messages, verified_lines
from pttrust_lightning.labelling.problems import Candidate, Problem, TestRun
from pttrust_lightning.labelling.programs import CandidateRun

CODE = "def f(x):\n\n    return x - 1\n"


def answer(*named: object) -> str:
    return json.dumps({"explanation": "e", "wrong_lines": list(named)})


def line(number: object, text: object) -> dict[str, object]:
    return {"line": number, "text": text}


def test_lines_are_counted_from_one_and_returned_from_zero():
    assert verified_lines(answer(line(3, "    return x - 1"), line(1, "def f(x):"), line(3, "return x - 1")), CODE) == (
        0,
        2,
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("the last line", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no object"),
        ('{"lines": [3]}', "no object"),
        (answer(3), "each of"),
        (answer(line("3", "return x - 1")), "each of"),
        (answer(line(True, "def f(x):")), "each of"),
        (answer(line(3, None)), "each of"),
        (answer(), "names no line"),
        (answer(line(0, "def f(x):")), "line 0 does not exist; the program has lines 1 to 3"),
        (answer(line(4, "")), "line 4 does not exist"),
        (answer(line(2, "")), "line 2 is blank"),
        (answer(line(3, "return x + 1")), "line 3 reads 'return x - 1', not 'return x \\+ 1'"),
        (answer(line(1, "def f(x):"), line(3, "def f(x):")), "line 3 reads"),
    ],
)
def test_what_is_no_answer(content, problem):
    with pytest.raises(InvalidAnswerError, match=problem):
        verified_lines(content, CODE)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.text("ab \t\x0c\u2028", max_size=4), min_size=1, max_size=6), st.data())
def test_exactly_the_quoted_lines_that_are_not_blank_pass(texts, data):
    code = "\n".join(texts) + "\n"
    number = data.draw(st.integers(-1, len(texts) + 2))
    exists = 1 <= number <= len(texts) and texts[number - 1].strip()
    quoted = texts[number - 1] if exists else data.draw(st.text("ab ", max_size=4))
    if exists:
        assert verified_lines(answer(line(number, quoted)), code) == (number - 1,)
    else:
        with pytest.raises(InvalidAnswerError):
            verified_lines(answer(line(number, quoted)), code)


def test_the_question_shows_numbered_lines_the_tests_and_the_failure():
    problem = Problem("p", "python", "Add one.\n", "assert f(1) == 2", completes_prompt=False)
    run = TestRun("c", "wrong", "assertion", 0.1, "x" * 9000 + "AssertionError")
    system, user = messages(CandidateRun(problem, Candidate("c", "p", CODE), run))
    assert system["role"] == "system"
    for part in (
        "The problem:\nAdd one.",
        "1| def f(x):\n2| \n3|     return x - 1",
        "assert f(1) == 2",
        "wrong (assertion)",
    ):
        assert part in user["content"]
    assert user["content"].endswith("AssertionError")
    assert len(user["content"]) < 4000
