import numpy as np
import pytest
import torch
from scipy.sparse import csc_array

from pttrust_lightning.interpretation.activations import encode_lines, firing, strongest_lines
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig

ACTIVATIONS = np.array(
    [
        [0.0, 2.0, 0.0, 1.0],
        [0.5, 2.0, 0.0, 1.0],
        [1.5, 1.0, 0.0, 3.0],
        [0.0, 4.0, 0.0, 1.0],
    ]
)


@pytest.mark.parametrize("settings", [{}, {"activation": "batch_topk"}])
def test_lines_are_encoded_as_the_encoder_does(settings):
    torch.manual_seed(0)
    encoder = SparseAutoencoder(SparseAutoencoderConfig(6, n_latents=10, k=3, **settings))
    encoder.train()(torch.randn(40, 6))
    programs = [torch.randn(n, 6) for n in (3, 1, 5)]
    found = encode_lines(encoder, programs)
    assert found.shape == (9, 10)
    expected = encoder.encode(torch.cat(programs)).detach()
    np.testing.assert_allclose(found.toarray(), expected.numpy(), rtol=1e-6)
    assert found.nnz == int((expected > 0).sum()), "zeros are not kept"


def test_firing_by_hand():
    found = firing(csc_array(ACTIVATIONS))
    assert found.n_fired.tolist() == [2, 4, 0, 4]
    assert found.rate.tolist() == [0.5, 1.0, 0.0, 1.0]
    np.testing.assert_array_equal(found.mean_activation, [1.0, 2.25, np.nan, 1.5])


def test_the_strongest_lines_come_first_and_ties_in_order():
    each = np.arange(4)
    found = [rows.tolist() for rows, _ in strongest_lines(csc_array(ACTIVATIONS), each, 3)]
    assert found == [[2, 1], [3, 0, 1], [], [2, 0, 1]]
    assert [rows.tolist() for rows, _ in strongest_lines(csc_array(ACTIVATIONS), each, 0)] == [[], [], [], []]


def test_lines_with_the_same_text_are_named_once_and_counted():
    found = strongest_lines(csc_array(ACTIVATIONS), np.array([5, 7, 5, 7]), 3)
    assert [rows.tolist() for rows, _ in found] == [[2, 1], [3, 0], [], [2, 1]]
    assert [n_alike.tolist() for _, n_alike in found] == [[1, 1], [2, 2], [], [2, 2]]


def test_the_strongest_lines_against_a_sort_of_each_column():
    rng = np.random.default_rng(0)
    dense = np.maximum(rng.normal(size=(200, 15)).round(1), 0)
    texts = rng.integers(40, size=200)
    for latent, (rows, n_alike) in enumerate(strongest_lines(csc_array(dense), texts, 7)):
        column = dense[:, latent]
        firing_of_text = {}
        for row in sorted(np.flatnonzero(column), key=lambda row: (-column[row], row)):
            firing_of_text.setdefault(texts[row], []).append(row)
        assert rows.tolist() == [alike[0] for alike in firing_of_text.values()][:7]
        assert n_alike.tolist() == [len(alike) for alike in firing_of_text.values()][:7]
