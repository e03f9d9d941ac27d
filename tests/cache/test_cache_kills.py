from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fake_states import LAYERS, make_groups
from kill_script import UNSAVED_ROWS

from pttrust_lightning.cache.writer import cache_contents

SCRIPT = Path(__file__).with_name("kill_script.py")


def run(*args):
    """What a script that forks and kills prints; it starts from a process of its own, without threads."""
    path = os.pathsep.join([str(SCRIPT.parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, args)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def n_rows(groups):
    """Rows that a shard counts for some groups."""
    return sum(len(p.code.split("\n")) for g in groups for p in g.programs)


def lost_rows(calls, groups):
    """What each kill cost: the rows whose reading had begun, in part or in full, and that no journal answered for."""
    by_id, begun, lost = {g.original.id: g for g in groups}, set(), []
    for record in map(json.loads, calls.read_text().splitlines()):
        begun |= {*record.get("begin", [])}
        if "killed" in record:
            lost.append(n_rows(by_id[name] for name in begun - {*record["killed"]}))
            begun = set()
    return lost


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_cache_survives_kills_at_any_time(tmp_path, fill, contents, shards, kills):
    groups = make_groups(30 * kills)
    whole = fill(tmp_path / "whole", groups, rows_per_file=UNSAVED_ROWS // 2)
    assert run("random", tmp_path, kills, 0) == {"killed": kills, "end": "done"}

    found = cache_contents(tmp_path / "cache")
    assert found.groups == whole.groups and found.rows == whole.rows
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")
    assert {e.file for e in found.entries} == shards(tmp_path / "cache").keys()
    for layer in LAYERS:
        assert found.pairs(layer) == whole.pairs(layer)
        assert found.exclusions(layer).counts == whole.exclusions(layer).counts

    lost = lost_rows(tmp_path / "calls", groups)
    assert len(lost) == kills and 0 < max(lost) <= UNSAVED_ROWS
    print(f"{kills} kills cost {sum(lost)} of {n_rows(groups)} rows, at most {max(lost)} of {UNSAVED_ROWS} at once")


def test_a_cache_survives_a_kill_between_any_two_steps(tmp_path, fill, contents):
    groups = make_groups(8)
    fill(tmp_path / "whole", groups, rows_per_file=UNSAVED_ROWS // 2)
    expected = contents(tmp_path / "whole")
    n_shards = len(cache_contents(tmp_path / "whole").entries)
    assert n_shards > 1
    results = run("steps", tmp_path)
    assert Counter(r["first"] for r in results) == {"killed": len(results) - 1, "done": 1}
    assert {r["second"] for r in results} == {"done"}
    steps = Counter((r["moment"], r["step"]) for r in results)
    assert steps["before", "replace"] == n_shards + 2  # every shard, and the manifest twice
    assert steps["before", "fsync"] >= 3 * n_shards  # of every shard the file, its name and its line
    assert steps["half", "write"] == 2 * n_shards + 4  # and twice the manifest, the total, the lock's text
    for result in results:
        folder = Path(result["folder"])
        assert contents(folder / "cache") == expected, result
        assert not [*(folder / "cache").glob("*.tmp")]
        named = {e.file for e in cache_contents(folder / "cache").entries}
        assert named == {p.name for p in (folder / "cache").glob("*.h5")}
        assert max(lost_rows(folder / "calls", groups), default=0) <= UNSAVED_ROWS, result


def test_what_a_line_names_is_on_the_disk_before_the_line(tmp_path, fill, monkeypatch):
    """The order that makes a kill harmless makes a power cut harmless too."""
    done = []

    def patched(name, original):
        def call(first, *rest, **options):
            path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else Path(first)
            done.append((name, path.name.split("-")[0].removesuffix(".tmp"), path.suffix))
            return original(first, *rest, **options)

        return call

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, patched(name, getattr(os, name)))
    fill(tmp_path / "cache", make_groups(3), rows_per_file=10**6)
    shard = [
        ("write", "shard", ".tmp"),
        ("fsync", "shard", ".tmp"),
        ("replace", "shard", ".tmp"),
        ("fsync", "cache", ""),
        ("write", "shards", ".jsonl"),
        ("fsync", "shards", ".jsonl"),
        ("fsync", "cache", ""),  # the journal's own name
    ]
    total = [("write", "shards", ".jsonl"), ("fsync", "shards", ".jsonl")]
    manifest = [(step, "manifest.json", ".tmp") for step in ("write", "fsync", "replace")] + [("fsync", "cache", "")]
    assert done == [("write", "writers.lock", ".lock"), *manifest, *shard, *total, *manifest]
