from __future__ import annotations

import fcntl
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from fake_states import LAYERS, FakeExtractor, make_groups
from hypothesis import given, settings
from hypothesis import strategies as st

import pttrust_lightning.cache.writer as writer
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import cache_contents, finish_cache, owner
from pttrust_lightning.errors import CacheError

GROUPS = make_groups(18)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_ranks_together_read_what_one_process_reads(tmp_path, fill, contents, world_size):
    whole = fill(tmp_path / "whole", GROUPS)
    extract = FakeExtractor()
    found = fill(tmp_path / "ranks", GROUPS, extract, ranks=range(world_size), world_size=world_size)
    assert sorted(extract.read) == sorted(p.id for g in GROUPS for p in g.programs)
    assert contents(tmp_path / "ranks") == contents(tmp_path / "whole")
    assert found.groups == whole.groups and found.rows == whole.rows
    for layer in LAYERS:
        assert found.pairs(layer) == whole.pairs(layer)
        assert found.exclusions(layer).counts == whole.exclusions(layer).counts


@settings(deadline=None, derandomize=True)
@given(st.text(), st.integers(1, 64))
def test_a_group_has_one_owner(name, world_size):
    assert owner(name, world_size) in range(world_size)


def test_owners_are_the_same_everywhere_and_take_equal_shares():
    assert [owner(name, 3) == 1 for name in ("a.py", "b.py", "c.py", "\udc80")] == [False, True, True, True]
    shares = Counter(owner(f"file{i}.py", 8) for i in range(8000))
    assert min(shares.values()) > 900


RUNS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 3), st.sampled_from([20, 60, 1000])), max_size=6
)


def test_any_mix_of_ranks_and_interruptions_reads_every_group_once(tmp_path, fill, contents):
    """Each run is one rank of some world size that is interrupted after some shards."""
    fill(tmp_path / "whole", GROUPS)
    expected = contents(tmp_path / "whole")

    @settings(deadline=None, derandomize=True, max_examples=20)
    @given(RUNS, st.integers(1, 3))
    def check(runs, last_world_size):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        read: list[str] = []
        for world_size, rank, calls, rows in runs:
            extract = FakeExtractor(calls)
            options = {"ranks": [rank % world_size], "world_size": world_size, "rows_per_file": rows, "finish": False}
            try:
                fill(folder, GROUPS, extract, **options)
            except RuntimeError as error:
                assert str(error) == "interrupted"
            read += extract.read
        extract = FakeExtractor()
        fill(folder, GROUPS, extract, ranks=range(last_world_size), world_size=last_world_size)
        assert sorted(read + extract.read) == sorted(p.id for g in GROUPS for p in g.programs)
        assert contents(folder) == expected
        shutil.rmtree(folder)

    check()


def test_a_rank_that_has_not_ended_is_missed(tmp_path, fill):
    fill(tmp_path, GROUPS, ranks=[0], world_size=2, finish=False)
    with pytest.raises(CacheError, match=r"answer for \d+ programs of 18\. Run every rank to its end"):
        finish_cache(tmp_path)
    with pytest.raises(CacheError, match="incomplete"):
        StateCache(tmp_path, layer=3)
    fill(tmp_path, GROUPS, ranks=[1], world_size=2)
    assert len(StateCache(tmp_path, layer=3)) > 0


def test_a_rank_with_another_corpus_is_noticed(tmp_path, fill):
    fill(tmp_path, GROUPS, ranks=[0], world_size=2, finish=False)
    fill(tmp_path, GROUPS[:-1], ranks=[1], world_size=2, finish=False)
    with pytest.raises(CacheError, match=r"programs of 17 or 18\."):
        finish_cache(tmp_path)


def test_ranks_fill_a_cache_at_the_same_time(tmp_path, fill, contents):
    fill(tmp_path / "whole", GROUPS)
    barrier, failed = threading.Barrier(3), []

    class Together(FakeExtractor):
        def __call__(self, groups, exclusions):
            if not self.read:
                barrier.wait(30)  # all ranks are inside at once
            return super().__call__(groups, exclusions)

    def run(rank):
        try:
            fill(tmp_path / "ranks", GROUPS, Together(), ranks=[rank], world_size=3, finish=False)
        except BaseException as error:
            failed.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    finish_cache(tmp_path / "ranks")
    assert contents(tmp_path / "ranks") == contents(tmp_path / "whole")


def test_while_a_rank_writes_others_may_join_but_not_clean_up_divide_otherwise_or_finish(tmp_path, fill):
    unnamed = tmp_path / "shard-0123456789abcdef.h5"
    seen = []

    def extract(groups, exclusions):
        if not seen:
            unnamed.write_bytes(b"renamed by a rank that has yet to write its journal")
            fill(tmp_path, GROUPS, ranks=[1], world_size=2, finish=False)
            seen.append(unnamed.exists())
            for world_size, rank in ((1, 0), (2, 0)):
                with pytest.raises(CacheError, match="as rank 0"):
                    fill(tmp_path, GROUPS, ranks=[rank], world_size=world_size)
            with pytest.raises(CacheError, match="with 2 ranks, this one has 3"):
                fill(tmp_path, GROUPS, ranks=[2], world_size=3)
            with pytest.raises(CacheError, match="still filling"):
                finish_cache(tmp_path)
        return FakeExtractor()(groups, exclusions)

    fill(tmp_path, GROUPS, extract, ranks=[0], world_size=2, finish=False)
    assert seen == [True]
    finish_cache(tmp_path)
    assert not unnamed.exists()
    assert cache_contents(tmp_path).manifest.complete


def test_a_rank_waits_while_another_joins(tmp_path, fill):
    """Whoever is first in removes what killed writers left: until that is done nobody may add to it."""
    tmp_path.mkdir(exist_ok=True)
    with (tmp_path / "entry.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=fill, args=(tmp_path, GROUPS))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and cache_contents(tmp_path) is None
    waiting.join()
    assert cache_contents(tmp_path).manifest.complete


def test_a_cache_that_another_rank_begins_meanwhile_is_no_folder_of_other_files(tmp_path, fill, monkeypatch):
    original, looked = writer.read_manifest, []

    def read(folder):
        if not looked:
            looked.append(folder)
            fill(tmp_path / "ranks", GROUPS, ranks=[1], world_size=2, finish=False)
            return None  # as it was when this rank looked
        return original(folder)

    monkeypatch.setattr(writer, "read_manifest", read)
    fill(tmp_path / "ranks", GROUPS, ranks=[0], world_size=2)
    assert looked
    assert cache_contents(tmp_path / "ranks").manifest.complete
