from __future__ import annotations

import shutil
from collections import namedtuple

import pytest
import torch
from tiny_llms import N_LAYERS, PYTHON, WIDTH

from pttrust_lightning.cache.manifest import read_manifest
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import cache_contents
from pttrust_lightning.datamodules import UnlabelledStates
from pttrust_lightning.errors import CacheError, CacheMismatchError, ConfigError
from pttrust_lightning.source.corpora import FolderCorpus
from pttrust_lightning.source.mutation.mutants import make_mutants
from pttrust_lightning.source.mutation.outside_lines import OutsideLines
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import NOT_ALIGNED, LineStateExtractor
from pttrust_lightning.types import Exclusions

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
N_PROGRAMS = 12
SHARD = 200 * WIDTH * 4 / 2**20  # files of a hundred lines: some four programs with their mutants


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    """Twelve programs that can be read, one of them with CRLF, and three that cannot."""
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(N_PROGRAMS - 1):
        body = "".join(f"    total = total + {j} * {i}\n" for j in range(i % 4 + 2))
        (folder / f"f{i:02}.py").write_text(f"def f{i}(total):\n{body}    return total\n")
    (folder / "crlf.py").write_bytes(PYTHON.replace("\n", "\r\n").encode())
    (folder / "empty.py").write_text(" \n")
    (folder / "binary.py").write_bytes(b"x = 1\n\0\xff\xfe")
    (folder / "latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    return folder


@pytest.fixture
def make(corpus_folder, gpt2, tmp_path):
    def make(
        cache="cache", corpus=None, llm=None, layer=None, layers=(), line_rule="newline", dtype="float32", **settings
    ):
        states = LineStateConfig(llm=str(llm or gpt2), layer=layer, layers=layers, line_rule=line_rule, dtype=dtype)
        settings = {"val_fraction": 0.25, "programs_per_batch": 4, "shard_megabytes": SHARD, **settings}
        return UnlabelledStates(FolderCorpus(str(corpus or corpus_folder)), str(tmp_path / cache), states, **settings)

    return make


@pytest.fixture(scope="module")
def filled(corpus_folder, gpt2, tmp_path_factory):
    """A filled cache; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("filled") / "cache"
    states = LineStateConfig(llm=str(gpt2))
    UnlabelledStates(FolderCorpus(str(corpus_folder)), str(folder), states, shard_megabytes=SHARD).prepare_data()
    return folder


@pytest.fixture
def copied(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "cache")


def test_the_cache_holds_every_program_and_mutant_with_its_own_states(filled, corpus_folder, gpt2):
    cache = StateCache(filled)
    programs = list(FolderCorpus(str(corpus_folder)).programs(Exclusions()))
    assert cache.group_ids == sorted(p.id for p in programs)
    assert len(cache) == N_PROGRAMS
    everything = list(make_mutants(programs, OutsideLines.of(programs)))
    extracted = LineStateExtractor(LineStateConfig(llm=str(gpt2))).extract(everything, Exclusions())
    assert len(extracted) == 4 * N_PROGRAMS
    for expected in extracted:
        found = cache.program(expected.program_id)
        assert found.line_numbers.tolist() == expected.line_numbers.tolist()
        torch.testing.assert_close(found.states, expected.states[0], **CLOSE)
    assert cache.n_pairs > N_PROGRAMS


def test_what_was_left_out_is_counted(make, copied):
    counts = make().left_out_of_cache().counts
    assert counts["empty file"] == 1
    assert counts["binary file"] == counts["not UTF-8 text"] == 1


def test_the_second_time_nothing_is_read(make, llm_loads):
    data = make()
    data.prepare_data()
    assert len(llm_loads) == 1
    assert len(set(llm_loads[0].asked)) == len(llm_loads[0].asked) == 4 * N_PROGRAMS
    data.prepare_data()
    make().prepare_data()
    make(shard_megabytes=SHARD / 2, programs_per_batch=2, val_fraction=0.5, split_seed=3).prepare_data()
    assert len(llm_loads) == 1


def test_an_interrupted_reading_goes_on(make, llm_loads, monkeypatch, filled):
    original, calls = LineStateExtractor.extract, []

    def stops(self, groups, exclusions, *options):
        calls.append(len(groups))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, groups, exclusions, *options)

    monkeypatch.setattr(LineStateExtractor, "extract", stops)
    with pytest.raises(KeyboardInterrupt):
        make().prepare_data()
    with pytest.raises(CacheError, match="incomplete"):
        make().setup("fit")
    first = cache_contents(make().cache_dir).groups
    assert len(first) == calls[0] < N_PROGRAMS
    make().prepare_data()
    assert not first & set(llm_loads[1].asked)
    whole, resumed = StateCache(filled), StateCache(make().cache_dir)
    everything = range(N_PROGRAMS)
    assert torch.equal(whole.groups(everything).states, resumed.groups(everything).states)
    assert torch.equal(whole.groups(everything).pairs, resumed.groups(everything).pairs)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"layer": 2}, "layers"),
        ({"line_rule": "mean"}, "line_rule"),
        ({"dtype": "bfloat16"}, "dtype"),
        ({"rounds": [0.15, 0.2]}, "rounds"),
        ({"operators": ["delete_line"]}, "operators"),
        ({"operators": {"delete_line": 2.0, "wrong_constant": 1.0}}, "operators"),
        ({"mutation_seed": 1}, "mutation_seed"),
        ({"storage_dtype": "float16"}, "storage_dtype"),
    ],
)
def test_a_cache_of_other_settings_is_refused_by_field(make, copied, llm_loads, settings, field):
    with pytest.raises(CacheMismatchError) as caught:
        make(**settings).prepare_data()
    assert caught.value.field == field
    assert llm_loads == []


def test_a_cache_of_another_llm_is_refused_by_field(make, copied, llm_folders, tmp_path, gpt2):
    with pytest.raises(CacheMismatchError) as caught:
        make(llm=llm_folders["qwen2"]).setup("fit")
    assert caught.value.field == "llm"
    retrained = shutil.copytree(gpt2, tmp_path / "other" / gpt2.name)
    weights = bytearray((retrained / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (retrained / "model.safetensors").write_bytes(weights)
    for use in (make(llm=retrained).prepare_data, lambda: make(llm=retrained).setup("fit")):
        with pytest.raises(CacheMismatchError) as caught:
            use()
        assert caught.value.field == "weights_sha256"


def test_a_cache_of_another_corpus_is_refused_by_field(make, copied, corpus_folder, tmp_path):
    other = shutil.copytree(corpus_folder, tmp_path / "corpus")
    (other / "f00.py").write_text("x = 1\n")
    with pytest.raises(CacheMismatchError) as caught:
        make(corpus=other).prepare_data()
    assert caught.value.field == "corpus_sha256"


def test_batches_hold_whole_groups_of_the_right_split(make, copied):
    data = make()
    data.setup("fit")
    cache = StateCache(copied)
    assert sorted(data.train + data.val) == list(range(N_PROGRAMS))
    assert len(data.val) == 3
    for loader, indices in (
        (data.val_dataloader(), data.val),
        (data.test_dataloader(), data.val),
        (data.predict_dataloader(), data.val),
    ):
        batches = list(loader)
        assert len(batches) == 1
        expected = cache.groups(indices)
        assert torch.equal(batches[0].states, expected.states)
        assert torch.equal(batches[0].pairs, expected.pairs)
    batches = list(data.train_dataloader())
    assert len(batches) == 3  # 4, 4 and 1 programs
    assert sum(len(b.states) for b in batches) == len(cache.groups(data.train).states)
    assert sum(len(b.pairs) for b in batches) == len(cache.groups(data.train).pairs)
    assert all(int(b.pairs.max()) < len(b.states) for b in batches)
    assert {len(b.states) for b in batches} != {len(batches[0].states)}


def test_training_is_shuffled_by_the_seed(make, copied):
    data = make()
    data.setup("fit")

    def epoch(seed):
        torch.manual_seed(seed)
        return torch.cat([b.states for b in data.train_dataloader()])

    in_order = StateCache(copied).groups(data.train).states
    assert torch.equal(epoch(0), epoch(0))
    assert not torch.equal(epoch(0), epoch(1))
    assert not torch.equal(epoch(0), in_order)
    assert torch.equal(epoch(0).sort(0).values, in_order.sort(0).values)


def test_the_split_follows_its_seed_alone(make, copied):
    splits = []
    for seed, batch in ((0, 4), (0, 2), (1, 4)):
        data = make(split_seed=seed, programs_per_batch=batch)
        data.setup("fit")
        splits.append(data.val)
    assert splits[0] == splits[1] != splits[2]


def test_workers_give_the_same_batches(make, copied):
    batches = []
    for workers in (0, 2):
        data = make(num_workers=workers, programs_per_batch=1)
        data.setup("fit")
        batches.append(list(data.val_dataloader()))
    for mine, theirs in zip(*batches, strict=True):
        assert torch.equal(mine.states, theirs.states)


def test_the_width_is_known_before_any_state_is_read(make, llm_loads):
    data = make()
    assert data.d_in == WIDTH
    assert data.state_provenance["layer"] == N_LAYERS // 4 - 1
    assert not data.cache_dir.exists()
    assert llm_loads == []


def test_a_missing_cache_and_an_empty_validation_split_are_refused(make, copied):
    with pytest.raises(CacheError, match="pttrust extract"):
        make(cache="nowhere").setup("fit")
    with pytest.raises(ConfigError, match=r"val_fraction 0\.0 of 12 programs is none"):
        make(val_fraction=0.0).setup("fit")


@pytest.mark.parametrize(
    ("settings", "message"), [({"storage_dtype": "int8"}, "'int8'"), ({"shard_megabytes": 0}, "shard_megabytes is 0")]
)
def test_settings_out_of_range_are_refused(make, settings, message):
    with pytest.raises(ConfigError, match=message):
        make(**settings)


DiskUsage = namedtuple("DiskUsage", "total used free")


def test_a_disk_that_cannot_hold_the_states_is_refused_beforehand(make, llm_loads, monkeypatch):
    programs = list(make().corpus.programs(Exclusions()))
    lines = 4 * sum(len([x for x in p.code.split("\n") if x.strip()]) for p in programs)  # at most, with its mutants
    for storage, size in (("float32", 4), ("bfloat16", 2)):
        needed = lines * WIDTH * size
        monkeypatch.setattr(shutil, "disk_usage", lambda _p, free=needed - 1: DiskUsage(10**9, 0, free))
        with pytest.raises(CacheError, match=r"MiB free.*Choose another cache_dir"):
            make(cache=storage, storage_dtype=storage).prepare_data()
        assert llm_loads == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _p: DiskUsage(10**9, 0, needed))
    make(cache=storage, storage_dtype=storage).prepare_data()
    assert len(llm_loads) == 1


def test_a_resumed_reading_needs_room_for_the_rest_only(make, monkeypatch):
    with monkeypatch.context() as patch:
        original = LineStateExtractor.extract
        calls = []

        def stops(self, groups, exclusions, *options):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return original(self, groups, exclusions, *options)

        patch.setattr(LineStateExtractor, "extract", stops)
        with pytest.raises(KeyboardInterrupt):
            make().prepare_data()
    done = cache_contents(make().cache_dir).rows
    monkeypatch.setattr(shutil, "disk_usage", lambda _p: DiskUsage(10**9, 0, done * WIDTH * 4))
    make().prepare_data()  # most is there: what is left needs less than what is done
    assert read_manifest(make().cache_dir).complete


def test_programs_whose_tokens_do_not_map_are_counted_and_the_rest_is_read(make, llm_folders, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "nfd.py").write_text("name = 'e\u0301'\nx = 1\n")
    (folder / "fine.py").write_text("x = 1\ny = 2\n")
    data = make(corpus=folder, llm=llm_folders["qwen2"])
    data.prepare_data()
    contents = cache_contents(data.cache_dir)
    assert StateCache(data.cache_dir).group_ids[0] == "fine.py"
    assert "nfd.py" not in StateCache(data.cache_dir)
    assert data.left_out_of_cache().counts[NOT_ALIGNED] >= 1
    assert contents.groups == {"fine.py", "nfd.py"}


def test_an_untouched_corpus_is_not_even_read_again(make, copied, monkeypatch, corpus_folder, tmp_path):
    data = make()
    data.prepare_data()  # the copied cache knows its corpus by its files' times
    monkeypatch.setattr(FolderCorpus, "programs", lambda *_: pytest.fail("the corpus was read"))
    make().prepare_data()
    monkeypatch.undo()
    touched = shutil.copytree(corpus_folder, tmp_path / "touched")
    (touched / "f00.py").write_text((corpus_folder / "f00.py").read_text())
    make(corpus=touched).prepare_data()  # read, found to be the same programs


def test_one_pass_fills_several_layers_and_each_can_be_chosen(make, llm_loads, gpt2):
    data = make(layers=(2,))
    data.prepare_data()
    assert len(llm_loads) == 1
    default, other = make(), make(layer=2)
    for chosen in (default, other):
        chosen.prepare_data()
        chosen.setup("fit")
    assert len(llm_loads) == 1  # nothing is read again
    alone = make(cache="alone", layer=2)
    alone.prepare_data()
    alone.setup("fit")
    everything = range(N_PROGRAMS)
    torch.testing.assert_close(other.cache.groups(everything).states, alone.cache.groups(everything).states, **CLOSE)
    assert not torch.equal(other.cache.groups(everything).states, default.cache.groups(everything).states)
    with pytest.raises(CacheMismatchError):
        make(layer=3).setup("fit")


def test_the_cost_is_said_beforehand(make, caplog):
    with caplog.at_level("INFO"):
        make().prepare_data()
    text = " ".join(record.getMessage() for record in caplog.records)
    assert "MiB are free" in text
    assert "minutes at" in text
