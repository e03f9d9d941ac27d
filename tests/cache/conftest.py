from __future__ import annotations

import os

import pytest
from fake_states import KEY, LAYERS, ROW_BYTES, D, FakeExtractor, make_groups

from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import cache_contents, fill_cache, finish_cache, open_manifest


def fill(
    folder,
    groups=None,
    extract=None,
    rows_per_file=60,
    key=KEY,
    storage_dtype="float32",
    ranks=(0,),
    world_size=1,
    finish=True,
    **options,
):
    """Fill a cache as ``prepare_data`` does; what its journals say comes back."""
    groups = make_groups(18) if groups is None else groups
    for rank in ranks:
        manifest = open_manifest(folder, key, D, storage_dtype)
        unsaved_bytes = 2 * rows_per_file * ROW_BYTES
        extract = extract or FakeExtractor()
        fill_cache(folder, manifest, groups, extract, unsaved_bytes, rank=rank, world_size=world_size, **options)
    return finish_cache(folder) if finish else cache_contents(folder)


def contents(folder):
    """Everything that a reader gets from a cache, byte for byte."""
    found = []
    for layer in LAYERS:
        cache = StateCache(folder, layer=layer)
        batch = cache.groups(range(len(cache)))
        found += [cache.group_ids, batch.states.numpy().tobytes(), batch.pairs.numpy().tobytes()]
    return found


def shards(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.h5")}


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """What is asked of the disk, and when, has tests of its own; the others need not wait for it."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(name="fill")
def fill_fixture():
    return fill


@pytest.fixture(name="contents")
def contents_fixture():
    return contents


@pytest.fixture(name="shards")
def shards_fixture():
    return shards


@pytest.fixture
def folder(tmp_path):
    """The folder of a complete cache of ``make_groups(18)`` that a test may damage."""
    fill(tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def cache(folder):
    return StateCache(folder, layer=LAYERS[0])
