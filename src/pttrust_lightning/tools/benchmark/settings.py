"""What a benchmark is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from pttrust_lightning.baselines import BASELINES
from pttrust_lightning.errors import ConfigError, did_you_mean
from pttrust_lightning.types import LineRule

GeneralisedField = Literal["language", "task", "data_set"]
"""What a generalisation matrix may be over."""

Layer = int | tuple[int, ...]
"""A block of the LLM, or several whose states are put together."""


class Variant(TypedDict, total=False):
    """A way to run the method.

    Attributes:
        finetune: Configuration files of stage 2 beyond the benchmark's, such as another model; they come after these.
        first: Configuration files of labelled data that stage 2 learns from first, in place of the data sets', such as
            mutants with known wrong lines; on each set it goes on from there (``start_from``).
        first_args: Options of the data that it learns from first; those of ``finetune_args`` are the data sets' own.
        pretrain_args: Options of stage 1 beyond the benchmark's; variants with the same ones share it.
        finetune_args: Options of stage 2 beyond the benchmark's. With ``--model.init_args.encoder=...`` among them (a
            folder, or null) the variant has no stage 1.
        choose: In place of the benchmark's.
        choose_pretrain: In place of the benchmark's.
    """

    finetune: list[str]
    first: list[str]
    first_args: list[str]
    pretrain_args: list[str]
    finetune_args: list[str]
    choose: dict[str, list[Any]]
    choose_pretrain: dict[str, list[Any]]


def the_method_and_without_contrast() -> dict[str, Variant]:
    """The method, and the same with lambda = 0 in stage 1: what the contrast is worth."""
    return {"pttrust": Variant(), "sae_no_contrast": Variant(pretrain_args=["--model.init_args.contrastive=none"])}


@dataclass(frozen=True)  # no slots: jsonargparse reads defaults with vars()
class Benchmark:
    """One benchmark: variants of the method and every baseline on the same splits of one or several data sets.

    Attributes:
        name: Its name in tables.
        finetune: Configuration files of stage 2, as for ``pttrust fit``; relative to the benchmark's file.
        output_dir: Folder of all its runs and of ``results.json``.
        pretrain: Configuration files of stage 1, which is trained once for all data sets.
        data_sets: Further configuration files of stage 2 by data set, in whose table their methods are; empty where
            ``finetune`` names the only data.
        seeds: Of training: each variant, and each baseline whose fit is random, is trained once with each, and tables
            hold the mean. The first is the bootstrap's too. Splits, mutations and samples have seeds of their own, in
            the data configurations, so that other training seeds meet the same data.
        folds: Cross-validate stage 2 in so many folds by problem; null for one split.
        variants: The ways to run the method, by name; the first is the one that all others are compared with.
        baselines: Which baselines to fit; null for all whose needs every labelled set meets.
        choose: Settings of stage 2 to choose from in every fold, by option (``model.init_args.lr: [1e-4, 3e-4]``), on
            the fold's validation split: every combination is fitted, the best is tested. Of variants; baselines choose
            their own.
        choose_pretrain: The same of stage 1.
        choose_by: The validation metric that they are compared in, of each fit's best checkpoint: ``val/loss``, the
            least; ``val/mrr``, the most; ...
        train_snippets: Sizes of a learning curve: train every method also on so many of each fold's snippets that can
            be ranked; each size holds the smaller ones.
        generalise: Train every method also on the snippets of one ``language`` (``task``, or ``data_set`` of
            ``MixedLabelled``) alone, each in turn, and test it on all of them: rows trained on, columns tested on. No
            problem straddles a split, across languages either.
        layers: Read states of each of these layers of the LLM, in one pass, and run every method that reads states with
            each; empty for the data configuration's. ``[1, 4]`` among them: the states of several, put together.
        line_rules: The same of line rules, in a pass each.
        bootstrap_samples: Resamples of test snippets and training runs behind the intervals.
        pretrain_args: Further options of stage 1, such as ``--trainer.max_epochs=2``.
        finetune_args: Further options of stage 2.
        jobs: Runs at a time, each in a process of its own; null for as many as there are CPUs. Results are the same.
            On a GPU they share it.

    Raises:
        ConfigError: A setting that no run could use.
    """

    name: str
    finetune: list[str]
    output_dir: str
    pretrain: list[str] = field(default_factory=list)
    data_sets: dict[str, list[str]] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])
    folds: int | None = None
    variants: dict[str, Variant] = field(default_factory=the_method_and_without_contrast)
    baselines: list[str] | None = None
    choose: dict[str, list[Any]] = field(default_factory=dict)
    choose_pretrain: dict[str, list[Any]] = field(default_factory=dict)
    choose_by: str = "val/loss"
    train_snippets: list[int] = field(default_factory=list)
    generalise: GeneralisedField | None = None
    layers: list[int | list[int]] = field(default_factory=list)
    line_rules: list[LineRule] = field(default_factory=list)
    bootstrap_samples: int = 1000
    pretrain_args: list[str] = field(default_factory=list)
    finetune_args: list[str] = field(default_factory=list)
    jobs: int | None = None

    def __post_init__(self) -> None:
        """Check before hours are spent."""
        if unknown := set(self.baselines or ()) - BASELINES.keys():
            near = did_you_mean(min(unknown), BASELINES)
            raise ConfigError(f"Unknown baselines {sorted(unknown)}.{near} Choose from {', '.join(BASELINES)}.")
        if self.bootstrap_samples < 1:
            raise ConfigError(f"bootstrap_samples is {self.bootstrap_samples}. Set it to at least 1.")
        if self.folds is not None and self.folds < 2:
            raise ConfigError(f"folds is {self.folds}. Set it to at least 2, or leave it out for one split.")
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs is {self.jobs}. Set it to at least 1, or leave it out for one a CPU.")
        if not self.seeds:
            raise ConfigError("seeds is empty. Name at least one.")
        for name in ("seeds", "baselines", "train_snippets", "layers", "line_rules"):
            values = getattr(self, name) or []
            if len(set(map(str, values))) < len(values):
                raise ConfigError(f"{name} is {values}. Name each once.")
        for several in self.layers:
            if isinstance(several, list) and (len(several) < 2 or several != sorted(set(several))):
                raise ConfigError(f"layers has {several}. Name two or more to put together, in ascending order.")
        if self.generalise and (self.layers or self.line_rules):
            raise ConfigError("generalise: a matrix is of one layer and line rule. Leave layers and line_rules out.")
        if not self.variants or set(self.variants) & BASELINES.keys():
            raise ConfigError(
                f"variants are {', '.join(self.variants) or 'none'}. Name at least one, and none like a baseline "
                f"({', '.join(BASELINES)})."
            )
        for name in (*self.variants, *self.data_sets):
            if not re.fullmatch(r"\w[\w.+]*", name):
                raise ConfigError(
                    f"{name!r} cannot be a name of a variant or data set: folders are named after it. Use letters, "
                    "digits, _, . and +."
                )
        _check_choices(self.choose | self.choose_pretrain)
        for variant in self.variants.values():
            _check_choices(variant.get("choose", {}) | variant.get("choose_pretrain", {}))

    @property
    def layers_of_states(self) -> list[Layer]:
        """The layers, those that are put together as tuples."""
        return [layer if isinstance(layer, int) else tuple(layer) for layer in self.layers]


def _check_choices(choices: dict[str, list[Any]]) -> None:
    for name, values in choices.items():
        if not name.startswith(("model.", "trainer.")) or not values:
            raise ConfigError(
                f"choose: {name} cannot be chosen from {values}. Name options of model or trainer, such as "
                "model.init_args.lr, with at least one value each; another split or other states are no choice."
            )
