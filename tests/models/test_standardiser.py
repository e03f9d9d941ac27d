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


def test_rare_columns_and_unseen_values_are_cut():
    rows = torch.zeros(900, 2)
    rows[0, 0] = 1.0  # an indicator of one line in 900
    rows[:, 1] = torch.randn(900, generator=torch.Generator().manual_seed(0))
    whole, cut = Standardiser(2), Standardiser(2, limit=3.0)
    for standardiser in (whole, cut):
        standardiser.fit(rows)
    assert whole(rows)[0, 0] == pytest.approx(899**0.5, rel=1e-5)
    assert cut(rows)[0, 0] == 3.0
    unseen = torch.tensor([[0.0, -50.0], [0.0, 0.5]])
    assert cut(unseen)[0, 1] == -3.0
    assert torch.equal(cut(unseen)[1], whole(unseen)[1])


def test_before_it_is_fitted_it_changes_nothing():
    rows = torch.randn(3, 2)
    assert torch.equal(Standardiser(2)(rows), rows)


def test_what_was_fitted_is_in_the_state_dict():
    standardiser, other = Standardiser(2), Standardiser(2)
    standardiser.fit(torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    other.load_state_dict(standardiser.state_dict())
    assert other(torch.tensor([[3.0, 8.0]])).tolist() == [pytest.approx([1.0, 1.0])]
