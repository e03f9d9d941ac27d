import pytest
import torch

from pttrust_lightning.errors import ConfigError
from pttrust_lightning.models.line_ranker import HEADS, MAX_DISTANCE, LineAttention, LineRanker


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


def attention_by_hand(layer, lines):
    """One snippet, line by line and head by head, in float64."""
    n, width = lines.shape
    size = width // HEADS
    weight = {name: value.double() for name, value in layer.state_dict().items()}
    centred = lines.double() - lines.double().mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight["norm.weight"]
    q, k, v = (normed + weight["norm.bias"]).matmul(weight["project.weight"].T).add(weight["project.bias"]).chunk(3, -1)
    mixed = torch.zeros(n, width, dtype=torch.float64)
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        for i in range(n):
            logits = torch.stack(
                [
                    q[i, own] @ k[j, own] / size**0.5
                    + weight["distance_bias"][min(max(j - i, -MAX_DISTANCE), MAX_DISTANCE) + MAX_DISTANCE, head]
                    for j in range(n)
                ]
            )
            mixed[i, own] = logits.softmax(0) @ v[:, own]
    return lines.double() + mixed @ weight["out.weight"].T + weight["out.bias"]


@pytest.fixture
def attention():
    torch.manual_seed(0)
    layer = LineAttention(8)
    torch.nn.init.normal_(layer.distance_bias)
    torch.nn.init.normal_(layer.norm.weight)
    return layer


@pytest.mark.parametrize("n", [1, 2, 40])  # 40: beyond the clipped distance
def test_attention_over_lines_is_the_formula(attention, n):
    lines = torch.randn(n, 8)
    torch.testing.assert_close(attention(lines).double(), attention_by_hand(attention, lines), atol=1e-5, rtol=1e-5)


def test_padding_is_seen_by_no_line(attention):
    lines = torch.randn(2, 6, 8)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    found = attention(lines.masked_fill(~mask[..., None], 1e4), mask)
    torch.testing.assert_close(found[0], attention(lines[0]))
    torch.testing.assert_close(found[1, :4], attention(lines[1, :4]))
    assert found.isfinite().all()


def test_only_a_ranker_that_sees_other_lines_minds_them():
    torch.manual_seed(0)
    a, b = torch.randn(5, 6), torch.randn(5, 6)
    b[0] = a[0]
    for sees in (False, True):
        ranker = LineRanker(6, hidden=8, sees_other_lines=sees)
        assert (ranker(a)[0] == ranker(b)[0]).item() is not sees


def test_heads_share_the_width():
    with pytest.raises(ConfigError, match="multiple of 4"):
        LineRanker(6, hidden=10, sees_other_lines=True)
