from __future__ import annotations

import pickle
import threading
from itertools import chain

import h5py
import numpy as np
import pytest
import torch
from fake_states import KEY, LAYERS, D, FakeExtractor, line_states, make_groups
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

import pttrust_lightning.cache.reader as reader
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import cache_contents
from pttrust_lightning.errors import CacheError, CacheMismatchError

GROUPS = make_groups(18)


def states_of(program, layer):
    found = line_states(program)
    return None if found is None else found.states[LAYERS.index(layer)]


def rows_by_definition(group, layer=LAYERS[0]):
    """A group's states and the two states of each pair, straight from the inputs."""
    states = [s for p in group.programs if (s := states_of(p, layer)) is not None]
    original, pairs = states_of(group.original, layer), []
    for mutant in group.mutants:
        mutated = states_of(mutant.program, layer)
        if original is not None and mutated is not None:
            pairs += [(original[p.original_line], mutated[p.mutant_line]) for p in mutant.pairs]
    return torch.cat(states) if states else torch.zeros(0, D), [(a, b) for a, b in pairs if not torch.equal(a, b)]


@pytest.mark.parametrize("layer", LAYERS)
def test_groups_are_the_inputs_whatever_the_order(folder, layer):
    cache = StateCache(folder, layer=layer)
    with_states = sorted((g for g in GROUPS if len(rows_by_definition(g)[0])), key=lambda g: g.original.id)
    assert cache.group_ids == [g.original.id for g in with_states]
    assert len(cache) == len(with_states) < len(GROUPS)

    @settings(deadline=None, derandomize=True)
    @given(st.lists(st.integers(0, len(with_states) - 1), max_size=6))
    def check(indices):
        batch = cache.groups(indices)
        expected = [rows_by_definition(with_states[i], layer) for i in indices]
        assert torch.equal(batch.states, torch.cat([torch.zeros(0, D), *(states for states, _ in expected)]))
        pairs = [pair for _, pairs in expected for pair in pairs]
        assert batch.pairs.shape == (len(pairs), 2)
        for (a, b), (original, mutated) in zip(batch.pairs, pairs, strict=True):
            assert torch.equal(batch.states[a], original)
            assert torch.equal(batch.states[b], mutated)

    check()
    assert cache.n_pairs > 10


@pytest.mark.parametrize("layer", LAYERS)
def test_programs_are_the_inputs(folder, layer):
    cache = StateCache(folder, layer=layer)
    for program in (p for g in GROUPS for p in g.programs):
        expected = line_states(program)
        assert (program.id in cache) == (expected is not None)
        if expected is None:
            with pytest.raises(KeyError):
                cache.program(program.id)
        else:
            found = cache.program(program.id)
            assert torch.equal(found.states, states_of(program, layer))
            assert np.array_equal(found.line_numbers, expected.line_numbers)
            assert (found.program_id, found.n_lines) == (program.id, expected.n_lines)


@pytest.mark.parametrize(("storage", "error"), [("float32", 0.0), ("float16", 1e-3), ("bfloat16", 1e-2)])
def test_states_come_back_in_float32_from_every_storage_type(tmp_path, fill, storage, error):
    fill(tmp_path, GROUPS, storage_dtype=storage)
    cache = StateCache(tmp_path, layer=7)
    expected = torch.cat([rows_by_definition(g, 7)[0] for g in sorted(GROUPS, key=lambda g: g.original.id)])
    states = cache.groups(range(len(cache))).states
    assert states.dtype == torch.float32
    assert torch.equal(states, expected.to(getattr(torch, storage)).float())
    torch.testing.assert_close(states, expected, rtol=error, atol=error)
    assert cache.d == D


@pytest.mark.parametrize("storage", ["float32", "bfloat16"])
@pytest.mark.parametrize("layers", [(3, 7), (7, 3)])
def test_states_of_several_layers_are_put_one_after_the_other(tmp_path, fill, storage, layers):
    fill(tmp_path, GROUPS, storage_dtype=storage)
    together, alone = StateCache(tmp_path, layer=layers), [StateCache(tmp_path, layer=layer) for layer in layers]
    assert together.d == 2 * D and together.n_rows == alone[0].n_rows
    indices = np.random.default_rng(0).permutation(len(together)).tolist()
    batch, parts = together.groups(indices), [cache.groups(indices) for cache in alone]
    assert torch.equal(batch.states, torch.cat([part.states for part in parts], dim=1))
    for name in ("p0.py", "p1.py"):
        assert torch.equal(
            together.program(name).states, torch.cat([cache.program(name).states for cache in alone], dim=1)
        )
    # a pair is dropped where its states are equal in both layers
    own = [{tuple(pair) for pair in part.pairs.tolist()} for part in parts]
    assert {tuple(pair) for pair in batch.pairs.tolist()} == own[0] | own[1]
    assert min(map(len, own)) < len(batch.pairs) == together.n_pairs
    assert together.n_pairs + together.n_equal_pairs == alone[0].n_pairs + alone[0].n_equal_pairs
    assert 0 < together.n_equal_pairs <= min(cache.n_equal_pairs for cache in alone)


def test_what_was_read_may_be_changed(cache):
    """Maps are read-only, what comes out of them is the caller's."""
    before = cache.groups([0]).states.clone()
    cache.groups([0]).states.add_(1)
    program = cache.group_ids[0]
    found = cache.program(program)
    found.states.add_(1)
    found.line_numbers[:] = -1
    assert torch.equal(cache.groups([0]).states, before)
    assert (cache.program(program).line_numbers >= 0).all()


def test_a_layer_that_is_not_there_is_refused_by_name(folder, tmp_path, fill):
    for layer in (4, None):
        with pytest.raises(
            CacheMismatchError, match=rf"with layer = \[3, 7\], but this run asks for {layer}"
        ) as caught:
            StateCache(folder, layer=layer)
        assert caught.value.field == "layer"

    def last_layer(groups, exclusions):
        found = FakeExtractor()(groups, exclusions)
        return [type(s)(s.program_id, s.line_numbers, s.states[1:], None, s.n_lines) for s in found]

    fill(tmp_path / "one", GROUPS, last_layer, key={**KEY, "layers": [7]})
    assert StateCache(tmp_path / "one").layers == (7,)  # there is no choice


def test_no_cache_and_an_incomplete_one_say_what_to_do(tmp_path, fill):
    with pytest.raises(CacheError, match=f"{tmp_path} holds no state cache.*pttrust extract"):
        StateCache(tmp_path)
    with pytest.raises(RuntimeError):
        fill(tmp_path / "cut", GROUPS, FakeExtractor(1))
    with pytest.raises(CacheError, match=r"incomplete.*goes on where it stopped"):
        StateCache(tmp_path / "cut", layer=3)


@pytest.mark.parametrize("verify", [True, False])
def test_a_truncated_shard_is_named(folder, verify):
    shard = folder / cache_contents(folder).entries[1].file
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CacheError, match=rf"{shard.name} is \d+ bytes long instead of \d+"):
        StateCache(folder, layer=3, verify=verify)


def test_a_flipped_byte_is_found(folder, cache):
    entry = cache_contents(folder).entries[2]
    shard = folder / entry.file
    data = bytearray(shard.read_bytes())
    states = cache.program(next(name for name in entry.groups if name in cache)).states
    data[data.index(states.numpy().tobytes())] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CacheError, match=rf"{shard.name} differs from what was written"):
        StateCache(folder, layer=3)
    StateCache(folder, layer=3, verify=False)  # a changed state is seen by the hash alone


def test_a_deleted_shard_is_named(folder):
    shard = folder / cache_contents(folder).entries[3].file
    shard.unlink()
    with pytest.raises(CacheError, match=rf"{shard.name} is missing"):
        StateCache(folder, layer=3)


def test_a_shard_that_goes_while_the_cache_is_open_is_named(folder, cache):
    for path in folder.glob("*.h5"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CacheError, match=r"shard-.*\.h5 has changed since the cache was opened"):
        cache.groups([0])


def test_no_hdf5_file_is_open_while_reading(cache, monkeypatch):
    monkeypatch.setattr(h5py, "File", None)
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == 0
    cache.groups(range(len(cache)))
    cache.program(cache.group_ids[0])


def test_shards_are_mapped_when_they_are_needed_and_not_without_bound(folder, cache, monkeypatch):
    mapped = []
    original = reader._MappedShard
    monkeypatch.setattr(reader, "_MappedShard", lambda *a: mapped.append(a[1].file) or original(*a))
    everything = cache.groups(range(len(cache)))
    assert sorted(mapped) == sorted(p.name for p in folder.glob("*.h5"))
    cache.groups(range(len(cache)))
    assert len(mapped) == 4
    monkeypatch.setattr(reader, "_MAX_MAPS", 2)
    cache = StateCache(folder, layer=cache.layers)
    for _ in range(3):
        again = cache.groups(range(len(cache)))
        assert torch.equal(again.states, everything.states) and torch.equal(again.pairs, everything.pairs)
        assert len(cache._maps) <= 2
    assert len(mapped) > 4


def test_threads_read_the_same_states(cache, monkeypatch):
    monkeypatch.setattr(reader, "_MAX_MAPS", 2)
    expected = [cache.groups([i]) for i in range(len(cache))]
    wrong = []

    def read(seed):
        for i in np.random.default_rng(seed).integers(len(cache), size=300):
            found = cache.groups([int(i)])
            if not all(map(torch.equal, found, expected[i])):
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


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
    here = [cache.groups([i]) for i in range(len(cache))]  # files are mapped in this process already
    loader = DataLoader(Groups(cache), batch_size=None, num_workers=1, multiprocessing_context=start)
    for mine, theirs in zip(here, loader, strict=True):
        assert torch.equal(mine.states, theirs.states)
        assert torch.equal(mine.pairs, theirs.pairs)


@pytest.mark.parametrize("index", [100, -100])
def test_a_position_that_is_none_is_an_index_error(cache, index):
    with pytest.raises(IndexError):
        cache.groups([index])


def test_the_order_does_not_depend_on_how_the_cache_was_filled(tmp_path, fill):
    orders = []
    for rows, world_size in ((20, 1), (1000, 1), (60, 3)):
        folder = tmp_path / f"{rows}-{world_size}"
        fill(folder, GROUPS[::-1], rows_per_file=rows, ranks=range(world_size), world_size=world_size)
        orders.append(StateCache(folder, layer=3).group_ids)
    assert orders[0] == orders[1] == orders[2] == sorted(chain(*orders[:1]))
