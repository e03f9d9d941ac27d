from __future__ import annotations

import textwrap

import pytest
from mutant_checks import check_bug

from pttrust_lightning.source.mutation.implant import candidate_mutants
from pttrust_lightning.types import Program


def python(code: str) -> Program:
    return Program("p", code, "python", prompt="prompt", origin="file.py")


def body(*lines: str, signature: str = "def f(a, b, xs):") -> Program:
    return python("\n".join([signature, *(f"    {line}" for line in lines)]) + "\n")


def edits(operator: str, program: Program) -> set[str]:
    """The changed lines of all mutants, stripped."""
    return {bug.mutation.after.strip() for bug in candidate_mutants(program, [operator])}


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
            ["return range(1, len(xs), 3)"],
            {
                "return range(0, len(xs), 3)",
                "return range(2, len(xs), 3)",
                "return range(1, len(xs) + 1, 3)",
                "return range(1, len(xs) - 1, 3)",
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
            "wrong_variable",
            ["return [b(q) for q in g]"],
            {"return [b(a) for q in g]", "return [b(b) for q in g]", "return [b(xs) for q in g]"},
            id="called and global names",
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
            "wrong_constant",
            ["return a['k'] == \"v\""],
            {"return a['v'] == \"v\"", "return a['k'] == \"k\""},
            id="strings",
        ),
        pytest.param("wrong_constant", ["return g('k')"], set(), id="lone string"),
        pytest.param("wrong_constant", ["while 1:", "    b()"], set(), id="condition"),
        pytest.param(
            "wrong_loop_bound",
            ["for i in range(1, a, 2): b()"],
            {
                "for i in range(0, a, 2): b()",
                "for i in range(2, a, 2): b()",
                "for i in range(1, a + 1, 2): b()",
                "for i in range(1, a - 1, 2): b()",
            },
            id="range of a loop",
        ),
        pytest.param(
            "wrong_loop_bound",
            ["return [i for i in range(a - 1)]"],
            {"return [i for i in range(a)]", "return [i for i in range(a - 2)]"},
            id="range of a comprehension",
        ),
        pytest.param("off_by_one", ["return [i for i in range(a - 1)]"], set(), id="a loop's bound is not twice"),
        pytest.param(
            "wrong_attribute",
            ["a.x = a.y", "return a.f() + a.g() + a.h(1)"],
            {"a.x = a.x", "return a.g() + a.g() + a.h(1)", "return a.f() + a.f() + a.h(1)"},
            id="read like read, called like called",
        ),
        pytest.param(
            "wrong_attribute",
            ["xs.append(a.lower())", "return min(a)"],
            {"xs.extend(a.lower())", "xs.append(a.upper())", "return max(a)"},
            id="confused APIs",
        ),
        pytest.param("wrong_attribute", ["return a.__x__ + a.b"], set(), id="special names"),
        pytest.param(
            "missing_condition",
            ["return a and b or xs"],
            {"return b or xs", "return a or xs", "return a and b", "return xs"},
            id="operands",
        ),
        pytest.param("missing_condition", ["return (a", "        and b)"], set(), id="on two lines"),
        pytest.param("dropped_call", ["return a is not None and b.x"], {"return b.x"}, id="null check"),
        pytest.param("missing_condition", ["return a is not None and b.x"], {"return a is not None"}, id="the rest"),
        pytest.param("dropped_call", ["return g(await a)"], {"return g(a)"}, id="await"),
        pytest.param("wrong_precedence", ["return a * (b + 1)"], {"return a * b + 1"}, id="parentheses missing"),
        pytest.param("wrong_precedence", ["return a * b + 1"], {"return a * (b + 1)"}, id="other parentheses"),
        pytest.param("wrong_precedence", ["return a - b - 1"], {"return a - (b - 1)"}, id="left to right"),
        pytest.param(
            "wrong_precedence", ["return a + b + (a * b) + (a - b)"], set(), id="associative, or bound anyway"
        ),
        pytest.param("wrong_precedence", ["return not(a or b)"], {"return not a or b"}, id="not"),
        pytest.param("wrong_precedence", ["return a or b and xs"], {"return (a or b) and xs"}, id="logic"),
        pytest.param(
            "wrong_return",
            ["for x in xs:", "    if x: continue", "    b()", "return False"],
            {"if x: return False", ""},
            id="early",
        ),
        pytest.param("wrong_return", ["for x in xs:", "    if x: break"], {"if x: return"}, id="early, no value"),
        pytest.param(
            "wrong_return",
            ["for x in xs:", "    if x: break", "return g(1)"],
            {"", "if x: return"},
            id="no value that may be unknown",
        ),
    ],
)
def test_expressions_by_hand(operator, lines, changed):
    assert edits(operator, body(*lines)) == changed


@pytest.mark.parametrize(
    ("lines", "dropped"),
    [
        pytest.param(["a += 1", "return a"], {"a += 1": "return a"}, id="a return is another operator's"),
        pytest.param(
            ["a.b += 1", "", "# why", "return"], {"a.b += 1": "# why"}, id="the next non-blank line; idle return"
        ),
        pytest.param(["c = 1", "import m", "pass", "g()"], {"g()": "pass"}, id="unread, import, pass"),
        pytest.param(["'doc'", "return a"], {}, id="the only statement"),
        pytest.param(
            ["if a:", "    b()", "return a"],
            {"if a:\n        b()": "return a"},
            id="if",
        ),
        pytest.param(["if a:", "    b()", "else:", "    c()", "a()"], {"a()": "c()"}, id="if with else"),
        pytest.param(
            ["for a in xs:", "    if a:", "        b()", "        continue"], {"b()": "continue"}, id="idle continue"
        ),
        pytest.param(["g(", "    a,", "    b)", "return"], {"g(\n        a,\n        b)": "return"}, id="three lines"),
        pytest.param(["g(", "    a,", "    b", ")", "return"], {}, id="four lines are too many"),
        pytest.param(["a(); b()", "return a"], {}, id="two statements on a line"),
        pytest.param(
            ["a()  # why", "print(a)", "return a"],
            {"a()  # why": "print(a)"},
            id="comment goes too; messages stay",
        ),
    ],
)
def test_dropped_statements_by_hand(lines, dropped):
    program = body(*lines)
    bugs = list(candidate_mutants(program, ["dropped_statement"]))
    for bug in bugs:
        check_bug(program, bug)
    found = {bug.mutation.before.strip(): bug.program.code.split("\n")[bug.wrong_lines[0]].strip() for bug in bugs}
    assert found == dropped


@pytest.mark.parametrize(
    ("operator", "lines", "dropped"),
    [
        ("missing_condition", ["if a:", "    return b", "return a"], ["if a:\n        return b"]),
        ("dropped_statement", ["if a:", "    return b", "return a"], []),
        ("dropped_call", ["if a is None:", "    return b", "return a"], ["if a is None:\n        return b"]),
        ("dropped_call", ["a.close()", "g(a)"], ["a.close()"]),
        ("missing_initialisation", ["c = 0", "d = g()", "return c + d"], ["c = 0"]),
        ("missing_initialisation", ["c = 0", "return 1"], []),
        ("wrong_return", ["if a:", "    b()", "    return 1", "return 2"], ["return 1", "return 2"]),
        ("wrong_return", ["if a:", "    b()", "    return", "else:", "    b()", "    return None"], []),
        ("wrong_return", ["for x in xs:", "    b()", "    return"], ["return"]),
    ],
)
def test_statements_that_other_operators_drop(operator, lines, dropped):
    program = body(*lines)
    bugs = list(candidate_mutants(program, [operator]))
    for bug in bugs:
        check_bug(program, bug)
    assert [bug.mutation.before.strip() for bug in bugs] == dropped


def test_fields_that_a_constructor_does_not_set():
    program = body("self.x = a", "self.g(a)", "self.y = b", signature="def __init__(self, a, b):")
    lines = [bug.mutation.line for bug in candidate_mutants(program, ["missing_initialisation"])]
    assert lines == [1, 3]
    assert {bug.mutation.line for bug in candidate_mutants(program, ["dropped_statement"])} == {2}


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
