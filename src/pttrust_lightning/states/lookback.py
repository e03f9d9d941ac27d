"""Where each line looked back to: the attention features of Lookback Lens (arXiv 2407.07071)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pttrust_lightning.states.pooling import ranges
from pttrust_lightning.states.rows import Inputs, to_device
from pttrust_lightning.states.tokenise import TokenisedProgram
from pttrust_lightning.types import IntArray


class LookbackIndex(NamedTuple):
    """The steps of a batch, one for each token of each of its lines: what the LLM attended to when it was due.

    The step of a token is the one that predicts it, where the token before it asks.

    Attributes:
        rows: Row of the batch, ``(N,)``.
        queries: Column of the token before, ``(N,)``.
        shares: What each column of the row weighs in the mean over context tokens and in the mean over new tokens,
            ``(N, S, 2)``.
        lines: The line that each step is of, ``(N,)``.
        counts: Steps of each line, ``(T, 1)``.
    """

    rows: Tensor
    queries: Tensor
    shares: Tensor
    lines: Tensor
    counts: Tensor


def lookback_index(programs: Sequence[TokenisedProgram], places: Sequence[IntArray], inputs: Inputs) -> LookbackIndex:
    """The index of a batch.

    Args:
        programs: The batch's programs, in the order of their lines.
        places: Of each: the place of each of its tokens in the flattened batch, ``(n,)``.
        inputs: What the LLM is given.
    """
    width, device = inputs.ids.shape[1], inputs.ids.device
    steps, n_steps = [], []
    for program, where in zip(programs, places, strict=True):
        before = np.maximum(ranges(program.tokens.own_first, program.tokens.own_last) - 1, 0)
        n_new = np.maximum(before + 1 - program.n_context, 0)  # the token that asks is one of them
        steps.append(np.stack([where[before], np.full_like(before, program.n_context), n_new]))
        n_steps.append(program.line_tokens)
    n = np.concatenate(n_steps)
    packed = np.concatenate([np.concatenate(steps, axis=1), np.repeat(np.arange(len(n)), n)[None]])
    asking, n_context, n_new, lines = to_device(packed, device)
    rows, queries = asking // width, asking % width
    # A column's position in its program says whether it is context; attention is 0 where a step does not see it.
    positions = inputs.positions if inputs.positions is not None else torch.arange(width, device=device)[None]
    is_context = positions.expand_as(inputs.ids)[rows] < n_context[:, None]
    counts = torch.stack([n_context, n_new], dim=-1)
    shares = torch.stack([is_context, ~is_context], dim=-1) / counts.clamp_min(1)[:, None]
    return LookbackIndex(rows, queries, shares, lines, to_device(n[:, None], device))


def line_lookback(attention: Tensor, index: LookbackIndex) -> Tensor:
    r"""The lookback ratio of each head, averaged over each line's tokens.

        LR_t = A_t(context) / (A_t(context) + A_t(new))

    A_t(context) is the *mean* attention weight, at the step that predicts token t, on the context (the prompt's
    tokens), and A_t(new) that on the code's tokens before t (Lookback Lens, section 2). The paper leaves open what a
    mean over no tokens is; here it is 0: the code's first token has the ratio 1, and a program without a prompt 0.

    Args:
        attention: One block's attention weights, ``(B, H, S, S)``: of each query (third) on each key (fourth).
        index: Which of them are read.

    Returns:
        Between 0 and 1, float32, ``(T, H)``.
    """
    asked = attention[index.rows, :, index.queries]  # (N, H, S)
    context, new = torch.bmm(asked.float(), index.shares).unbind(-1)
    ratio = context / (context + new).clamp_min(torch.finfo(torch.float32).tiny)
    total = ratio.new_zeros(len(index.counts), ratio.shape[1])
    return total.index_add_(0, index.lines, ratio) / index.counts
