import pytest
import torch

from pttrust_lightning.losses import fraction_of_variance_unexplained, normalised_reconstruction


def test_normalised_reconstruction_by_hand():
    states = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    rebuilt = torch.tensor([[3.0, 3.0], [1.0, 2.0]])
    # 1/25 and 1/4
    assert normalised_reconstruction(states, rebuilt).item() == pytest.approx((1 / 25 + 1 / 4) / 2)


def test_every_row_counts_alike_whatever_its_norm():
    states = torch.randn(5, 7, dtype=torch.float64)
    rebuilt = states + 0.1 * torch.randn(5, 7, dtype=torch.float64)
    scale = torch.tensor([1.0, 10.0, 1e3, 1e-2, 5.0], dtype=torch.float64)[:, None]
    plain = normalised_reconstruction(states, rebuilt)
    scaled = normalised_reconstruction(states * scale, rebuilt * scale)
    torch.testing.assert_close(plain, scaled)


def test_zero_reconstruction_costs_one_and_perfect_costs_nothing():
    states = torch.randn(6, 4)
    assert normalised_reconstruction(states, torch.zeros_like(states)).item() == pytest.approx(1.0)
    assert normalised_reconstruction(states, states.clone()).item() == 0.0


def test_all_zero_state_gives_finite_value_and_gradient():
    rebuilt = torch.zeros(2, 3, requires_grad=True)
    loss = normalised_reconstruction(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), rebuilt)
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert rebuilt.grad.isfinite().all()


def test_no_rows_give_zero_with_graph():
    rebuilt = torch.zeros(0, 3, requires_grad=True)
    loss = normalised_reconstruction(torch.zeros(0, 3), rebuilt)
    loss.backward()
    assert loss.item() == 0.0


def test_half_precision_states_do_not_overflow():
    states = torch.full((2, 64), 1e3, dtype=torch.float16)  # squared norm 6.4e7, beyond float16
    loss = normalised_reconstruction(states, states * 0.5)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.25, rel=1e-3)


def test_reconstruction_gradcheck():
    states = torch.randn(3, 4, dtype=torch.float64)
    rebuilt = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: normalised_reconstruction(states, r), rebuilt)


def test_fvu_of_the_mean_is_one_and_of_the_states_is_zero():
    states = torch.randn(20, 5, dtype=torch.float64) + 10
    mean = states.mean(dim=0).expand_as(states)
    assert fraction_of_variance_unexplained(states, mean).item() == pytest.approx(1.0)
    assert fraction_of_variance_unexplained(states, states).item() == 0.0


def test_fvu_of_states_that_do_not_vary_is_nan():
    assert fraction_of_variance_unexplained(torch.ones(3, 2), torch.zeros(3, 2)).isnan()


@pytest.mark.parametrize("loss", [normalised_reconstruction, fraction_of_variance_unexplained])
def test_shapes_that_do_not_fit_are_refused(loss):
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        loss(torch.zeros(3, 2), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="Flatten"):
        loss(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2))
