from __future__ import annotations

import numpy as np
import torch

from pttrust_lightning.states.pooling import HostCopy, line_index, pool, ranges

CPU = torch.device("cpu")
HIDDEN = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))


def test_one_token_a_line_is_taken_as_it_is():
    last = np.array([1, 3])
    index = line_index([(np.arange(6), last, last), (np.array([6, 7, 10, 11]), last, last)], CPU)
    assert index.lines is None
    assert torch.equal(pool(HIDDEN, index), torch.stack([HIDDEN[0, 1], HIDDEN[0, 3], HIDDEN[1, 1], HIDDEN[1, 5]]))


def test_means_are_those_of_each_lines_tokens_in_float32():
    first, last = np.array([0, 2]), np.array([1, 2])
    spans = [(np.arange(6), first, last), (np.array([6, 9, 10]), first, last)]
    for hidden in (HIDDEN, HIDDEN.bfloat16()):
        pooled = pool(hidden, line_index(spans, CPU))
        h = hidden.float()
        expected = [h[0, :2].mean(0), h[0, 2], h[1, [0, 3]].mean(0), h[1, 4]]
        assert pooled.dtype == torch.float32
        torch.testing.assert_close(pooled, torch.stack(expected))


def test_a_batch_in_which_one_program_alone_has_long_lines_is_averaged_throughout():
    one, two = np.array([0]), np.array([1])
    pooled = pool(HIDDEN, line_index([(np.arange(6), one, one), (np.arange(6, 12), one, two)], CPU))
    torch.testing.assert_close(pooled, torch.stack([HIDDEN[0, 0], HIDDEN[1, :2].mean(0)]))


def test_ranges_include_both_ends():
    assert ranges(np.array([4, 0, 7]), np.array([6, 0, 8])).tolist() == [4, 5, 6, 0, 7, 8]


def test_what_comes_to_the_host_is_what_was_sent():
    tensors = [HIDDEN, torch.arange(3)]
    for sent, found in zip(tensors, HostCopy(tensors).wait(), strict=True):
        assert torch.equal(sent, found)
