from __future__ import annotations

import pytest
from fake_states import D, FakeExtractor, make_groups

from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import fill_cache, open_manifest

KEY = {"llm": "tiny", "layer": 3, "rounds": (0.15, 0.2)}


def fill(folder, groups=None, extract=None, groups_per_shard=4, key=KEY, d=D, storage_dtype="float32"):
    """Fill a cache as ``prepare_data`` does; the manifest comes back."""
    groups = make_groups(18) if groups is None else groups
    manifest = open_manifest(folder, key, d, storage_dtype)
    return fill_cache(folder, manifest, groups, extract or FakeExtractor(), groups_per_shard)


@pytest.fixture(name="fill")
def fill_fixture():
    return fill


@pytest.fixture
def folder(tmp_path):
    """The folder of a complete cache of ``make_groups(18)`` that a test may damage."""
    fill(tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def cache(folder):
    return StateCache(folder)
