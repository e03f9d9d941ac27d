import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from pttrust_lightning.models.standardiser import Standardiser


def test_it_is_scikit_learns():
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 5, 100, 0.01]) + 3
    rows[:, 1] = 7.0  # never varies
    standardiser = Standardiser(4)
    standardiser.fit(rows)
    expected = StandardScaler().fit_transform(rows.double().numpy())
    np.testing.assert_allclose(standardiser(rows), expected, atol=1e-3)
    assert standardiser(rows)[:, 1].abs().max() < 1e-6


def test_before_it_is_fitted_it_changes_nothing():
    rows = torch.randn(3, 2)
    assert torch.equal(Standardiser(2)(rows), rows)


def test_what_was_fitted_is_in_the_state_dict():
    standardiser, other = Standardiser(2), Standardiser(2)
    standardiser.fit(torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    other.load_state_dict(standardiser.state_dict())
    assert other(torch.tensor([[3.0, 8.0]])).tolist() == [pytest.approx([1.0, 1.0])]
