import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pttrust_lightning.metrics.common_lines import on_common_lines
from pttrust_lightning.types import ScoredSnippet


def snippet(name, numbers, scores=None):
    """Scores tell the lines apart: line n of a snippet has the score n, or what is given."""
    numbers = np.array(numbers, dtype=np.int64)
    scores = numbers.astype(float) if scores is None else np.array(scores, dtype=float)
    return ScoredSnippet(name, numbers, scores, scores / 100, (numbers % 2).astype(float), line_tokens=numbers + 1)


def lines(run):
    return {s.snippet_id: s.line_numbers.tolist() for s in run}


def test_lines_that_one_run_lacks_are_left_out_of_all():
    long = [snippet("a", [0, 1, 2, 4]), snippet("b", [0, 1])]
    short = [snippet("b", [0, 1]), snippet("a", [0, 2, 3], scores=[7, 8, 9])]
    found = on_common_lines([long, short])
    assert [lines(run) for run in found.runs] == [{"a": [0, 2], "b": [0, 1]}, {"b": [0, 1], "a": [0, 2]}]
    assert (found.snippets_left_out, found.lines_left_out) == (0, 3)  # 1, 3 and 4 of a
    of_long, of_short = found.runs[0][0], found.runs[1][1]
    assert (of_long.scores.tolist(), of_short.scores.tolist()) == ([0, 2], [7, 8])
    assert (of_short.probabilities.tolist(), of_short.labels.tolist()) == ([0.07, 0.08], [0, 0])
    assert of_short.line_tokens.tolist() == [1, 3]


def test_snippets_that_one_run_lacks_are_left_out_and_counted_with_their_lines():
    found = on_common_lines([[snippet("a", [0, 1]), snippet("b", [0, 1])], [snippet("a", [0, 1]), snippet("c", [5])]])
    assert [lines(run) for run in found.runs] == [{"a": [0, 1]}, {"a": [0, 1]}]
    assert (found.snippets_left_out, found.lines_left_out) == (2, 3)


def test_a_snippet_with_no_line_in_common_is_left_out():
    found = on_common_lines([[snippet("a", [0, 1])], [snippet("a", [2])]])
    assert (found.runs, found.snippets_left_out, found.lines_left_out) == ([[], []], 1, 3)


def test_runs_of_the_same_lines_stay_as_they_are():
    run = [snippet("a", [0, 3]), snippet("b", [1])]
    found = on_common_lines([run, run, run])
    assert [lines(cut) for cut in found.runs] == [{"a": [0, 3], "b": [1]}] * 3
    assert (found.snippets_left_out, found.lines_left_out) == (0, 0)


RUN = st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 6), min_size=1).map(sorted))


@given(st.lists(RUN, min_size=1, max_size=4))
def test_as_sets_of_lines_have_it(written):
    found = on_common_lines([[snippet(name, numbers) for name, numbers in run.items()] for run in written])
    every = [{(name, n) for name, numbers in run.items() for n in numbers} for run in written]
    common = set.intersection(*every)
    for cut in found.runs:
        assert {(s.snippet_id, n) for s in cut for n in s.line_numbers.tolist()} == common
        assert all(s.scores == pytest.approx(s.line_numbers) for s in cut)
    assert found.lines_left_out == len(set.union(*every) - common)
    assert found.snippets_left_out == len({name for name, _ in set.union(*every)} - {name for name, _ in common})
