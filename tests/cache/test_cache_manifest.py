from __future__ import annotations

import json

import pytest
from fake_states import D, FakeExtractor
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.cache.manifest import MANIFEST_NAME, plain_key, read_manifest, write_manifest
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import open_manifest
from pttrust_lightning.errors import CacheError, CacheMismatchError

KEY = {
    "llm": "tiny", "revision": None, "weights_sha256": "ab", "tokenizer_sha256": "cd", "quantisation": None,
    "layer": 3, "line_rule": "newline", "context_length": 512, "dtype": "float32", "corpus_sha256": "ef",
    "operators": ("switch_inside", "delete_line"), "rounds": (0.15, 0.2), "mutation_seed": 0, "uncertainty": False,
}  # fmt: skip
OTHER = {
    "llm": "other", "revision": "v2", "weights_sha256": "xx", "tokenizer_sha256": "xx", "quantisation": {"bits": 4},
    "layer": 4, "line_rule": "mean", "context_length": 256, "dtype": "bfloat16", "corpus_sha256": "xx",
    "operators": ("delete_line", "switch_inside"), "rounds": (0.15,), "mutation_seed": 1, "uncertainty": True,
}  # fmt: skip


@pytest.fixture
def made(tmp_path, fill):
    fill(tmp_path / "cache", key=KEY)
    return tmp_path / "cache"


@pytest.mark.parametrize("field", KEY)
def test_every_field_that_differs_is_refused_and_named(made, fill, field):
    changed = {**KEY, field: OTHER[field]}
    extract = FakeExtractor()
    for use in (
        lambda: open_manifest(made, changed, D, "float32"),
        lambda: fill(made, key=changed, extract=extract),
        lambda: StateCache(made, changed),
    ):
        with pytest.raises(CacheMismatchError, match=rf"{made} was made with {field} = ") as caught:
            use()
        assert caught.value.field == field
    assert extract.read == []


@pytest.mark.parametrize("field", KEY)
def test_a_field_that_only_one_side_knows_is_refused_too(made, field):
    without = {k: v for k, v in KEY.items() if k != field}
    if KEY[field] is not None:
        with pytest.raises(CacheMismatchError) as caught:
            open_manifest(made, without, D, "float32")
        assert caught.value.field == field
    StateCache(made, without)  # a reader asks for what it knows
    for key in ({**KEY, "new_field": 1}, {"new_field": 1}):
        with pytest.raises(CacheMismatchError) as caught:
            StateCache(made, key)
        assert caught.value.field == "new_field"


def test_the_storage_type_is_part_of_the_key(made):
    with pytest.raises(
        CacheMismatchError, match="storage_dtype = 'float32', but this run asks for 'float16'"
    ) as caught:
        open_manifest(made, KEY, D, "float16")
    assert caught.value.field == "storage_dtype"


def test_equal_keys_compare_by_value(made):
    assert open_manifest(made, {**KEY, "rounds": [0.15, 0.2]}, D, "float32").complete
    StateCache(made, {"rounds": (0.15, 0.2), "layer": 3})


def test_the_first_field_in_order_is_named(made):
    with pytest.raises(CacheMismatchError) as caught:
        StateCache(made, OTHER)
    assert caught.value.field == "context_length"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.dictionaries(st.text(), JSON))
def test_a_plain_key_survives_json(key):
    assert json.loads(json.dumps(plain_key(key))) == plain_key(key) == key


def test_a_manifest_comes_back(made):
    manifest = read_manifest(made)
    write_manifest(made, manifest)
    assert read_manifest(made) == manifest
    assert not list(made.glob("*.tmp"))
    assert read_manifest(made.parent) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"3",
        b"{}",
        b"\xff\xfe",
        b'{"schema_version": 1}',
        b'{"schema_version": 1, "shards": 3}',
    ],
)
def test_garbage_is_refused_and_named(made, content):
    (made / MANIFEST_NAME).write_bytes(content)
    for use in (lambda: StateCache(made), lambda: open_manifest(made, KEY, D, "float32")):
        with pytest.raises(CacheError, match=r"manifest\.json is not a cache manifest .* extract again"):
            use()


def fields_of(manifest):
    return [(name,) for name in manifest] + [("shards", name) for name in manifest["shards"][0]]


@pytest.mark.parametrize("value", [None, "text", 3, [3], {"a": 3}, [None], [{"file": 3}]], ids=str)
def test_a_field_of_another_type_is_refused(made, value):
    raw = json.loads((made / MANIFEST_NAME).read_text())
    refused = 0
    for path in fields_of(raw):
        changed = json.loads(json.dumps(raw))
        target = changed["shards"][0] if len(path) == 2 else changed
        if type(target[path[-1]]) is type(value) and path[-1] not in (
            "groups",
            "shards",
            "excluded",
            "source_excluded",
        ):
            continue  # of the right type: another test's matter
        target[path[-1]] = value
        (made / MANIFEST_NAME).write_text(json.dumps(changed))
        for use in (lambda: StateCache(made, KEY), lambda: open_manifest(made, KEY, D, "float32")):
            with pytest.raises(CacheError):
                use()
            refused += 1
    assert refused >= 12


def test_another_schema_version_is_refused_by_name(made):
    raw = json.loads((made / MANIFEST_NAME).read_text())
    (made / MANIFEST_NAME).write_text(json.dumps(raw | {"schema_version": 2}))
    with pytest.raises(CacheMismatchError) as caught:
        StateCache(made)
    assert caught.value.field == "schema_version"


@pytest.mark.parametrize("file", ["../x", "../cache2/shard-00000.h5", "/etc/passwd", "sub/shard.h5", "..", ".", ""])
def test_a_manifest_cannot_name_files_elsewhere(made, file):
    raw = json.loads((made / MANIFEST_NAME).read_text())
    raw["shards"][0]["file"] = file
    (made / MANIFEST_NAME).write_text(json.dumps(raw))
    (made.parent / "x").write_bytes((made / "shard-00000.h5").read_bytes())
    with pytest.raises(CacheError, match=r"not a file of that folder|is missing"):
        StateCache(made)


def test_a_remedy_never_asks_to_set_back_what_is_no_setting(made):
    for field, said in (
        ("corpus_sha256", "same programs"),
        ("weights_sha256", "weights"),
        ("tokenizer_sha256", "token"),
    ):
        with pytest.raises(CacheMismatchError, match=said) as caught:
            open_manifest(made, {**KEY, field: "other"}, D, "float32")
        assert f"Set {field} back" not in str(caught.value) and "another cache_dir" in str(caught.value)
    with pytest.raises(CacheMismatchError, match="Set layer back"):
        open_manifest(made, {**KEY, "layer": 4}, D, "float32")
