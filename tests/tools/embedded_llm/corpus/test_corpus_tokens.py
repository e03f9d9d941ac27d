from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.embedded_llm.corpus.tokens import TOKEN, gram_hashes, token_hashes

ROOT = Path(__file__).parents[4]


def test_tokens():
    assert TOKEN.findall("if a_1 >= 0.5:\n") == ["if", "a_1", ">", "=", "0", ".", "5", ":"]


@given(st.lists(st.sampled_from(["a", "b", "(", "ü", "0"]), max_size=60), st.integers(1, 13))
def test_runs_are_equal_where_their_hashes_are(tokens, n):
    hashes = gram_hashes(token_hashes(tokens), n).tolist()
    runs = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    assert len(hashes) == len(runs)
    assert len(set(hashes)) == len(set(runs)) == len(set(zip(hashes, runs, strict=True)))


def test_order_matters():
    assert gram_hashes(token_hashes(["a", "b"]), 2) != gram_hashes(token_hashes(["b", "a"]), 2)


def test_hashes_are_the_same_in_every_process():
    code = "from tools.embedded_llm.corpus.tokens import *; print(gram_hashes(token_hashes(['a', 'b', 'ü']), 3)[0])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == int(gram_hashes(token_hashes(["a", "b", "ü"]), 3)[0])


@pytest.mark.parametrize("tokens", [[], ["a"]])
def test_too_few_tokens(tokens):
    result = gram_hashes(token_hashes(tokens), 2)
    assert result.dtype == np.uint64 and len(result) == 0
