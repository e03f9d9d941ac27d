from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from tools.embedded_llm.training.data import HeldOutWindows, MixedWindows, TokenWindows

TOKENS = {
    "python": np.arange(0, 101, dtype=np.uint16),
    "java": np.arange(1000, 1041, dtype=np.uint16),
}
WEIGHTS = {"python": 0.75, "java": 0.25}


def batches(n, first=0, seed=0, batch_size=4):
    return list(islice(MixedWindows(TOKENS, WEIGHTS, batch_size, 10, seed, first), n))


def test_windows_are_inputs_with_their_successors():
    for batch in batches(5):
        assert batch.shape == (4, 11)
        assert batch.dtype == torch.int64
        assert (batch.diff(dim=1) == 1).all()


@pytest.mark.parametrize("first", [1, 7, 1023, 1024, 1030])
def test_a_run_that_goes_on_sees_what_an_uninterrupted_one_sees(first):
    whole = batches(first + 3)
    assert all(torch.equal(a, b) for a, b in zip(whole[first:], batches(3, first), strict=True))


def test_one_pass_sees_each_window_once_and_the_next_pass_in_another_order():
    rows = [int(row[0]) for batch in batches(14) for row in batch]
    python = [start for start in rows if start < 1000]
    assert sorted(python[:10]) == list(range(0, 100, 10))
    assert sorted(python[10:20]) == list(range(0, 100, 10))
    assert python[:10] != python[10:20]


def test_passes_say_how_often_tokens_are_seen():
    windows = MixedWindows(TOKENS, WEIGHTS, 4, 10, 0)
    assert windows.passes(10) == {"python": 3.0, "java": 2.5}


def test_a_seed_orders_windows():
    assert not torch.equal(batches(1, seed=0)[0], batches(1, seed=1)[0])


def test_a_language_without_token_files_is_named():
    with pytest.raises(ValueError, match="rust"):
        MixedWindows(TOKENS, {"rust": 1.0}, 2, 10, 0)


def test_too_little_corpus_is_named():
    with pytest.raises(ValueError, match="java"):
        MixedWindows(TOKENS, WEIGHTS, 2, 50, 0)


def test_held_out_windows_are_the_first_whole_ones():
    held_out = HeldOutWindows(TOKENS["java"], 10, limit=100)
    assert len(held_out) == 4
    assert held_out[3].tolist() == list(range(1030, 1041))
    assert len(HeldOutWindows(TOKENS["java"], 10, limit=2)) == 2


def test_validation_has_a_loader_a_language(tmp_path):
    (tmp_path / "held_out").mkdir()
    for name, tokens in TOKENS.items():
        np.save(tmp_path / "held_out" / f"{name}.npy", tokens)
    data = TokenWindows(str(tmp_path), WEIGHTS, batch_size=2, context_length=10)
    firsts = [int(next(iter(loader))[0, 0]) for loader in data.val_dataloader()]
    assert data.languages == ["java", "python"]
    assert firsts == [1000, 0]
