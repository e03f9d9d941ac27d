from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutant_checks import SAMPLES, check_code, sample

from pttrust_lightning.source.mutation.mutants import make_mutants
from pttrust_lightning.source.mutation.operators import LINE_OPERATORS, OPERATORS, SEMANTIC_OPERATORS
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.types import LinePair, Program, ProgramGroup

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
PYTHON = next(file for file in SAMPLES if file.suffix == ".py")
WEIGHTS = st.dictionaries(st.sampled_from(OPERATORS), st.floats(0.1, 10), min_size=1)


def only(code: str, operators, rounds=(1.0,), seed: int = 0) -> ProgramGroup:
    program = Program("p", code, "python")
    return next(make_mutants([program], OutsideLines.of([program]), operators, rounds, seed))


def rebuilt(group: ProgramGroup, index: int) -> list[str]:
    """The mutant's lines, from its provenance alone."""
    lines: list[str | None] = list(group.original.code.split("\n"))
    for mutation in group.mutants[index].mutations:
        before = mutation.before.split("\n")
        after = mutation.after.split("\n") if mutation.after else [None] * len(before)
        assert lines[mutation.line : mutation.line + len(before)] == before
        lines[mutation.line : mutation.line + len(before)] = after
    return [line for line in lines if line is not None]


@PROPERTY
@given(st.sampled_from(SAMPLES), WEIGHTS, st.floats(0.05, 1), st.integers(0, 99))
def test_every_mutant_is_what_its_provenance_says(file, weights, share, seed):
    program = sample(file)
    group = next(make_mutants([program], OutsideLines.of([program]), weights, (share, share), seed))
    old = program.code.split("\n")
    data = program.code.encode()
    for index, mutant in enumerate(group.mutants):
        new = mutant.program.code.split("\n")
        assert rebuilt(group, index) == new and new != old
        assert {mutation.operator for mutation in mutant.mutations} <= set(weights)
        spans = [mutation.span for mutation in mutant.mutations]
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        for mutation in mutant.mutations:
            start, end = mutation.span
            assert data[:start].count(b"\n") == mutation.line and data[start:end].decode() in mutation.before + "\n"
        for pair in mutant.pairs:
            assert old[pair.original_line].strip() and new[pair.mutant_line].strip()
        changed = {new[pair.mutant_line] for pair in mutant.pairs}
        assert all(
            line in changed
            for mutation in mutant.mutations
            for line in mutation.after.split("\n")
            if line.strip() and line not in mutation.before.split("\n")
        )
        if not any(mutation.operator in LINE_OPERATORS for mutation in mutant.mutations):
            check_code(program, mutant.program.code)


def test_order_of_the_corpus_does_not_matter():
    programs = [sample(file) for file in SAMPLES]
    outside = OutsideLines.of(programs)
    groups = list(make_mutants(programs, outside, OPERATORS, seed=5))
    assert list(make_mutants(programs[::-1], OutsideLines.of(programs[::-1]), OPERATORS, seed=5)) == groups[::-1]


def test_weights_decide_how_often_an_operator_is_drawn():
    program = sample(PYTHON)
    weights = {"delete_line": 1.0, "switch_inside": 4.0}
    drawn = Counter(
        mutation.operator
        for seed in range(20)
        for group in make_mutants([program], OutsideLines(), weights, (0.5,), seed)
        for mutant in group.mutants
        for mutation in mutant.mutations
    )
    n = drawn.total()
    assert abs(drawn["delete_line"] / n - 0.2) < 4 * (0.16 / n) ** 0.5


def test_equal_weights_are_a_list():
    program = sample(PYTHON)
    alike = dict.fromkeys(sorted(OPERATORS), 7.0)
    outside = OutsideLines.of([program])
    assert list(make_mutants([program], outside, alike)) == list(make_mutants([program], outside, sorted(OPERATORS)))


def test_a_semantic_edit_pairs_its_line():
    group = only("def f(a):\n    b = g()\n    return a < b\n", ["negated_condition", "wrong_comparison"])
    (mutant,) = group.mutants
    assert mutant.program.code in {f"def f(a):\n    b = g()\n    return a {sign} b\n" for sign in ("<=", ">")}
    assert mutant.pairs == (LinePair(2, 2),)
    assert mutant.mutations[0].span == (35, 36)


def test_a_dropped_statement_pairs_the_line_that_followed():
    group = only("def f(a):\n    b = g()\n    a.x(\n        b)\n\n    return 1\n", ["dropped_statement"])
    assert {mutant.program.code for mutant in group.mutants} <= {
        "def f(a):\n    a.x(\n        b)\n\n    return 1\n",
        "def f(a):\n    b = g()\n\n    return 1\n",
        "def f(a):\n\n    return 1\n",
    }
    assert group.mutants[0].pairs[-1] in {LinePair(5, 3), LinePair(2, 1), LinePair(5, 2)}


def test_edits_that_break_a_mutant_together_are_left_out():
    code = "def f(a):\n    if a:\n        a.b()\n        a.c()\n    return a\n"  # without both, no block is left
    for seed in range(20):
        for mutant in only(code, ["dropped_statement"], seed=seed).mutants:
            compile(mutant.program.code, "mutant", "exec")
            assert len(mutant.mutations) <= 2


def test_lines_without_an_edit_are_not_drawn():
    code = "def f(a):\n" + "    pass\n" * 50 + "    return a < 1\n"
    (mutant,) = only(code, ["wrong_comparison"], rounds=(0.05,)).mutants
    assert [mutation.line for mutation in mutant.mutations] == [51]


@pytest.mark.parametrize("code", ["def f(:\n", "x = 1\n", ""])
def test_no_mutant_where_nothing_can_be_edited(code):
    assert only(code, SEMANTIC_OPERATORS).mutants == ()


def test_line_operators_take_over_where_a_program_does_not_parse():
    (mutant,) = only("def f(:\n    return a < 1\n", ["wrong_comparison", "delete_line"]).mutants
    assert {mutation.operator for mutation in mutant.mutations} == {"delete_line"}
