from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.embedded_llm.tokenizer import END_OF_TEXT, main, sample_codes, train_tokenizer
from transformers import AutoTokenizer

from pttrust_lightning.states.tokenise import LineTokeniser
from pttrust_lightning.types import Program

CODES = [
    "def area(width, height):\n    if width < 0:\n        return None\n    return width * height\n" * 20,
    "class A:\n\n    def f(self):\n        for i in range(10):\n            print(i)\n" * 20,
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(iter(CODES), vocab_size=400, context_length=64)


def pieces(tokenizer, text):
    return [tokenizer.decode([i]) for i in tokenizer(text)["input_ids"]]


@given(text=st.text(max_size=80))
def test_any_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, split_special_tokens=True)["input_ids"]) == text


@given(
    lines=st.lists(
        st.text(alphabet="ab_ \t19()[]:,='\"#.éλ", max_size=12).filter(lambda line: "\n" not in line), max_size=6
    )
)
def test_newline_is_a_token_of_its_own(tokenizer, lines):
    text = "\n".join(lines) + "\n"
    assert pieces(tokenizer, text).count("\n") == text.count("\n")


def test_an_indentation_run_is_one_token_and_a_word_does_not_hold_it(tokenizer):
    assert pieces(tokenizer, "\n        return width\n")[:3] == ["\n", "        ", "return"]
    assert pieces(tokenizer, "\n    if width\n")[:3] == ["\n", "    ", "if"]


def test_digits_stand_alone_so_that_numbers_off_by_one_differ_in_one_token(tokenizer):
    assert pieces(tokenizer, "range(10)")[-3:] == ["1", "0", ")"]


def test_the_package_reads_each_line_at_a_bare_newline_token(tokenizer):
    code = "def f(x):\n\n    return x[0](\n        1)\n"
    tokenised = LineTokeniser(tokenizer, "newline", 64)(Program(id="a", language="python", code=code))
    assert tokenised.n_lines == 3
    assert [tokenizer.decode([tokenised.token_ids[i]]) for i in tokenised.tokens.last] == ["\n"] * 3


def test_a_vocabulary_that_cannot_hold_the_bytes_is_refused():
    with pytest.raises(ValueError, match="257"):
        train_tokenizer(iter(CODES), vocab_size=200, context_length=64)


def test_each_language_gives_its_share(tiny_corpus):
    one = list(sample_codes(tiny_corpus, {"python": 1}))
    assert len(one) == 1
    assert len(list(sample_codes(tiny_corpus, {"python": 10**9, "java": 10**9}))) > len(one)


def test_the_command_writes_what_auto_tokenizer_loads(tiny_corpus, tmp_path, capsys):
    main(["--corpus", str(tiny_corpus), "--output", str(tmp_path / "t"), "--vocab_size", "280"])
    loaded = AutoTokenizer.from_pretrained(str(tmp_path / "t"), trust_remote_code=False)
    assert len(loaded) == 280
    assert loaded.bos_token == END_OF_TEXT
    assert loaded.bos_token_id == 0
    assert "280 tokens" in capsys.readouterr().out


def test_a_missing_corpus_says_how_to_build_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tools\.embedded_llm\.corpus build"):
        main(["--corpus", str(tmp_path)])
