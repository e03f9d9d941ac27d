from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.embedded_llm.corpus_files import read_codes
from tools.embedded_llm.tokenizer import main as train_tokenizer
from tools.embedded_llm.training.token_files import encode_split, load_tokens, main, mixture, window
from transformers import AutoTokenizer


@pytest.fixture(scope="module")
def tokenizer_folder(tiny_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(["--corpus", str(tiny_corpus), "--output", str(folder), "--vocab_size", "280"])
    return folder


def test_files_follow_each_other_each_after_an_end_of_text(tiny_corpus, tokenizer_folder):
    tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_folder))
    tokens = encode_split(tiny_corpus, "held_out", "java", tokenizer)
    starts = np.flatnonzero(tokens == tokenizer.bos_token_id)
    files = [tokenizer.decode(part[1:]) for part in np.split(tokens, starts[1:])]
    assert files == list(read_codes(tiny_corpus, "held_out", "java"))


def test_the_text_of_the_end_of_text_token_in_a_file_is_text(tmp_path, tokenizer_folder):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "python.jsonl").write_text(json.dumps({"code": "a = '<|endoftext|>'\n"}) + "\n")
    tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_folder))
    tokens = encode_split(tmp_path, "train", "python", tokenizer)
    assert (tokens == tokenizer.bos_token_id).sum() == 1


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "python.jsonl").write_text('{"code": "a"}\n{"cod')
    with pytest.raises(ValueError, match=r"python\.jsonl, line 2"):
        list(read_codes(tmp_path, "train", "python"))


@given(n=st.integers(5, 40), length=st.integers(1, 4), index=st.integers(0, 9))
def test_a_window_holds_inputs_and_their_successors(n, length, index):
    tokens = np.arange(n, dtype=np.uint16)
    expected = [(index * length + i) % n for i in range(length + 1)]
    assert window(tokens, index, length).tolist() == expected


@given(
    weights=st.dictionaries(st.sampled_from("abcdef"), st.floats(0.05, 10), min_size=1),
    n=st.integers(1, 200),
    seed=st.integers(0, 3),
)
def test_every_stretch_of_the_mixture_is_in_proportion(weights, n, seed):
    order = list(islice(mixture(weights, seed), n))
    total = sum(weights.values())
    for name, weight in weights.items():
        given_by_now = np.cumsum([language == name for language in order])
        due = np.arange(1, n + 1) * weight / total
        assert np.abs(given_by_now - due).max() <= len(weights)


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        next(mixture({"python": 0.0}, 0))


def test_the_command_writes_both_splits_and_their_counts(tiny_corpus, tokenizer_folder, tmp_path, capsys):
    main(["--corpus", str(tiny_corpus), "--tokenizer", str(tokenizer_folder), "--output", str(tmp_path)])
    counts = json.loads((tmp_path / "counts.json").read_text())
    for split in ("train", "held_out"):
        tokens = load_tokens(tmp_path, split)
        assert sorted(tokens) == ["java", "python"]
        assert {name: len(ids) for name, ids in tokens.items()} == {
            name: count["tokens"] for name, count in counts[split].items()
        }
    codes = list(read_codes(tiny_corpus, "train", "python"))
    assert counts["train"]["python"]["bytes"] == sum(len(code.encode()) for code in codes)
    assert "bytes a token" in capsys.readouterr().out


def test_missing_token_files_say_what_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="token_files"):
        load_tokens(tmp_path, "train")
