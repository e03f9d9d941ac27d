"""Splits by group: what shares a group (a problem, a file) never straddles a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from pttrust_lightning.errors import ConfigError

Split = Literal["train", "val", "test"]


def shuffled_groups(groups: Sequence[str], seed: int) -> list[str]:
    """The distinct groups in an order that depends on the seed alone, not on the order of the records."""
    distinct = np.array(sorted(set(groups)), dtype=object)
    np.random.default_rng(seed).shuffle(distinct)
    return [str(g) for g in distinct]


def merge_groups(groups: Sequence[str], *contents: Sequence[Hashable]) -> list[str]:
    """Groups joined wherever two of them hold the same content, so that a copy never straddles a split either.

    Args:
        groups: The group of each record.
        contents: What each record holds, by one measure or by several.

    Returns:
        The first name of each record's joined group.
    """
    leader = {g: g for g in groups}

    def find(group: str) -> str:
        while leader[group] != group:
            group = leader[group]
        return group

    for content in contents:
        holder: dict[Hashable, str] = {}
        for group, held in zip(groups, content, strict=True):
            a, b = sorted((find(group), find(holder.setdefault(held, group))))
            leader[b] = a
    return [find(g) for g in groups]


def split_by_group(groups: Sequence[str], val_fraction: float, test_fraction: float, seed: int) -> list[Split]:
    """The split of each record, whole groups together.

    Groups are taken in shuffled order, first for test, then for validation, until each holds its share of the records.

    Args:
        groups: The group of each record.
        val_fraction: Share of the records held out for validation.
        test_fraction: Share of the records held out for test.
        seed: Decides the shuffle.

    Raises:
        ConfigError: The shares leave nothing to train on, or there are too few groups.
    """
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise ConfigError(
            f"val_fraction {val_fraction} and test_fraction {test_fraction} must leave a share to train on."
        )
    order = shuffled_groups(groups, seed)
    test, rest = _take(order, Counter(groups), test_fraction * len(groups))
    val, _ = _take(rest, Counter(groups), val_fraction * len(groups))
    return _named(groups, test, val)


def split_by_fold(groups: Sequence[str], folds: int, fold: int, val_fraction: float, seed: int) -> list[Split]:
    """The split of each record in fold ``fold`` of a cross-validation over groups.

    Args:
        groups: The group of each record.
        folds: Number of folds; every group is tested in exactly one.
        fold: Which one is tested, 0-based.
        val_fraction: Share of all records held out for validation among those not tested.
        seed: Decides the shuffle.

    Raises:
        ConfigError: There is no such fold, or there are fewer groups than folds need.
    """
    if not folds >= 2 or not 0 <= fold < folds:
        raise ConfigError(
            f"fold {fold} of {folds} does not exist. Use 2 folds or more, and a fold from 0 to folds - 1."
        )
    order = shuffled_groups(groups, seed)
    if len(order) <= folds:
        raise ConfigError(f"{len(order)} groups are too few for {folds} folds and a validation split. Use fewer folds.")
    test = set(order[fold::folds])
    rest = [g for g in order if g not in test]
    val, _ = _take(rest, Counter(groups), val_fraction * len(groups))
    return _named(groups, test, val)


def first_by_group(groups: Sequence[str], counted: Sequence[bool], n: int, seed: int) -> list[bool]:
    """Which records to keep so that ``n`` that count are among them: those of the first groups in shuffled order.

    Subsets are nested: a larger ``n`` keeps the same records and more. Only the last group may be kept in part.

    Args:
        groups: The group of each record.
        counted: Whether each record counts; others are kept with their group.
        n: Number of records that count.
        seed: Decides the shuffle.

    Raises:
        ConfigError: ``n`` is not positive, or there are fewer records.
    """
    if not 1 <= n <= sum(counted):
        raise ConfigError(
            f"train_snippets is {n}, but the training split has {sum(counted)} snippets that can be ranked. Set it to "
            "1 or more, and no more than there are."
        )
    place = {group: i for i, group in enumerate(shuffled_groups(groups, seed))}
    kept, left = [False] * len(groups), n
    for i in sorted(range(len(groups)), key=lambda i: place[groups[i]]):
        if not left:
            break
        kept[i] = True
        left -= counted[i]
    return kept


def _take(order: Sequence[str], sizes: Counter[str], wanted: float) -> tuple[set[str], list[str]]:
    """Groups from the front until they hold ``wanted`` records, and the rest."""
    taken: set[str] = set()
    held = 0
    for group in order:
        if held >= wanted:
            break
        taken.add(group)
        held += sizes[group]
    return taken, [g for g in order if g not in taken]


def _named(groups: Sequence[str], test: set[str], val: set[str]) -> list[Split]:
    names: list[Split] = ["test" if g in test else "val" if g in val else "train" for g in groups]
    if "train" not in names:
        raise ConfigError(
            f"{len(set(groups))} groups are too few to split: none is left to train on. What shares a problem, a file "
            "or its code is one group. Add data of other problems, or lower val_fraction and test_fraction."
        )
    return names
