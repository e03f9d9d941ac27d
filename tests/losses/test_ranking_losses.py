import itertools
import math
from inspect import signature
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score

from pttrust_lightning.losses import (
    RANKING_LOSSES,
    TEMPERED_LOSSES,
    RankingLoss,
    approx_ndcg,
    bce,
    list_net,
    neural_ndcg,
    neural_sort,
    softmax,
)

ALL = pytest.mark.parametrize("name", sorted(RANKING_LOSSES))


def batch(seed=0, n_snippets=4, n_lines=6):
    """Snippets of 2 to ``n_lines`` lines, each with a wrong one."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(n_snippets, n_lines)))
    mask = torch.zeros(n_snippets, n_lines, dtype=torch.bool)
    relevance = torch.zeros(n_snippets, n_lines, dtype=torch.float64)
    for i in range(n_snippets):
        length = n_lines - i % (n_lines - 1)
        mask[i, :length] = True
        relevance[i, :length] = torch.from_numpy(rng.integers(0, 2, length)).double()
        relevance[i, rng.integers(length)] = 1
    return logits, relevance, mask


def of_one(logits, relevance):
    logits, relevance = (torch.tensor([x], dtype=torch.float64) for x in (logits, relevance))
    return logits, relevance, torch.ones_like(logits, dtype=torch.bool)


def test_the_registry_holds_the_names_of_the_type():
    assert set(RANKING_LOSSES) == set(get_args(RankingLoss))
    assert set(TEMPERED_LOSSES) == {n for n, f in RANKING_LOSSES.items() if "temperature" in signature(f).parameters}


# --- NeuralSort and Sinkhorn ------------------------------------------------------------------------------------------


def test_neural_sort_against_its_formula():
    s, t = [0.3, -1.2, 2.0], 0.7
    logits, _, mask = of_one(s, [0, 0, 0])
    expected = torch.zeros(3, 3, dtype=torch.float64)
    for i in range(1, 4):
        inner = [((3 + 1 - 2 * i) * s[j] - sum(abs(s[j] - s[k]) for k in range(3))) / t for j in range(3)]
        expected[i - 1] = torch.tensor(inner, dtype=torch.float64).softmax(0)
    torch.testing.assert_close(neural_sort(logits, mask, t)[0], expected)


def test_neural_sort_at_tiny_temperature_is_the_hard_sort():
    logits, _, mask = batch(seed=3)
    permutation = neural_sort(logits, mask, 1e-4)
    for i in range(len(logits)):
        n = int(mask[i].sum())
        order = logits[i, :n].argsort(descending=True)
        expected = torch.zeros_like(permutation[i])
        expected[torch.arange(n), order] = 1
        torch.testing.assert_close(permutation[i], expected)


def test_neural_sort_rows_sum_to_one_within_the_snippet_and_to_zero_beyond():
    logits, _, mask = batch()
    torch.testing.assert_close(neural_sort(logits, mask).sum(-1), mask.double())


def test_neural_sort_does_not_change_when_all_scores_move():
    logits, _, mask = batch()
    torch.testing.assert_close(neural_sort(logits + 7, mask), neural_sort(logits, mask))


def test_a_large_common_offset_costs_no_precision_in_float32():
    # multiples of 1/16 are exact at 1e6 in float32; three times 1e6 is not
    logits = torch.tensor([[0.25, 0.5, -0.125, 0.0625]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    torch.testing.assert_close(neural_sort(logits + 1e6, mask), neural_sort(logits, mask))


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graded", [False, True])
def test_ndcg_losses_tend_to_one_minus_ndcg_as_the_temperature_falls(graded):
    rng = np.random.default_rng(5)
    for _ in range(20):
        n = int(rng.integers(2, 8))
        scores, labels = rng.permutation(n).astype(float), rng.integers(0, 4 if graded else 2, n).astype(float)
        labels[rng.integers(n)] = 1
        expected = 1 - ndcg_score(labels[None], scores[None])
        arguments = of_one(scores.tolist(), labels.tolist())
        assert neural_ndcg(*arguments, temperature=1e-3).item() == pytest.approx(expected, abs=1e-9)
        assert approx_ndcg(*arguments, temperature=1e-3).item() == pytest.approx(expected, abs=1e-9)


def test_neural_ndcg_by_hand_for_two_lines():
    # n = 2, scores (a, 0): rows softmax((a - a) / t, -a / t) and softmax(-2a / t, -a / t); no scaling
    a = 0.8
    first, second = 1 / (1 + math.exp(-a)), 1 / (1 + math.exp(a))
    expected = 1 - (first + second / math.log2(3))
    value = neural_ndcg(*of_one([a, 0.0], [1.0, 0.0]), temperature=1.0, sinkhorn_iterations=0)
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_approx_ndcg_against_its_definition():
    s, y, t = [0.2, -0.4, 1.3, 0.0], [1.0, 0.0, 0.0, 2.0], 0.5
    dcg = 0.0
    for j in range(4):
        rank = 1 + sum(1 / (1 + math.exp(-(s[k] - s[j]) / t)) for k in range(4) if k != j)
        dcg += y[j] / math.log2(1 + rank)
    ideal = 2 + 1 / math.log2(3)
    assert approx_ndcg(*of_one(s, y), temperature=t).item() == pytest.approx(1 - dcg / ideal, rel=1e-12)


def test_list_net_against_its_definition():
    s, y = [0.2, -0.4, 1.3], [1.0, 0.0, 2.0]
    for r in (1.0, 0.25):
        target = [math.exp(v / r) / sum(math.exp(w / r) for w in y) for v in y]
        share = [math.exp(v) / sum(math.exp(w) for w in s) for v in s]
        expected = -sum(p * math.log(q) for p, q in zip(target, share, strict=True))
        assert list_net(*of_one(s, y), temperature=r).item() == pytest.approx(expected, rel=1e-12)


def test_softmax_against_its_definition():
    s, y = [0.2, -0.4, 1.3], [1.0, 0.0, 2.0]
    share = [math.exp(v) / sum(math.exp(w) for w in s) for v in s]
    expected = -(1 / 3 * math.log(share[0]) + 2 / 3 * math.log(share[2]))
    assert softmax(*of_one(s, y)).item() == pytest.approx(expected, rel=1e-12)


def test_softmax_is_where_list_net_goes_as_its_target_sharpens():
    arguments = batch()
    limit = list_net(*arguments, temperature=0.01)
    assert softmax(*arguments).item() == pytest.approx(limit.item(), rel=1e-12)


def test_bce_is_the_negative_log_likelihood_of_a_snippets_labels():
    logits = torch.tensor([[1.0, -2.0, 99.0], [0.5, 0.0, -1.0]], dtype=torch.float64)
    relevance = torch.tensor([[1.0, 0.0, 1.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    first = math.log1p(math.exp(-1.0)) + math.log1p(math.exp(-2.0))
    second = math.log1p(math.exp(0.5)) + math.log(2) + math.log1p(math.exp(-1.0))
    assert bce(logits, relevance, mask).item() == pytest.approx((first + second) / 2, rel=1e-12)


@ALL
def test_the_perfect_order_costs_less_than_the_reversed(name):
    loss = RANKING_LOSSES[name]
    labels = [0.0, 1.0, 0.0, 2.0, 0.0]
    perfect = loss(*of_one(labels, labels))
    reversed_ = loss(*of_one([-v for v in labels], labels))
    assert perfect < reversed_


@ALL
def test_following_the_gradient_from_nearly_equal_scores_finds_the_wrong_line(name):
    logits, relevance, mask = of_one([0.0] * 5, [0.0, 0.0, 1.0, 0.0, 0.0])
    logits = (logits + torch.tensor([[0.03, 0.01, -0.02, 0.0, 0.02]])).requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        RANKING_LOSSES[name](logits, relevance, mask).backward()
        optimiser.step()
    assert logits.argmax().item() == 2


# --- invariances ------------------------------------------------------------------------------------------------------


@ALL
def test_padding_has_no_influence_whatever_stands_there(name):
    logits, relevance, mask = batch()
    n_more = 5
    extra = torch.tensor([math.nan, math.inf, -math.inf, 1e30, 3.0]).double().expand(len(logits), -1)
    wider = (
        torch.cat([torch.where(mask, logits, math.nan), extra], dim=1).requires_grad_(),
        torch.cat([torch.where(mask, relevance, 7.0), extra.nan_to_num(5.0)], dim=1),
        torch.cat([mask, torch.zeros(len(mask), n_more, dtype=torch.bool)], dim=1),
    )
    logits.requires_grad_()
    loss, wider_loss = RANKING_LOSSES[name](logits, relevance, mask), RANKING_LOSSES[name](*wider)
    loss.backward()
    wider_loss.backward()
    torch.testing.assert_close(loss, wider_loss, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(logits.grad, wider[0].grad[:, :-n_more], rtol=1e-11, atol=1e-15)
    assert (wider[0].grad[~wider[2]] == 0).all()


@ALL
def test_padding_may_stand_anywhere(name):
    logits, relevance, mask = batch(seed=2)
    order = torch.randperm(logits.shape[1], generator=torch.Generator().manual_seed(0))
    moved = [x[:, order] for x in (logits, relevance, mask)]
    torch.testing.assert_close(RANKING_LOSSES[name](*moved), RANKING_LOSSES[name](logits, relevance, mask))


@ALL
def test_the_order_of_the_lines_does_not_matter(name):
    s, y = [0.5, -1.0, 2.0, 0.5], [0.0, 1.0, 0.0, 2.0]
    values = [
        RANKING_LOSSES[name](*of_one([s[i] for i in order], [y[i] for i in order])).item()
        for order in itertools.permutations(range(4))
    ]
    assert values == pytest.approx([values[0]] * len(values), rel=1e-12)


@ALL
def test_snippets_that_cannot_be_ranked_contribute_nothing(name):
    logits, relevance, mask = batch()
    odd = torch.zeros(3, logits.shape[1], dtype=torch.float64)
    odd_relevance, odd_mask = odd.clone(), torch.zeros(3, logits.shape[1], dtype=torch.bool)
    odd_mask[0] = True  # no wrong line
    odd_mask[1, 0], odd_relevance[1, 0] = True, 1  # one line
    both = torch.cat([logits, odd + 0.3]), torch.cat([relevance, odd_relevance]), torch.cat([mask, odd_mask])
    scores = both[0].requires_grad_()
    loss = RANKING_LOSSES[name](scores, *both[1:])
    torch.testing.assert_close(loss, RANKING_LOSSES[name](logits, relevance, mask))
    loss.backward()
    assert (scores.grad[len(logits) :] == 0).all()


@ALL
def test_a_batch_without_a_rankable_snippet_gives_zero_with_graph(name):
    logits = torch.randn(2, 3, requires_grad=True)
    loss = RANKING_LOSSES[name](logits, torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


@ALL
def test_the_loss_is_the_mean_over_snippets(name):
    logits, relevance, mask = batch()
    each = [RANKING_LOSSES[name](*(x[i : i + 1] for x in (logits, relevance, mask))) for i in range(len(logits))]
    torch.testing.assert_close(RANKING_LOSSES[name](logits, relevance, mask), torch.stack(each).mean())


# --- numerics ---------------------------------------------------------------------------------------------------------


@ALL
def test_ranking_gradcheck(name):
    logits, relevance, mask = batch(n_snippets=3, n_lines=4)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: RANKING_LOSSES[name](s, relevance, mask), logits)


@ALL
@pytest.mark.parametrize("logits", [[0.0] * 4, [1e4, -1e4, 1e4, 0.0], [1e4, 1e4, 1e4, 1e4], [1e-30, 0.0, -1e-30, 0.0]])
def test_equal_and_extreme_scores_give_finite_values_and_gradients(name, logits):
    scores = torch.tensor([logits], requires_grad=True)
    loss = RANKING_LOSSES[name](scores, torch.tensor([[0.0, 1.0, 0.0, 1.0]]), torch.ones(1, 4, dtype=torch.bool))
    loss.backward()
    assert loss.isfinite()
    assert scores.grad.isfinite().all()


@ALL
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float32(name, dtype):
    logits, relevance, mask = batch()
    logits = logits.to(dtype)
    loss = RANKING_LOSSES[name](logits, relevance, mask)
    torch.testing.assert_close(loss, RANKING_LOSSES[name](logits.float(), relevance, mask))


@ALL
def test_autocast_does_not_change_the_loss(name):
    logits, relevance, mask = batch()
    logits, relevance = logits.float(), relevance.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = RANKING_LOSSES[name](logits, relevance, mask)
    torch.testing.assert_close(inside, RANKING_LOSSES[name](logits, relevance, mask))


@ALL
def test_no_value_is_read_back_from_the_device(name):
    # meta tensors have no values: item(), bool() or a shape that depends on them would raise
    logits, relevance, mask = (x.to("meta") for x in batch())
    logits.requires_grad_()
    loss = RANKING_LOSSES[name](logits, relevance, mask)
    loss.backward()
    assert loss.shape == ()
    assert logits.grad.shape == logits.shape


@ALL
def test_shapes_and_masks_that_do_not_fit_are_refused(name):
    loss = RANKING_LOSSES[name]
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        loss(torch.zeros(2, 3), torch.zeros(2, 4), torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="boolean"):
        loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 3))


def test_settings_out_of_range_are_refused():
    arguments = of_one([0.0, 1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="temperature"):
        neural_ndcg(*arguments, temperature=0.0)
    with pytest.raises(ValueError, match="temperature"):
        approx_ndcg(*arguments, temperature=-1.0)
    with pytest.raises(ValueError, match="temperature"):
        list_net(*arguments, temperature=0.0)
    with pytest.raises(ValueError, match="iterations"):
        neural_ndcg(*arguments, sinkhorn_iterations=-1)
