import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.losses import neural_ndcg, neural_sort, sinkhorn_factors


def scaled(matrix, iterations):
    rows, columns = sinkhorn_factors(matrix, iterations)
    return rows[:, :, None] * matrix * columns[:, None, :]


def scaled_in_a_loop(matrix, iterations):
    """The definition: columns, then rows, divided by their sums."""
    for _ in range(iterations):
        for dim in (-2, -1):
            sums = matrix.sum(dim=dim, keepdim=True)
            matrix = matrix / torch.where(sums > 0, sums, 1.0)
    return matrix


def relaxed(seed, spread, n_snippets=3, n_lines=7, dtype=torch.float64):
    """NeuralSort's matrices of snippets of 2 to ``n_lines`` lines, as leaves."""
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(n_snippets, n_lines, generator=generator, dtype=dtype)
    lengths = torch.randint(2, n_lines + 1, (n_snippets,), generator=generator)
    mask = torch.arange(n_lines) < lengths[:, None]
    return neural_sort(logits, mask).requires_grad_(), mask


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.integers(0, 10**6), st.floats(0, 300), st.integers(0, 60))
def test_values_and_gradients_are_those_of_the_rounds_written_out(seed, spread, iterations):
    matrix, mask = relaxed(seed, spread)
    copy = matrix.detach().clone().requires_grad_()
    mine, theirs = scaled(matrix, iterations), scaled_in_a_loop(copy, iterations)
    torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-9)
    weights = torch.randn(mine.shape, generator=torch.Generator().manual_seed(seed), dtype=mine.dtype)
    for result in (mine, theirs):
        (result * weights).sum().backward()
    square = mask[:, :, None] & mask[:, None, :]  # NeuralSort lets nothing through beyond a snippet's lines
    torch.testing.assert_close(matrix.grad[square], copy.grad[square], atol=1e-9, rtol=1e-7)


def test_gradients_by_finite_differences():
    generator = torch.Generator().manual_seed(0)
    matrix = (torch.rand(2, 4, 4, generator=generator, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: sinkhorn_factors(m, 3), matrix)


def test_many_rounds_are_doubly_stochastic_and_permutations_stay():
    matrix, mask = relaxed(0, 1.0)
    assert (matrix.sum(-2) - mask.double()).abs().max() > 0.1
    result = scaled(matrix, 300)
    torch.testing.assert_close(result.sum(-1), mask.double())
    torch.testing.assert_close(result.sum(-2), mask.double(), atol=1e-6, rtol=0)
    hard = torch.eye(4).flip(0)[None]
    torch.testing.assert_close(scaled(hard, 5), hard)


def test_no_rounds_change_nothing():
    matrix, _ = relaxed(0, 1.0)
    rows, columns = sinkhorn_factors(matrix, 0)
    assert rows.eq(1).all() and columns.eq(1).all()
    (rows.sum() + columns.sum()).backward()
    assert not matrix.grad.any()
    with pytest.raises(ValueError, match="iterations must be at least 0, got -1"):
        sinkhorn_factors(matrix, -1)


def test_autocast_does_not_coarsen_it():
    matrix, _ = relaxed(1, 1.0, dtype=torch.float32)
    rows, columns = sinkhorn_factors(matrix, 20)
    gradient = torch.autograd.grad(rows.sum() + columns.square().sum(), matrix)[0]
    with torch.autocast("cpu", torch.bfloat16):
        again = sinkhorn_factors(matrix, 20)
        other = torch.autograd.grad(again[0].sum() + again[1].square().sum(), matrix)[0]
    assert torch.equal(again[0], rows) and torch.equal(again[1], columns) and torch.equal(other, gradient)


def test_neural_ndcg_with_it_is_the_papers_formula():
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(4, 9, generator=generator)
        mask = torch.arange(9) < torch.tensor([[9], [2], [5], [7]])
        relevance = (torch.rand(4, 9, generator=generator) < 0.3).float()
        relevance[:, 0] = 1
        mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        permutation = scaled_in_a_loop(neural_sort(theirs, mask), 50)
        discounts = 1 / torch.log2(2 + torch.arange(9.0))
        dcg = (permutation @ (relevance * mask)[..., None])[..., 0] @ discounts
        ideal = (relevance * mask).sort(descending=True).values @ discounts
        expected = (1 - dcg / ideal).mean()
        value = neural_ndcg(mine, relevance, mask, sinkhorn_iterations=50)
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=0)
        for loss in (value, expected):
            loss.backward()
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=0)
