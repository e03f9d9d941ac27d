"""What a long run says of itself: tokens a second, time left, losses; and a loss curve on disk."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info


class LossCurve(Callback):
    """Says every few steps where the run is, and appends it to a JSON-lines file that survives interruptions.

    Args:
        path: The file. Lines that an interrupted run wrote after its last checkpoint are dropped on resume.
        every_n_steps: Steps between two lines.
    """

    def __init__(self, path: str, every_n_steps: int = 20) -> None:
        self.path, self.every_n_steps = Path(path), every_n_steps
        self._losses: list[torch.Tensor] = []
        self._tokens = 0
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what the run will see; drop lines of steps that are done again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if self.path.is_file():
            lines = self.path.read_text().splitlines()
            kept = [line for line in lines if json.loads(line)["step"] <= trainer.global_step]
        self.path.write_text("".join(f"{line}\n" for line in kept))
        windows = trainer.train_dataloader.dataset  # type: ignore[union-attr]
        batches = trainer.max_steps * trainer.accumulate_grad_batches
        tokens = batches * windows.batch_size * windows.context_length
        passes = ", ".join(f"{name} {times:.2f}" for name, times in windows.passes(batches).items())
        rank_zero_info(
            f"step {trainer.global_step} of {trainer.max_steps}: {tokens / 1e6:.1f} M tokens in all; "
            f"passes over the corpus: {passes}; {sum(p.numel() for p in pl_module.parameters()) / 1e6:.1f} M parameters"
        )
        self._since, self._tokens, self._losses = time.monotonic(), 0, []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: torch.Tensor, batch_idx: int
    ) -> None:
        """Collect, and write a line every ``every_n_steps`` steps."""
        self._losses.append(outputs["loss"].detach() * trainer.accumulate_grad_batches)
        self._tokens += batch.numel() - len(batch)
        step = trainer.global_step
        if (batch_idx + 1) % trainer.accumulate_grad_batches or step % self.every_n_steps:
            return
        rate = self._tokens / (time.monotonic() - self._since)
        tokens_a_step = batch[:, 1:].numel() * trainer.accumulate_grad_batches
        left = (trainer.max_steps - step) * tokens_a_step / rate / 60
        record = {"step": step, "tokens": step * tokens_a_step, "train": float(torch.stack(self._losses).mean())}
        self._write(record)
        rank_zero_info(
            f"step {step}/{trainer.max_steps}: {record['train']:.3f} nats a token, {rate:,.0f} tokens/s, "
            f"{left:.0f} min left"
        )
        self._since, self._tokens, self._losses = time.monotonic(), 0, []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the held-out losses."""
        if trainer.sanity_checking:
            return
        losses = {
            name.removeprefix("val/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        self._write({"step": trainer.global_step, "held_out": losses})
        shown = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        rank_zero_info(f"step {trainer.global_step}: held-out nats a token: {shown}")
        self._since, self._tokens, self._losses = time.monotonic(), 0, []

    def _write(self, record: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
