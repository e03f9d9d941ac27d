from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fake_states import D, FakeExtractor, line_states, make_groups

from pttrust_lightning.cache.manifest import MANIFEST_NAME, read_manifest
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import fill_cache, open_manifest
from pttrust_lightning.errors import CacheError, CacheMismatchError, NonFiniteError, SourceError
from pttrust_lightning.types import LineStates, Program, ProgramGroup

GROUPS = make_groups(18)


def contents(folder):
    """Everything that a reader gets from a cache, byte for byte."""
    cache = StateCache(folder)
    batch = cache.groups(range(len(cache)))
    return cache.group_ids, batch.states.numpy().tobytes(), batch.pairs.numpy().tobytes()


def shards(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.h5")}


def test_every_group_is_read_once_and_named_once(tmp_path, fill):
    extract = FakeExtractor()
    manifest = fill(tmp_path, GROUPS, extract)
    assert extract.read == [p.id for g in GROUPS for p in g.programs]
    assert [len(s.groups) for s in manifest.shards] == [4, 4, 4, 4, 2]
    assert [name for s in manifest.shards for name in s.groups] == [g.original.id for g in GROUPS]
    assert manifest == read_manifest(tmp_path)
    assert manifest.complete
    assert manifest.exclusions().counts["nothing to read"] > 0


def test_the_number_of_rows_and_pairs_is_that_of_the_shards(tmp_path, fill):
    manifest = fill(tmp_path, GROUPS)
    cache = StateCache(tmp_path)
    assert sum(s.rows for s in manifest.shards) == cache.n_rows == len(cache.groups(range(len(cache))).states)
    assert sum(s.pairs for s in manifest.shards) == cache.n_pairs == len(cache.groups(range(len(cache))).pairs)
    found = [line_states(p) for g in GROUPS for p in g.programs]
    assert cache.n_rows == sum(len(s.states) for s in found if s is not None)


@pytest.mark.parametrize("calls", range(6))
def test_an_interrupted_fill_goes_on_where_it_stopped(tmp_path, fill, calls):
    whole, folder = tmp_path / "whole", tmp_path / "resumed"
    fill(whole, GROUPS)
    first, second = FakeExtractor(calls), FakeExtractor()
    if calls < 5:
        with pytest.raises(RuntimeError, match="interrupted"):
            fill(folder, GROUPS, first)
        assert len(shards(folder)) == calls
        with pytest.raises(CacheError, match="incomplete"):
            StateCache(folder)
    else:
        fill(folder, GROUPS, first)
    fill(folder, GROUPS, second)
    assert Counter(first.read + second.read) == Counter(p.id for g in GROUPS for p in g.programs)
    assert contents(folder) == contents(whole)
    assert shards(folder) == shards(whole)


def test_a_shard_without_its_line_in_the_manifest_is_written_again(tmp_path, fill, monkeypatch):
    """What a crash between the shard's rename and the manifest's leaves, the first shard's included."""
    import pttrust_lightning.cache.writer as writer

    original = writer.write_manifest
    for survives in (1, 2):
        folder = tmp_path / str(survives)
        written = []

        def crash(path, manifest, survives=survives, written=written):
            if len(written) == survives:
                raise KeyboardInterrupt
            written.append(original(path, manifest))

        monkeypatch.setattr(writer, "write_manifest", crash)
        with pytest.raises(KeyboardInterrupt):
            fill(folder, GROUPS)
        monkeypatch.setattr(writer, "write_manifest", original)
        assert len(shards(folder)) == len(read_manifest(folder).shards) + 1
        fill(folder, GROUPS)
        fill(tmp_path / "whole", GROUPS)
        assert contents(folder) == contents(tmp_path / "whole")


def test_another_shard_size_loses_and_repeats_nothing(tmp_path, fill):
    fill(tmp_path / "whole", GROUPS)
    first, second = FakeExtractor(2), FakeExtractor()
    with pytest.raises(RuntimeError):
        fill(tmp_path / "resumed", GROUPS, first, groups_per_shard=5)
    manifest = fill(tmp_path / "resumed", GROUPS, second, groups_per_shard=3)
    assert [len(s.groups) for s in manifest.shards] == [5, 5, 3, 3, 2]
    assert Counter(first.read + second.read) == Counter(p.id for g in GROUPS for p in g.programs)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


def test_a_complete_cache_is_not_touched(tmp_path, fill):
    fill(tmp_path, GROUPS)
    before = shards(tmp_path)
    fill(tmp_path, GROUPS, FakeExtractor(calls=0), groups_per_shard=1)
    assert shards(tmp_path) == before


def test_leftovers_are_removed(tmp_path, fill):
    tmp_path.joinpath("shard-00000.h5.tmp").write_bytes(b"half a shard")
    tmp_path.joinpath("manifest.json.tmp").write_bytes(b"{")
    fill(tmp_path, GROUPS)
    assert not list(tmp_path.glob("*.tmp"))
    assert contents(tmp_path)[0]


def test_a_folder_of_other_files_is_not_taken(tmp_path):
    tmp_path.joinpath("thesis.tex").write_text("...")
    with pytest.raises(CacheError, match="holds files but no cache manifest"):
        open_manifest(tmp_path, {}, D, "float32")


def test_groups_that_gave_no_state_are_not_read_again(tmp_path, fill):
    empty = [ProgramGroup(Program(f"empty{i}", "x", "python")) for i in range(3)]
    manifest = fill(tmp_path, empty, groups_per_shard=2)
    assert [s.groups for s in manifest.shards] == [["empty0", "empty1"], ["empty2"]]
    assert [s.rows for s in manifest.shards] == [0, 0]
    fill(tmp_path, empty, FakeExtractor(calls=0))
    assert len(StateCache(tmp_path)) == 0
    assert StateCache(tmp_path).groups([]).states.shape == (0, D)


def test_no_groups_make_an_empty_complete_cache(tmp_path, fill):
    assert fill(tmp_path, []).complete
    assert StateCache(tmp_path).n_rows == 0


def test_states_that_do_not_fit_leave_the_shards_before_them(tmp_path, fill):
    def large_at_last(programs, exclusions):
        found = FakeExtractor()(programs, exclusions)
        return [s if s.program_id != "p17.py" else LineStates(s.program_id, s.line_numbers, s.states * 1e9, None, 1)
                for s in found]  # fmt: skip

    assert GROUPS[-1].original.id == "p17.py"
    with pytest.raises(NonFiniteError, match="float16"):
        fill(tmp_path, GROUPS, large_at_last, storage_dtype="float16")
    assert len(read_manifest(tmp_path).shards) == 4
    fill(tmp_path, GROUPS, storage_dtype="float16")
    assert len(StateCache(tmp_path).group_ids) > 0


def test_two_programs_of_one_id_are_refused(tmp_path, fill):
    """A program may be named like another's mutant; their states would be mixed up."""
    clash = make_groups(6, seed=1)
    mutated = next(g for g in clash if g.mutants)
    clash.append(ProgramGroup(Program(mutated.mutants[0].program.id, "x = 1", "python")))
    with pytest.raises(SourceError, match=r"called '.*#round0'"):
        fill(tmp_path, clash, groups_per_shard=100)


def test_uncertainty_is_stored_where_it_was_read(tmp_path, fill):
    fill(tmp_path / "with", GROUPS, FakeExtractor(uncertainty=True))
    fill(tmp_path / "without", GROUPS)
    name = next(g.original.id for g in GROUPS if g.original.id.startswith("p"))
    expected = line_states(next(g.original for g in GROUPS if g.original.id == name), True)
    np.testing.assert_allclose(StateCache(tmp_path / "with").program(name).uncertainty, expected.uncertainty, rtol=1e-6)
    assert StateCache(tmp_path / "without").program(name).uncertainty is None


def test_a_second_writer_is_refused(tmp_path, fill):
    (tmp_path / "writer.lock").touch()
    with (tmp_path / "writer.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(CacheError, match=f"Another process is filling {tmp_path}"):
            fill(tmp_path, GROUPS)
        assert not shards(tmp_path)
    fill(tmp_path, GROUPS)


def test_a_writer_that_comes_late_takes_over_what_is_there(tmp_path, fill):
    """Both opened the manifest before either held the lock."""
    late = open_manifest(tmp_path, {"llm": "tiny"}, D, "float32")
    late.source_excluded = {"empty file": {"count": 1, "examples": ["a.py"]}}
    fill(tmp_path, GROUPS, key={"llm": "tiny"})
    before, extract = shards(tmp_path), FakeExtractor()
    manifest = fill_cache(tmp_path, late, GROUPS, extract, 1)
    assert extract.read == []
    assert shards(tmp_path) == before
    assert manifest.exclusions().counts["empty file"] == 1
    other = open_manifest(tmp_path / "other", {"llm": "other"}, D, "float32")
    with pytest.raises(CacheMismatchError, match="llm = 'tiny'"):
        fill_cache(tmp_path, other, GROUPS, extract, 1)


def test_progress_counts_every_group_and_row_once(tmp_path, fill):
    with pytest.raises(RuntimeError):
        fill(tmp_path, GROUPS, FakeExtractor(2))
    seen = []
    manifest = open_manifest(tmp_path, {"llm": "tiny", "layer": 3, "rounds": [0.15, 0.2]}, D, "float32")
    manifest = fill_cache(tmp_path, manifest, GROUPS, FakeExtractor(), 4, on_shard=lambda *n: seen.append(n))
    assert [n for n, _ in seen] == [8, 4, 4, 2]
    assert sum(rows for _, rows in seen) == sum(s.rows for s in manifest.shards)


SLOW_WRITER = """
import sys, time
from pathlib import Path
from fake_states import FakeExtractor, make_groups
from pttrust_lightning.cache.writer import fill_cache, open_manifest

folder = Path(sys.argv[1])
extract = FakeExtractor()

def slow(programs, exclusions):
    time.sleep(0.03)
    return extract(programs, exclusions)

manifest = open_manifest(folder, {"llm": "tiny"}, 6, "float32")
print("ready", flush=True)
fill_cache(folder, manifest, make_groups(60), slow, 1)
"""


def test_a_killed_writer_loses_nothing_that_the_manifest_names(tmp_path, fill):
    groups = make_groups(60)
    fill(tmp_path / "whole", groups, groups_per_shard=1, key={"llm": "tiny"})
    folder = tmp_path / "killed"
    paths = [str(Path(__file__).parents[1]), *sys.path]
    resumed = 0
    for trial in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", SLOW_WRITER, str(folder)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE,
        )
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.1 + 0.07 * trial)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        manifest = read_manifest(folder)
        names = [name for s in manifest.shards for name in s.groups] if manifest else []
        assert len(set(names)) == len(names) >= resumed
        resumed = len(names)
    assert 0 < resumed < 60
    extract = FakeExtractor()
    fill(folder, groups, extract, groups_per_shard=1, key={"llm": "tiny"})
    assert extract.read == [p.id for g in groups[resumed:] for p in g.programs]
    assert contents(folder) == contents(tmp_path / "whole")
    assert shards(folder) == shards(tmp_path / "whole")


def test_the_manifest_is_plain_json_with_hashes(tmp_path, fill):
    manifest = fill(tmp_path, GROUPS)
    raw = json.loads((tmp_path / MANIFEST_NAME).read_text())
    assert raw["key"] == {"llm": "tiny", "layer": 3, "rounds": [0.15, 0.2], "storage_dtype": "float32"}
    assert raw["schema_version"] == 1
    for entry, shard in zip(raw["shards"], manifest.shards, strict=True):
        assert entry["bytes"] == (tmp_path / shard.file).stat().st_size
