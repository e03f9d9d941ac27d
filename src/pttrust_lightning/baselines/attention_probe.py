"""Where a probe looks that was taught verdicts alone: the strongest published peer without line labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from pttrust_lightning.baselines.base import Baseline, seeded, verdicts
from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.models.attention_probe import AttentionProbe, ProbeReading
from pttrust_lightning.types import FloatArray, SnippetStates


class _Judged(NamedTuple):
    """Snippets with their verdicts: line states, ``(T, D)`` each, and 1 where the snippet is wrong, ``(N,)``."""

    states: list[Tensor]
    wrong: Tensor


class AttentionProbeBaseline(Baseline):
    """Bug Attention Probe (Stein et al., ICML 2025, arXiv 2502.13966): no line label teaches it.

    An :class:`~pttrust_lightning.models.attention_probe.AttentionProbe` on the raw line states learns to tell wrong
    snippets from correct ones; a line's score is the log of the attention that it gets. Training stops where the
    cross-entropy of the validation verdicts no longer falls, and the best epoch is kept.

    Args:
        width: Width of keys and values, all heads together.
        heads: Attention heads.
        lr: Learning rate of AdamW.
        weight_decay: Of AdamW; theirs.
        batch_size: Snippets in a batch; theirs.
        max_epochs: Most epochs.
        patience: Epochs without a better one before training stops.
        seed: Of the first weights and of the batches; None takes that of torch's global generator, which
            ``seed_everything`` sets, whatever was drawn from it.
    """

    name = "attention_probe"
    needs = ("verdicts",)
    reads_states = True
    draws = True

    def __init__(
        self,
        width: int = 64,
        heads: int = 4,
        lr: float = 1e-3,
        weight_decay: float = 1.0,
        batch_size: int = 16,
        max_epochs: int = 100,
        patience: int = 10,
        seed: int | None = None,
    ) -> None:
        self.width, self.heads = width, heads
        self.lr, self.weight_decay, self.batch_size = lr, weight_decay, batch_size
        self.max_epochs, self.patience, self.seed = max_epochs, patience, seed
        self._probe: AttentionProbe | None = None

    def fit(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Learn from the verdicts of all training snippets, rankable or not.

        Raises:
            ConfigError: If the training or the validation snippets are all correct or all wrong.
            NonFiniteError: If a state is NaN or infinite.
        """
        seen, held_out = self._judged(train, "training"), self._judged(validation, "validation")
        with seeded(torch.initial_seed() if self.seed is None else self.seed):
            probe = AttentionProbe(seen.states[0].shape[1], self.width, self.heads)
            probe.standardiser.fit(torch.cat(seen.states))
            self._train(probe, seen, held_out)
        self._probe = probe
        return self

    def _judged(self, snippets: Sequence[SnippetStates], split: str) -> _Judged:
        wrong = verdicts(snippets, self.name, split)
        return _Judged([self._states(s) for s in snippets], torch.from_numpy(wrong).float())

    def _train(self, probe: AttentionProbe, seen: _Judged, held_out: _Judged) -> None:
        optimizer = torch.optim.AdamW(probe.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        best, best_loss, waited = copy.deepcopy(probe.state_dict()), float("inf"), 0
        for _ in range(self.max_epochs):
            for rows in torch.split(torch.randperm(len(seen.states)), self.batch_size):
                loss = _loss(probe, _Judged([seen.states[i] for i in rows.tolist()], seen.wrong[rows]))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            with torch.no_grad():
                validation_loss = float(_loss(probe, held_out))
            waited += 1
            if validation_loss < best_loss:
                best, best_loss, waited = copy.deepcopy(probe.state_dict()), validation_loss, 0
            if waited == self.patience:
                break
        probe.load_state_dict(best)

    def score(self, snippet: SnippetStates) -> FloatArray:
        """Log of the attention that each line gets, ``(T,)``."""
        if not len(snippet.labels):
            return np.empty(0)
        return self._read(snippet).line_scores[0].double().numpy()

    def fit_verdicts(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Nothing more to learn: ``fit`` learned from verdicts."""
        return self

    def score_snippet(self, snippet: SnippetStates) -> float:
        """The probe's logit."""
        return float(self._read(snippet).snippet_scores[0])

    def state(self) -> dict[str, FloatArray]:
        """The probe's weights and scales, by name; their shapes say what its settings were."""
        if self._probe is None:
            return {}
        return {name: values.double().numpy() for name, values in self._probe.state_dict().items()}

    def load_state(self, state: Mapping[str, FloatArray]) -> Self:
        """Take over a probe, of any width and number of heads."""
        self._probe = None
        if state:
            (width, d_in), heads = state["key.weight"].shape, len(state["query"])
            probe = AttentionProbe(d_in, width, heads)
            probe.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
            self.width, self.heads, self._probe = width, heads, probe
        return self

    def _states(self, snippet: SnippetStates) -> Tensor:
        states = snippet.lines.states.detach().cpu().float()
        if not torch.isfinite(states).all():
            raise NonFiniteError(
                f"Baseline '{self.name}': features of snippet {snippet.snippet.id} are NaN or infinite. Extract its "
                "states again, in a wider dtype if they overflow."
            )
        return states

    @torch.no_grad()
    def _read(self, snippet: SnippetStates) -> ProbeReading:
        if self._probe is None:
            raise RuntimeError(f"Baseline '{self.name}' was not fitted. Call fit first.")
        return _read(self._probe, [self._states(snippet)])


def _read(probe: AttentionProbe, snippets: list[Tensor]) -> ProbeReading:
    lengths = torch.tensor([len(s) for s in snippets])
    states = pad_sequence(snippets, batch_first=True)
    return probe(states, torch.arange(states.shape[1]) < lengths[:, None])  # type: ignore[no-any-return]


def _loss(probe: AttentionProbe, snippets: _Judged) -> Tensor:
    return F.binary_cross_entropy_with_logits(_read(probe, snippets.states).snippet_scores, snippets.wrong)
