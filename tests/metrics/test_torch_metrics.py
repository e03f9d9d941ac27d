import math

import numpy as np
import pytest
import torch

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.losses import fraction_of_variance_unexplained
from pttrust_lightning.metrics import FractionOfVarianceUnexplained, LineRankingMetrics, auroc, snippet_metrics


def padded(n_snippets=7, n_lines=8, seed=0):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(n_snippets, n_lines)).round(1)).float() * 40
    mask = torch.from_numpy(np.arange(n_lines) < rng.integers(2, n_lines + 1, (n_snippets, 1)))
    relevance = torch.from_numpy(rng.integers(0, 2, (n_snippets, n_lines))).float() * mask
    relevance[:, 0] = 1
    return logits, relevance, mask


def by_definition(logits, relevance, mask, ks):
    rows = [
        (s[m].double().numpy(), y[m].double().numpy())
        for s, y, m in zip(logits, relevance, mask, strict=True)
        if m.sum() > 1 and (y * m).sum() > 0
    ]
    values = [snippet_metrics(s, y, ks) for s, y in rows]
    expected = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
    expected["auroc"] = auroc(np.concatenate([s for s, _ in rows]), np.concatenate([y for _, y in rows]))
    return expected


def as_floats(values):
    return {name: value.item() for name, value in values.items()}


def test_line_ranking_is_the_functional_form_whatever_the_batches():
    data = padded()
    metric = LineRankingMetrics(ks=(1, 3))
    for start in range(0, 7, 3):
        metric.update(*(x[start : start + 3] for x in data))
    # logits of +-80: a float32 sigmoid would tie many of them
    assert as_floats(metric.compute()) == pytest.approx(by_definition(*data, (1, 3)), abs=1e-6)


def test_line_ranking_passes_over_snippets_that_cannot_be_ranked_and_padding():
    logits, relevance, mask = padded()
    logits = torch.where(mask, logits, math.nan)
    metric = LineRankingMetrics()
    metric.update(logits, relevance, mask)
    expected = as_floats(metric.compute())
    metric.update(torch.ones(2, 3), torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool))
    metric.update(torch.ones(1, 3), torch.ones(1, 3), torch.tensor([[True, False, False]]))
    assert as_floats(metric.compute()) == expected
    mixed = LineRankingMetrics()
    right = torch.full_like(logits[:1], 1e3), torch.zeros_like(relevance[:1]), torch.ones_like(mask[:1])
    mixed.update(*(torch.cat([x, y]) for x, y in zip(right, (logits, relevance, mask), strict=True)))
    assert as_floats(mixed.compute()) == expected


def test_line_ranking_forward_gives_the_batch_and_accumulates():
    data = padded()
    metric = LineRankingMetrics()
    first = metric(*(x[:3] for x in data))
    assert as_floats(first) == pytest.approx(by_definition(*(x[:3] for x in data), (1, 3, 5, 10)), abs=1e-6)
    metric(*(x[3:] for x in data))
    assert as_floats(metric.compute()) == pytest.approx(by_definition(*data, (1, 3, 5, 10)), abs=1e-6)
    metric.reset()
    assert int(metric.n_snippets) == 0


def gather_from(metrics):
    """A ``dist_sync_fn`` that gathers each state from all of ``metrics``, in the order that torchmetrics asks."""
    queues = []
    for metric in metrics:
        states = []
        for name in metric._reductions:
            value = getattr(metric, name)
            states.append(torch.cat(value) if isinstance(value, list) else value)
        queues.append(states)
    calls = iter(range(len(queues[0])))

    def gather(tensor, group=None):
        i = next(calls)
        return [states[i] for states in queues]

    return gather


def synced(metrics):
    metrics[0].distributed_available_fn = lambda: True
    metrics[0].sync(dist_sync_fn=gather_from(metrics), distributed_available=lambda: True)
    value = metrics[0]._update_count, metrics[0].compute.__wrapped__()
    metrics[0].unsync()
    return value[1]


def test_line_ranking_of_two_processes_is_that_of_one():
    data = padded()
    parts = [LineRankingMetrics(), LineRankingMetrics()]
    parts[0].update(*(x[:2] for x in data))
    parts[1].update(*(x[2:] for x in data))
    assert as_floats(synced(parts)) == pytest.approx(by_definition(*data, (1, 3, 5, 10)), abs=1e-6)


def test_line_ranking_without_a_rankable_snippet_is_nan_and_warns():
    metric = LineRankingMetrics()
    metric.update(torch.ones(1, 3), torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool))
    with pytest.warns(UserWarning, match="no snippet with two lines"):
        values = metric.compute()
    assert all(v.isnan() for v in values.values())
    assert "auroc" in values


def test_auroc_is_nan_while_all_lines_are_wrong():
    metric = LineRankingMetrics()
    metric.update(torch.tensor([[0.1, 0.2]]), torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool))
    values = metric.compute()
    assert values["auroc"].isnan()
    assert values["hit@1"].item() == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_line_ranking_refuses_non_finite_scores(bad):
    logits, relevance, mask = padded()
    logits[1, 0] = bad
    with pytest.raises(NonFiniteError, match="1 of"):
        LineRankingMetrics().update(logits, relevance, mask)


def test_line_ranking_takes_half_precision():
    logits, relevance, mask = padded()
    logits = logits.bfloat16()
    metric = LineRankingMetrics()
    metric.update(logits, relevance, mask)
    assert as_floats(metric.compute()) == pytest.approx(by_definition(logits, relevance, mask, (1, 3, 5, 10)), abs=1e-6)


def test_line_ranking_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        LineRankingMetrics().update(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 4))


# --- FVU --------------------------------------------------------------------------------------------------------------


def rows(n=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(n, 6, generator=generator) + 100 * torch.randn(6, generator=generator)
    return states, states + 0.5 * torch.randn(n, 6, generator=generator)


def test_fvu_over_batches_is_that_of_all_rows():
    states, rebuilt = rows()
    metric = FractionOfVarianceUnexplained(6)
    for start, stop in ((0, 1), (1, 20), (20, 20), (20, 50)):
        metric.update(states[start:stop], rebuilt[start:stop])
    expected = fraction_of_variance_unexplained(states.double(), rebuilt.double()).item()
    assert metric.compute().item() == pytest.approx(expected, rel=1e-5)


def test_fvu_forward_gives_the_batch_and_accumulates():
    states, rebuilt = rows()
    metric = FractionOfVarianceUnexplained(6)
    first = metric(states[:20], rebuilt[:20])
    assert first.item() == pytest.approx(fraction_of_variance_unexplained(states[:20], rebuilt[:20]).item(), rel=1e-4)
    metric(states[20:], rebuilt[20:])
    assert metric.compute().item() == pytest.approx(fraction_of_variance_unexplained(states, rebuilt).item(), rel=1e-4)


def test_fvu_of_two_processes_is_that_of_one():
    states, rebuilt = rows()
    parts = [FractionOfVarianceUnexplained(6), FractionOfVarianceUnexplained(6)]
    parts[0].update(states[:13], rebuilt[:13])
    parts[1].update(states[13:], rebuilt[13:])
    expected = fraction_of_variance_unexplained(states.double(), rebuilt.double()).item()
    assert synced(parts).item() == pytest.approx(expected, rel=1e-5)


def test_fvu_is_nan_before_the_states_vary():
    metric = FractionOfVarianceUnexplained(2)
    metric.update(torch.ones(3, 2), torch.zeros(3, 2))
    assert metric.compute().isnan()


def test_fvu_refuses_states_of_another_width():
    with pytest.raises(ValueError, match=r"\(N, 6\)"):
        FractionOfVarianceUnexplained(6).update(torch.zeros(3, 5), torch.zeros(3, 5))
