"""What the method must beat (METHOD: always in the same table, on the same split)."""

from pttrust_lightning.baselines.attention_probe import AttentionProbeBaseline
from pttrust_lightning.baselines.base import Baseline, FeatureBaseline, LogisticLineScorer, PooledBaseline
from pttrust_lightning.baselines.lookback import LookbackBaseline
from pttrust_lightning.baselines.probe import ProbeBaseline
from pttrust_lightning.baselines.probe_ranker import ProbeRankerBaseline
from pttrust_lightning.baselines.random import RandomBaseline
from pttrust_lightning.baselines.scoring import LineScorer, calibrated_scores, checked_scores, with_snippet_scores
from pttrust_lightning.baselines.surface import SurfaceBaseline
from pttrust_lightning.baselines.uncertainty import UncertaintyBaseline

BASELINES: dict[str, type[Baseline]] = {
    RandomBaseline.name: RandomBaseline,
    SurfaceBaseline.name: SurfaceBaseline,
    UncertaintyBaseline.name: UncertaintyBaseline,
    LookbackBaseline.name: LookbackBaseline,
    ProbeBaseline.name: ProbeBaseline,
    ProbeRankerBaseline.name: ProbeRankerBaseline,
    AttentionProbeBaseline.name: AttentionProbeBaseline,
}
"""Baselines by name, in the order of the table."""

__all__ = [
    "BASELINES",
    "AttentionProbeBaseline",
    "Baseline",
    "FeatureBaseline",
    "LineScorer",
    "LogisticLineScorer",
    "LookbackBaseline",
    "PooledBaseline",
    "ProbeBaseline",
    "ProbeRankerBaseline",
    "RandomBaseline",
    "SurfaceBaseline",
    "UncertaintyBaseline",
    "calibrated_scores",
    "checked_scores",
    "with_snippet_scores",
]
