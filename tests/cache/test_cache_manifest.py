from __future__ import annotations

import json

import pytest
from fake_states import D, FakeExtractor
from hypothesis import given, settings
from hypothesis import strategies as st

from pttrust_lightning.cache.manifest import MANIFEST_NAME, plain_key, read_manifest, write_manifest
from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import finish_cache, open_manifest
from pttrust_lightning.errors import CacheError, CacheMismatchError

KEY = {
    "llm": "tiny", "revision": None, "weights_sha256": "ab", "tokenizer_sha256": "cd", "quantisation": None,
    "layers": (3, 7), "line_rule": "newline", "context_length": 512, "dtype": "float32", "corpus_sha256": "ef",
    "operators": ("switch_inside", "delete_line"), "rounds": (0.15, 0.2), "mutation_seed": 0, "uncertainty": False,
}  # fmt: skip
OTHER = {
    "llm": "other", "revision": "v2", "weights_sha256": "xx", "tokenizer_sha256": "xx", "quantisation": {"bits": 4},
    "layers": (3, 8), "line_rule": "mean", "context_length": 256, "dtype": "bfloat16", "corpus_sha256": "xx",
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
        lambda: StateCache(made, changed, layer=3),
    ):
        with pytest.raises(CacheMismatchError, match=rf"{made} was made with {field} = ") as caught:
            use()
        assert caught.value.field == field
    assert extract.read == []


@pytest.mark.parametrize("field", KEY)
def test_a_field_that_only_one_side_knows_is_refused_too(made, field):
    without = {k: v for k, v in KEY.items() if k != field}
    if KEY[field] is not None and field != "layers":
        with pytest.raises(CacheMismatchError) as caught:
            open_manifest(made, without, D, "float32")
        assert caught.value.field == field
    StateCache(made, without, layer=3)  # a reader asks for what it knows
    for key in ({**KEY, "new_field": 1}, {"new_field": 1}):
        with pytest.raises(CacheMismatchError) as caught:
            StateCache(made, key, layer=3)
        assert caught.value.field == "new_field"


def test_the_storage_type_is_part_of_the_key(made):
    with pytest.raises(
        CacheMismatchError, match="storage_dtype = 'float32', but this run asks for 'float16'"
    ) as caught:
        open_manifest(made, KEY, D, "float16")
    assert caught.value.field == "storage_dtype"


def test_equal_keys_compare_by_value(made):
    assert open_manifest(made, {**KEY, "rounds": [0.15, 0.2]}, D, "float32").complete
    StateCache(made, {"rounds": (0.15, 0.2), "layers": (7, 3)}, layer=3)


def test_the_first_field_in_order_is_named(made):
    with pytest.raises(CacheMismatchError) as caught:
        StateCache(made, OTHER, layer=3)
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
        b'{"schema_version": 2}',
        b'{"schema_version": 2, "key": {}, "d": 6, "storage_dtype": "float32"}',
        b'{"schema_version": 2, "key": {"layers": []}, "d": 6, "storage_dtype": "float32"}',
        b'{"schema_version": 2, "key": {"layers": [7, 3]}, "d": 6, "storage_dtype": "float32"}',
        b'{"schema_version": 2, "key": {"layers": [true]}, "d": 6, "storage_dtype": "float32"}',
        b'{"schema_version": 2, "key": {"layers": [-1]}, "d": 6, "storage_dtype": "float32"}',
    ],
)
def test_garbage_is_refused_and_named(made, content):
    (made / MANIFEST_NAME).write_bytes(content)
    for use in (lambda: StateCache(made), lambda: open_manifest(made, KEY, D, "float32")):
        with pytest.raises(CacheError, match=r"manifest\.json is not a cache manifest .* extract again"):
            use()


@pytest.mark.parametrize("value", [None, "text", 3, [3], {"a": 3}, [None]], ids=str)
def test_a_field_of_another_type_is_refused(made, value):
    raw = json.loads((made / MANIFEST_NAME).read_text())
    refused = 0
    for field in raw:
        if type(raw[field]) is type(value) and field not in ("key", "source_excluded", "schema_version"):
            continue  # of the right type: another test's matter
        (made / MANIFEST_NAME).write_text(json.dumps({**raw, field: value}))
        for use in (lambda: StateCache(made, KEY, layer=3), lambda: open_manifest(made, KEY, D, "float32")):
            with pytest.raises(CacheError):
                use()
            refused += 1
    assert refused >= 12


@pytest.mark.parametrize("version", [1, 3, None, "2"])
def test_another_schema_version_is_refused_by_name(made, version):
    raw = json.loads((made / MANIFEST_NAME).read_text())
    (made / MANIFEST_NAME).write_text(json.dumps(raw | {"schema_version": version}))
    with pytest.raises(CacheMismatchError) as caught:
        StateCache(made)
    assert caught.value.field == "schema_version"


def test_a_cache_of_more_layers_is_taken_and_of_fewer_refused(made):
    for layers in ((3,), (7,), (7, 3), [3, 3, 7]):
        manifest = open_manifest(made, {**KEY, "layers": layers}, D, "float32")
        assert manifest.layers == [3, 7]  # what an extractor has to read, whatever was asked for
        StateCache(made, {"layers": layers}, layer=3)
    for layers in ((4,), (3, 4), (3, 4, 7)):
        with pytest.raises(CacheMismatchError, match=r"layers = \[3, 7\], but this run asks for \[.*4") as caught:
            open_manifest(made, {**KEY, "layers": layers}, D, "float32")
        assert caught.value.field == "layers"


@pytest.mark.parametrize("layers", [None, (), (-1,), ("3",), 3, (True,)])
def test_a_key_without_layers_is_a_mistake(tmp_path, layers):
    with pytest.raises(ValueError, match="key must have layers"):
        open_manifest(tmp_path, {**KEY, "layers": layers}, D, "float32")


def test_another_width_is_refused(made):
    with pytest.raises(CacheMismatchError) as caught:
        open_manifest(made, KEY, D + 1, "float32")
    assert caught.value.field == "d"


def test_a_fingerprint_is_kept_for_the_caller(made):
    finish_cache(made, fingerprint={"newest": 12.5, "files": [1, 2]})
    assert open_manifest(made, KEY, D, "float32").fingerprint == {"newest": 12.5, "files": [1, 2]}
    finish_cache(made)
    assert open_manifest(made, KEY, D, "float32").fingerprint == {"newest": 12.5, "files": [1, 2]}


def test_a_remedy_never_asks_to_set_back_what_is_no_setting(made):
    for field, said in (
        ("corpus_sha256", "same programs"),
        ("weights_sha256", "weights"),
        ("tokenizer_sha256", "token"),
    ):
        with pytest.raises(CacheMismatchError, match=said) as caught:
            open_manifest(made, {**KEY, field: "other"}, D, "float32")
        assert f"Set {field} back" not in str(caught.value) and "another cache_dir" in str(caught.value)
    with pytest.raises(CacheMismatchError, match="Set line_rule back"):
        open_manifest(made, {**KEY, "line_rule": "mean"}, D, "float32")
