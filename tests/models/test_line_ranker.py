import pytest
import torch

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.models.line_ranker import LineRanker


def test_scores_have_the_shape_of_the_lines():
    ranker = LineRanker(7, hidden=5, n_layers=3)
    for shape in [(7,), (4, 7), (2, 3, 7)]:
        representations = torch.randn(shape)
        assert ranker(representations).shape == shape[:-1]
        assert ranker.penultimate(representations).shape == (*shape[:-1], 5)


def test_scores_are_the_papers_perceptron():
    torch.manual_seed(0)
    ranker = LineRanker(7)
    x = torch.randn(6, 7)
    linear = [m for m in ranker.modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(7, 32), (32, 32), (32, 32), (32, 1)]
    expected = x
    for layer in linear[:-1]:
        expected = (expected @ layer.weight.T + layer.bias).clamp_min(0)
    torch.testing.assert_close(ranker.penultimate(x), expected)
    torch.testing.assert_close(ranker(x), (expected @ linear[-1].weight.T + linear[-1].bias)[:, 0])


def test_one_layer_is_linear():
    ranker = LineRanker(4, hidden=9, n_layers=1)
    a, b = torch.randn(2, 4).unbind()
    torch.testing.assert_close(ranker((a + b) / 2), (ranker(a) + ranker(b)) / 2)
    assert ranker.penultimate(a).shape == (4,)


def test_a_line_is_scored_without_regard_to_other_lines_and_padding():
    torch.manual_seed(0)
    ranker = LineRanker(7)
    x = torch.randn(3, 5, 7)
    scores = ranker(x)
    changed = x.clone()
    changed[:, 3:] = 0.0
    changed[1] += 1.0
    torch.testing.assert_close(ranker(changed)[0, :3], scores[0, :3])
    torch.testing.assert_close(ranker(x[2, 1]), scores[2, 1])
    assert not torch.allclose(ranker(changed)[1], scores[1])


def test_every_layer_gets_a_gradient():
    torch.manual_seed(0)
    ranker = LineRanker(7)
    ranker(torch.randn(50, 7)).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in ranker.parameters())


@pytest.mark.parametrize("sizes", [(0, 32, 4), (7, 0, 4), (7, 32, 0), (7, 32, -1)])
def test_sizes_that_are_not_positive_are_refused(sizes):
    with pytest.raises(ConfigError, match="positive sizes"):
        LineRanker(*sizes)
