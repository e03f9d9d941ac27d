"""Stage 2's data: labelled snippets beside the states of their lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader

from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.schema import StorageDtype
from pttrust_lightning.datamodules.cached_states import CachedStates, Wanted
from pttrust_lightning.datamodules.splits import Split, first_by_group, merge_groups, split_by_fold, split_by_group
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.corpora.selection import corpus_sha256
from pttrust_lightning.source.labelled.base import LabelledSource
from pttrust_lightning.source.languages import could_be_wrong, fingerprint
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.source.surface import SURFACE_FEATURES, surface_features
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import load_config
from pttrust_lightning.states.uncertainty import UNCERTAINTY_FEATURES
from pttrust_lightning.types import (
    BoolArray,
    Exclusions,
    FloatArray,
    LabelledSnippet,
    LineStates,
    Mutant,
    Program,
    ProgramGroup,
    SnippetBatch,
    SnippetStates,
)

PromptUse = Literal["with", "without", "difference"]

SnippetField = Literal["language", "task", "data_set", "bug_type", "label_source"]
"""What snippets can be told apart by."""

WITHOUT_PROMPT = "#without_prompt"
"""Follows the id of a snippet in the cache, where it is read once more without its prompt."""

SCORED_AT_ONCE = 32
"""Snippets in a batch of those that are not trained on, where the training split is one batch."""

NO_STATES = "labelled snippet without a scored line"
NO_DIFFERENCE = "labelled snippet with a line that cannot be scored without its prompt"
UNSCORED_WRONG_LINES = "wrong line that is not scored (beyond the context)"
LEFT_OUT_OF_SPLIT = "snippet that `only` leaves out of its split"
NOT_RANKABLE = "snippet with fewer than two scored lines or no wrong one (neither trains nor tests the ranking)"


class LabelledLines(CachedStates):
    """Labelled snippets with their line states, split by problem; copies of a snippet count as of its problem.

    What the problem statement does to a state is given beside the state and never in its place: an encoder learns from
    programs as they are, and its input must be of that kind, whatever precedes the line. So ``prompt: difference``
    leaves the states those with the prompt, and adds the feature ``prompt_difference``.

    Args:
        snippets: The labelled snippets.
        cache_dir: Folder of the state cache.
        states: Which LLM, layer and line rule.
        batch_size: Snippets in a batch; null for the whole training split in one, which ``optimizer: lbfgs`` needs.
        val_fraction: Share of the snippets held out for early stopping and calibration.
        test_fraction: Share of the snippets held out for test; unused with folds.
        folds: Cross-validate in so many folds; null for a single split.
        fold: The fold that is tested, 0-based.
        split_seed: Decides the split.
        only: Which snippets each split keeps, by their fields: ``{train: {language: [java]}, val: {language: [java]}}``
            trains on Java and tests on all; a split that is not named keeps all. The split itself is made before, so
            that it is the same whatever is kept.
        train_snippets: Train on so many of the training split's snippets that can be ranked, for a learning curve; a
            larger number takes the same ones and more. null: all.
        uncertainty: Also read token probabilities (runs the whole LLM), for the uncertainty baseline.
        verdicts: Whether the loaders also give the snippets that cannot be ranked, the correct ones above all: what
            snippet heads, weak labels and the attention probe learn from. What only ranks passes over them.
        lookback: Also read how much each attention head looks back at the prompt (runs the whole LLM, without fused
            attention kernels), for the lookback baseline. Every snippet must have a prompt.
        prompt: Whether the LLM reads the snippets ``with`` their prompts or ``without``. ``difference``: both, into one
            cache; a line's state is the one with the prompt, and the difference of the two is a feature beside it, 0
            for a snippet that has no prompt.
        storage_dtype: How states are stored.
        shard_megabytes: States that are read and not yet on disk, at most, and 32,768 lines at most: what a kill costs.
            A file of the cache holds half of that: the next one is read while it is written.
        verify_cache: Compare the shards' hashes when the cache is opened.
        num_workers: Worker processes of each DataLoader.
    """

    def __init__(
        self,
        snippets: LabelledSource,
        cache_dir: str,
        states: LineStateConfig = LineStateConfig(),  # noqa: B008 (frozen)
        batch_size: int | None = 2,
        val_fraction: float = 0.15,
        test_fraction: float = 0.25,
        folds: int | None = None,
        fold: int = 0,
        split_seed: int = 0,
        only: dict[Split, dict[SnippetField, list[str]]] = {},  # noqa: B006 (never changed)
        train_snippets: int | None = None,
        uncertainty: bool = True,
        verdicts: bool = False,
        lookback: bool = False,
        prompt: PromptUse = "with",
        storage_dtype: StorageDtype = "float32",
        shard_megabytes: float = 64.0,
        verify_cache: bool = True,
        num_workers: int = 0,
    ) -> None:
        super().__init__(states, cache_dir, storage_dtype, shard_megabytes, verify_cache, num_workers)
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}. Set it to at least 1, or to null for one batch.")
        if prompt not in get_args(PromptUse):
            raise ConfigError(f"Unknown prompt {prompt!r}. Choose one of {', '.join(get_args(PromptUse))}.")
        if lookback and prompt == "without":
            raise ConfigError("lookback looks back at the prompt. Set prompt: with, or lookback: false.")
        self.snippets = snippets
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.folds = folds
        self.fold = fold
        self.split_seed = split_seed
        self.only = only
        self.train_snippets = train_snippets
        self.uncertainty = uncertainty
        self.verdicts = verdicts
        self.lookback = lookback
        self.prompt: PromptUse = prompt
        self._read: tuple[list[LabelledSnippet], Exclusions] | None = None

    @property
    def with_uncertainty(self) -> bool:
        """Whether token probabilities are read too."""
        return self.uncertainty

    @property
    def with_lookback(self) -> bool:
        """Whether attention is read too."""
        return self.lookback

    @property
    def feature_widths(self) -> dict[str, int]:
        """Columns of each of ``line_features``, known before anything is read."""
        widths = {"surface": len(SURFACE_FEATURES)}
        if self.uncertainty:
            widths["uncertainty"] = len(UNCERTAINTY_FEATURES)
        if self.lookback:
            llm = load_config(self.states)
            widths["lookback"] = llm.num_hidden_layers * llm.num_attention_heads
        if self.prompt == "difference":
            widths["prompt_difference"] = self.d_in
        return widths

    @property
    def state_provenance(self) -> dict[str, Any]:
        """As of every state, and whether the prompt was read; that makes no other state of it for an encoder."""
        return {**super().state_provenance, "prompt": self.prompt}

    def settings(self) -> dict[str, Any]:
        """What is read beside the states. Named where it is only: older caches know nothing of it."""
        return {
            "uncertainty": self.uncertainty,
            **({"lookback": True} if self.lookback else {}),
            **({"prompt": self.prompt} if self.prompt == "difference" else {}),
        }

    def wanted(self, exclusions: Exclusions) -> Wanted:
        """The snippets, without their labels: new labels need no new states.

        Raises:
            ConfigError: Snippets have no prompt, where it is asked for.
        """
        snippets, left_out = self._snippets()
        exclusions.merge(left_out)
        self._check_prompts(snippets)
        programs = [s.program() if self.prompt != "without" else _without_prompt(s.program()) for s in snippets]
        groups = [self._group(program) for program in programs]
        return Wanted(
            key={"corpus_sha256": corpus_sha256(programs), **self.settings()},
            groups=lambda: iter(groups),
            expand=lambda group: group,
            n_groups=len(groups),
            n_lines=sum(len(non_blank_lines(program.code)) for group in groups for program in group.programs),
        )

    def _group(self, program: Program) -> ProgramGroup:
        """The program, and the same without its prompt where the difference is asked for."""
        if self.prompt != "difference" or not program.prompt:
            return ProgramGroup(program)
        alone = dataclasses.replace(_without_prompt(program), id=program.id + WITHOUT_PROMPT)
        return ProgramGroup(program, (Mutant(alone, (), ()),))

    def _check_prompts(self, snippets: Sequence[LabelledSnippet]) -> None:
        """Refuse snippets without a prompt where it is what is asked about, and say of how many it is not."""
        missing = [s.id for s in snippets if not s.prompt]
        shown = f"{len(missing)} of {len(snippets)} snippets have no prompt ({', '.join(missing[:3])})"
        if self.lookback and missing:
            raise ConfigError(
                f"lookback looks back at the prompt, but {shown}. Set lookback: false, or leave them out."
            )
        if self.prompt == "difference" and missing:
            if len(missing) == len(snippets):
                raise ConfigError(f"prompt: difference, but {shown}. Set prompt: with.")
            rank_zero_info(f"{shown}: their prompt_difference is 0")

    def _snippets(self) -> tuple[list[LabelledSnippet], Exclusions]:
        if self._read is None:
            exclusions = Exclusions()
            self._read = self.snippets.snippets(exclusions), exclusions
        return self._read

    def assigned(self) -> list[tuple[LabelledSnippet, Split | None]]:
        """Every snippet with the split that it falls into; None where that split does not keep it. Needs no states.

        Raises:
            ConfigError: As :meth:`splits`. ``only`` names what no snippet has.
        """
        snippets, _ = self._snippets()
        self._check_only(snippets)
        split = self.splits(snippets)
        return [(s, name if self.keeps(name, s) else None) for s, name in zip(snippets, split, strict=True)]

    def code(self) -> dict[str, str]:
        """The code of every snippet, by its id."""
        return {snippet.id: snippet.code for snippet in self._snippets()[0]}

    def setup(self, stage: str) -> None:
        """Split by problem, whatever states there are, and join labels and states.

        Raises:
            CacheError: The cache is missing, incomplete or damaged, or comes from another LLM.
            ConfigError: ``only`` names what no snippet has. A split without a snippet that can be ranked; with
                ``verdicts``, without a correct or a wrong one. Then the training split needs none that can be ranked.
                Or fewer to train on than ``train_snippets``.
        """
        cache = self.open_cache()
        self.cache = cache
        self.exclusions = Exclusions()
        self.split: dict[Split, list[SnippetStates]] = {"train": [], "val": [], "test": []}
        n_joined = 0
        for snippet, name in self.assigned():
            if snippet.id not in cache:
                self.exclusions.add(NO_STATES, snippet.id)
                continue
            lines = self._lines(cache, snippet)
            if lines is None:
                self.exclusions.add(NO_DIFFERENCE, snippet.id)
                continue
            labels = snippet.relevance_of(lines.line_numbers)
            self.exclusions.add(UNSCORED_WRONG_LINES, snippet.id, len(snippet.wrong_lines) - int((labels > 0).sum()))
            item = SnippetStates(snippet, lines, labels)
            if not item.rankable:
                self.exclusions.add(NOT_RANKABLE, snippet.id)
            n_joined += 1
            if name is None:
                self.exclusions.add(LEFT_OUT_OF_SPLIT, snippet.id)
            else:
                self.split[name].append(item)
        if self.train_snippets is not None:
            train = self.split["train"]
            problems, rankable = [s.snippet.problem_id for s in train], [s.rankable for s in train]
            kept = first_by_group(problems, rankable, self.train_snippets, self.split_seed)
            self.split["train"] = [s for s, keep in zip(train, kept, strict=True) if keep]
        for name, part in self.split.items():
            if self.verdicts and len({s.snippet.correct for s in part}) < 2:
                raise ConfigError(
                    f"verdicts: true needs correct and wrong snippets in each split, and the {len(part)} of the {name} "
                    "split are all of one kind. Set include_correct: true on the source of the snippets, give it "
                    "correct ones, or change the fractions."
                )
            if not self.rankable(name) and not (self.verdicts and name == "train"):
                raise ConfigError(
                    f"The {name} split has no snippet with a wrong line among at least two scored lines "
                    f"({len(part)} snippets of {n_joined}). Add labelled snippets or change the fractions."
                )
        if stage == "fit":
            for line in self.exclusions.describe():
                rank_zero_info(f"  {line}")

    def _lines(self, cache: StateCache, snippet: LabelledSnippet) -> LineStates | None:
        """A snippet's line states, with the difference that its prompt makes where that is asked for; None without."""
        lines = cache.program(snippet.id)
        if self.prompt != "difference":
            return lines
        difference = torch.zeros_like(lines.states)
        if snippet.prompt:
            name = snippet.id + WITHOUT_PROMPT
            if name not in cache:
                return None
            alone = cache.program(name)  # there is room for more lines without the prompt
            same = np.isin(alone.line_numbers, lines.line_numbers)
            if same.sum() < len(lines.line_numbers):
                return None
            difference = lines.states - alone.states[same]
        return dataclasses.replace(lines, prompt_difference=difference.double().numpy())

    def splits(self, snippets: Sequence[LabelledSnippet], fingerprints: Sequence[str] | None = None) -> list[Split]:
        """The split of each snippet: what shares a problem, or is a copy but for layout, comments and names, is in one.

        Args:
            snippets: The snippets.
            fingerprints: Their :func:`~pttrust_lightning.source.languages.fingerprint`, where known.

        Raises:
            ConfigError: Too few problems, or fractions that leave nothing to train on.
        """
        if fingerprints is None:
            fingerprints = [fingerprint(s.code, s.language) for s in snippets]
        copies = [(s.prompt, s.code) for s in snippets]
        problems = merge_groups([s.problem_id for s in snippets], copies, fingerprints)
        if self.folds is None:
            return split_by_group(problems, self.val_fraction, self.test_fraction, self.split_seed)
        return split_by_fold(problems, self.folds, self.fold, self.val_fraction, self.split_seed)

    def keeps(self, split: Split, snippet: LabelledSnippet) -> bool:
        """Whether a split keeps a snippet that falls into it."""
        return all(getattr(snippet, name) in values for name, values in self.only.get(split, {}).items())

    def _check_only(self, snippets: Sequence[LabelledSnippet]) -> None:
        """Refuse values that no snippet has: they would be misspelt."""
        for split, fields in self.only.items():
            for name, values in fields.items():
                known = sorted({getattr(snippet, name) for snippet in snippets})
                if unknown := sorted(set(values) - set(known)):
                    raise ConfigError(
                        f"only: the {split} split is to keep {name} {', '.join(map(repr, unknown))}, which no snippet "
                        f"has. There is {', '.join(map(repr, known))}."
                    )

    def rankable(self, split: Split) -> list[SnippetStates]:
        """The snippets of a split that can be ranked, in order."""
        return [s for s in self.split[split] if s.rankable]

    def given(self, split: Split) -> list[SnippetStates]:
        """The snippets that a split's loader gives: those that can be ranked, or all of them with ``verdicts``."""
        return self.split[split] if self.verdicts else self.rankable(split)

    def train_dataloader(self) -> DataLoader[SnippetStates]:
        """Shuffled snippets that can be ranked, for the others do not train the ranker; all with ``verdicts``."""
        return self._loader(self.given("train"), shuffle=True)

    def val_dataloader(self) -> DataLoader[SnippetStates]:
        """The validation snippets that can be ranked; all with ``verdicts``."""
        return self._loader(self.given("val"), shuffle=False)

    def test_dataloader(self) -> DataLoader[SnippetStates]:
        """The test snippets that can be ranked; all with ``verdicts``."""
        return self._loader(self.given("test"), shuffle=False)

    def predict_dataloader(self) -> DataLoader[SnippetStates]:
        """Every test snippet, the correct ones included."""
        return self._loader(self.split["test"], shuffle=False)

    def _loader(self, items: list[SnippetStates], shuffle: bool) -> DataLoader[SnippetStates]:
        described = [DescribedSnippet(item, line_features(item)) for item in items]  # once, not in every epoch
        return DataLoader(
            described,  # type: ignore[arg-type]
            batch_size=self.batch_size or (len(items) if shuffle else SCORED_AT_ONCE),  # what is trained on is shuffled
            shuffle=shuffle,
            collate_fn=pad_snippets,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )


def line_features(item: SnippetStates) -> dict[str, FloatArray]:
    """What is known of a snippet's scored lines beside their states, by name, ``(T, F)`` each.

    ``surface``: ``SURFACE_FEATURES``. Where they were read: ``uncertainty``, ``UNCERTAINTY_FEATURES``; ``lookback``, a
    column a head; ``prompt_difference``, as wide as a state.
    """
    features = {"surface": surface_features(item.snippet.code, item.lines.line_numbers.tolist())}
    for name in ("uncertainty", "lookback", "prompt_difference"):
        if (part := getattr(item.lines, name)) is not None:
            features[name] = part
    return features


def _without_prompt(program: Program) -> Program:
    return dataclasses.replace(program, prompt="")


def eligible_lines(snippets: Iterable[LabelledSnippet]) -> dict[str, BoolArray]:
    """Which lines of each snippet's code could be wrong at all, by the snippet's id; as long as the code has lines."""
    return {s.id: np.array(could_be_wrong(s.code, s.language)) for s in snippets}


class DescribedSnippet(NamedTuple):
    """A snippet with its ``line_features``."""

    item: SnippetStates
    features: dict[str, FloatArray]


def pad_snippets(snippets: Sequence[DescribedSnippet]) -> SnippetBatch:
    """Stack snippets, padded on the right to the longest."""
    items = [s.item for s in snippets]
    length = max(len(s.labels) for s in items)
    batch, d = len(items), items[0].lines.states.shape[1]
    states = torch.zeros(batch, length, d)
    labels = torch.zeros(batch, length)
    mask = torch.zeros(batch, length, dtype=torch.bool)
    numbers = torch.full((batch, length), -1, dtype=torch.long)
    features = {name: torch.zeros(batch, length, part.shape[1]) for name, part in snippets[0].features.items()}
    for row, item in enumerate(items):
        n = len(item.labels)
        for name, part in features.items():
            part[row, :n] = torch.from_numpy(snippets[row].features[name])
        states[row, :n] = item.lines.states
        labels[row, :n] = torch.from_numpy(item.labels)
        mask[row, :n] = True
        numbers[row, :n] = torch.from_numpy(item.lines.line_numbers)
    correct = torch.tensor([s.snippet.correct for s in items])
    return SnippetBatch(states, labels, mask, numbers, [s.snippet.id for s in items], correct, features)
