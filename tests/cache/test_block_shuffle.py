from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.cache.shuffle import block_shuffled

PROPERTY = settings(deadline=None, derandomize=True)


@PROPERTY
@given(st.lists(st.integers(0, 10**6)), st.integers(1, 50), st.integers(0, 2**32), st.integers(1, 20))
def test_it_is_a_permutation_that_the_seed_decides(indices, block, seed, window):
    order = block_shuffled(indices, block, seed, window)
    assert sorted(order) == sorted(indices)
    assert order == block_shuffled(indices[::-1], block, seed, window)
    assert all(type(i) is int for i in order)


def test_another_seed_gives_another_order():
    orders = {tuple(block_shuffled(range(500), 10, seed)) for seed in range(25)}
    assert len(orders) == 25


@PROPERTY
@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 8), st.integers(0, 1000))
def test_a_window_reads_few_blocks_and_whole(n, block, window, seed):
    order = np.array(block_shuffled(range(n), block, seed, window))
    first = int(np.random.default_rng(seed).integers(block))
    block_of = (order - first) // block  # the first block may be a part of one
    last_seen = {int(b): int(np.flatnonzero(block_of == b)[-1]) for b in set(block_of.tolist())}
    for position in range(n):
        begun = set(block_of[: position + 1].tolist())
        assert len([b for b in begun if last_seen[b] > position]) <= window


def test_groups_move_as_far_as_in_a_plain_shuffle():
    """Blocks go anywhere, so a group does; a third of the length is what independent places are apart on average."""
    n = 4000
    moved = [
        np.abs(np.argsort(block_shuffled(range(n), 50, seed, window_blocks=8)) - np.arange(n)).mean()
        for seed in range(20)
    ]
    assert n / 3 * 0.95 < np.mean(moved) < n / 3 * 1.05


def test_neighbours_part_within_their_window():
    """Two neighbours of a block are spread over the window; of a batch, few groups come from one block."""
    n, block, window, batch = 4000, 50, 8, 16
    order = np.array(block_shuffled(range(n), block, 0, window_blocks=window))
    place = np.argsort(order)
    apart = np.abs(np.diff(place))
    assert np.median(apart) > block * window / 8
    assert (apart == 1).mean() < 0.02
    blocks_per_batch = [len(set((order[i : i + batch] // block).tolist())) for i in range(0, n - batch, batch)]
    assert np.median(blocks_per_batch) >= window - 1


def test_seeds_differ_in_where_blocks_begin():
    parted = set()
    for seed in range(300):
        place = np.argsort(block_shuffled(range(100), 10, seed, window_blocks=1))
        parted |= set(np.flatnonzero(np.abs(np.diff(place)) >= 20).tolist())
    assert parted == set(range(99))  # every two neighbours are in different blocks at some time


def test_a_wide_window_is_a_plain_shuffle():
    firsts = np.array([block_shuffled(range(20), 1, seed, window_blocks=100)[0] for seed in range(2000)])
    counts = np.bincount(firsts, minlength=20)
    assert counts.min() > 60 and counts.max() < 150


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 1)])
def test_no_size_is_refused(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        block_shuffled(range(3), sizes[0], 0, sizes[1])
