from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.lines import non_blank_lines, split_lines
from pttrust_lightning.source.mutation.mutants import ROUNDS, make_mutants
from pttrust_lightning.source.mutation.operators import LINE_OPERATORS
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.types import Mutant, Program, ProgramGroup

PROPERTY = settings(deadline=None, derandomize=True)
CODE = st.lists(
    st.tuples(st.sampled_from(["", "  ", "a", "  a", "b = 'é'", "\tc", "d "]), st.sampled_from(["\n", "\r\n"])),
    max_size=12,
).map(lambda lines: "".join(text + end for text, end in lines))
CORPUS = st.lists(st.tuples(CODE, st.booleans(), st.sampled_from(["python", "java"])), min_size=1, max_size=4).map(
    lambda entries: [
        Program(f"p{i}", code.removesuffix("\n") if cut else code, language, prompt=f"prompt {i}", origin="o")
        for i, (code, cut, language) in enumerate(entries)
    ]
)
SUBSETS = st.lists(st.sampled_from(LINE_OPERATORS), min_size=1, max_size=3, unique=True)


def mutants_of(programs, *args, **kwargs):
    return make_mutants(programs, OutsideLines.of(programs), *args, **kwargs)


def program(id_: str, *lines: str, language: str = "python") -> Program:
    return Program(id_, "".join(f"{line}\n" for line in lines), language)


def numbered(id_: str, n: int, language: str = "python") -> Program:
    return program(id_, *(f"    {id_}_{i}" for i in range(n)), language=language)


def check_mutant(original: Program, mutant: Mutant, contents: dict[str, set[str]]) -> None:
    """What must hold for every mutant, recomputed from its provenance alone."""
    old, new = split_lines(original.code), split_lines(mutant.program.code)
    edits = {mutation.line: mutation for mutation in mutant.mutations}
    assert list(edits) == sorted(edits) and len(edits) == len(mutant.mutations)
    survivors = [line for line in old if line.number not in edits or edits[line.number].operator != "delete_line"]
    expected = [edits[line.number].after if line.number in edits else line.text for line in survivors]
    found = [line.text for line in new]
    # A blank last line without its terminator is no line any more.
    assert found == expected or (expected[-1] == "" and found == expected[:-1] and not original.code.endswith("\n"))
    place = {line.number: number for number, line in enumerate(survivors)}
    for number, mutation in edits.items():
        before = old[number].text
        assert mutation.before == before and before.strip()
        if mutation.operator == "delete_line":
            assert mutation.after == ""
            continue
        assert mutation.after.strip() != before.strip()
        assert mutation.after.startswith(old[number].indentation)
        inside = mutation.operator == "switch_inside"
        assert mutation.after.strip() in (
            contents[original.id] if inside else set().union(*(c for i, c in contents.items() if i != original.id))
        )
    deletion_pairs = set()
    for number, mutation in edits.items():
        if mutation.operator == "delete_line":
            following = [line.number for line in survivors if line.number > number and line.text.strip()]
            deletion_pairs |= set(following[:1])
    switched = {number for number, mutation in edits.items() if mutation.operator != "delete_line"}
    assert list(mutant.pairs) == [(number, place[number]) for number in sorted(switched | deletion_pairs)]
    for first, second in pairwise(mutant.pairs):
        assert first.original_line < second.original_line and first.mutant_line < second.mutant_line


@PROPERTY
@given(CORPUS, SUBSETS, st.integers(0, 3))
def test_every_mutant_is_what_its_provenance_says(programs, operators, seed):
    groups = list(mutants_of(programs, operators, (0.3, 1.0), seed))
    assert [group.original for group in groups] == programs
    for group in groups:
        original = group.original
        contents = {
            p.id: {line.text.strip() for line in non_blank_lines(p.code)}
            for p in programs
            if p.language == original.language
        }
        assert len({mutant.program.id for mutant in group.mutants}) == len(group.mutants)
        for mutant in group.mutants:
            assert mutant.program.code != original.code
            assert mutant.program.id in (f"{original.id}#round0", f"{original.id}#round1")
            assert (mutant.program.language, mutant.program.prompt) == (original.language, original.prompt)
            assert {mutation.operator for mutation in mutant.mutations} <= set(operators)
            assert non_blank_lines(mutant.program.code)
            assert original.code.endswith("\n") or not mutant.program.code.endswith("\n") or "\n\n" in original.code
            check_mutant(original, mutant, contents)


@PROPERTY
@given(CORPUS, st.permutations(range(4)))
def test_mutants_do_not_depend_on_the_order_of_the_corpus(programs, order):
    shuffled = [programs[i] for i in order if i < len(programs)]
    by_id = {group.original.id: group for group in mutants_of(shuffled)}
    assert [by_id[p.id] for p in programs] == list(mutants_of(programs))


def test_without_outside_lines_mutants_depend_on_their_program_alone():
    a, b = numbered("a", 30), numbered("b", 30)
    operators = ("switch_inside", "delete_line")
    assert next(mutants_of([a], operators)) == next(mutants_of([a, b], operators))


def test_a_round_mutates_its_share_of_the_lines():
    group = next(mutants_of([numbered("a", 100), numbered("b", 100)]))
    assert [len(mutant.mutations) for mutant in group.mutants] == [round(100 * share) for share in ROUNDS]
    assert [mutant.program.id for mutant in group.mutants] == ["a#round0", "a#round1", "a#round2"]


def test_at_least_one_line_is_mutated():
    group = next(mutants_of([numbered("a", 2), numbered("b", 2)], rounds=(0.01,)))
    assert len(group.mutants[0].mutations) == 1


def test_operators_are_drawn_uniformly():
    programs = [numbered(f"p{i}", 60) for i in range(20)]
    drawn = Counter(
        mutation.operator
        for group in mutants_of(programs, rounds=(1.0,))
        for mutant in group.mutants
        for mutation in mutant.mutations
    )
    # 1200 draws at p = 1/3: a standard deviation of 16
    assert all(abs(drawn[operator] - 400) < 80 for operator in LINE_OPERATORS)


def test_seed_and_round_change_the_mutants():
    programs = [numbered("a", 100), numbered("b", 100)]
    codes = {m.program.code for s in range(3) for m in next(mutants_of(programs, rounds=(0.2, 0.2), seed=s)).mutants}
    assert len(codes) == 6


def test_outside_lines_come_from_the_same_language():
    programs = [numbered("a", 40), numbered("b", 5, language="java"), numbered("c", 5)]
    group = next(mutants_of(programs, ["switch_outside"], rounds=(1.0,)))
    assert {m.after[:6] for m in group.mutants[0].mutations} == {"    c_"}


def only(operator: str, *codes: str, rounds: tuple[float, ...] = (1.0,)) -> ProgramGroup:
    return next(mutants_of([Program(f"p{i}", code, "python") for i, code in enumerate(codes)], [operator], rounds))


def test_replacements_by_hand():
    group = only("switch_inside", "if x:\r\n\ta\r\n\r\n\ta ")
    assert group.mutants[0].program.code == "a\r\n\tif x:\r\n\r\n\tif x:"
    assert group.mutants[0].pairs == ((0, 0), (1, 1), (3, 3))


def test_deletions_by_hand():
    group = only("delete_line", "a\n\nb\n\nc")  # all lines are drawn; the last that could go stays
    assert group.mutants[0].program.code == "\n\nc"
    assert group.mutants[0].pairs == ((4, 2),)


def test_deleting_the_last_line_keeps_the_final_newline_as_it_was():
    by_end = {}
    for end in ("\n", ""):
        codes = {m.program.code for i in range(9) for m in only("delete_line", f"a\nb{end}", rounds=(0.5,) * 9).mutants}
        by_end[end] = codes
    assert by_end == {"\n": {"a\n", "b\n"}, "": {"a", "b"}}


@pytest.mark.parametrize(
    ("operator", "codes"),
    [
        pytest.param("delete_line", ["a\n\n"], id="the only line"),
        pytest.param("switch_inside", ["a\n  a\n"], id="no other line"),
        pytest.param("switch_outside", ["a\nb\n"], id="no other program"),
        pytest.param("switch_outside", ["a\n", "\n a\n"], id="no other line elsewhere"),
        pytest.param("switch_inside", [""], id="empty"),
        pytest.param("switch_outside", ["\n \n", "a\n"], id="blank"),
    ],
)
def test_no_mutant_rather_than_an_equal_one(operator, codes):
    assert only(operator, *codes).mutants == ()


def test_an_operator_that_cannot_edit_a_line_gives_way_to_one_that_can():
    group = next(mutants_of([program("a", "x"), program("b", "y")], rounds=(1.0,) * 20))
    assert {mutation.operator for m in group.mutants for mutation in m.mutations} == {"switch_outside"}
    assert len(group.mutants) == 20


@pytest.mark.parametrize(
    ("operators", "rounds", "message"),
    [
        (["swap"], ROUNDS, "Unknown operator 'swap'. Valid operators: switch_inside, switch_outside, delete_line"),
        ([], ROUNDS, "No operator is named. Valid operators: switch_inside"),
        (LINE_OPERATORS, (0.0,), "rounds holds 0.0"),
        (LINE_OPERATORS, (1.5,), "rounds holds 1.5"),
    ],
)
def test_bad_settings_are_refused_before_the_first_mutant(operators, rounds, message):
    with pytest.raises(ConfigError, match=message):
        make_mutants([], OutsideLines(), operators, rounds)
