"""What each token of a file costs the LLM, in windows that overlap by half."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.states.batching import by_length
from pttrust_lightning.types import FloatArray, IntArray

_LOGITS = 32 * 2**20
"""Logits held at once: 128 MiB in float32."""


class Window(NamedTuple):
    """A stretch of one text that the LLM reads at once, and the tokens that it scores there.

    Attributes:
        text: Number of the text.
        start: The token before which reading starts: the input is the one before it (or the start of the text), and
            so on up to the one before ``end``.
        first: First token that is scored.
        end: Token after the last that is scored.
    """

    text: int
    start: int
    first: int
    end: int


class TokenScores(NamedTuple):
    """What the LLM made of one text.

    Attributes:
        nats: Minus the log-probability of each token, ``(n,)``.
        top_1: Whether it was the likeliest token, ``(n,)``.
    """

    nats: FloatArray
    top_1: NDArray[np.bool_]


def windows(text: int, n_tokens: int, context: int) -> Iterator[Window]:
    """Windows that score every token once, with at least half a context before it but for the text's start.

    Args:
        text: Number of the text.
        n_tokens: Its tokens, without the one that starts it.
        context: Tokens read at once, at least 2.
    """
    first = 0
    for start in range(0, n_tokens, context // 2):
        if first == n_tokens:
            return
        end = min(start + context, n_tokens)
        yield Window(text, start, first, end)
        first = end


@torch.no_grad()
def score_tokens(model: Any, sequences: Sequence[IntArray], bos: int, context: int, title: str) -> list[TokenScores]:
    """Score each text's tokens, the first one included.

    Args:
        model: A causal LM, on its device.
        sequences: Token ids of each text.
        bos: The token put before each text.
        context: Tokens read at once.
        title: What the progress bar says.

    Returns:
        The scores of each text, in order.

    Raises:
        NonFiniteError: The LLM gave NaN or infinite probabilities.
    """
    inputs = [np.concatenate([[bos], sequence]) for sequence in sequences]
    scores = [TokenScores(np.zeros(len(s)), np.zeros(len(s), dtype=np.bool_)) for s in sequences]
    todo = [w for text, sequence in enumerate(sequences) for w in windows(text, len(sequence), context)]
    budget = max(_LOGITS // int(model.config.vocab_size), 1)
    with tqdm(total=len(todo), desc=title, unit=" windows", disable=None) as bar:
        for batch in by_length(todo, lambda window: window.end - window.start, budget):
            logits = model(input_ids=_padded(batch, inputs, bos, model.device), use_cache=False).logits
            for row, window in enumerate(batch):
                scored = logits[row, window.first - window.start : window.end - window.start].float()
                targets = torch.from_numpy(sequences[window.text][window.first : window.end]).to(scored.device)
                nats = torch.nn.functional.cross_entropy(scored, targets, reduction="none")
                place = slice(window.first, window.end)
                scores[window.text].nats[place] = nats.double().cpu().numpy()
                scores[window.text].top_1[place] = (scored.argmax(-1) == targets).cpu().numpy()
            bar.update(len(batch))
    if not all(np.isfinite(s.nats).all() for s in scores):
        raise NonFiniteError(f"{title}: the LLM gave NaN or infinite probabilities. Export it again from a sound run.")
    return scores


def _padded(batch: Sequence[Window], inputs: Sequence[IntArray], bos: int, device: torch.device) -> torch.Tensor:
    """Padding is on the right and attention is causal: no token that is scored sees it."""
    rows = [torch.from_numpy(inputs[w.text][w.start : w.end]) for w in batch]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=bos).to(device)
