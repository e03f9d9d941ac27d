"""An order of groups that is random enough to train on, and local enough for a disk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def block_shuffled(indices: Sequence[int], block_groups: int, seed: int, window_blocks: int = 16) -> list[int]:
    """Shuffle groups so that what is read together lies together.

    Neighbours (by index) form blocks; the blocks are shuffled, and then the groups within each window of blocks. A
    group can land anywhere, while at any time only the blocks of one window are read from, whole, so that a disk's
    read-ahead is not wasted. Where the blocks begin differs from epoch to epoch, so that groups at a border meet
    others. With a window as wide as the corpus this is a plain shuffle. Neighbours lie together on the disk as far as
    the cache was filled in the order of the ids.

    Args:
        indices: Positions of groups in the cache (its order is that of the ids).
        block_groups: Groups in a block.
        seed: Decides the order; another one in each pass over the data.
        window_blocks: Blocks whose groups are mixed with one another; what is held by the disk's cache meanwhile.

    Returns:
        A permutation of ``indices``.

    Raises:
        ValueError: Blocks or windows of no size.
    """
    if block_groups < 1 or window_blocks < 1:
        raise ValueError(f"block_groups {block_groups} and window_blocks {window_blocks} must be at least 1")
    random = np.random.default_rng(seed)
    ordered = np.sort(np.asarray(indices, dtype=np.int64))
    first = int(random.integers(block_groups))
    blocks = np.split(ordered, np.arange(first, len(ordered), block_groups))
    shuffled = [blocks[i] for i in random.permutation(len(blocks))]
    order: list[int] = []
    for start in range(0, len(shuffled), window_blocks):
        window = np.concatenate(shuffled[start : start + window_blocks])
        random.shuffle(window)
        order += window.tolist()
    return order
