from __future__ import annotations

import hashlib
import json
import pickle

import h5py
import numpy as np
import pytest
import torch
from fake_states import D, FakeExtractor, line_states, make_groups
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from pttrust_lightning.cache.manifest import MANIFEST_NAME
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.errors import CacheError

GROUPS = make_groups(18)


def rows_by_definition(group):
    """A group's states and the two states of each pair, straight from the inputs."""
    states = [s.states for p in group.programs if (s := line_states(p)) is not None]
    original, pairs = line_states(group.original), []
    for mutant in group.mutants:
        mutated = line_states(mutant.program)
        if original is not None and mutated is not None:
            pairs += [(original.states[p.original_line], mutated.states[p.mutant_line]) for p in mutant.pairs]
    return torch.cat(states) if states else torch.zeros(0, D), [(a, b) for a, b in pairs if not torch.equal(a, b)]


def test_groups_are_the_inputs_whatever_the_order(cache):
    with_states = [g for g in GROUPS if len(rows_by_definition(g)[0])]
    assert cache.group_ids == [g.original.id for g in with_states]
    assert len(cache) == len(with_states) < len(GROUPS)

    @settings(deadline=None, derandomize=True)
    @given(st.lists(st.integers(0, len(with_states) - 1), max_size=6))
    def check(indices):
        batch = cache.groups(indices)
        expected = [rows_by_definition(with_states[i]) for i in indices]
        assert torch.equal(batch.states, torch.cat([torch.zeros(0, D), *(states for states, _ in expected)]))
        pairs = [pair for _, pairs in expected for pair in pairs]
        assert batch.pairs.shape == (len(pairs), 2)
        for (a, b), (original, mutated) in zip(batch.pairs, pairs, strict=True):
            assert torch.equal(batch.states[a], original)
            assert torch.equal(batch.states[b], mutated)

    check()
    assert cache.n_pairs > 10


def test_programs_are_the_inputs(cache):
    for program in (p for g in GROUPS for p in g.programs):
        expected = line_states(program)
        assert (program.id in cache) == (expected is not None)
        if expected is None:
            with pytest.raises(KeyError):
                cache.program(program.id)
        else:
            found = cache.program(program.id)
            assert torch.equal(found.states, expected.states)
            assert np.array_equal(found.line_numbers, expected.line_numbers)
            assert (found.program_id, found.n_lines) == (program.id, expected.n_lines)


@pytest.mark.parametrize(("storage", "error"), [("float32", 0.0), ("float16", 1e-3), ("bfloat16", 1e-2)])
def test_states_come_back_in_float32_from_every_storage_type(tmp_path, fill, storage, error):
    fill(tmp_path, GROUPS, storage_dtype=storage)
    cache = StateCache(tmp_path)
    expected = torch.cat([rows_by_definition(g)[0] for g in GROUPS])
    states = cache.groups(range(len(cache))).states
    assert states.dtype == torch.float32
    assert torch.equal(states, expected.to(getattr(torch, storage)).float())
    torch.testing.assert_close(states, expected, rtol=error, atol=error)
    assert cache.d == D


def test_no_cache_and_an_incomplete_one_say_what_to_do(tmp_path, fill):
    with pytest.raises(CacheError, match=f"{tmp_path} holds no state cache.*pttrust extract"):
        StateCache(tmp_path)
    with pytest.raises(RuntimeError):
        fill(tmp_path / "cut", GROUPS, FakeExtractor(1))
    with pytest.raises(CacheError, match=r"incomplete.*goes on where it stopped"):
        StateCache(tmp_path / "cut")


@pytest.mark.parametrize("verify", [True, False])
def test_a_truncated_shard_is_named(folder, verify):
    shard = folder / "shard-00001.h5"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CacheError, match=r"shard-00001\.h5 is \d+ bytes long instead of \d+"):
        StateCache(folder, verify=verify)


def test_a_flipped_byte_is_found(folder, cache):
    shard = folder / "shard-00002.h5"
    data = bytearray(shard.read_bytes())
    states = cache.program(next(p.id for g in GROUPS[8:12] for p in g.programs if p.id in cache)).states
    data[data.index(states.numpy().tobytes())] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CacheError, match=r"shard-00002\.h5 differs from what was written"):
        StateCache(folder)
    StateCache(folder, verify=False)  # a changed state is seen by the hash alone


def test_a_deleted_shard_is_named(folder):
    (folder / "shard-00003.h5").unlink()
    with pytest.raises(CacheError, match=r"shard-00003\.h5 is missing"):
        StateCache(folder)


def forge(folder, change, name="shard-00000.h5"):
    """Change a shard and let the manifest agree, as no accident would."""
    with h5py.File(folder / name, "r+") as shard:
        change(shard)
    raw = json.loads((folder / MANIFEST_NAME).read_text())
    data = (folder / name).read_bytes()
    entry = next(s for s in raw["shards"] if s["file"] == name)
    entry.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (folder / MANIFEST_NAME).write_text(json.dumps(raw))


def replace(field, make):
    def change(shard):
        array = shard[field][:]
        del shard[field]
        shard[field] = make(array)

    return change


def edit(field, position, value):
    def make(array):
        array = array.copy()
        array[position] = value
        return array

    return replace(field, make)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (edit("pairs", (0, 0), -1), "pairs"),
        (edit("pairs", (0, 1), 10**6), "pairs"),
        (edit("pairs", (-1, 0), 0), "pairs"),  # a row of another group: it would be counted from the wrong end
        (edit("pairs", (0, 1), 40), "pairs"),
        (replace("pairs", lambda a: a.astype(np.float64)), "pairs"),
        (replace("pairs", lambda a: a[:, :1]), "pairs"),
        (replace("pairs", lambda a: a[:-1]), "pair_offset"),
        (edit("pair_offset", -1, 0), "pair_offset"),
        (edit("pair_offset", 0, 1), "pair_offset"),
        (edit("program_offset", 1, 10**6), "program_offset"),
        (edit("program_offset", 1, -1), "program_offset"),
        (edit("program_offset", -1, 10**6), "program_offset"),
        (replace("program_offset", lambda a: a[:-1]), "program_offset"),
        (replace("program_offset", lambda a: a.astype(np.float64)), "program_offset"),
        (edit("group_offset", 1, 99), "group_offset"),
        (replace("group_offset", lambda a: a[1:]), "group_offset"),
        (replace("group_id", lambda a: a[:-1]), "group_offset"),
        (replace("line_number", lambda a: a[:-1]), "line_number"),
        (replace("program_lines", lambda a: a[:-1]), "program_lines"),
        (replace("program_id", lambda a: np.arange(len(a))), "not a shard"),
        (replace("states", lambda a: a[:-1]), "line_number"),
        (replace("states", lambda a: a[:, :-1]), "states"),
        (replace("states", lambda a: a.ravel()), "states"),
        (
            replace("states", lambda a: a.astype(np.float64)),
            "'states' is of type float64, which does not store float32",
        ),
        (replace("states", lambda a: a.astype(np.float16)), "'states' is of type float16"),
        (lambda shard: shard.__setitem__("uncertainty", np.zeros((3, 3))), "uncertainty"),
        *(
            (lambda shard, name=name: shard.__delitem__(name), "not a shard")
            for name in ("states", "pairs", "group_id")
        ),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_named(folder, change, field):
    with h5py.File(folder / "shard-00000.h5") as shard:
        assert len(shard["pairs"]) > 2 and len(shard["group_id"]) > 2 and len(shard["states"]) > 40
    forge(folder, change)
    with pytest.raises(CacheError, match=rf"shard-00000\.h5.*{field}"):
        StateCache(folder)


def test_forging_alone_is_not_what_is_refused(folder):
    forge(folder, edit("states", (0, 0), 42.0))
    assert StateCache(folder).groups([0]).states[0, 0] == 42.0


def test_a_file_that_is_no_hdf5_is_refused(folder):
    name = "shard-00000.h5"
    (folder / name).write_bytes(b"\x89HDF\r\n\x1a\n no more than a signature")
    raw = json.loads((folder / MANIFEST_NAME).read_text())
    raw["shards"][0]["bytes"] = (folder / name).stat().st_size
    (folder / MANIFEST_NAME).write_text(json.dumps(raw))
    with pytest.raises(CacheError, match=rf"{name} is not a shard of a state cache"):
        StateCache(folder, verify=False)


@pytest.mark.parametrize("field", ["rows", "pairs"])
def test_a_shard_of_another_size_than_the_manifest_says_is_refused(folder, field):
    raw = json.loads((folder / MANIFEST_NAME).read_text())
    raw["shards"][1][field] += 1
    (folder / MANIFEST_NAME).write_text(json.dumps(raw))
    with pytest.raises(CacheError, match=r"shard-00001\.h5.*of the manifest"):
        StateCache(folder)


def test_files_are_opened_when_they_are_needed(folder, cache, monkeypatch):
    opened = []
    original = h5py.File
    monkeypatch.setattr(h5py, "File", lambda path, mode: opened.append(path.name) or original(path, mode))
    assert opened == []
    for _ in range(3):
        cache.groups([0, 1])
        cache.groups([len(cache) - 1])
    assert opened == ["shard-00000.h5", "shard-00004.h5"]


def test_a_cache_crosses_a_pickle_after_it_was_read(cache):
    before = cache.groups([0, 3])
    copy = pickle.loads(pickle.dumps(cache))
    after = copy.groups([0, 3])
    assert torch.equal(before.states, after.states) and torch.equal(before.pairs, after.pairs)


class Groups(Dataset):
    def __init__(self, cache):
        self.cache = cache

    def __len__(self):
        return len(self.cache)

    def __getitem__(self, index):
        return self.cache.groups([index])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_the_same_states(cache, start):
    here = [cache.groups([i]) for i in range(len(cache))]  # files are open in this process already
    loader = DataLoader(Groups(cache), batch_size=None, num_workers=1, multiprocessing_context=start)
    for mine, theirs in zip(here, loader, strict=True):
        assert torch.equal(mine.states, theirs.states)
        assert torch.equal(mine.pairs, theirs.pairs)


def test_a_forked_worker_opens_files_of_its_own(cache, monkeypatch):
    """An HDF5 handle shared with the parent reads wrong rows as soon as both move its position."""
    opened = []
    original = h5py.File
    monkeypatch.setattr(h5py, "File", lambda path, mode: opened.append(path.name) or original(path, mode))

    class Opened(Groups):
        def __getitem__(self, index):
            super().__getitem__(index)
            return list(opened)

    for i in range(len(cache)):
        Opened(cache)[i]
    here = list(opened)
    assert len(here) == 5
    *_, there = DataLoader(Opened(cache), batch_size=None, num_workers=1, multiprocessing_context="fork")
    assert there == here * 2
