"""A benchmark answered by stand-ins, and small real data for both stages."""

from __future__ import annotations

import pytest
from lightning_stand_in import FakeData, StandIn, small_data

from pttrust_lightning.datamodules import UnlabelledStates
from pttrust_lightning.datamodules.cached_states import CachedStates
from pttrust_lightning.tools.benchmark import Benchmark
from pttrust_lightning.tools.benchmark.command import run_benchmark
from pttrust_lightning.tools.benchmark.data import BenchmarkData
from pttrust_lightning.types import Exclusions


@pytest.fixture
def without_data(monkeypatch, provenance_free):
    monkeypatch.setattr("pttrust_lightning.tools.benchmark.command.BenchmarkData", FakeData)
    monkeypatch.setattr("pttrust_lightning.tools.benchmark.command.write_figures", lambda *_: None)  # it takes seconds


@pytest.fixture
def provenance_free(monkeypatch):
    """The stand-in's DataModules have no LLM, and no cache; and it scores other snippets than small_data has."""
    monkeypatch.setattr(BenchmarkData, "test_lines", FakeData.test_lines)
    monkeypatch.setattr(CachedStates, "left_out_of_cache", lambda _: Exclusions())
    real = UnlabelledStates.state_provenance
    monkeypatch.setattr(
        UnlabelledStates,
        "state_provenance",
        property(lambda self: real.fget(self) if hasattr(self, "states") else {"llm": "x"}),
    )


@pytest.fixture
def tried(tmp_path):
    """Runs a benchmark with the stand-in; returns its results and what the stand-in saw."""

    def run_it(folder=tmp_path, stand_in=None, **settings):
        files = {"pretrain": ["data.yaml"], "finetune": ["finetune.yaml"]}
        for file in ("data.yaml", "finetune.yaml", "other.yaml"):
            if not (tmp_path / file).exists():
                (tmp_path / file).write_text("trainer: {max_epochs: 1}\n")
        stand_in = stand_in or StandIn(folder)
        benchmark = Benchmark(
            "tried", **{**files, "bootstrap_samples": 20, "jobs": 1, **settings}, output_dir=str(folder)
        )
        return run_benchmark(benchmark, tmp_path, stand_in), stand_in

    return run_it


@pytest.fixture
def data_configs(tmp_path):
    return small_data(tmp_path)
