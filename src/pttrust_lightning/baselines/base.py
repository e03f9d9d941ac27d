"""What every baseline is: fitted on labelled snippets, then scores the lines of one."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

from pttrust_lightning.errors import ConfigError, NonFiniteError
from pttrust_lightning.metrics import reciprocal_rank
from pttrust_lightning.types import BoolArray, FloatArray, LabelledSplits, SnippetStates


@functools.cache
def _thread_pools() -> ThreadpoolController:
    """The process's thread pools: looking for them takes longer than a fit, so it is done once."""
    return ThreadpoolController()


def one_thread() -> Any:
    """A context without threads: sums in the order that threads finish make scores depend on the number of cores."""
    return _thread_pools().limit(limits=1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws that depend on the seed alone and disturb no others, on one thread: the same on any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


class Baseline(ABC):
    """A method that scores lines, to be compared with PtTrust in the same table, on the same split."""

    name: ClassVar[str]
    """The row of the table that it fills."""

    needs: ClassVar[tuple[str, ...]] = ()
    """What the labelled data must be set to give (its options that must be true): ``uncertainty``, ``lookback``, ..."""

    reads_states: ClassVar[bool]
    """Whether it looks at the line states, so that another layer or line rule gives it other scores."""

    draws: ClassVar[bool] = False
    """Whether its fit draws random numbers, so that another training seed gives it other scores."""

    @classmethod
    def lacks(cls, data: LabelledSplits) -> list[str]:
        """Those of ``needs`` that labelled data does not give; it need not be set up."""
        return [option for option in cls.needs if not getattr(data, option)]

    @abstractmethod
    def fit(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Learn from labelled snippets; those that are not rankable teach nothing.

        Args:
            train: Snippets to learn from.
            validation: Snippets to choose settings on; none of them shares a problem with ``train``.

        Returns:
            Itself.

        Raises:
            ConfigError: If there is too little to learn from.
            NonFiniteError: If a feature is NaN or infinite.
        """

    @abstractmethod
    def score(self, snippet: SnippetStates) -> FloatArray:
        """Score the lines of a snippet without looking at its labels.

        Args:
            snippet: The snippet; T scored lines.

        Returns:
            The higher, the riskier (logits), ``(T,)``.

        Raises:
            NonFiniteError: If a feature is NaN or infinite.
        """

    @abstractmethod
    def state(self) -> dict[str, FloatArray]:
        """All that was fitted, as arrays; empty before ``fit``, and where there is nothing to fit."""

    @abstractmethod
    def load_state(self, state: Mapping[str, FloatArray]) -> Self:
        """Take over what ``state`` of a baseline of the same kind gave; it then scores and judges as that one does.

        Returns:
            Itself.
        """

    @abstractmethod
    def fit_verdicts(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Learn to judge whole snippets, from their verdicts; after ``fit``.

        Args:
            train: Snippets to learn from, correct and wrong, rankable or not.
            validation: Snippets to choose settings on; none of them shares a problem with ``train``.

        Returns:
            Itself.

        Raises:
            ConfigError: If the snippets are all correct or all wrong.
            NonFiniteError: If a feature is NaN or infinite.
        """

    @abstractmethod
    def score_snippet(self, snippet: SnippetStates) -> float:
        """Judge a snippet without looking at its verdict or labels.

        Args:
            snippet: The snippet.

        Returns:
            The higher, the likelier it is wrong (a logit).

        Raises:
            NonFiniteError: If a feature is NaN or infinite.
        """


def verdicts(snippets: Sequence[SnippetStates], name: str, split: str) -> FloatArray:
    """Which snippets are wrong, if some are and some are not.

    Args:
        snippets: Snippets.
        name: The baseline that asks, for the message.
        split: The split that they are of, for the message.

    Returns:
        1 where the snippet is wrong, ``(N,)``.

    Raises:
        ConfigError: If there are no snippets, or all are of one kind.
    """
    wrong = np.array([not s.snippet.correct for s in snippets], dtype=np.float64)
    if not 0 < wrong.sum() < len(wrong):
        raise ConfigError(
            f"Baseline '{name}': {int(wrong.sum())} of the {len(wrong)} {split} snippets are wrong, but it needs both "
            "kinds. Set verdicts: true in the data and include_correct: true on its source, or leave this "
            "baseline out."
        )
    return wrong


def rankable_only(snippets: Sequence[SnippetStates], name: str, split: str) -> list[SnippetStates]:
    """The snippets with at least two scored lines, one of them wrong.

    Args:
        snippets: Labelled snippets.
        name: The baseline that asks, for the message.
        split: The split that they are of, for the message.

    Returns:
        The rankable ones, in order.

    Raises:
        ConfigError: If there is none.
    """
    kept = [s for s in snippets if s.rankable]
    if not kept:
        raise ConfigError(
            f"Baseline '{name}': none of the {len(snippets)} {split} snippets has two scored lines and a wrong one. "
            f"Label more snippets, or change the split."
        )
    return kept


def finite(features: FloatArray, name: str, snippet_id: str) -> FloatArray:
    """The features, if all of them are finite.

    Args:
        features: ``(T, F)``.
        name: The baseline that asks, for the message.
        snippet_id: Where they come from, for the message.

    Returns:
        The features.

    Raises:
        NonFiniteError: If one is NaN or infinite.
    """
    if not np.isfinite(features).all():
        raise NonFiniteError(
            f"Baseline '{name}': features of snippet {snippet_id} are NaN or infinite. Extract its states "
            f"again, in a wider dtype if they overflow."
        )
    return features


def told_apart(labels: FloatArray, name: str) -> BoolArray:
    """Which training lines are wrong, if there are right ones too.

    Args:
        labels: Relevance, ``(N,)``; any above 0 counts as wrong.
        name: The baseline that asks, for the message.

    Returns:
        ``(N,)``.

    Raises:
        ConfigError: If all lines have the same label.
    """
    wrong = labels > 0
    if wrong.all() or not wrong.any():
        raise ConfigError(
            f"Baseline '{name}': all {len(wrong)} training lines have the same label. "
            f"Label snippets with both right and wrong lines."
        )
    return wrong


def fitted_scales(features: FloatArray, components: int | None, whiten: bool = False) -> dict[str, FloatArray]:
    """Standardisation, and principal components of what is standardised.

    Args:
        features: ``(N, F)``.
        components: How many principal components to keep, at most; None keeps the standardised features.
        whiten: Give each component unit variance; those that have none are left out.

    Returns:
        What ``scaled`` takes.
    """
    with one_thread():
        scaler = StandardScaler().fit(features)
        scales = {"mean": scaler.mean_, "scale": scaler.scale_}
        if components is not None:
            pca = PCA(min(components, *features.shape), svd_solver="full").fit(scaler.transform(features))
            axes = pca.components_
            if whiten:
                deviations = np.sqrt(pca.explained_variance_)
                kept = deviations > 1e-6 * deviations[0]  # of N lines at most N - 1; the others' would be rounding
                axes = axes[kept] / deviations[kept, None]
            scales |= {"centre": pca.mean_, "components": axes}
        return scales


def scaled(features: FloatArray, scales: Mapping[str, FloatArray]) -> FloatArray:
    """Features as ``fitted_scales`` says, ``(N, F)`` to ``(N, F)`` or ``(N, components)``."""
    with one_thread():
        rows: FloatArray = (features - scales["mean"]) / scales["scale"]
        if "components" in scales:
            rows = (rows - scales["centre"]) @ scales["components"].T
        return rows


class LogisticLineScorer:
    """Logistic regression on standardised line features; the score is the logit.

    Args:
        name: The baseline that it serves, for messages.
        components: Reduce the standardised features to that many principal components first; None keeps them all.
    """

    def __init__(self, name: str, components: int | None = None) -> None:
        self.name = name
        self.components = components
        self._scales: dict[str, FloatArray] = {}
        self._weights: dict[str, FloatArray] = {}

    def prepare(self, features: FloatArray) -> FloatArray:
        """Fit the standardisation and PCA, and apply them.

        Args:
            features: ``(N, F)``.

        Returns:
            ``(N, F)``, or ``(N, components)``.
        """
        self._scales, self._weights = fitted_scales(features, self.components), {}
        return scaled(features, self._scales)

    def fit_prepared(self, prepared: FloatArray, labels: FloatArray, c: float) -> Self:
        """Fit the regression to what ``prepare`` returned.

        Args:
            prepared: ``(N, F')``.
            labels: Relevance, ``(N,)``; any above 0 counts as wrong.
            c: Inverse strength of the L2 penalty.

        Returns:
            Itself.

        Raises:
            ConfigError: If all lines are wrong.
        """
        wrong = told_apart(labels, self.name)
        # Newton's method goes on to the optimum, where quasi-Newton ones stop nearby, at a place that rounding decides.
        with one_thread():
            model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-8, max_iter=1000).fit(prepared, wrong)
        self._weights = {"weights": model.coef_, "offset": model.intercept_}
        return self

    def score(self, features: FloatArray) -> FloatArray:
        """Logits of lines.

        Args:
            features: ``(T, F)``.

        Returns:
            ``(T,)``.

        Raises:
            RuntimeError: Before ``fit_prepared``.
        """
        if not self._scales or not self._weights:
            raise RuntimeError(f"Baseline '{self.name}' was not fitted. Call fit first.")
        if not len(features):
            return np.empty(0)
        rows = scaled(features, self._scales)
        with one_thread():
            logits: FloatArray = (rows @ self._weights["weights"].T + self._weights["offset"])[:, 0]
        return logits

    def state(self) -> dict[str, FloatArray]:
        """Scales and weights, by name; empty before ``fit``."""
        return {**self._scales, **self._weights}

    def load_state(self, state: Mapping[str, FloatArray]) -> Self:
        """Take over what ``state`` gave.

        Returns:
            Itself.
        """
        self._weights = {name: values for name, values in state.items() if name in ("weights", "offset")}
        self._scales = {name: values for name, values in state.items() if name not in self._weights}
        return self


def pooled(features: FloatArray) -> FloatArray:
    """Features of a snippet: mean, maximum and minimum of each line feature, and the number of lines.

    Args:
        features: Of the lines, ``(T, F)``; at least one line.

    Returns:
        ``(3 F + 1,)``.
    """
    return np.concatenate([features.mean(axis=0), features.max(axis=0), features.min(axis=0), [len(features)]])


def _named(part: str, state: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {f"{part}.{name}": values for name, values in state.items()}


def part_of(state: Mapping[str, FloatArray], part: str) -> dict[str, FloatArray]:
    """One part of a baseline's state, by its own names: ``lines.weights`` as ``weights``."""
    own = f"{part}."
    return {name.removeprefix(own): values for name, values in state.items() if name.startswith(own)}


class PooledBaseline(Baseline):
    """Scores lines by features of them, and judges snippets by a logistic regression on what these pool to.

    The strength of its L2 penalty is the one with the least cross-entropy on the validation snippets; of equally good
    ones the strongest.
    """

    snippet_cs: ClassVar[tuple[float, ...]] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    """Inverse strengths of the penalty to choose from, ascending."""

    def __init__(self) -> None:
        self._snippet_scorer = LogisticLineScorer(self.name)

    @abstractmethod
    def features(self, snippet: SnippetStates) -> FloatArray:
        """Features of a snippet's scored lines.

        Args:
            snippet: The snippet; T scored lines.

        Returns:
            ``(T, F)``.
        """

    def checked_features(self, snippet: SnippetStates) -> FloatArray:
        """``features``, if all of them are finite.

        Raises:
            NonFiniteError: If one is NaN or infinite.
        """
        return finite(self.features(snippet), self.name, snippet.snippet.id)

    @abstractmethod
    def line_state(self) -> dict[str, FloatArray]:
        """All that was fitted to lines, as arrays; empty before ``fit``."""

    @abstractmethod
    def load_line_state(self, state: Mapping[str, FloatArray]) -> None:
        """Take over what ``line_state`` gave."""

    def fit_verdicts(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Fit to the training snippets once for each of ``snippet_cs``, and keep the best on the validation split."""
        wrong, held_out = verdicts(train, self.name, "training"), verdicts(validation, self.name, "validation")
        prepared = self._snippet_scorer.prepare(np.stack([pooled(self.checked_features(s)) for s in train]))
        rows = np.stack([pooled(self.checked_features(s)) for s in validation])
        loss = {}
        for c in self.snippet_cs:
            logits = self._snippet_scorer.fit_prepared(prepared, wrong, c).score(rows)
            loss[c] = log_loss(held_out, 1 / (1 + np.exp(-logits)))
        self._snippet_scorer.fit_prepared(prepared, wrong, min(loss, key=lambda c: loss[c]))
        return self

    def score_snippet(self, snippet: SnippetStates) -> float:
        """The logit of the regression on snippets."""
        return float(self._snippet_scorer.score(pooled(self.checked_features(snippet))[None])[0])

    def state(self) -> dict[str, FloatArray]:
        """What was fitted to lines and to snippets, as far as it is: ``lines.weights``, ..."""
        return _named("lines", self.line_state()) | _named("snippets", self._snippet_scorer.state())

    def load_state(self, state: Mapping[str, FloatArray]) -> Self:
        """Take over both parts."""
        self.load_line_state(part_of(state, "lines"))
        self._snippet_scorer.load_state(part_of(state, "snippets"))
        return self


class LogisticBaseline(PooledBaseline):
    """A logistic regression on features of each line.

    The strength of its L2 penalty is the one with the best mean reciprocal rank on the validation snippets; of equally
    good ones the strongest. So no method loses to another for want of a penalty that suits it.

    Args:
        cs: Inverse strengths of the penalty to choose from.
        components: Number of principal components to keep; all where null.

    Attributes:
        c: The strength chosen; None before ``fit``.
    """

    def __init__(self, cs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0), components: int | None = None) -> None:
        if not cs or min(cs) <= 0:
            raise ConfigError(f"Baseline '{self.name}': cs must be one or more numbers above 0, got {list(cs)}.")
        super().__init__()
        self._scorer = LogisticLineScorer(self.name, components=components)
        self.cs = tuple(sorted(cs))
        self.c: float | None = None

    def fit(self, train: Sequence[SnippetStates], validation: Sequence[SnippetStates]) -> Self:
        """Fit on the rankable training snippets once for each of ``cs``, and keep the best on the validation split."""
        snippets = rankable_only(train, self.name, "training")
        held_out = rankable_only(validation, self.name, "validation")
        prepared = self._scorer.prepare(np.concatenate([self.checked_features(s) for s in snippets]))
        labels = np.concatenate([s.labels for s in snippets])
        quality = {}
        for c in self.cs:
            self._scorer.fit_prepared(prepared, labels, c)
            quality[c] = np.mean([reciprocal_rank(self.score(s), s.labels) for s in held_out])
        self.c = max(self.cs, key=lambda c: quality[c])
        self._scorer.fit_prepared(prepared, labels, self.c)
        return self

    def score(self, snippet: SnippetStates) -> FloatArray:
        """Logits of the snippet's lines, ``(T,)``."""
        return self._scorer.score(self.checked_features(snippet))

    def line_state(self) -> dict[str, FloatArray]:
        """Scales and weights of the regression on lines."""
        return self._scorer.state()

    def load_line_state(self, state: Mapping[str, FloatArray]) -> None:
        """Take over the regression on lines."""
        self._scorer.load_state(state)


class FeatureBaseline(LogisticBaseline):
    """A baseline on features that are read beside the states."""

    def known(self, snippet: SnippetStates, feature: str) -> FloatArray:
        """One of what it ``needs``.

        Args:
            snippet: The snippet; T scored lines.
            feature: A field of ``LineStates``.

        Returns:
            ``(T, F)``.

        Raises:
            ConfigError: If it was not read with the states.
        """
        found: FloatArray | None = getattr(snippet.lines, feature)
        if found is None:
            raise ConfigError(
                f"Baseline '{self.name}': the states of snippet {snippet.snippet.id} came without {feature}. "
                f"Extract the states again with {feature}: true, or leave this baseline out."
            )
        return found
