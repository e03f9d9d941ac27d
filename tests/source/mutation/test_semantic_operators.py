from __future__ import annotations

import ast
import random
import textwrap
from collections import Counter

import pytest

from pttrust_lightning.source.corpora import StandardLibrary
from pttrust_lightning.source.mutation.semantic_operators import (
    SEMANTIC_OPERATORS,
    ImplantedBug,
    candidate_mutants,
    implant_bugs,
)
from pttrust_lightning.types import Exclusions, Program


def python(code: str) -> Program:
    return Program("p", code, "python", prompt="prompt", origin="file.py")


def body(*lines: str, signature: str = "def f(a, b, xs):") -> Program:
    return python("\n".join([signature, *(f"    {line}" for line in lines)]) + "\n")


def edits(operator: str, program: Program) -> set[str]:
    """The changed lines of all mutants, stripped."""
    return {bug.mutation.after.strip() for bug in candidate_mutants(program, [operator])}


def check(original: Program, bug: ImplantedBug) -> None:
    """What must hold for every mutant, with the lines compared in the plainest way."""
    assert ast.dump(ast.parse(bug.program.code)) != ast.dump(ast.parse(original.code))
    assert bug.program.id == f"{original.id}#{bug.mutation.operator}:{bug.mutation.line}"
    assert (bug.program.origin, bug.program.prompt) == (original.origin, original.prompt)
    old, new = original.code.split("\n"), bug.program.code.split("\n")
    if bug.mutation.operator == "dropped_statement":
        n_gone = bug.mutation.before.count("\n") + 1
        assert len(old) - len(new) == n_gone
        assert old[: bug.mutation.line] + old[bug.mutation.line + n_gone :] == new
        assert bug.mutation.after == ""
        (wrong,) = bug.wrong_lines
        assert new[wrong].strip()
        following = [i for i in range(bug.mutation.line, len(new)) if new[i].strip()]
        preceding = [i for i in range(bug.mutation.line) if new[i].strip()]
        assert wrong in (*following[:1], *preceding[-1:])
    else:
        assert len(old) == len(new)
        assert bug.wrong_lines == tuple(i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)
        assert bug.wrong_lines and all(new[i].strip() for i in bug.wrong_lines)
        assert bug.mutation.line <= bug.wrong_lines[0]


def test_real_functions(library_functions):
    operators: Counter[str] = Counter()
    mutated = 0
    rng = random.Random(0)
    for program in rng.sample(library_functions, 600):
        bugs = implant_bugs(program, seed=0, count=3)
        mutated += bool(bugs)
        assert len({bug.program.code for bug in bugs}) == len({bug.program.id for bug in bugs}) == len(bugs)
        for bug in bugs:
            check(program, bug)
            operators[bug.mutation.operator] += 1
        if rng.random() < 0.05:
            for bug in candidate_mutants(program):
                check(program, bug)
    assert mutated > 500
    assert set(operators) == set(SEMANTIC_OPERATORS)
    assert min(operators.values()) > 30


def test_a_real_file():
    (program,) = StandardLibrary(unit="file", limit=1, seed=1, min_lines=200, max_lines=500).programs(Exclusions())
    bugs = implant_bugs(program, seed=0, count=20)
    assert len(bugs) == 20
    for bug in bugs:
        check(program, bug)


@pytest.mark.parametrize(
    ("operator", "lines", "changed"),
    [
        pytest.param(
            "wrong_comparison", ["return a < b"], {"return a <= b", "return a > b"}, id="boundary and direction"
        ),
        pytest.param(
            "wrong_comparison", ["return (a)is  not(b)"], {"return (a)is(b)"}, id="parentheses and words in one"
        ),
        pytest.param(
            "wrong_comparison",
            ["return a == b != xs"],
            {"return a != b != xs", "return a == b == xs"},
            id="each of a chain",
        ),
        pytest.param("wrong_comparison", ["if a == b:", "    return 1"], set(), id="negation is another operator"),
        pytest.param("wrong_comparison", ["if a <= b:", "    return 1"], {"if a < b:", "if a >= b:"}, id="condition"),
        pytest.param("wrong_comparison", ["return f'{a < b}'"], set(), id="f-string"),
        pytest.param("wrong_comparison", ["assert a == b, a == b"], {"assert a != b, a == b"}, id="assertion message"),
        pytest.param("wrong_comparison", ["raise E(a < b)"], set(), id="raise"),
        pytest.param("wrong_comparison", ["x: a < b = a in b", "return x"], {"x: a < b = a not in b"}, id="annotation"),
        pytest.param("off_by_one", ["return xs[0]"], {"return xs[1]"}, id="index"),
        pytest.param("off_by_one", ["return xs[-1]"], {"return xs[-2]"}, id="negative index"),
        pytest.param("off_by_one", ["return xs[a:]"], {"return xs[a + 1:]", "return xs[a - 1:]"}, id="slice"),
        pytest.param("off_by_one", ["return xs[:len(xs)]"], set(), id="slice end past the length changes nothing"),
        pytest.param("off_by_one", ["return xs[::2]"], set(), id="step"),
        pytest.param(
            "off_by_one",
            ["return range(1, len(xs))"],
            {
                "return range(0, len(xs))",
                "return range(2, len(xs))",
                "return range(1, len(xs) + 1)",
                "return range(1, len(xs) - 1)",
            },
            id="range",
        ),
        pytest.param("off_by_one", ["return a - 1"], {"return a", "return a - 2"}, id="added one"),
        pytest.param("off_by_one", ["return (a) + (1)"], {"return (a) + (2)"}, id="added one in parentheses"),
        pytest.param("off_by_one", ["return a > 0x10"], set(), id="not decimal"),
        pytest.param("off_by_one", ["return a > True"], set(), id="truth value"),
        pytest.param("wrong_variable", ["return a"], {"return b", "return xs"}, id="parameters"),
        pytest.param(
            "wrong_variable",
            ["c = 1", "d = a", "e = 2", "return e"],
            {"d = b", "d = xs", "d = c", "return a", "return b", "return xs", "return c", "return d"},
            id="only what was assigned before",
        ),
        pytest.param(
            "wrong_variable",
            ["c = a", "return c + 1"],
            {"c = b", "c = xs", "return b + 1", "return xs + 1"},
            id="aliases",
        ),
        pytest.param(
            "wrong_variable", ["return [b(q) for q in g]"], set(), id="comprehension, called and global names"
        ),
        pytest.param("negated_condition", ["if a:", "    return 1"], {"if not a:"}, id="name"),
        pytest.param("negated_condition", ["while not(a):", "    b()"], {"while (a):"}, id="not removed"),
        pytest.param("negated_condition", ["if a or b:", "    return 1"], {"if not (a or b):"}, id="or"),
        pytest.param(
            "negated_condition", ["return a if a < b else b"], {"return a if a >= b else b"}, id="if expression"
        ),
        pytest.param(
            "negated_condition",
            ["return [a for a in xs if a in b]"],
            {"return [a for a in xs if a not in b]"},
            id="comprehension",
        ),
        pytest.param("negated_condition", ["while True:", "    b()"], set(), id="constant"),
        pytest.param("negated_condition", ["return not a"], set(), id="no condition"),
        pytest.param("swapped_arguments", ["return g(a, b, key=xs)"], {"return g(b, a, key=xs)"}, id="neighbours"),
        pytest.param(
            "swapped_arguments", ["return g(a, (b), *xs)"], {"return g(b, (a), *xs)"}, id="parentheses, stars"
        ),
        pytest.param("swapped_arguments", ["return max(a, b) + g(a, a)"], set(), id="no effect"),
        pytest.param("swapped_arguments", ["return g((yield), a)"], set(), id="would not parse"),
        pytest.param("swapped_arguments", ["print(a, b)", "log.info(a, b)"], set(), id="messages"),
        pytest.param("wrong_constant", ["return g(True)"], {"return g(False)"}, id="truth value"),
        pytest.param("wrong_constant", ["x = 3", "return x"], {"x = 2", "x = 4", "x = 6"}, id="number"),
        pytest.param("wrong_constant", ["return 0"], {"return 1"}, id="zero"),
        pytest.param("wrong_constant", ["return 0.5"], {"return 0.25", "return 1.0", "return 1.5"}, id="fraction"),
        pytest.param(
            "wrong_constant", ["return a['k'] == \"v\""], {'return a["v"] == "v"', "return a['k'] == 'k'"}, id="strings"
        ),
        pytest.param("wrong_constant", ["return g('k')"], set(), id="lone string"),
        pytest.param("wrong_constant", ["while 1:", "    b()"], set(), id="condition"),
    ],
)
def test_expressions_by_hand(operator, lines, changed):
    assert edits(operator, body(*lines)) == changed


@pytest.mark.parametrize(
    ("lines", "dropped"),
    [
        pytest.param(["a += 1", "return a"], {"a += 1": "return a", "return a": "a += 1"}, id="and the last return"),
        pytest.param(
            ["a.b += 1", "", "# why", "return"], {"a.b += 1": "# why"}, id="the next non-blank line; idle return"
        ),
        pytest.param(["c = 1", "import m", "pass", "g()"], {"g()": "pass"}, id="unread, import, pass"),
        pytest.param(["'doc'", "return a"], {}, id="the only statement"),
        pytest.param(
            ["if a:", "    return b", "return a"],
            {"if a:\n        return b": "return a", "return a": "return b"},
            id="guard",
        ),
        pytest.param(["if a:", "    b()", "else:", "    c()", "a()"], {"a()": "c()"}, id="if with else"),
        pytest.param(
            ["for a in xs:", "    if a:", "        b()", "        continue"], {"b()": "continue"}, id="idle continue"
        ),
        pytest.param(["g(", "    a,", "    b)", "return"], {"g(\n        a,\n        b)": "return"}, id="three lines"),
        pytest.param(["g(", "    a,", "    b", ")", "return"], {}, id="four lines are too many"),
        pytest.param(["a(); b()", "return a"], {"return a": "a(); b()"}, id="two statements on a line"),
        pytest.param(
            ["a()  # why", "print(a)", "return a"],
            {"a()  # why": "print(a)", "return a": "print(a)"},
            id="comment goes too; messages stay",
        ),
    ],
)
def test_dropped_statements_by_hand(lines, dropped):
    program = body(*lines)
    bugs = list(candidate_mutants(program, ["dropped_statement"]))
    for bug in bugs:
        check(program, bug)
    found = {bug.mutation.before.strip(): bug.program.code.split("\n")[bug.wrong_lines[0]].strip() for bug in bugs}
    assert found == dropped


def test_a_drop_at_a_functions_end_marks_a_line_of_that_function():
    program = python("def f(a):\n    a()\n    a.b()\n\n\n@property\ndef g(a):\n    return a\n")
    bugs = [bug for bug in candidate_mutants(program, ["dropped_statement"]) if bug.mutation.line == 2]
    assert [bug.wrong_lines for bug in bugs] == [(1,)]


def test_swapped_arguments_on_two_lines_mark_both():
    program = body("return g(a,  # first", "", "         b)")
    (bug,) = candidate_mutants(program, ["swapped_arguments"])
    assert bug.wrong_lines == (1, 3)
    assert bug.program.code == "def f(a, b, xs):\n    return g(b,  # first\n    \n             a)\n"
    assert bug.mutation.line == 1


def test_offsets_are_bytes():
    program = body("é = '😀€'; return ü[é] < 'ß'", signature="def f(ü):")
    assert edits("wrong_comparison", program) == {"é = '😀€'; return ü[é] <= 'ß'", "é = '😀€'; return ü[é] > 'ß'"}


def test_line_ends_and_comments_stay():
    program = python("def f(a):\r\n    # note\r\n    return  a<0  # why")
    codes = {bug.program.code for bug in candidate_mutants(program, ["wrong_comparison"])}
    assert codes == {f"def f(a):\r\n    # note\r\n    return  a{symbol}0  # why" for symbol in ("<=", ">")}


def test_signatures_decorators_docstrings_and_module_code_stay():
    code = textwrap.dedent(
        '''\
        LIMIT = 1 < 2

        @cache(1 < 2)
        def f(a: "x < y" = 1 < 2, *b: 1 < 2) -> 1 < 2:
            """1 < 2"""
            def g(c=1 < 2):
                "1 < 2"
                return c == 3
            class A:
                x = 1 < 2
                def h(self): return self.a is 4
            return g
        '''
    )
    lines = {bug.mutation.line for bug in candidate_mutants(python(code))}
    assert lines == {7, 10, 11}  # `c == 3`, `self.a is 4`, and `return g` dropped
