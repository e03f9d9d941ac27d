from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
import threading
from collections import Counter

import numpy as np
import pytest
import torch
from fake_states import KEY, LAYERS, ROW_BYTES, D, FakeExtractor, line_states, make_groups

from pttrust_lightning.cache.manifest import MANIFEST_NAME, read_manifest
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import cache_contents, fill_cache, finish_cache, open_manifest
from pttrust_lightning.errors import CacheError, CacheMismatchError, NonFiniteError, SourceError
from pttrust_lightning.types import Exclusions, Program, ProgramGroup, ProgramStates

GROUPS = make_groups(18)
N_SHARDS = 4


def n_lines(group):
    return sum(len(p.code.split("\n")) for p in group.programs)


def test_every_group_is_read_once_and_named_once(tmp_path, fill):
    extract = FakeExtractor()
    found = fill(tmp_path, GROUPS, extract)
    assert extract.read == [p.id for g in GROUPS for p in g.programs]
    assert [name for s in found.entries for name in s.groups] == [g.original.id for g in GROUPS]
    assert read_manifest(tmp_path).complete and len(found.entries) == N_SHARDS
    for layer in LAYERS:
        assert found.exclusions(layer).counts["nothing to read"] > 0


def test_a_shard_is_as_large_as_its_rows(tmp_path, fill):
    by_id = {g.original.id: g for g in GROUPS}
    for rows in (1, 30, 60, 100, 10**6):
        sizes = [[n_lines(by_id[n]) for n in e.groups] for e in fill(tmp_path / str(rows), rows_per_file=rows).entries]
        for this, following in zip(sizes, [*sizes[1:], [10**9]], strict=True):
            assert sum(this) <= rows or len(this) == 1  # a larger group has a shard of its own
            assert sum(this) + following[0] > rows  # none is smaller than it must be
    assert len(sizes) == 1


def test_rows_and_pairs_are_those_of_the_shards(tmp_path, fill):
    found = fill(tmp_path, GROUPS)
    states = [line_states(p) for g in GROUPS for p in g.programs]
    assert found.rows == sum(len(s.line_numbers) for s in states if s is not None)
    for layer in LAYERS:
        cache = StateCache(tmp_path, layer=layer)
        batch = cache.groups(range(len(cache)))
        assert found.rows == cache.n_rows == len(batch.states)
        assert found.pairs(layer) == cache.n_pairs == len(batch.pairs)
        candidates = sum(len(m.pairs) for g in GROUPS for m in g.mutants)
        left_out = sum(n for reason, n in found.exclusions(layer).counts.items() if "pair" in reason)
        assert found.pairs(layer) + left_out == candidates
    assert found.pairs(LAYERS[0]) != found.pairs(LAYERS[1])


def test_what_a_layer_drops_does_not_depend_on_the_others(tmp_path, fill):
    def one_layer(position):
        def extract(groups, exclusions):
            return [
                ProgramStates(s.program_id, s.line_numbers, s.states[position : position + 1], None, s.n_lines)
                for s in FakeExtractor()(groups, exclusions)
            ]

        return extract

    both = fill(tmp_path / "both", GROUPS)
    for position, layer in enumerate(LAYERS):
        alone = fill(tmp_path / str(layer), GROUPS, one_layer(position), key={**KEY, "layers": [layer]})
        assert alone.pairs(layer) == both.pairs(layer)
        assert alone.exclusions(layer) == both.exclusions(layer)
        mine, theirs = (StateCache(tmp_path / name, layer=layer) for name in ("both", str(layer)))
        for a, b in zip(mine.groups(range(len(mine))), theirs.groups(range(len(theirs))), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("calls", range(N_SHARDS + 1))
def test_an_interrupted_fill_goes_on_where_it_stopped(tmp_path, fill, contents, shards, calls, error):
    whole, folder = tmp_path / "whole", tmp_path / "resumed"
    fill(whole, GROUPS)
    first, second = FakeExtractor(calls, error=error), FakeExtractor()
    if calls < N_SHARDS:
        with pytest.raises(error, match="interrupted"):
            fill(folder, GROUPS, first)
        assert len(shards(folder)) == calls == len(cache_contents(folder).entries)  # all that was read is stored
        assert not list(folder.glob("*.tmp"))
        with pytest.raises(CacheError, match="incomplete"):
            StateCache(folder, layer=3)
        with pytest.raises(CacheError, match=r"Run every rank to its end"):
            finish_cache(folder)
    else:
        fill(folder, GROUPS, first)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("cache-")]
    fill(folder, GROUPS, second)
    assert Counter(first.read + second.read) == Counter(p.id for g in GROUPS for p in g.programs)
    assert contents(folder) == contents(whole)
    assert shards(folder) == shards(whole)


def test_another_shard_size_loses_and_repeats_nothing(tmp_path, fill, contents):
    fill(tmp_path / "whole", GROUPS)
    first, second = FakeExtractor(2), FakeExtractor()
    with pytest.raises(RuntimeError):
        fill(tmp_path / "resumed", GROUPS, first, rows_per_file=25)
    fill(tmp_path / "resumed", GROUPS, second, rows_per_file=90)
    assert Counter(first.read + second.read) == Counter(p.id for g in GROUPS for p in g.programs)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


def test_another_order_of_the_corpus_gives_the_same_cache(tmp_path, fill, contents):
    fill(tmp_path / "whole", GROUPS)
    fill(tmp_path / "reversed", GROUPS[::-1])
    assert contents(tmp_path / "reversed") == contents(tmp_path / "whole")


def test_a_complete_cache_is_not_touched(tmp_path, fill, shards):
    fill(tmp_path, GROUPS)
    before = shards(tmp_path), (tmp_path / "shards-0.jsonl").read_bytes(), (tmp_path / MANIFEST_NAME).stat().st_mtime_ns
    fill(tmp_path, iter(GROUPS), FakeExtractor(calls=0), rows_per_file=1, finish=False)
    after = shards(tmp_path), (tmp_path / "shards-0.jsonl").read_bytes(), (tmp_path / MANIFEST_NAME).stat().st_mtime_ns
    assert before == after


def test_leftovers_are_removed_counted_and_said(tmp_path, fill, contents, caplog):
    with pytest.raises(RuntimeError):
        fill(tmp_path, GROUPS, FakeExtractor(1))
    for name in ("shard-0123456789abcdef.h5.0.tmp", "manifest.json.tmp", "shard-0123456789abcdef.h5"):
        tmp_path.joinpath(name).write_bytes(b"half a file")
    fill(tmp_path, GROUPS)
    assert not list(tmp_path.glob("*.tmp")) and not (tmp_path / "shard-0123456789abcdef.h5").exists()
    assert "removed 2 unfinished files and 1 shards that no line of shards-*.jsonl names" in caplog.text
    assert contents(tmp_path)[0]


def test_a_folder_of_other_files_is_not_taken(tmp_path):
    tmp_path.joinpath("thesis.tex").write_text("...")
    with pytest.raises(CacheError, match="holds files but no cache manifest"):
        open_manifest(tmp_path, KEY, D, "float32")


def test_groups_that_gave_no_state_are_not_read_again(tmp_path, fill):
    empty = [ProgramGroup(Program(f"empty{i}", "x", "python")) for i in range(3)]
    entries = fill(tmp_path, empty, rows_per_file=2).entries
    assert [s.groups for s in entries] == [["empty0", "empty1"], ["empty2"]]
    assert [s.rows for s in entries] == [0, 0]
    (tmp_path / MANIFEST_NAME).write_text((tmp_path / MANIFEST_NAME).read_text().replace("true", "false"))
    fill(tmp_path, empty, FakeExtractor(calls=0))
    cache = StateCache(tmp_path, layer=3)
    assert len(cache) == 0
    assert cache.groups([]).states.shape == (0, D) and cache.groups([]).pairs.shape == (0, 2)


def test_no_groups_make_an_empty_complete_cache(tmp_path, fill):
    assert fill(tmp_path, []).rows == 0
    assert StateCache(tmp_path, layer=3).n_rows == 0


def changed_states(change, name="p17.py"):
    def extract(groups, exclusions):
        found = FakeExtractor()(groups, exclusions)
        return [s if s.program_id != name else change(s) for s in found]

    return extract


def test_states_that_do_not_fit_leave_the_shards_before_them(tmp_path, fill):
    assert GROUPS[-1].original.id == "p17.py"
    large = changed_states(lambda s: dataclasses.replace(s, states=s.states * 1e9))
    with pytest.raises(NonFiniteError, match="float16"):
        fill(tmp_path, GROUPS, large, storage_dtype="float16", rows_per_file=30)
    before = len(cache_contents(tmp_path).entries)
    assert before > 1
    assert len(fill(tmp_path, GROUPS, storage_dtype="float16", rows_per_file=30).entries) == before + 1
    assert len(StateCache(tmp_path, layer=3).group_ids) > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: ProgramStates(s.program_id, s.line_numbers, s.states[:1], None, 1), "for the layers"),
        (lambda s: ProgramStates(s.program_id, s.line_numbers, s.states[..., 1:], None, 1), "must have shape"),
        (lambda s: ProgramStates(s.program_id, s.line_numbers[1:], s.states, None, 1), "must have shape"),
        (lambda s: ProgramStates("p0.py", s.line_numbers, s.states, None, 1), "one entry a program"),
        (lambda s: ProgramStates("other.py", s.line_numbers, s.states, None, 1), "one entry a program"),
        (lambda s: dataclasses.replace(s, uncertainty=np.zeros((8, 3))), "uncertainty must be"),
        (lambda s: dataclasses.replace(s, lookback=np.zeros((8, 3))), "lookback must be"),
        (lambda s: dataclasses.replace(s, line_tokens=None), "line_tokens must be"),
    ],
)
def test_states_of_another_shape_or_program_are_refused(tmp_path, fill, change, said):
    with pytest.raises(ValueError, match=said):
        fill(tmp_path, GROUPS, changed_states(change), rows_per_file=10**6)
    assert cache_contents(tmp_path).entries == []


def test_two_programs_of_one_id_are_refused(tmp_path, fill):
    """A program may be named like another's mutant; their states would be mixed up."""
    clash = make_groups(6, seed=1)
    mutated = next(g for g in clash if g.mutants)
    clash.append(ProgramGroup(Program(mutated.mutants[0].program.id, "x = 1", "python")))
    with pytest.raises(SourceError, match=r"called '.*#round0'"):
        fill(tmp_path / "one", clash, rows_per_file=10**6)
    fill(tmp_path / "two", clash, rows_per_file=1)  # in different shards, only the reader sees it
    with pytest.raises(CacheError, match=r"field 'program_id': '.*#round0' is stored twice"):
        StateCache(tmp_path / "two", layer=3)
    with pytest.raises(SourceError, match=r"Two programs are called 'p0\.py'"):
        fill(tmp_path / "three", [*GROUPS, GROUPS[0]], rows_per_file=1)


def test_uncertainty_is_stored_where_it_was_read(tmp_path, fill):
    fill(tmp_path / "with", GROUPS, FakeExtractor(uncertainty=True))
    fill(tmp_path / "without", GROUPS)
    program = next(g.original for g in GROUPS if g.original.id.startswith("p"))
    expected = line_states(program, True)
    found = StateCache(tmp_path / "with", layer=7).program(program.id).uncertainty
    np.testing.assert_allclose(found, expected.uncertainty, rtol=1e-6)
    assert found.dtype == np.float64
    assert StateCache(tmp_path / "without", layer=7).program(program.id).uncertainty is None


def test_what_else_is_known_of_a_line_is_stored_where_it_was_read(tmp_path, fill):
    fill(tmp_path / "with", GROUPS, FakeExtractor(lookback=True))
    fill(tmp_path / "without", GROUPS)
    for program in (p for g in GROUPS for p in g.programs if line_states(p) is not None):
        expected = line_states(program, lookback=True)
        found, bare = (StateCache(tmp_path / name, layer=7).program(program.id) for name in ("with", "without"))
        np.testing.assert_allclose(found.lookback, expected.lookback, rtol=1e-6)
        assert np.array_equal(found.line_tokens, expected.line_tokens) and found.line_tokens.dtype == np.int64
        assert np.array_equal(bare.line_tokens, expected.line_tokens)
        assert (found.uncertainty, bare.lookback, found.prompt_difference) == (None, None, None)


def test_a_cache_of_an_earlier_version_knows_less_and_still_opens(tmp_path, fill):
    class Earlier(FakeExtractor):
        def __call__(self, *args):
            return [dataclasses.replace(s, line_tokens=None) for s in super().__call__(*args)]

    fill(tmp_path, GROUPS[:6], Earlier())
    cache = StateCache(tmp_path, layer=3)
    name = next(g.original.id for g in GROUPS[:6] if g.original.id in cache)
    assert cache.program(name).line_tokens is None and len(cache.program(name).states)


def test_a_second_writer_is_refused(tmp_path, fill, shards):
    (tmp_path / "writer-0.lock").touch()
    with (tmp_path / "writer-0.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(CacheError, match=f"Another process is filling {tmp_path} as rank 0"):
            fill(tmp_path, GROUPS)
        assert not shards(tmp_path)
    fill(tmp_path, GROUPS)


def test_a_writer_that_comes_late_takes_over_what_is_there(tmp_path, fill, shards):
    """Both opened the manifest before either held the lock."""
    late = open_manifest(tmp_path, KEY, D, "float32")
    late.source_excluded = {"empty file": {"count": 1, "examples": ["a.py"]}}
    fill(tmp_path, GROUPS)
    before, extract = shards(tmp_path), FakeExtractor()
    fill_cache(tmp_path, late, GROUPS, extract)
    assert extract.read == []
    assert shards(tmp_path) == before
    assert cache_contents(tmp_path).exclusions(3).counts["empty file"] == 1
    other = open_manifest(tmp_path / "other", {**KEY, "llm": "other"}, D, "float32")
    with pytest.raises(CacheMismatchError, match="llm = 'tiny'"):
        fill_cache(tmp_path, other, GROUPS, extract)


def test_what_the_corpus_left_out_may_be_known_at_the_end(tmp_path, fill):
    fill(tmp_path, GROUPS)
    left_out = Exclusions()
    left_out.add("empty file", "b.py", 2)
    assert finish_cache(tmp_path, left_out).exclusions(3).counts["empty file"] == 2
    assert finish_cache(tmp_path).exclusions(3).counts["empty file"] == 2
    assert finish_cache(tmp_path, Exclusions()).exclusions(3).counts["empty file"] == 0


def test_progress_counts_every_group_and_row_once_in_the_callers_thread(tmp_path, fill):
    with pytest.raises(RuntimeError):
        fill(tmp_path, GROUPS, FakeExtractor(2))
    seen, threads = [], set()

    def on_shard(groups, rows):
        seen.append((groups, rows))
        threads.add(threading.current_thread())

    found = fill(tmp_path, GROUPS, on_shard=on_shard)
    assert [n for n, _ in seen] == [8, 4, 6]
    assert sum(rows for _, rows in seen) == found.rows
    assert threads == {threading.current_thread()}


def test_mutants_are_made_only_of_what_is_read(tmp_path, fill, contents):
    fill(tmp_path / "whole", GROUPS)
    bare, by_id = [ProgramGroup(g.original) for g in GROUPS], {g.original.id: g for g in GROUPS}
    expanded = []

    def expand(group):
        expanded.append(group.original.id)
        return by_id[group.original.id]

    with pytest.raises(RuntimeError):
        fill(tmp_path / "made", iter(bare), FakeExtractor(2), expand=expand)
    done = cache_contents(tmp_path / "made").groups
    expanded.clear()
    fill(tmp_path / "made", iter(bare), expand=expand)
    assert expanded == [g.original.id for g in GROUPS if g.original.id not in done]
    assert contents(tmp_path / "made") == contents(tmp_path / "whole")


def test_only_a_few_shards_of_groups_are_held_at_once(tmp_path, fill):
    many, made, read = make_groups(200, seed=5), [], []
    ahead = []

    def corpus():
        for group in many:
            made.append(group)
            yield group

    def extract(groups, exclusions):
        ahead.append(len(made) - len(read))
        read.extend(groups)
        return FakeExtractor()(groups, exclusions)

    fill(tmp_path, corpus(), extract, rows_per_file=60)
    largest = max(len(e.groups) for e in cache_contents(tmp_path).entries)
    assert max(ahead) <= 3 * largest + 2 < len(many)  # the one that is read, one ahead, and one being made


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("writes", range(8))
def test_a_full_disk_says_what_is_safe_and_how_to_go_on(tmp_path, fill, contents, monkeypatch, code, writes):
    """The disk takes some writes, then half of one, then none."""
    fill(tmp_path / "whole", GROUPS)
    folder, original, left = tmp_path / "full", os.write, [writes]

    def full(descriptor, data):
        left[0] -= 1
        if left[0] == -1:
            return original(descriptor, bytes(data)[: len(data) // 2])
        if left[0] < -1:
            raise OSError(code, os.strerror(code))
        return original(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    said = "cannot be written" if code == errno.EACCES else "No space is left for"
    with pytest.raises(CacheError, match=rf"{said}.*\n?.*is safe.*run the same command again") as caught:
        fill(folder, GROUPS)
    assert str(folder) in str(caught.value)
    assert not list(folder.glob("*.tmp"))
    journal = folder / "shards-0.jsonl"
    assert not journal.exists() or not (data := journal.read_bytes()) or data.endswith(b"\n")
    monkeypatch.setattr(os, "write", original)
    fill(folder, GROUPS)
    assert contents(folder) == contents(tmp_path / "whole")


def test_the_manifest_is_plain_json(tmp_path, fill):
    fill(tmp_path, GROUPS)
    raw = json.loads((tmp_path / MANIFEST_NAME).read_text())
    assert raw["key"] == {"llm": "tiny", "layers": [3, 7], "rounds": [0.15, 0.2], "storage_dtype": "float32"}
    assert (raw["schema_version"], raw["complete"], raw["n_groups"], raw["d"]) == (2, True, 18, D)


@pytest.mark.parametrize("options", [{"rank": 1}, {"rank": -1}, {"rank": 0, "world_size": 0}, {"unsaved_bytes": 0}])
def test_a_rank_or_size_that_cannot_be_is_refused(tmp_path, options):
    manifest = open_manifest(tmp_path, KEY, D, "float32")
    with pytest.raises(ValueError, match="cannot be"):
        fill_cache(tmp_path, manifest, GROUPS, FakeExtractor(), **{"unsaved_bytes": 100 * ROW_BYTES, **options})


def test_there_is_nothing_to_finish(tmp_path):
    with pytest.raises(CacheError, match=r"holds no state cache\. Make one first"):
        finish_cache(tmp_path)
    assert cache_contents(tmp_path) is None
