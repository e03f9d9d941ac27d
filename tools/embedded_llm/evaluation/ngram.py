"""An n-gram model as a rival: what counting the training split is worth, without any network.

Interpolated modified Kneser-Ney (Chen and Goodman 1999, section 3), for orders k = n, ..., 1:

    p_k(w | c) = max(a(c w) - D(a(c w)), 0) / A(c) + gamma(c) p_(k-1)(w | c without its first token)
    gamma(c)   = sum_w D(a(c w)) / A(c),      A(c) = sum_w a(c w),      p_0 = 1 / vocabulary

``a`` is the count of an n-gram at the highest order, and below it the number of distinct tokens seen before the gram.
``D`` is estimated by order, for counts of 1, 2, and 3 or more. Every text starts after n - 1 boundary tokens, which
are never predicted. A context that was never seen leaves all to the shorter one.

Grams of one order are numbered as nodes of a trie: a gram is its context's node and its last token, packed into one
64-bit key, so that counting is a sort.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pttrust_lightning.types import FloatArray, IntArray

ORDER = 5

_SMALLEST_DISCOUNT = 0.05
"""Below it a small sample, in which no gram occurs once, would leave nothing for what it has not seen."""


class GramTable(NamedTuple):
    """The grams of one order.

    Attributes:
        keys: Packed grams, strictly increasing; a gram's node is its place in here, ``(G,)``.
        share: First term of each gram's probability, ``(G,)``.
        left: gamma of each node of the order below, 1 for one that is never a context, ``(C,)``.
    """

    keys: IntArray
    share: FloatArray
    left: FloatArray


class KneserNey(NamedTuple):
    """A fitted model.

    Attributes:
        vocabulary: Number of tokens; ids from 0, the boundary being the next.
        unigram: Probability of each token without context, ``(vocabulary,)``.
        tables: Grams of the orders 2, ..., n.
        n_tokens: Tokens it was fitted to.
    """

    vocabulary: int
    unigram: FloatArray
    tables: list[GramTable]
    n_tokens: int


def fit(sequences: Iterable[IntArray], vocabulary: int, order: int = ORDER) -> KneserNey:
    """Count and discount.

    Args:
        sequences: Token ids of each training text.
        vocabulary: Number of tokens.
        order: n, at least 2.

    Raises:
        ValueError: There is no token to count, or one is not of the vocabulary, or the order is below 2.
    """
    if order < 2:
        raise ValueError(f"order is {order}; an n-gram model with contexts needs 2 or more")
    stream = _stream(sequences, vocabulary, order)
    predicted = np.flatnonzero(stream != vocabulary)
    if not len(predicted):
        raise ValueError("there is no token to fit an n-gram model to")
    all_keys: list[IntArray] = [np.arange(vocabulary + 1)]
    counts: list[IntArray] = []
    nodes: NDArray[np.integer] = stream
    for _ in range(2, order + 1):
        keys, of_place = np.unique(_keys(nodes, stream, vocabulary), return_inverse=True)
        count = np.bincount(of_place[predicted], minlength=len(keys))
        ends = np.zeros(len(keys), dtype=np.int64)
        ends[of_place[predicted]] = predicted  # a place where each gram ends; any will do
        # The gram without its first token ends there too: every distinct longer gram is one distinct token before it.
        counts.append(np.bincount(nodes[ends[count > 0]], minlength=len(all_keys[-1])))
        all_keys.append(keys)
        nodes = of_place.astype(np.int32)
    counts.append(count)
    share, left = _discounted(counts[0], np.zeros(len(counts[0]), dtype=np.int64), 1)
    tables = []
    for k in range(1, order):
        parents = all_keys[k] // (vocabulary + 1)
        tables.append(GramTable(all_keys[k], *_discounted(counts[k], parents, len(all_keys[k - 1]))))
    return KneserNey(vocabulary, share[:vocabulary] + left[0] / vocabulary, tables, len(predicted))


def nats(model: KneserNey, sequences: Sequence[IntArray]) -> list[FloatArray]:
    """Minus the log-probability of each token of each text, given the text before it.

    Args:
        model: What to score with.
        sequences: Token ids of each text.

    Returns:
        ``(n,)`` for each text.
    """
    stream = _stream(sequences, model.vocabulary, len(model.tables) + 1)
    predicted = stream != model.vocabulary
    probability = np.append(model.unigram, 0.0)[stream]
    nodes: NDArray[np.integer] = stream
    for table in model.tables:
        context = np.concatenate([[-1], nodes[:-1]])
        keys = _keys(nodes, stream, model.vocabulary)
        place = np.searchsorted(table.keys, keys).clip(max=len(table.keys) - 1)
        found = (table.keys[place] == keys) & (context >= 0)
        share = np.where(found, table.share[place], 0.0)
        probability = share + np.where(context >= 0, table.left[context], 1.0) * probability
        nodes = np.where(found, place, -1)
    lengths = [len(sequence) for sequence in sequences]
    return np.split(-np.log(probability[predicted]), np.cumsum(lengths)[:-1])


def discounts(counts: IntArray) -> FloatArray:
    """What is taken from counts of 0, 1, 2, and 3 or more, ``(4,)``, estimated from how many grams have each count.

    Where a sample is too small to estimate one (no gram occurs 2 times, say), ``n1 / (n1 + 2 n2)`` does.
    """
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in range(1, 5))
    single = n1 / (n1 + 2 * n2) if n1 else 0.5
    taken = [0.0]
    for c, (n, next_n) in enumerate(((n1, n2), (n2, n3), (n3, n4)), start=1):
        estimate = c - (c + 1) * single * next_n / n if n and next_n else single
        taken.append(float(np.clip(estimate, _SMALLEST_DISCOUNT, c)))
    return np.array(taken)


def _stream(sequences: Iterable[IntArray], vocabulary: int, order: int) -> NDArray[np.int32]:
    boundary = np.full(order - 1, vocabulary, dtype=np.int32)
    parts: list[NDArray[np.int32]] = []
    for sequence in sequences:
        if len(sequence) and not 0 <= sequence.min() <= sequence.max() < vocabulary:
            raise ValueError(f"token ids must lie in 0 to {vocabulary - 1}, got {sequence.min()} to {sequence.max()}")
        parts += [boundary, sequence.astype(np.int32)]
    return np.concatenate(parts) if parts else boundary


def _keys(nodes: NDArray[np.integer], stream: NDArray[np.int32], vocabulary: int) -> IntArray:
    """The gram that ends at each place: the node that ends one place before it, and its token."""
    keys = np.empty(len(stream), dtype=np.int64)
    keys[0] = stream[0]  # of the first boundary, which is no token's context at this order
    np.multiply(nodes[:-1], vocabulary + 1, out=keys[1:], dtype=np.int64)
    keys[1:] += stream[1:]
    return keys


def _discounted(counts: IntArray, parents: IntArray, n_parents: int) -> tuple[FloatArray, FloatArray]:
    """First term of each gram's probability, and what is left of each context for the shorter one."""
    taken = discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(parents, weights=counts, minlength=n_parents)
    taken_of_context = np.bincount(parents, weights=taken, minlength=n_parents)
    left: FloatArray = np.divide(taken_of_context, total, out=np.ones(n_parents), where=total > 0)
    share: FloatArray = np.divide(counts - taken, total[parents], out=np.zeros(len(counts)), where=counts > 0)
    return share, left
