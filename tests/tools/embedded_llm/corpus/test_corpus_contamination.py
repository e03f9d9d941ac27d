from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.embedded_llm.corpus.contamination import BenchmarkIndex, grams, is_telling, read_benchmarks
from tools.embedded_llm.corpus.errors import BenchmarkError

PASSAGE = "best = current = previous = None for value in values :"


def brute_matches(text: str, benchmark_texts: list[tuple[str, str]]) -> set[str]:
    own = {gram for gram in grams(text) if is_telling(gram)}
    return {name for name, other in benchmark_texts if own & set(grams(other))}


vocabulary = st.sampled_from(["alpha", "beta", "gamma", "delta", "eps", "zeta", "eta", "0", "(", ")", "="])
programs = st.lists(vocabulary, max_size=45).map(" ".join)


@given(programs, programs, programs)
def test_matches_are_those_of_a_plain_comparison(text, one, other):
    # parts of the benchmarks in the text, so that there is something to find
    text = f"{text} {one[: len(one) // 2]} {other[len(other) // 3 :]}"
    benchmark_texts = [("one", one), ("other", other)]
    assert set(BenchmarkIndex(benchmark_texts).matches(text)) == brute_matches(text, benchmark_texts)


def test_a_passage_of_thirteen_tokens():
    tokens = PASSAGE.split()
    assert len(tokens) == 12
    index = BenchmarkIndex([("bench", f"{PASSAGE} result.add(value)")])
    assert index.matches(f"start\n    {PASSAGE}\n\t\tresult") == {"bench": (*tokens, "result")}
    assert index.matches(PASSAGE) == {}
    assert index.matches(f"{PASSAGE} other") == {}


@pytest.mark.parametrize(
    ("gram", "telling"),
    [
        ("0 , 0 , 0 , 0 , 0 , 0 , 0", False),
        (") ) ) ; } } } else { return x ; }", False),
        ("a b c d e 1 2 3 4 5 6 7 8", False),
        ("a b c d e f 2 3 4 5 6 7 8", True),
        ("a b c d e _ _ _ _ _ _ _ _", False),
        ("a a b b c c d d e e 1 1 1", False),
    ],
)
def test_what_is_boilerplate(gram, telling):
    assert is_telling(tuple(gram.split())) is telling


def test_boilerplate_that_a_benchmark_shares_is_no_contamination():
    index = BenchmarkIndex([("bench", "0, " * 30)])
    assert len(index) == 0 and index.matches("0, " * 100) == {}


class TestReading:
    def test_all_texts_of_all_benchmarks(self, benchmarks):
        index = read_benchmarks(benchmarks)
        assert index.n_texts == {
            "HumanEvalPack python": 3,
            "QuixBugs python": 2,
            "QuixBugs java": 1,
            "DebugBench java": 2,
        }
        assert index.n_grams()["HumanEvalPack python"] > 5 and index.n_grams()["QuixBugs java"] == 0

    def test_prompt_and_solution_are_one_text(self, benchmarks):
        found = read_benchmarks(benchmarks).matches(
            "def longest_run(values):\n    best = current = previous = None\n    for value in values:\n        pass\n"
        )
        assert found["HumanEvalPack python"][:3] == ("def", "longest_run", "(")

    def test_a_missing_benchmark_is_refused(self, benchmarks):
        (benchmarks / "debugbench" / "java.jsonl").unlink()
        with pytest.raises(BenchmarkError, match=r"holds no debugbench.*--no_contamination_check"):
            read_benchmarks(benchmarks)

    def test_a_missing_field_is_named(self, benchmarks):
        (benchmarks / "debugbench" / "java.jsonl").write_text(json.dumps({"solution": "x"}) + "\n")
        with pytest.raises(BenchmarkError, match=r"java\.jsonl.*'buggy_code'"):
            read_benchmarks(benchmarks)

    def test_a_damaged_file_is_named(self, benchmarks):
        (benchmarks / "debugbench" / "java.jsonl").write_text("{")
        with pytest.raises(BenchmarkError, match=r"java\.jsonl cannot be read"):
            read_benchmarks(benchmarks)
