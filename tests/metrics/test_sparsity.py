import math

import pytest
import torch

from pttrust_lightning.metrics.sparsity import LatentUse

LATENTS = torch.tensor([[1.0, 0.0, 0.5, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])


def as_floats(values):
    return {name: value.item() for name, value in values.items()}


def test_latent_use_by_hand():
    metric = LatentUse(4)
    metric.update(LATENTS)
    assert as_floats(metric.compute()) == pytest.approx({"l0": 4 / 3, "dead_share": 0.5})


def test_a_latent_that_fires_in_any_batch_is_not_dead():
    metric = LatentUse(4)
    for start in range(3):
        metric.update(LATENTS[start : start + 1])
    assert as_floats(metric.compute()) == pytest.approx({"l0": 4 / 3, "dead_share": 0.5})
    metric.update(torch.tensor([[0.0, 1e-9, 0.0, 0.0]]))
    assert as_floats(metric.compute()) == pytest.approx({"l0": 5 / 4, "dead_share": 0.25})


def test_lines_and_not_batches_count_alike():
    metric = LatentUse(2)
    metric.update(torch.ones(1, 2))
    metric.update(torch.zeros(3, 2))
    assert as_floats(metric.compute()) == {"l0": 0.5, "dead_share": 0.0}


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_nan_and_reset_forgets():
    metric = LatentUse(4)
    assert all(math.isnan(v) for v in as_floats(metric.compute()).values())
    metric.update(torch.zeros(0, 4))
    assert all(math.isnan(v) for v in as_floats(metric.compute()).values())
    metric.update(torch.ones(2, 4))
    assert as_floats(metric.compute()) == {"l0": 4.0, "dead_share": 0.0}
    metric.reset()
    metric.update(LATENTS)
    assert as_floats(metric.compute()) == pytest.approx({"l0": 4 / 3, "dead_share": 0.5})


def test_two_processes_add_up():
    parts = LatentUse(4), LatentUse(4)
    parts[0].update(LATENTS[:1])
    parts[1].update(LATENTS[1:])
    metric = LatentUse(4)
    for name, reduce in metric._reductions.items():
        setattr(metric, name, reduce(torch.stack([getattr(p, name) for p in parts])))
    assert as_floats(metric.compute.__wrapped__()) == pytest.approx({"l0": 4 / 3, "dead_share": 0.5})
