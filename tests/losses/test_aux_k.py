import pytest
import torch

from pttrust_lightning.losses.aux_k import aux_k


def test_aux_k_by_hand():
    residual = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    rebuilt = torch.tensor([[3.0, 2.0], [1.0, 1.0]])
    # (0 + 4) + (1 + 0) of 25 + 1
    assert aux_k(residual, rebuilt).item() == pytest.approx(5 / 26)


def test_nothing_rebuilt_costs_one_and_everything_costs_nothing():
    residual = torch.randn(5, 4)
    assert aux_k(residual, torch.zeros(5, 4)).item() == pytest.approx(1.0)
    assert aux_k(residual, residual.clone()).item() == 0.0


def test_size_does_not_depend_on_the_residuals():
    residual, rebuilt = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(aux_k(residual * 1e3, rebuilt * 1e3), aux_k(residual, rebuilt))


def test_the_residual_is_a_target_without_gradient():
    residual = torch.randn(5, 4, requires_grad=True)
    rebuilt = torch.randn(5, 4, requires_grad=True)
    aux_k(residual, rebuilt).backward()
    assert residual.grad is None
    expected = 2 * (rebuilt - residual) / residual.square().sum()
    torch.testing.assert_close(rebuilt.grad, expected.detach())


def test_no_residual_gives_finite_value_and_gradient():
    rebuilt = torch.zeros(3, 4, requires_grad=True)
    loss = aux_k(torch.zeros(3, 4), rebuilt)
    loss.backward()
    assert loss.item() == 0.0
    assert rebuilt.grad.isfinite().all()


def test_half_precision_does_not_overflow():
    residual = torch.full((2, 64), 1e3, dtype=torch.float16)  # squares beyond float16
    loss = aux_k(residual, residual / 2)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.25, rel=1e-3)
