"""Batches of token windows, mixed over languages, that go on at the step at which a run was interrupted."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from tools.embedded_llm.training.token_files import Tokens, load_tokens, mixture, window


class MixedWindows(IterableDataset[Tensor]):
    """Endless batches ``(B, T + 1)`` of windows, as a function of the batch's number alone.

    A language whose windows are used up starts over; ``passes`` says how often.

    Args:
        tokens: Token ids by language.
        weights: Share of each language in the windows.
        batch_size: B, windows a batch.
        context_length: T, tokens a window.
        seed: Seed of the windows' order.
        first_batch: Number of the first batch to yield.
    """

    def __init__(
        self,
        tokens: dict[str, Tokens],
        weights: dict[str, float],
        batch_size: int,
        context_length: int,
        seed: int,
        first_batch: int = 0,
    ) -> None:
        missing = sorted(set(weights) - set(tokens))
        if missing:
            raise ValueError(f"weights name {', '.join(missing)}, but the token files are {', '.join(sorted(tokens))}")
        short = [name for name in weights if len(tokens[name]) <= context_length]
        if short:
            raise ValueError(f"{', '.join(short)}: fewer tokens than one window of {context_length}; build more corpus")
        self.tokens, self.weights = tokens, weights
        self.batch_size, self.context_length = batch_size, context_length
        self.seed, self.first_batch = seed, first_batch

    def n_windows(self, language: str) -> int:
        """Whole windows that a language has."""
        return (len(self.tokens[language]) - 1) // self.context_length

    def passes(self, n_batches: int) -> dict[str, float]:
        """How often each language's tokens are seen in so many batches."""
        total = sum(self.weights.values())
        seen = n_batches * self.batch_size
        return {name: seen * weight / total / self.n_windows(name) for name, weight in self.weights.items()}

    def __iter__(self) -> Iterator[Tensor]:
        order = mixture(self.weights, self.seed)
        used = Counter(itertools.islice(order, self.first_batch * self.batch_size))
        streams = {name: self._windows(name, used[name]) for name in self.weights}
        while True:
            rows = [next(streams[name]) for name in itertools.islice(order, self.batch_size)]
            yield torch.from_numpy(np.stack(rows).astype(np.int64))

    def _windows(self, language: str, first: int) -> Iterator[Tokens]:
        """A language's windows from the one that is used as number ``first``, in another order each pass."""
        n = self.n_windows(language)
        for turn in itertools.count(first // n):
            order = np.random.default_rng([self.seed, turn]).permutation(n)
            for place in order[first % n if turn == first // n else 0 :]:
                yield window(self.tokens[language], int(place), self.context_length)


class HeldOutWindows(Dataset[Tensor]):
    """The first windows of a language's held-out tokens, each ``(T + 1,)``."""

    def __init__(self, tokens: Tokens, context_length: int, limit: int) -> None:
        self.tokens, self.context_length = tokens, context_length
        self._length = min(limit, (len(tokens) - 1) // context_length)

    def __len__(self) -> int:
        """Number of windows."""
        return self._length

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(window(self.tokens, index, self.context_length).astype(np.int64))


class TokenWindows(LightningDataModule):
    """Training windows mixed over languages, and held-out windows a language.

    Args:
        folder: Token files.
        weights: Share of each language in training.
        batch_size: Windows a batch.
        context_length: Tokens a window.
        held_out_windows: Windows of each language that validation reads.
        seed: Seed of the order of the windows.
    """

    def __init__(
        self,
        folder: str,
        weights: dict[str, float],
        batch_size: int = 8,
        context_length: int = 1024,
        held_out_windows: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.weights = weights
        self.batch_size = batch_size
        self.context_length, self.held_out_windows, self.seed = context_length, held_out_windows, seed

    @property
    def languages(self) -> list[str]:
        """Languages in the order of the validation loaders."""
        return sorted(self.weights)

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Endless batches, from the one after the last that the run, or the checkpoint it resumes from, has used."""
        trainer = self.trainer
        # A checkpoint holds whole optimiser steps: what it has seen follows from their number.
        first = 0 if trainer is None else trainer.global_step * trainer.accumulate_grad_batches
        windows = MixedWindows(
            load_tokens(self.folder, "train"), self.weights, self.batch_size, self.context_length, self.seed, first
        )
        return DataLoader(windows, batch_size=None)

    def val_dataloader(self) -> list[DataLoader[Tensor]]:
        """One loader a language."""
        tokens = load_tokens(self.folder, "held_out")
        return [
            DataLoader(
                HeldOutWindows(tokens[name], self.context_length, self.held_out_windows), batch_size=self.batch_size
            )
            for name in self.languages
        ]
