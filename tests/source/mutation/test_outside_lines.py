from __future__ import annotations

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from pttrust_lightning.source.mutation.outside_lines import DistinctLines, OutsideLines, distinct_lines
from pttrust_lightning.types import Program

PROGRAMS = st.lists(
    st.tuples(st.lists(st.sampled_from("abcdefgh"), max_size=6), st.sampled_from(["python", "java"])), max_size=12
).map(lambda items: [Program(f"p{i}", "\n".join(lines), language) for i, (lines, language) in enumerate(items)])


def kept(outside: OutsideLines, language: str) -> set[str]:
    """What can be drawn at all, seen from outside."""
    draws = (outside.draw_program(language, "no such program", random.Random(seed)) for seed in range(300))
    return {lines.program_id for lines in draws if lines is not None}


def place(program: Program) -> bytes:
    return hashlib.blake2b(program.id.encode(), digest_size=8).digest()


@given(programs=PROGRAMS, max_lines=st.integers(1, 20), seed=st.integers(0, 5))
def test_the_sample_is_the_longest_start_in_the_order_of_hashes_whatever_the_corpus_order(programs, max_lines, seed):
    outside = OutsideLines(max_lines)
    for program in random.Random(seed).sample(programs, len(programs)):
        outside.add(program)
    for language in ("python", "java"):
        expected, n_lines = set(), 0
        for program in sorted((p for p in programs if p.language == language), key=place):
            n_lines += len(distinct_lines(program).contents)
            if expected and n_lines > max_lines:
                break
            expected.add(program.id)
        assert kept(outside, language) == expected


def test_a_small_corpus_is_kept_whole():
    programs = [Program(f"p{i}", f"x = {i}\n", "python") for i in range(20)]
    assert kept(OutsideLines.of(programs), "python") == {p.id for p in programs}


def test_a_program_is_never_its_own_outside():
    programs = [Program(f"p{i}", f"x = {i}\n", "python") for i in range(3)]
    outside = OutsideLines.of(programs)
    drawn = {outside.draw_program("python", "p1", random.Random(seed)).program_id for seed in range(50)}
    assert drawn == {"p0", "p2"}
    assert OutsideLines.of(programs[:1]).draw_program("python", "p0", random.Random(0)) is None


def test_another_language_gives_nothing():
    assert OutsideLines.of([Program("p", "x\n", "python")]).draw_program("java", "q", random.Random(0)) is None


def test_a_line_is_never_replaced_by_itself():
    lines = DistinctLines("p", ("a", "b"))
    assert {lines.draw_other("a", random.Random(seed)) for seed in range(20)} == {"b"}
    assert {lines.draw_other("c", random.Random(seed)) for seed in range(20)} == {"a", "b"}
    assert DistinctLines("p", ("a",)).draw_other("a", random.Random(0)) is None
