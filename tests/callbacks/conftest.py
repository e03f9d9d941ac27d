from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader


class Counter(LightningModule):
    """Its only weight grows by 1 an epoch (of one step); ``val/score`` is best where the weight is 2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.log("train/weight", self.weight.sum(), on_step=False, on_epoch=True)
        return -self.weight.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/score", -((self.weight.sum() - 2) ** 2))

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("test/weight", self.weight.sum())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


class ExportableCounter(Counter):
    def export(self, folder: Path, provenance: dict[str, Any]) -> None:
        folder.mkdir(parents=True)
        (folder / "weight.txt").write_text(f"{self.weight.item()} {provenance}", encoding="utf-8")


class OneBatch(LightningDataModule):
    state_provenance = {"llm": "synthetic"}  # noqa: RUF012 (never changed)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader([torch.zeros(1)], batch_size=None)  # type: ignore[arg-type]

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


@pytest.fixture
def counter() -> Counter:
    """Cannot be exported."""
    return Counter()


@pytest.fixture
def exportable() -> ExportableCounter:
    return ExportableCounter()


@pytest.fixture
def data() -> OneBatch:
    return OneBatch()


@pytest.fixture
def counting_classes() -> tuple[type[ExportableCounter], type[OneBatch]]:
    return ExportableCounter, OneBatch


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., Trainer]:
    """Makes a quiet trainer on the CPU that keeps its files in ``tmp_path``."""

    def make(callbacks: list[Callback] | None = None, **settings: Any) -> Trainer:
        defaults: dict[str, Any] = {
            "max_epochs": 5,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": any(hasattr(c, "best_model_path") for c in callbacks or ()),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "default_root_dir": tmp_path,
        }
        return Trainer(callbacks=callbacks, **(defaults | settings))

    return make
