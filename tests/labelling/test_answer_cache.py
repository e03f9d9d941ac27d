from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.errors import SchemaError, SourceError
from pttrust_lightning.labelling.answer_cache import AnswerCache, content_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(st.text(min_size=1).filter(lambda f: f != "key"), JSON, max_size=3))
def test_reads_back_what_was_put(tmp_path_factory, answer):
    path = tmp_path_factory.mktemp("cache") / "deep" / "answers.jsonl"
    AnswerCache(path).put("k", answer)
    read = AnswerCache(path)
    assert "k" in read
    assert "other" not in read
    assert read["k"] == answer


def test_wherever_a_run_is_killed_the_lines_before_are_kept(tmp_path):
    path = tmp_path / "answers.jsonl"
    cache = AnswerCache(path)
    for i in range(3):
        cache.put(f"k{i}", {"text": "ü\n" * i})
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        kept = whole[:length].count(b"\n")
        again = AnswerCache(path)
        assert len(again) == kept
        again.put("new", {"n": length})
        assert len(AnswerCache(path)) == kept + 1
    assert not path.read_bytes().startswith(b"\n")


def test_many_threads(tmp_path):
    cache = AnswerCache(tmp_path / "answers.jsonl")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: cache.put(str(i), {"i": i, "text": "x" * 5000}), range(200)))
    read = AnswerCache(tmp_path / "answers.jsonl")
    assert [read[str(i)]["i"] for i in range(200)] == list(range(200))


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a"}\n')
    with pytest.raises(SchemaError, match=r"answers\.jsonl, record 1, field 'key'"):
        AnswerCache(path)
    path.write_text("not JSON\n")
    with pytest.raises(SchemaError, match="not JSON"):
        AnswerCache(path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        AnswerCache(tmp_path / "file" / "answers.jsonl").put("k", {})


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    cache = AnswerCache(tmp_path / "answers.jsonl")
    cache.put("a", {"n": 1})
    before = (tmp_path / "answers.jsonl").read_bytes()
    write = __import__("os").write
    monkeypatch.setattr("pttrust_lightning.labelling.answer_cache.os.write", lambda fd, data: write(fd, data[:5]))
    with pytest.raises(SourceError, match="No space left"):
        cache.put("b", {"n": 2})
    assert (tmp_path / "answers.jsonl").read_bytes() == before
    assert "b" not in cache


def test_keys_depend_on_every_part_and_not_on_their_order():
    assert content_key(a=1, b=[2]) == content_key(b=[2], a=1)
    keys = [
        content_key(a=1, b=2),
        content_key(a=2, b=1),
        content_key(a=1, b="2"),
        content_key(a=1),
        content_key(a=[1, 2]),
    ]
    assert len(set(keys)) == len(keys)
    assert json.dumps(keys[0]).isascii()
