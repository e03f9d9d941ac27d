import math

import numpy as np
import pytest
from scipy.sparse import csc_array
from sklearn.metrics import roc_auc_score

from pttrust_lightning.interpretation.association import odds_ratios, two_by_two
from pttrust_lightning.interpretation.effects import LatentEffects
from pttrust_lightning.interpretation.table import latent_rows


def planted():
    rng = np.random.default_rng(0)
    dense = np.maximum(rng.normal(size=(300, 7)), 0)
    dense[:, 0] = 0
    dense[:, 1] = rng.uniform(1, 2, 300)
    return dense, rng.random(300) < 0.2, rng.random(300) < 0.6


def test_each_row_against_its_column():
    dense, wrong, code = planted()
    effects = LatentEffects(*np.arange(21.0).reshape(3, 7))
    rows = latent_rows(csc_array(dense), wrong, code, np.arange(len(wrong)), 4, effects)
    assert [row.latent for row in rows] == list(range(7))
    for j, row in enumerate(rows):
        fires = dense[:, j] > 0
        assert (row.n_fired, row.n_fired_wrong) == (fires.sum(), (fires & wrong).sum())
        assert row.firing_rate == pytest.approx(fires.mean())
        assert row.auroc == pytest.approx(roc_auc_score(wrong, dense[:, j]))
        assert (row.logit_drop, row.probability_drop, row.variance_share) == (j, 7 + j, 14 + j)
        assert row.activations == tuple(dense[row.strongest, j])
        if j:
            assert row.mean_activation == pytest.approx(dense[fires, j].mean())
            assert row.code_share == pytest.approx(code[fires].mean())
        for prefix, chosen in (("", np.ones(300, bool)), ("code_", code)):
            alone = odds_ratios(two_by_two(csc_array(dense[chosen]), wrong[chosen]))
            for name, part in zip(("odds_ratio", "odds_ratio_low", "odds_ratio_high", "p", "q"), alone, strict=True):
                assert getattr(row, prefix + name) == pytest.approx(part[j], nan_ok=True), prefix + name
    assert rows[0].auroc == 0.5
    assert math.isnan(rows[0].code_share) and math.isnan(rows[0].mean_activation)
    assert math.isnan(rows[1].odds_ratio) and rows[1].firing_rate == 1.0


def test_without_a_risk_model_nothing_is_said_of_risk():
    dense, wrong, code = planted()
    row = latent_rows(csc_array(dense), wrong, code, np.arange(len(wrong)), 0)[2]
    assert (row.logit_drop, row.probability_drop, row.variance_share) == (None, None, None)
    assert row.activations == ()
