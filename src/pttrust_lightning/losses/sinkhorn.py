"""Sinkhorn scaling (Sinkhorn 1964) of non-negative matrices, by their row and column factors.

Dividing columns, then rows, by their sums gives diag(r) M diag(c) after every round. So a round need not write the
matrix again: it takes two products with a vector, r -> c = 1 / (r' M) -> r = 1 / (M c), and the gradient of all rounds
is one product of what was put aside of them. Vectors are rows here: batched products of a matrix with a column are
several times slower on a CPU. Nothing here waits for the device.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pttrust_lightning.losses._precision import without_autocast


def sinkhorn_factors(matrix: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Row and column factors after some rounds of dividing columns, then rows, by their sums.

    The number of rounds is fixed: stopping at a tolerance would have the host wait for the device each round. The
    gradient is that of these very rounds, up to rounding.

    Args:
        matrix: Non-negative M, ``(B, T, T)``; its all-zero rows and columns stay zero.
        iterations: Number of rounds; 0 leaves all factors at 1.

    Returns:
        r and c, ``(B, T)`` each: the rows of ``r[:, :, None] * matrix * c[:, None, :]`` sum to 1, the columns nearly
        so.

    Raises:
        ValueError: If iterations is negative.
    """
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")
    return cast(tuple[Tensor, Tensor], _Factors.apply(matrix, iterations))  # type: ignore[no-untyped-call]


class _Factors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        row = torch.ones_like(matrix[:, :1])
        rows, columns = [row], [row]
        # 1 where there is nothing to sum, so that the factor is 1 there: cheaper than to look in every round
        no_column, no_row = ((matrix == 0).all(dim=dim)[:, None].to(matrix.dtype) for dim in (1, 2))
        with without_autocast(matrix.device):
            for _ in range(iterations):
                columns.append(torch.baddbmm(no_column, rows[-1], matrix).reciprocal())
                rows.append(torch.baddbmm(no_row, columns[-1], matrix.mT).reciprocal())
        ctx.save_for_backward(matrix, torch.cat(rows, dim=1), torch.cat(columns, dim=1))
        return rows[-1][:, 0], columns[-1][:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, row_gradient: Tensor, column_gradient: Tensor) -> tuple[Tensor, None]:
        """Back through the rounds; d(1 / s) = -(1 / s)^2 ds, and the gradient of M v adds an outer product with v.

        An empty sum has factor 1 and should have no gradient; what it is given stands at zeros of the matrix, which
        are zeros of whatever is made of it: NeuralSort masks them.
        """
        matrix, rows, columns = ctx.saved_tensors
        last = rows.shape[1] - 1
        if last == 0:
            return torch.zeros_like(matrix), None
        row_slopes, column_slopes = (-factors.square() for factors in (rows, columns))
        of_row, of_column = row_gradient[:, None], column_gradient[:, None]
        of_row_sums, of_column_sums = [], []
        with without_autocast(matrix.device):
            for k in range(last, 0, -1):
                of_row_sums.append(of_row * row_slopes[:, k : k + 1])
                through = of_row_sums[-1] @ matrix
                if k == last:  # of the earlier column factors nothing else is made
                    through = through + of_column
                of_column_sums.append(through * column_slopes[:, k : k + 1])
                of_row = of_column_sums[-1] @ matrix.mT
            left = torch.cat([*of_row_sums, rows[:, :-1].flip(1)], dim=1)
            right = torch.cat([columns[:, 1:].flip(1), *of_column_sums], dim=1)
            return left.mT @ right, None
