from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from tiny_llms import N_LAYERS, WIDTH

from pttrust_lightning.cache.manifest import read_manifest
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.datamodules import LabelledLines
from pttrust_lightning.datamodules.labelled import (
    LEFT_OUT_OF_SPLIT,
    NO_STATES,
    NOT_RANKABLE,
    UNSCORED_WRONG_LINES,
    DescribedSnippet,
    eligible_lines,
    line_features,
    pad_snippets,
)
from pttrust_lightning.errors import CacheMismatchError, ConfigError
from pttrust_lightning.source.labelled.lines_jsonl import JsonlLabelled, write_jsonl
from pttrust_lightning.source.surface import SURFACE_FEATURES, surface_features
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.types import Exclusions, LabelledSnippet, LineStates, ProgramGroup, SnippetStates


def snippet(i, wrong=(1,), code=None, prompt="", problem=None):
    code = f"def f{i}(x):\n    y = x + {i}\n\n    return y\n" if code is None else code
    return LabelledSnippet(
        f"s{i}", problem or f"problem{i // 2}", "python", "generation", prompt, code, tuple(wrong), not wrong, "human"
    )


SNIPPETS = [
    *(snippet(i, wrong=[(1,), (3,), (0, 3), ()][i % 4], prompt="Add." if i % 3 else "") for i in range(24)),
    snippet(24, code="x = 1\n", wrong=(0,)),  # one line: nothing to rank
    snippet(25, code="a = 1\r\nb = 2\r\n\x0cc = '\u2028'", wrong=(2,)),
]


VERDICTS_SEED = 0
"""With it each split holds correct and wrong snippets."""


@pytest.fixture
def make(gpt2, tmp_path):
    def make(snippets=None, uncertainty=False, llm=None, context_length=None, layer=None, layers=(), **settings):
        write_jsonl(str(tmp_path / "labelled.jsonl"), SNIPPETS if snippets is None else snippets)
        states = LineStateConfig(llm=str(llm or gpt2), context_length=context_length, layer=layer, layers=layers)
        source = JsonlLabelled(str(tmp_path / "labelled.jsonl"))
        return LabelledLines(source, str(tmp_path / "cache"), states, uncertainty=uncertainty, **settings)

    return make


@pytest.fixture
def ready(make):
    def ready(*args, **settings):
        data = make(*args, **settings)
        data.prepare_data()
        data.setup("fit")
        return data

    return ready


def test_every_snippet_meets_its_own_states_and_labels(ready, gpt2):
    data = ready()
    joined = {s.snippet.id: s for part in data.split.values() for s in part}
    assert {s.snippet for s in joined.values()} == set(SNIPPETS)
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2)))
    for expected in extractor.extract([ProgramGroup(s.program()) for s in SNIPPETS], Exclusions()):
        found = joined[expected.program_id]
        torch.testing.assert_close(found.lines.states, expected.states[0], rtol=1e-5, atol=1e-5)
        assert found.lines.line_numbers.tolist() == expected.line_numbers.tolist()
        assert found.lines.line_numbers[found.labels == 1].tolist() == list(found.snippet.wrong_lines)
        assert set(found.labels) <= {0.0, 1.0}
        assert found.lines.uncertainty is None
    assert joined["s25"].lines.line_numbers.tolist() == [0, 1, 2]


def test_problems_never_straddle_the_split(ready):
    data = ready(val_fraction=0.2, test_fraction=0.3)
    problems = {name: {s.snippet.problem_id for s in part} for name, part in data.split.items()}
    assert all(problems.values())
    assert sum(map(len, problems.values())) == len(set.union(*problems.values())) == 13


def test_renamed_copies_of_a_snippet_never_straddle_the_split(make):
    body = "".join(f"    {{0}} = {{0}} * {i} + len({{1}})\n" for i in range(8))
    code = f"def {{2}}({{0}}, {{1}}):\n{body}    return {{0}}\n"
    copies = [
        snippet(i, code=code.format(*names), problem=f"problem{i}")
        for i, names in enumerate([("a", "b", "f"), ("total", "items", "g"), ("x", "y", "h")] * 4)
    ]
    other = [snippet(i, problem=f"problem{i}") for i in range(20, 60)]
    for seed in range(5):
        splits = make([*copies, *other], split_seed=seed).splits([*copies, *other])
        assert len(set(splits[: len(copies)])) == 1
        assert len(set(splits)) > 1


def test_only_keeps_what_is_asked_for_in_the_same_splits(ready):
    mixed = [dataclasses.replace(s, language=("python", "java")[i // 4 % 2]) for i, s in enumerate(SNIPPETS)]
    whole = ready(mixed, val_fraction=0.3, test_fraction=0.3)
    java = ready(mixed, val_fraction=0.3, test_fraction=0.3, only={"train": {"language": ["java"]}})
    ids = {d: {name: [s.snippet.id for s in part] for name, part in d.split.items()} for d in (whole, java)}
    assert ids[java]["val"] == ids[whole]["val"] and ids[java]["test"] == ids[whole]["test"]
    kept = [s.snippet.id for s in whole.split["train"] if s.snippet.language == "java"]
    assert ids[java]["train"] == kept and 0 < len(kept) < len(ids[whole]["train"])
    assert java.exclusions.counts[LEFT_OUT_OF_SPLIT] == len(ids[whole]["train"]) - len(kept)
    assert {len(batch.snippet_ids) for batch in java.train_dataloader()} <= {1, 2}


def test_only_refuses_what_no_snippet_has(make):
    data = make(only={"test": {"language": ["pyhton"]}})
    data.prepare_data()
    with pytest.raises(ConfigError, match=r"only: the test split is to keep language 'pyhton'.*There is 'python'"):
        data.setup("fit")


def test_each_snippet_is_tested_in_one_fold(ready):
    tested = []
    for fold in range(4):
        data = ready(folds=4, fold=fold)
        tested += [s.snippet.id for s in data.split["test"]]
        assert {p for part in data.split.values() for p in (s.snippet.id for s in part)} == {s.id for s in SNIPPETS}
    assert sorted(tested) == sorted(s.id for s in SNIPPETS)


def test_only_what_can_be_ranked_is_trained_and_tested_on(ready):
    data = ready()
    assert data.exclusions.counts == {NOT_RANKABLE: 7}  # six correct snippets and the one of one line
    loaders = {"train": data.train_dataloader(), "val": data.val_dataloader(), "test": data.test_dataloader()}
    for name, loader in loaders.items():
        ids = [i for batch in loader for i in batch.snippet_ids]
        assert sorted(ids) == sorted(s.snippet.id for s in data.split[name] if s.rankable)
        assert all(s.correct is False for s in SNIPPETS if s.id in ids)
    everything = [i for batch in data.predict_dataloader() for i in batch.snippet_ids]
    assert everything == [s.snippet.id for s in data.split["test"]]
    assert len(everything) > sum(s.rankable for s in data.split["test"])


def test_with_verdicts_all_snippets_are_trained_and_tested_on(ready):
    data = ready(verdicts=True, batch_size=5, split_seed=VERDICTS_SEED)
    loaders = {"train": data.train_dataloader(), "val": data.val_dataloader(), "test": data.test_dataloader()}
    verdict_of = {s.id: s.correct for s in SNIPPETS}
    for name, loader in loaders.items():
        found = {i: c for b in loader for i, c in zip(b.snippet_ids, b.correct.tolist(), strict=True)}
        assert found == {s.snippet.id: verdict_of[s.snippet.id] for s in data.split[name]}
        assert set(found.values()) == {True, False}
    plain = ready(split_seed=VERDICTS_SEED)
    assert plain.split.keys() == data.split.keys()
    for name in plain.split:
        assert [s.snippet.id for s in plain.split[name]] == [s.snippet.id for s in data.split[name]]


def test_verdicts_without_correct_snippets_are_refused(make):
    data = make([s for s in SNIPPETS if not s.correct], verdicts=True)
    data.prepare_data()
    with pytest.raises(ConfigError, match=r"train split are all of one kind\. Set include_correct: true"):
        data.setup("fit")


def test_with_verdicts_the_training_split_needs_no_line_labels(make):
    """Only held-out lines must be labelled: they fit the calibration, and are measured."""
    data = make(verdicts=True, split_seed=VERDICTS_SEED)
    splits = data.splits(SNIPPETS)
    weak = [
        dataclasses.replace(s, wrong_lines=()) if t == "train" else s for s, t in zip(SNIPPETS, splits, strict=True)
    ]
    for snippets, verdicts in ((weak, True), (weak, False)):
        data = make(snippets, verdicts=verdicts, split_seed=VERDICTS_SEED)
        data.prepare_data()
        if verdicts:
            data.setup("fit")
            assert not data.rankable("train") and len(data.given("train")) == splits.count("train")
        else:
            with pytest.raises(ConfigError, match="The train split has no snippet with a wrong line"):
                data.setup("fit")


def test_the_split_is_the_same_whatever_states_there_are(ready, make):
    """A prompt that fills the context leaves a snippet without any: the others stay where they are."""
    long = [dataclasses.replace(s, prompt="word " * 600) if i % 5 == 0 else s for i, s in enumerate(SNIPPETS)]
    settings = {"val_fraction": 0.3, "test_fraction": 0.3}
    data = ready(long, **settings)
    found = {s.snippet.id: name for name, part in data.split.items() for s in part}
    assert 0 < data.exclusions.counts[NO_STATES] < len(long) / 2
    assert len(found) == len(long) - data.exclusions.counts[NO_STATES]
    assigned = {s.id: name for s, name in make(long, **settings).assigned()}
    assert assigned.keys() == {s.id for s in long}
    assert found == {name: split for name, split in assigned.items() if name in found}


def test_a_smaller_training_set_is_the_first_part_of_a_larger_one(ready):
    whole = ready()
    every = {s.snippet.id for s in whole.split["train"]}
    sizes = range(1, len(whole.rankable("train")) + 1)
    kept = {}
    for n in sizes:
        data = ready(train_snippets=n)
        assert len(data.rankable("train")) == n
        assert [data.split[part] == [] for part in ("val", "test")] == [False, False]
        for part in ("val", "test"):
            assert [s.snippet.id for s in data.split[part]] == [s.snippet.id for s in whole.split[part]]
        kept[n] = {s.snippet.id for s in data.split["train"]}
    assert all(kept[n] < kept[n + 1] for n in list(sizes)[:-1])
    assert kept[max(sizes)] <= every
    assert {s.id for s in SNIPPETS if s.correct and s.id in every} & kept[max(sizes)], "what cannot be ranked stays too"
    seeds = [{s.snippet.id for s in ready(train_snippets=4, split_seed=seed).split["train"]} for seed in range(3)]
    assert seeds[0] != seeds[1] or seeds[1] != seeds[2]


@pytest.mark.parametrize("n", [0, 99])
def test_more_training_snippets_than_there_are_is_refused(n, ready):
    with pytest.raises(ConfigError, match=rf"train_snippets is {n}, but the training split has \d+ snippets"):
        ready(train_snippets=n)


def test_training_is_shuffled_by_the_seed(ready):
    data = ready(batch_size=3)

    def epoch(seed):
        torch.manual_seed(seed)
        return [i for batch in data.train_dataloader() for i in batch.snippet_ids]

    assert epoch(0) == epoch(0) != epoch(1)
    assert sorted(epoch(0)) == sorted(epoch(1))
    in_order = [i for batch in data.test_dataloader() for i in batch.snippet_ids]
    assert in_order == [s.snippet.id for s in data.split["test"] if s.rankable]
    assert next(len(b.snippet_ids) for b in data.train_dataloader()) == 3


def test_the_training_split_can_be_one_batch(ready, make):
    data = ready(batch_size=None)
    (batch,) = data.train_dataloader()
    assert sorted(batch.snippet_ids) == sorted(s.snippet.id for s in data.given("train"))
    tested = [i for batch in data.test_dataloader() for i in batch.snippet_ids]
    assert tested == [s.snippet.id for s in data.given("test")]
    with pytest.raises(ConfigError, match="batch_size is 0"):
        make(batch_size=0)


def test_the_second_time_nothing_is_read_whatever_the_labels(make, llm_loads):
    make().prepare_data()
    assert [len(loads.asked) for loads in llm_loads] == [len(SNIPPETS)]
    relabelled = [
        dataclasses.replace(s, wrong_lines=(0,), correct=False, label_source="diff", problem_id="p", task="repair")
        for s in SNIPPETS
    ]
    make(relabelled, val_fraction=0.3, folds=2, batch_size=5).prepare_data()
    assert len(llm_loads) == 1


def test_new_labels_reach_the_old_states(ready, llm_loads):
    before = ready()
    moved = [dataclasses.replace(s, wrong_lines=(0,), correct=False) for s in SNIPPETS]
    after = ready(moved)
    assert len(llm_loads) == 1
    assert all(s.labels[0] == 1 and s.labels.sum() == 1 for part in after.split.values() for s in part)
    assert before.exclusions.counts[NOT_RANKABLE] == 7
    assert after.exclusions.counts[NOT_RANKABLE] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"uncertainty": True}, "uncertainty"),
        ({"prompt": "difference"}, "prompt"),
        ({"prompt": "without"}, "corpus_sha256"),
        ({"context_length": 100}, "context_length"),
        ({"snippets": SNIPPETS[1:]}, "corpus_sha256"),
        ({"snippets": [dataclasses.replace(SNIPPETS[0], prompt="Another."), *SNIPPETS[1:]]}, "corpus_sha256"),
    ],
)
def test_a_cache_of_something_else_is_refused_by_field(make, llm_loads, change, field):
    make().prepare_data()
    with pytest.raises(CacheMismatchError) as caught:
        make(**change).prepare_data()
    assert caught.value.field == field
    assert len(llm_loads) == 1


def test_a_cache_of_another_llm_is_refused_by_field(make, llm_folders):
    make().prepare_data()
    other = make(llm=llm_folders["starcoder2"])
    for use in (other.prepare_data, lambda: other.setup("fit")):
        with pytest.raises(CacheMismatchError) as caught:
            use()
        assert caught.value.field == "llm"


def test_token_probabilities_are_kept_where_asked_for(ready, gpt2):
    data = ready(uncertainty=True)
    found = {s.snippet.id: s.lines for part in data.split.values() for s in part}
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2)), with_uncertainty=True)
    for expected in extractor.extract([ProgramGroup(s.program()) for s in SNIPPETS], Exclusions()):
        np.testing.assert_allclose(found[expected.program_id].uncertainty, expected.uncertainty, rtol=1e-4, atol=1e-5)


def test_graded_lines_have_their_relevance(ready):
    graded = [dataclasses.replace(s, relevance=(2.0, 0.2)[: len(s.wrong_lines)]) for s in SNIPPETS]
    given = {s.id: dict(zip(s.wrong_lines, s.relevance, strict=True)) for s in graded}
    data, plain = ready(graded), ready()
    seen = 0
    for name, part in data.split.items():
        for item, same in zip(part, plain.split[name], strict=True):
            numbers = item.lines.line_numbers.tolist()
            assert item.labels.tolist() == [float(np.float32(given[item.snippet.id].get(n, 0.0))) for n in numbers]
            assert ((item.labels > 0) == (same.labels == 1)).all()
            seen += (item.labels == np.float32(0.2)).sum()
    assert seen == 6
    assert data.exclusions.counts == plain.exclusions.counts
    batch = next(iter(data.train_dataloader()))
    assert 2.0 in batch.labels


def test_a_grade_too_few_takes_no_wrong_line_for_a_right_one():
    short = dataclasses.replace(snippet(60, code="x = 1\n" * 4, wrong=(0, 2)), relevance=(1.0,))
    with pytest.raises(ValueError, match="shorter"):
        short.relevance_of(np.array([0, 2]))


def test_wrong_lines_beyond_the_context_are_counted(ready):
    long = snippet(50, code="x = 1\n" * 40, wrong=(0, 30, 39))
    hopeless = snippet(51, code="x = 1\n", wrong=(0,), prompt="word " * 60)
    data = ready([*SNIPPETS, long, hopeless], context_length=80)
    assert data.exclusions.counts == {UNSCORED_WRONG_LINES: 2, NO_STATES: 1, NOT_RANKABLE: 7}
    assert data.exclusions.examples[UNSCORED_WRONG_LINES] == ["s50"]
    assert data.exclusions.examples[NO_STATES] == ["s51"]
    cut = next(s for part in data.split.values() for s in part if s.snippet.id == "s50")
    assert cut.labels.sum() == 1 and cut.rankable
    assert len(cut.labels) < cut.lines.n_lines == 40
    assert sum(len(part) for part in data.split.values()) == len(SNIPPETS) + 1


@pytest.mark.parametrize(("fractions", "name"), [((0.0, 0.25), "val"), ((0.2, 0.0), "test")])
def test_an_empty_split_is_refused(make, fractions, name):
    data = make(val_fraction=fractions[0], test_fraction=fractions[1])
    data.prepare_data()
    with pytest.raises(ConfigError, match=f"The {name} split has no snippet with a wrong line"):
        data.setup("fit")


def test_a_split_of_correct_snippets_is_refused(make):
    data = make([snippet(i, wrong=(1,) if i == 0 else ()) for i in range(12)])
    data.prepare_data()
    with pytest.raises(ConfigError, match="split has no snippet with a wrong line"):
        data.setup("fit")


def test_the_file_is_read_once(make, tmp_path):
    data = make()
    data.prepare_data()
    (tmp_path / "labelled.jsonl").unlink()
    data.setup("fit")
    assert sum(len(part) for part in data.split.values()) == len(SNIPPETS)


def test_the_cache_knows_the_snippets_but_not_their_labels(ready):
    data = ready()
    cache = StateCache(data.cache_dir)
    assert cache.group_ids == sorted(s.id for s in SNIPPETS)
    assert cache.n_pairs == 0
    assert not any(
        "wrong" in name or "label" in name for name in json.loads(json.dumps(read_manifest(data.cache_dir).key))
    )


PROMPTED = [dataclasses.replace(s, prompt=f"Number {i}: add\nit.") for i, s in enumerate(SNIPPETS)]


def by_id(data):
    return {s.snippet.id: s.lines for part in data.split.values() for s in part}


def test_attention_is_read_where_asked_for(ready, gpt2):
    data = ready(PROMPTED, lookback=True)
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2)), with_lookback=True)
    found = by_id(data)
    for expected in extractor.extract([ProgramGroup(s.program()) for s in PROMPTED], Exclusions()):
        np.testing.assert_allclose(found[expected.program_id].lookback, expected.lookback, rtol=1e-4, atol=1e-5)
        assert np.array_equal(found[expected.program_id].line_tokens, expected.line_tokens)
    batch = next(iter(data.train_dataloader()))
    assert data.feature_widths["lookback"] == batch.features["lookback"].shape[-1] == N_LAYERS * 4
    name = batch.snippet_ids[0]
    n = len(found[name].line_numbers)
    np.testing.assert_allclose(batch.features["lookback"][0, :n], found[name].lookback, rtol=1e-6)
    assert read_manifest(data.cache_dir).key["lookback"] is True


def test_looking_back_needs_a_prompt_to_look_at(make, llm_loads):
    with pytest.raises(ConfigError, match=r"10 of 26 snippets have no prompt \(s0, s3, s6\)"):
        make(lookback=True).prepare_data()
    with pytest.raises(ConfigError, match="Set prompt: with"):
        make(PROMPTED, lookback=True, prompt="without")
    assert not llm_loads


def test_caches_from_before_lookback_and_prompt_settings_still_open(make):
    data = make()
    data.prepare_data()
    key = read_manifest(data.cache_dir).key
    assert not {"lookback", "prompt"} & key.keys()


def test_without_the_prompt_it_is_not_read(ready, gpt2):
    data = ready(PROMPTED, prompt="without")
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2)))
    bare = [dataclasses.replace(s, prompt="").program() for s in PROMPTED]
    for expected in extractor.extract([ProgramGroup(p) for p in bare], Exclusions()):
        torch.testing.assert_close(by_id(data)[expected.program_id].states, expected.states[0], rtol=1e-5, atol=1e-5)
    assert data.state_provenance["prompt"] == "without"
    assert {s.snippet.prompt for part in data.split.values() for s in part} == {s.prompt for s in PROMPTED}


@pytest.mark.parametrize("layer", [None, (0, 4)])
def test_the_difference_that_the_prompt_makes(ready, gpt2, llm_loads, layer):
    mixed = [*PROMPTED[:20], *(dataclasses.replace(s, prompt="") for s in PROMPTED[20:])]
    data = ready(mixed, prompt="difference", layer=layer)
    assert len(llm_loads) == 1 and len(llm_loads[0].asked) == 26 + 20  # nothing is read twice
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2), layer=layer))

    def read(snippets):
        found = extractor.extract([ProgramGroup(s.program()) for s in snippets], Exclusions())
        return {s.program_id: torch.cat(list(s.states), dim=-1) for s in found}

    prompted, bare = read(mixed), read([dataclasses.replace(s, prompt="") for s in mixed])
    for name, lines in by_id(data).items():
        torch.testing.assert_close(lines.states, prompted[name], rtol=1e-5, atol=1e-5)
        expected = prompted[name] - bare[name]
        np.testing.assert_allclose(lines.prompt_difference, expected, rtol=1e-4, atol=2e-5)
        assert bool(expected.abs().sum() > 1) is (int(name[1:]) < 20)
    assert data.feature_widths["prompt_difference"] == data.d_in == WIDTH * (1 if layer is None else 2)
    batch = next(iter(data.train_dataloader()))
    first = by_id(data)[batch.snippet_ids[0]].prompt_difference
    np.testing.assert_allclose(batch.features["prompt_difference"][0, : len(first)], first, rtol=1e-6)


def test_lines_that_only_fit_without_the_prompt_have_no_difference(ready):
    long = snippet(50, code="x = 1\n" * 40, wrong=(0, 30, 39), prompt="Count to one.")
    data = ready([*SNIPPETS, long], prompt="difference", context_length=80)
    lines = by_id(data)["s50"]
    assert (
        len(lines.prompt_difference) == len(lines.line_numbers) < len(data.cache.program("s50#without_prompt").states)
    )


def test_a_difference_needs_a_prompt(make):
    bare = [dataclasses.replace(s, prompt="") for s in SNIPPETS]
    with pytest.raises(ConfigError, match="26 of 26 snippets have no prompt"):
        make(bare, prompt="difference").prepare_data()
    with pytest.raises(ConfigError, match="Choose one of with, without, difference"):
        make(prompt="minus")


def test_a_state_may_be_that_of_several_layers(ready, gpt2):
    data = ready(layer=(5, 1))
    assert (data.d_in, data.state_provenance["layer"]) == (2 * WIDTH, [1, 5])
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2), layer=(1, 5)))
    for expected in extractor.extract([ProgramGroup(s.program()) for s in SNIPPETS], Exclusions()):
        found = by_id(data)[expected.program_id].states
        torch.testing.assert_close(found, torch.cat(list(expected.states), dim=1), rtol=1e-5, atol=1e-5)
    assert data.left_out_of_cache().counts == {}


def test_layers_of_one_cache_are_put_together_without_reading_again(make, llm_loads):
    wide = make(layer=1, layers=(3, 5))
    wide.prepare_data()
    for layer in ((1, 5), (3,), None):
        data = make(layer=layer)
        data.prepare_data()
        data.setup("fit")
        assert data.rankable("test")[0].lines.states.shape[1] == data.d_in == WIDTH * len(layer or (1,))
    assert len(llm_loads) == 1


def test_lines_that_could_be_wrong():
    item = snippet(0, code='def f(x):\n    """Sum."""\n    if x:\n        y = 1\n    else:\n        y = 2  # two\n')
    assert eligible_lines([item])["s0"].tolist() == [True, False, True, True, False, True]


def states_of(i, n, wrong=(0,)):
    item = snippet(i, code="x\n" * (n + 5), wrong=wrong)
    rows = torch.full((n, WIDTH), float(i + 1))
    lines = LineStates(item.id, np.arange(n) + 2, rows, None, n)
    labels = np.zeros(n)
    labels[list(wrong)] = 1
    return SnippetStates(item, lines, labels)


def test_batches_are_padded_to_the_longest():
    items = [states_of(0, 2, (1,)), states_of(1, 4, (0, 3)), states_of(2, 1)]
    batch = pad_snippets([DescribedSnippet(item, line_features(item)) for item in items])
    assert batch.states.shape == (3, 4, WIDTH)
    assert batch.mask.tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]
    assert batch.labels.tolist() == [[0, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0]]
    assert batch.line_numbers.tolist() == [[2, 3, -1, -1], [2, 3, 4, 5], [2, -1, -1, -1]]
    assert batch.states.sum(-1).div(WIDTH).tolist() == [[1, 1, 0, 0], [2, 2, 2, 2], [3, 0, 0, 0]]
    assert batch.snippet_ids == ["s0", "s1", "s2"]
    assert batch.correct.tolist() == [False, False, False]
    right = states_of(3, 2, ())
    assert pad_snippets([DescribedSnippet(right, line_features(right))]).correct.tolist() == [True]
    column = SURFACE_FEATURES.index("line_number")
    assert batch.features["surface"][..., column].tolist() == [[2, 3, 0, 0], [2, 3, 4, 5], [2, 0, 0, 0]]
    assert (batch.states.dtype, batch.labels.dtype, batch.mask.dtype) == (torch.float32, torch.float32, torch.bool)


@pytest.mark.parametrize(
    ("n", "wrong", "rankable"), [(2, (0,), True), (2, (), False), (1, (0,), False), (0, (), False)]
)
def test_ranking_needs_two_lines_and_a_wrong_one(n, wrong, rankable):
    assert states_of(0, n, wrong).rankable is rankable


@pytest.mark.parametrize("uncertainty", [True, False])
def test_what_is_known_of_a_line_beside_its_state(ready, uncertainty):
    data = ready(uncertainty=uncertainty)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert {name: part.shape[-1] for name, part in batch.features.items()} == data.feature_widths
    assert ("uncertainty" in batch.features) is uncertainty
    by_id = {s.snippet.id: s for s in data.rankable("train")}
    for row, name in enumerate(batch.snippet_ids):
        lines = by_id[name].lines
        n = len(lines.line_numbers)
        of_text = surface_features(by_id[name].snippet.code, lines.line_numbers.tolist())
        np.testing.assert_allclose(batch.features["surface"][row, :n], of_text, rtol=1e-6)
        if uncertainty:
            np.testing.assert_allclose(batch.features["uncertainty"][row, :n], lines.uncertainty, rtol=1e-6)
