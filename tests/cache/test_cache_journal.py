from __future__ import annotations

import json

import pytest
from fake_states import FakeExtractor, make_groups

from pttrust_lightning.cache.journal import read_journal
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import cache_contents, finish_cache
from pttrust_lightning.errors import CacheError

GROUPS = make_groups(18)


@pytest.fixture
def journal(folder):
    return folder / "shards-0.jsonl"


def test_a_shard_is_a_line(folder, journal):
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert lines[-1] == {"total": 18}
    assert [name for line in lines[:-1] for name in line["groups"]] == [g.original.id for g in GROUPS]
    for line in lines[:-1]:
        assert line["file"] == f"shard-{line['sha256'][:16]}.h5"
        assert line["bytes"] == (folder / line["file"]).stat().st_size


def test_a_journal_only_grows(tmp_path, fill):
    before = b""
    for calls in (1, 1, 1):
        with pytest.raises(RuntimeError):
            fill(tmp_path, GROUPS, FakeExtractor(calls))
        data = (tmp_path / "shards-0.jsonl").read_bytes()
        assert data.startswith(before) and data.count(b"\n") == before.count(b"\n") + 1
        before = data


def test_a_torn_last_line_is_ignored_and_cut_off_by_the_next_writer(tmp_path, fill, contents, caplog):
    fill(tmp_path / "whole", GROUPS)
    with pytest.raises(RuntimeError):
        fill(tmp_path / "cut", GROUPS, FakeExtractor(3))
    path = tmp_path / "cut" / "shards-0.jsonl"
    data = path.read_bytes()
    second, last = data.index(b"\n") + 1, data.rindex(b"\n", 0, -1) + 1
    assert 0 < second < last
    for length in (last + 1, (last + len(data)) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert len(cache_contents(tmp_path / "cut").entries) == 2
    fill(tmp_path / "cut", GROUPS)
    assert "cut off a last line" in caplog.text and "and 1 shards that no line" in caplog.text
    assert path.read_bytes().startswith(data[:last])
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_another_ranks_torn_line_is_left_to_it(tmp_path, fill, contents):
    fill(tmp_path / "whole", GROUPS)
    fill(tmp_path / "two", GROUPS, ranks=[1], world_size=2, finish=False)
    path = tmp_path / "two" / "shards-1.jsonl"
    data = path.read_bytes()[: -len('{"total": 18}') - 10]
    path.write_bytes(data)
    fill(tmp_path / "two", GROUPS)  # one rank now: it reads what the torn line answered for
    assert path.read_bytes() == data
    assert contents(tmp_path / "two") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    "damage",
    [
        b"{}",
        b"",
        b"null",
        b"3",
        b"[]",
        b"\xff",
        b"{",
        b'{"total": -1}',
        b'{"total": true}',
        b'{"total": "18"}',
        b'{"file": "shard-0.h5"}',
    ],
)
@pytest.mark.parametrize("position", [0, 2, -1])
def test_damage_elsewhere_is_named_by_line(folder, journal, fill, damage, position):
    lines = journal.read_bytes().split(b"\n")[:-1]
    lines[position] = damage
    journal.write_bytes(b"\n".join(lines) + b"\n")
    number = range(1, len(lines) + 1)[position]
    for use in (lambda: StateCache(folder, layer=3), lambda: fill(folder), lambda: cache_contents(folder)):
        with pytest.raises(CacheError, match=rf"shards-0\.jsonl, line {number}: .*Delete that line and run"):
            use()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in ("bytes", "rows", "pairs") for value in (-1, 1.5, "3", None, True)),
        *(("file", name) for name in ("../x", "/etc/passwd", "shard-0000000000000000.h5", "..", "", 3, "shard-x.h5")),
        *(("sha256", name) for name in ("", "0" * 64, "x" * 64, 3)),
        *(("groups", value) for value in (None, "p0.py", [3], {"p0.py": 1})),
        *(("equal_pairs", value) for value in (None, {}, {"3": {"count": 0, "examples": []}}, {"3": 1, "7": 1})),
        *(("excluded", value) for value in (None, [], {"a": 3}, {"a": {"count": 1}}, {"a": {"count": "x"}})),
        ("new", 1),
    ],
)
def test_a_field_that_cannot_be_is_refused(folder, journal, field, value):
    lines = journal.read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), field: value})
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(CacheError, match=r"shards-0\.jsonl, line 2: "):
        read_journal(journal, [3, 7])


def test_a_line_that_stands_twice_is_refused(folder, journal, fill):
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines, lines[1]]) + "\n")
    for use in (lambda: StateCache(folder, layer=3), lambda: finish_cache(folder), lambda: fill(folder)):
        with pytest.raises(CacheError, match=r"two lines of its shards-.* answer for the program '"):
            use()


def test_what_a_journal_lost_is_missed_and_read_again(folder, journal, fill, contents):
    """A complete cache whose journal is gone would otherwise look like a smaller one."""
    before = contents(folder)
    lines = journal.read_text().splitlines()
    for kept in (lines[1:], []):
        journal.write_text("".join(f"{line}\n" for line in kept))
        with pytest.raises(CacheError, match="incomplete"):
            StateCache(folder, layer=3)
        extract = FakeExtractor()
        fill(folder, GROUPS, extract)
        assert extract.read
        assert contents(folder) == before
    journal.unlink()
    with pytest.raises(CacheError, match="incomplete"):
        StateCache(folder, layer=3)


def test_a_shard_that_is_gone_is_missed_before_anything_is_read(folder, journal, fill, contents):
    before = contents(folder)
    entry = read_journal(journal, [3, 7]).entries[2]
    (folder / entry.file).unlink()
    extract = FakeExtractor()
    with pytest.raises(CacheError, match=rf"{entry.file} is missing or truncated.*Delete the line of shards-\*\.jsonl"):
        fill(folder, GROUPS, extract)
    assert extract.read == []
    journal.write_text("".join(f"{line}\n" for line in journal.read_text().splitlines() if entry.file not in line))
    fill(folder, GROUPS, extract)  # what the message says to do
    assert sorted(set(extract.read)) == sorted(
        p.id for g in GROUPS if g.original.id in entry.groups for p in g.programs
    )
    assert contents(folder) == before
