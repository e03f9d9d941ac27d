"""What the raw line states say to a ranker, without a sparse autoencoder."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pttrust_lightning.baselines.base import (
    PooledBaseline,
    finite,
    fitted_scales,
    one_thread,
    rankable_only,
    scaled,
    seeded,
    told_apart,
)
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.losses import neural_ndcg
from pttrust_lightning.models.line_ranker import LineRanker
from pttrust_lightning.types import FloatArray, SnippetStates


class ProbeRankerBaseline(PooledBaseline):
    """PtTrust's ranker and its loss on principal components of the raw line state (METHOD: what it must beat).

    What stage 2 is without stage 1: the same multi-layer perceptron and NeuralNDCG, with as many components as the
    paper's encoder has latents in place of these. Components are scaled to unit variance. The epoch with the lowest
    loss on the validation split is kept, as in stage 2: a rank among two dozen snippets is perfect too soon. Snippets
    are judged by what their lines' components pool to.

    Args:
        components: Number of principal components to keep.
        hidden: Width of the ranker's hidden layers.
        n_layers: Linear layers of the ranker.
        epochs: Passes over the training snippets.
        batch_size: Snippets in a batch.
        lr: Learning rate of Adam.
        weight_decay: Of Adam.
        seed: Of the first weights and of the order of snippets; None takes that of torch's global generator, which
            ``seed_everything`` sets, whatever was drawn from it.

    Attributes:
        epoch: The epoch kept, 1-based; None before ``fit``.
    """

    name = "probe_ranker"
    reads_states = True
    draws = True

    def __init__(
        self,
        components: int = 128,
        hidden: int = 32,
        n_layers: int = 4,
        epochs: int = 30,
        batch_size: int = 8,
        lr: float = 1e-3,
        weight_decay: float = 1e-5,
        seed: int | None = None,
    ) -> None:
        if min(components, epochs, batch_size) < 1:
            raise ConfigError(f"Baseline '{self.name}': components, epochs and batch_size must be at least 1.")
        super().__init__()
        self.components, self.hidden, self.n_layers = components, hidden, n_layers
        self.epochs, self.batch_size, self.lr, self.weight_decay = epochs, batch_size, lr, weight_decay
        self.seed = seed
        self.epoch: int | None = None
        self._scales: dict[str, FloatArray] = {}
        self._ranker: LineRanker | None = None

    def fit(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Fit on the rankable training snippets, and keep the epoch with the lowest loss on the validation split."""
        snippets = rankable_only(train, self.name, "training")
        held_out = rankable_only(validation, self.name, "validation")
        told_apart(np.concatenate([s.labels for s in snippets]), self.name)
        states = np.concatenate([self._states(s) for s in snippets])
        self._scales = fitted_scales(states, self.components, whiten=True)
        lines = [_Lines(_tensor(self.features(s)), _tensor(s.labels)) for s in snippets]
        unseen = [_Lines(_tensor(self.features(s)), _tensor(s.labels)) for s in held_out]
        with one_thread(), seeded(torch.initial_seed() if self.seed is None else self.seed):
            ranker = LineRanker(lines[0].features.shape[1], self.hidden, self.n_layers)
            optimizer = torch.optim.Adam(ranker.parameters(), lr=self.lr, weight_decay=self.weight_decay)
            best, kept = math.inf, ranker.state_dict()
            for epoch in range(1, self.epochs + 1):
                for rows in torch.split(torch.randperm(len(lines)), self.batch_size):
                    optimizer.zero_grad()
                    _loss(ranker, [lines[i] for i in rows.tolist()]).backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                with torch.no_grad():
                    batches = [unseen[i : i + self.batch_size] for i in range(0, len(unseen), self.batch_size)]
                    loss = sum(_loss(ranker, batch).item() * len(batch) for batch in batches)
                if loss < best:
                    best, kept, self.epoch = loss, copy.deepcopy(ranker.state_dict()), epoch
            ranker.load_state_dict(kept)
        self._ranker = ranker
        return self

    def features(self, snippet: SnippetStates) -> FloatArray:
        """The components of the states, each of unit variance on the training lines, ``(T, components)``.

        Raises:
            NonFiniteError: If a state is NaN or infinite.
            RuntimeError: Before ``fit``.
        """
        if not self._scales:
            raise RuntimeError(f"Baseline '{self.name}' was not fitted. Call fit first.")
        return scaled(self._states(snippet), self._scales)

    def score(self, snippet: SnippetStates) -> FloatArray:
        """Scores of the snippet's lines, ``(T,)``."""
        if self._ranker is None:
            raise RuntimeError(f"Baseline '{self.name}' was not fitted. Call fit first.")
        if not len(snippet.labels):
            return np.empty(0)
        lines = _tensor(self.features(snippet))
        with torch.no_grad(), one_thread():
            scores: FloatArray = self._ranker(lines).double().numpy()
        return scores

    def line_state(self) -> dict[str, FloatArray]:
        """Scales, components and the ranker's weights, by name; their shapes say what its settings were."""
        if self._ranker is None:
            return {}
        weights = {name: values.double().numpy() for name, values in self._ranker.state_dict().items()}
        return {**self._scales, **weights}

    def load_line_state(self, state: Mapping[str, FloatArray]) -> None:
        """Take over a ranker, of any shape and number of components."""
        self._scales = {name: values for name, values in state.items() if "." not in name}
        weights = {name: torch.from_numpy(values) for name, values in state.items() if "." in name}
        self._ranker = None
        if weights:
            matrices = [values for name, values in weights.items() if name.endswith(".weight")]
            self.components, self.n_layers = matrices[0].shape[1], len(matrices)
            self.hidden = matrices[-1].shape[1]
            self._ranker = LineRanker(self.components, self.hidden, self.n_layers)
            self._ranker.load_state_dict(weights)

    def _states(self, snippet: SnippetStates) -> FloatArray:
        states: FloatArray = snippet.lines.states.detach().cpu().double().numpy()
        return finite(states, self.name, snippet.snippet.id)


class _Lines(NamedTuple):
    """A snippet's lines: features ``(T, F)``, labels ``(T,)``."""

    features: Tensor
    labels: Tensor


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(values).float()


def _loss(ranker: LineRanker, snippets: Sequence[_Lines]) -> Tensor:
    """NeuralNDCG, the mean over the snippets."""
    features = pad_sequence([s.features for s in snippets], batch_first=True)
    labels = pad_sequence([s.labels for s in snippets], batch_first=True)
    mask = pad_sequence([torch.ones(len(s.labels), dtype=torch.bool) for s in snippets], batch_first=True)
    return neural_ndcg(ranker(features, mask), labels, mask)
