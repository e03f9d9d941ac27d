"""What a benchmark's runs read: states are read before anything is trained, and what they are of is kept as a hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import yaml
from lightning.pytorch.utilities import rank_zero_info

from pttrust_lightning.baselines import BASELINES
from pttrust_lightning.cache.manifest import read_manifest
from pttrust_lightning.datamodules.cached_states import CachedStates
from pttrust_lightning.datamodules.labelled import LabelledLines, eligible_lines
from pttrust_lightning.datamodules.unlabelled import UnlabelledStates
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.tools.benchmark.settings import GeneralisedField, Layer
from pttrust_lightning.tools.extract import build
from pttrust_lightning.types import BoolArray, IntArray, LabelledSnippet, LabelledSplits, LineRule, LineStates

D = TypeVar("D", bound=CachedStates)


def layer_name(layer: Layer) -> int | str:
    """A layer in a table: its number, or ``1+4``."""
    return layer if isinstance(layer, int) else "+".join(map(str, layer))


class Point(NamedTuple):
    """Where states are read, as far as the benchmark varies it.

    Attributes:
        layer: The LLM's block, or several put together; None leaves it to the data configuration.
        line_rule: The token that stands for a line; None likewise.
    """

    layer: Layer | None = None
    line_rule: LineRule | None = None

    @property
    def suffix(self) -> str:
        """Behind a method's name: ``_layer3_mean``, ``_layer1+4``."""
        layer = "" if self.layer is None else f"_layer{layer_name(self.layer)}"
        return layer + ("" if self.line_rule is None else f"_{self.line_rule}")


class TestLines(NamedTuple):
    """What is known of the test snippets' lines beside their scores, by the snippet's id.

    Attributes:
        eligible: Which lines could be wrong at all, as long as the code has lines.
        tokens: How many tokens each line has, as long; None in caches that do not have it. 0 for lines without a score.
        parts: Of what language (task, data set) the snippet is, where the benchmark generalises over these.
    """

    eligible: dict[str, BoolArray]
    tokens: dict[str, IntArray | None]
    parts: dict[str, str]


class StageData(NamedTuple):
    """The data of some runs.

    Attributes:
        configs: The stage's configuration files.
        options: Of ``pttrust fit``: where the states are read.
        fingerprint: Changes with the states and the labels.
        counts: What it holds, for the report.
        folds: Changes with the code, its wrong lines and which fold each snippet falls into; not with the states.
        test: What is known of the test snippets' lines, of all folds; nothing of stage 1's data.
    """

    configs: tuple[Path, ...]
    options: tuple[str, ...]
    fingerprint: str
    counts: dict[str, Any]
    folds: str
    test: TestLines


class BenchmarkData:
    """The data of both stages, each combination of options read once.

    Args:
        pretrain: Configuration files of stage 1.
        sets: Configuration files of stage 2, by data set.
        folds: Folds of a cross-validation; None for one split.
        train_snippets: Sizes of the learning curve; every fold must have so many.
        layers: All layers that are read in one pass; empty for the configuration's own.
        generalise: What the parts of a set are told apart by, that are to be trained on alone; None for no parts.
    """

    def __init__(
        self,
        pretrain: Sequence[Path],
        sets: Mapping[str, Sequence[Path]],
        folds: int | None,
        train_snippets: Sequence[int],
        layers: Sequence[Layer],
        generalise: GeneralisedField | None = None,
    ) -> None:
        self._generalise = generalise
        self._pretrain, self.sets = tuple(pretrain), {name: tuple(files) for name, files in sets.items()}
        self._folds, self._sizes = folds, list(train_snippets)
        self._layers = sorted({block for layer in layers for block in ((layer,) if isinstance(layer, int) else layer)})
        self._read: dict[tuple[str, ...], StageData] = {}
        self._of_folds: dict[str, str] = {}
        self._counts: dict[str, dict[str, Any]] = {}
        self._test: dict[str, TestLines] = {}

    def baselines(self, asked: Sequence[str] | None, args: Sequence[str]) -> list[str]:
        """The baselines to fit; where none are asked for, all whose needs every set meets, and those left out are said.

        Args:
            asked: Their names; None for all that can be fitted.
            args: Options of stage 2 that they are fitted with.

        Raises:
            ConfigError: The data is not of stage 2, or does not meet the needs of a baseline that is asked for.
        """
        own = [a for a in args if a.startswith("--data")]
        sets = {name: _built([*_data_of(files), *own], LabelledLines) for name, files in self.sets.items()}
        return choose_baselines(asked, sets)

    def unlabelled(self, args: Sequence[str], point: Point) -> StageData:
        """Stage 1's data.

        Args:
            args: Options of the stage; those of its data count.
            point: Where states are read.

        Raises:
            ConfigError: The data is not of stage 1, or a file cannot be read.
            PtTrustError: The data cannot be read.
        """
        return self._data("stage 1", self._pretrain, args, point)

    def labelled(self, data_set: str, further: Sequence[Path], args: Sequence[str], point: Point) -> StageData:
        """Stage 2's data of a set.

        Args:
            data_set: Its name.
            further: Configuration files of the stage after the set's.
            args: Options of the stage; those of its data count.
            point: Where states are read.

        Raises:
            ConfigError: The data is not of stage 2, holds too little for the folds or the learning curve, or has other
                snippets, labels or folds than another method's.
            PtTrustError: The data cannot be read.
        """
        read = self._data(data_set, (*self.sets[data_set], *further), args, point)
        if self._of_folds.setdefault(data_set, read.folds) != read.folds:
            raise ConfigError(
                f"The data of {data_set} has other snippets, labels or folds in one variant than in another, so that "
                "methods cannot be compared. Give every variant the same snippets and split_seed."
            )
        self._counts.setdefault(data_set, read.counts)
        self._test.setdefault(data_set, read.test)
        return read

    def learned_first(self, configs: Sequence[Path], args: Sequence[str], point: Point) -> StageData:
        """What stage 2 of a variant learns from before a set: it is not tested on, nor a part of a table.

        Args:
            configs: Configuration files of the stage.
            args: Options of the stage; those of its data count.
            point: Where states are read.

        Raises:
            ConfigError: The data is not of stage 2.
            PtTrustError: The data cannot be read.
        """
        return self._data("what is learned first", tuple(configs), args, point)

    def counts(self, data_set: str) -> dict[str, Any]:
        """What a set holds that was read, for the report; ``train_snippets``: those that can be ranked, by fold.

        Hashes of the labels and of the states' origin, and the LLM, are those of the point that was read first.
        """
        return self._counts[data_set]

    def test_lines(self, data_set: str) -> TestLines:
        """Of a set that was read. Tokens are those of the first method's LLM, so that all methods have the same."""
        return self._test[data_set]

    def parts(self, data_set: str) -> list[str]:
        """The parts of a set that was read which are to be trained on alone, sorted; none where nothing is."""
        return sorted(set(self._test[data_set].parts.values()))

    def _data(self, name: str, configs: tuple[Path, ...], args: Sequence[str], point: Point) -> StageData:
        own = [a for a in args if a.startswith("--data")]
        asked = (name, *map(str, configs), *own, point.suffix)
        if asked not in self._read:
            rank_zero_info(f"\n== data of {name}{point.suffix.replace('_', ' ')} ==")
            given = [*_data_of(configs), *own]
            kind: type[CachedStates] = UnlabelledStates if name == "stage 1" else LabelledLines
            options = self._states_options(given, kind, point)
            data = _built([*given, *options], kind)
            data.prepare_data()
            states, labels, counts, folds, test = states_hash(data), "", {}, "", TestLines({}, {}, {})
            if isinstance(data, LabelledLines):
                if name in self.sets:
                    counts, folds = self._labelled_counts(name, data, test), folds_hash(data)
                else:
                    data.setup("validate")
                labels = labels_hash(data)
                counts |= {"labels_sha256": labels, "states_sha256": states, "llm": data.state_provenance}
            self._read[asked] = StageData(configs, tuple(options), states + labels, counts, folds, test)
        return self._read[asked]

    def _states_options(self, given: Sequence[str], kind: type[CachedStates], point: Point) -> list[str]:
        """The options that read states at a point: all layers in one pass, into a cache of their own."""
        if point.layer is None and point.line_rule is None:
            return []
        place = str(_built(given, kind).cache_dir)
        options = []
        if point.layer is not None:
            place += "_layers"
            options += [f"--data.init_args.states.layer={json.dumps(point.layer)}"]
            options += [f"--data.init_args.states.layers={json.dumps(self._layers)}"]
        if point.line_rule is not None:
            place += f"_{point.line_rule}"
            options += [f"--data.init_args.states.line_rule={point.line_rule}"]
        return [*options, f"--data.init_args.cache_dir={place}"]

    def _labelled_counts(self, name: str, data: LabelledLines, test: TestLines) -> dict[str, Any]:
        """Counts of all folds; what is known of their test snippets' lines is added to ``test``."""
        data.folds = self._folds
        trained_on = []
        if self._generalise and data.only:
            raise ConfigError(f"{name}: generalise decides what is trained on. Leave only out of the data config.")
        for fold in reversed(range(self._folds or 1)):
            data.fold = fold
            data.setup("validate")
            if self._generalise:
                test.parts.update({s.snippet.id: getattr(s.snippet, self._generalise) for s in data.split["test"]})
                self._check_parts(name, data, fold)
            trained_on.append(len(data.rankable("train")))
            test.eligible.update(eligible_lines(s.snippet for s in data.split["test"]))
            for item in data.split["test"]:
                test.tokens[item.snippet.id] = _tokens(item.lines, len(test.eligible[item.snippet.id]))
        for size in self._sizes:
            if size > min(trained_on):
                raise ConfigError(
                    f"train_snippets has {size}, but a fold of {name} trains on {min(trained_on)} snippets that can be "
                    "ranked. Leave it out: what all of them give is in the table anyway."
                )
        return labelled_counts(data, self._folds) | {"train_snippets": trained_on[::-1]}

    def _check_parts(self, name: str, data: LabelledLines, fold: int) -> None:
        """Refuse a part that cannot be trained on alone, or that is none."""
        own = {s.snippet.id: getattr(s.snippet, str(self._generalise)) for part in data.split.values() for s in part}
        for value in sorted(set(own.values())):
            if not re.fullmatch(r"\w[\w.+-]*", value):
                raise ConfigError(f"{name}: {self._generalise} {value!r} cannot name a part. Use letters and digits.")
            for split in ("train", "val"):
                if not any(own[s.snippet.id] == value for s in data.rankable(split)):
                    raise ConfigError(
                        f"{name}: the {split} split of fold {fold} has no snippet of {self._generalise} {value} that "
                        "can be ranked, so that it cannot be trained on alone. Use fewer folds, or leave it out."
                    )
        if len(set(own.values())) < 2:
            raise ConfigError(f"{name}: all snippets are of one {self._generalise}. Name another, or mix sets.")


def choose_baselines(asked: Sequence[str] | None, sets: Mapping[str, LabelledSplits]) -> list[str]:
    """The baselines to fit; where none are asked for, all whose needs every set meets, and those left out are said.

    Args:
        asked: Their names; None for all that can be fitted.
        sets: The labelled data, by name; it need not be set up.

    Raises:
        ConfigError: A set does not meet the needs of a baseline that is asked for.
    """
    chosen = []
    for name in BASELINES if asked is None else asked:
        lacking = [
            f"{option}: true in the data config of {s}" for s, d in sets.items() for option in BASELINES[name].lacks(d)
        ]
        if not lacking:
            chosen.append(name)
        elif asked is None:
            rank_zero_info(f"Left out the baseline '{name}': there is no {lacking[0]}")
        else:
            raise ConfigError(
                f"The baseline '{name}' needs {lacking[0]}. Set it there, or leave the baseline out of baselines."
            )
    return chosen


def _built(args: Sequence[str], kind: type[D]) -> D:
    _, data = build(args)
    if not isinstance(data, kind):
        stage = "Stage 1" if kind is UnlabelledStates else "Stage 2"
        raise ConfigError(
            f"{stage} needs {kind.__name__} as its data, not {type(data).__name__}. Change its data config."
        )
    return data


def _data_of(configs: Sequence[Path]) -> list[str]:
    """The data that a stage's configuration files name, as options; a later file changes what an earlier one says."""
    contents = [_read_config(config) for config in configs]
    return [f"--data={json.dumps(c['data'])}" for c in contents if isinstance(c, dict) and "data" in c]


def names_data(config: Path) -> bool:
    """Whether a stage's configuration file says anything of its data."""
    content = _read_config(config)
    return isinstance(content, dict) and "data" in content


def _read_config(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"The configuration {os.path.normpath(file)} cannot be read ({type(error).__name__}). Files named in a "
            "benchmark are relative to the benchmark's own."
        ) from error


def states_hash(data: CachedStates) -> str:
    """Of the states: what they were read from, and where; not which other layers lie beside them."""
    manifest = read_manifest(data.cache_dir)
    key = {} if manifest is None else {k: v for k, v in manifest.key.items() if k != "layers"}
    return _hash([key, data.state_provenance])


def labels_hash(data: LabelledLines) -> str:
    """Of every snippet with its labels; the data must be set up."""
    snippets = [s.snippet for part in data.split.values() for s in part]
    return _hash([_known(s) for s in sorted(snippets, key=lambda s: s.id)])


def folds_hash(data: LabelledLines) -> str:
    """Of every snippet, with its wrong lines and the split that it falls into; whatever the states are."""
    return _hash(sorted([s.id, s.code, s.wrong_lines, s.relevance, split] for s, split in data.assigned()))


def _known(snippet: LabelledSnippet) -> dict[str, Any]:
    """All that is known of a snippet; relevance where it was given, so that labels without have the hash they had."""
    fields = dataclasses.asdict(snippet)
    return fields if snippet.relevance else {k: v for k, v in fields.items() if k != "relevance"}


def _tokens(lines: LineStates, n_lines: int) -> IntArray | None:
    """Tokens of each of the code's lines, ``(n_lines,)``; None where the cache does not have them."""
    if lines.line_tokens is None:
        return None
    tokens = np.zeros(n_lines, dtype=np.int64)
    tokens[lines.line_numbers] = lines.line_tokens
    return tokens


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def unlabelled_counts(datamodule: UnlabelledStates) -> dict[str, Any]:
    """What stage 1 was trained on."""
    cache = datamodule.cache
    return {
        "corpus": datamodule.corpus.describe(),
        "programs": len(cache),
        "train_programs": len(datamodule.train),
        "val_programs": len(datamodule.val),
        "line_states": cache.n_rows,
        "pairs": cache.n_pairs,
        "left_out": dict(sorted(datamodule.left_out_of_cache().counts.items())),
        "states_sha256": states_hash(datamodule),
        "llm": json.loads(json.dumps(datamodule.state_provenance)),
    }


def labelled_counts(datamodule: LabelledLines, folds: int | None) -> dict[str, Any]:
    """What stage 2 was trained and tested on."""
    parts = datamodule.split
    every = [s for part in parts.values() for s in part]
    sources = sorted({s.snippet.label_source for s in every})
    return {
        "snippets": len(every),
        "problems": len({s.snippet.problem_id for s in every}),
        "folds": folds,
        **{f"{name}_snippets": len(part) for name, part in parts.items() if not folds},
        "lines": sum(len(s.labels) for s in every),
        "wrong_lines": int(sum((s.labels > 0).sum() for s in every)),
        "by_label_source": {src: sum(s.snippet.label_source == src for s in every) for src in sources},
        "left_out": dict(sorted((datamodule.left_out_of_cache().counts + datamodule.exclusions.counts).items())),
    }
