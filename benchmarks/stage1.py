"""An epoch of stage 1 through Lightning against a bare loop of the same mathematics, epoch by epoch in one process.

Ours: ``Trainer.fit`` with the settings of ``configs/trainer/pretrain.yaml``, ``ContrastivePretraining`` at the paper's
sizes, and the batches that ``UnlabelledStates`` reads from a state cache, with all that is logged and kept. The bare
loop: the same autoencoder, loss, check for finite values, gradient clipping and AdamW on ready batches in memory, in
the order in which the other has just read them; of what is logged, only the mean loss. So reading counts against ours,
and whatever the trainer does around an epoch, checkpoint included. Left out of both: validation, and what happens once
before the first epoch, which is reported apart. The cache is generated. Mean losses and weights must agree.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from cache_read import make_cache
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from side_by_side import device_name, in_words, ratios, wait_for, write_json

from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.callbacks import CpuThreads, EpochLog
from pttrust_lightning.datamodules import UnlabelledStates
from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.losses import margin_contrastive, normalised_reconstruction
from pttrust_lightning.modules import ContrastivePretraining
from pttrust_lightning.source import StandardLibrary
from pttrust_lightning.states.language_model import resolve_device
from pttrust_lightning.types import StateBatch

CONFIG = Path(__file__).parent.parent / "configs" / "trainer" / "pretrain.yaml"
OURS = "pttrust_lightning"
BARE = "bare_loop"
TOLERANCE = 1e-5
"""Largest difference of a mean loss, relative, and of a weight."""


class ReadOrder(StateCache):
    """A cache that remembers which groups it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, verify=False)
        self.asked: list[Sequence[int]] = []

    def groups(self, indices: Sequence[int]) -> StateBatch:
        """As the cache gives them."""
        self.asked.append(indices)
        return super().groups(indices)


class GeneratedStates(UnlabelledStates):
    """The DataModule on a cache that is there already; its corpus is never read.

    Args:
        cache: The cache.
        programs_per_batch: Programs, with their mutants, in a batch.
    """

    def __init__(self, cache: StateCache, programs_per_batch: int) -> None:
        super().__init__(StandardLibrary(), str(cache.folder), programs_per_batch=programs_per_batch)
        self._generated = cache

    def prepare_data(self) -> None:
        """Nothing is missing."""

    def open_cache(self) -> StateCache:
        """The cache."""
        return self._generated


class BareLoop:
    """What an epoch computes, and nothing else.

    Args:
        module: Whose weights, as they are now, and settings are taken.
        clip: Largest norm of the gradient.
    """

    def __init__(self, module: ContrastivePretraining, clip: float) -> None:
        self.settings = module.hparams
        self.clip = clip
        self.autoencoder = copy.deepcopy(module.autoencoder)
        self.parameters = list(self.autoencoder.parameters())
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=self.settings["lr"], weight_decay=self.settings["weight_decay"]
        )

    def epoch(self, batches: Sequence[StateBatch]) -> float:
        """Train on the batches, and return the mean loss of a line."""
        total, lines = torch.zeros((), device=self.parameters[0].device), 0
        for states, pairs in batches:
            output = self.autoencoder(states)
            a, b = output.latents[pairs[:, 0]], output.latents[pairs[:, 1]]
            contrast = margin_contrastive(a, b, self.settings["margin"])
            loss = normalised_reconstruction(states, output.reconstruction)
            loss = loss + self.settings["contrastive_weight"] * contrast
            if not bool(loss.isfinite()):
                raise NonFiniteError("The loss is NaN or infinite.")
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.optimiser.step()
            total += loss.detach() * len(states)
            lines += len(states)
        return float(total) / lines


class InTurn(Callback):
    """Times the trainer's epochs, from the start of one to what comes after it, and has the bare loop repeat each.

    Args:
        bare: The bare loop.
        cache: What the trainer's batches are read from.
    """

    def __init__(self, bare: BareLoop, cache: ReadOrder) -> None:
        self.bare, self.cache = bare, cache
        self.seconds: dict[str, list[float]] = {OURS: [], BARE: []}
        self.losses: dict[str, list[float]] = {OURS: [], BARE: []}
        self.created = time.perf_counter()
        self.start_up: float | None = None
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the bare loop catch up, then start the clock."""
        if self.start_up is None:
            self.start_up = time.perf_counter() - self.created
            self.bare.autoencoder.to(pl_module.device)  # in place: the optimiser's parameters move too
        else:
            self._catch_up(trainer, pl_module.device)
        self._started = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the bare loop catch up."""
        self._catch_up(trainer, pl_module.device)

    def _catch_up(self, trainer: Trainer, device: torch.device) -> None:
        wait_for(device)
        self.seconds[OURS].append(time.perf_counter() - self._started)
        self.losses[OURS].append(float(trainer.callback_metrics["train/loss"]))
        order, self.cache.asked = self.cache.asked, []
        batches = [StateBatch(*(part.to(device) for part in self.cache.groups(indices))) for indices in order]
        self.cache.asked = []
        wait_for(device)
        start = time.perf_counter()
        self.losses[BARE].append(self.bare.epoch(batches))
        wait_for(device)
        self.seconds[BARE].append(time.perf_counter() - start)


def make_trainer(folder: Path, device: torch.device, epochs: int, in_turn: InTurn) -> Trainer:
    """A trainer with the settings of stage 1; without the export, which is no part of an epoch."""
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["trainer"]
    log = next(c["init_args"] for c in settings["callbacks"] if c["class_path"].endswith("EpochLog"))
    changes: dict[str, Any] = {
        "max_epochs": epochs,
        "accelerator": device.type,
        "callbacks": [CpuThreads(), EpochLog(**log), in_turn],
        "logger": CSVLogger(folder),
        "default_root_dir": folder,
        "limit_val_batches": 0,
    }
    return Trainer(**settings | changes)


def measure(folder: Path, megabytes: int, width: int, batch_groups: int, repeats: int, device: str) -> dict[str, Any]:
    """Train both, ``repeats`` epochs after a first that warms up."""
    cache = ReadOrder(make_cache(folder / "cache", megabytes, width).folder)
    seed_everything(0, verbose=False)
    module = ContrastivePretraining(width, warmup_epochs=0)  # every epoch has all terms
    clip = float(yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["trainer"]["gradient_clip_val"])
    in_turn = InTurn(BareLoop(module, clip), cache)
    trainer = make_trainer(folder, resolve_device(device), repeats + 1, in_turn)
    data = GeneratedStates(cache, batch_groups)
    trainer.fit(module, datamodule=data)
    weights = [
        torch.cat([p.detach().flatten() for p in m.parameters()]).cpu() for m in (module, in_turn.bare.autoencoder)
    ]
    weights_apart = float((weights[0] - weights[1]).abs().max())
    losses_apart = max(abs(a - b) / b for a, b in zip(*in_turn.losses.values(), strict=True))
    seconds = {name: times[1:] for name, times in in_turn.seconds.items()}
    return {
        "rows": cache.n_rows,
        "pairs": cache.n_pairs,
        "groups": len(cache),
        "training_groups": len(data.train),
        "groups_per_batch": batch_groups,
        "steps": trainer.global_step // (repeats + 1),
        "width": width,
        "repeats": repeats,
        "device": device_name(resolve_device(device)),
        "torch_threads": CpuThreads().n_threads,
        "losses": in_turn.losses,
        "largest_difference": {"loss": losses_apart, "weight": weights_apart},
        "equal": losses_apart <= TOLERANCE and weights_apart <= TOLERANCE,
        "start_up_seconds": in_turn.start_up,
        "epoch_seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "ratio": ratios(seconds[OURS], seconds[BARE]),
    }


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="of states")
    parser.add_argument("--width", type=int, default=896)
    parser.add_argument("--groups-per-batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5, help="epochs that are timed")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--folder", type=Path, help="where the files are generated, and removed again; default: the temporary folder"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/stage1.json"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # as `pttrust fit` does
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        result = measure(Path(folder), args.megabytes, args.width, args.groups_per_batch, args.repeats, args.device)
    write_json(result, args.out)
    print(f"{result['rows']} rows of {result['width']}, {result['steps']} steps an epoch, {result['device']}")
    for name, seconds in result["epoch_seconds"].items():
        print(f"{name:18} {seconds:8.2f} s an epoch")
    print(f"ours takes {in_words(result['ratio'])} times as long; {result['start_up_seconds']:.2f} s to start up")
    if not result["equal"]:
        raise SystemExit(f"Losses or weights differ ({result['largest_difference']}): the figures compare nothing.")


if __name__ == "__main__":
    main()
