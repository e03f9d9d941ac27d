"""Shards that somebody changed on purpose, with the journal made to agree: nothing in them is followed or believed."""

from __future__ import annotations

import hashlib
import json

import h5py
import numpy as np
import pytest
from fake_states import LAYERS

from pttrust_lightning.cache.reader import StateCache
from pttrust_lightning.cache.writer import cache_contents
from pttrust_lightning.errors import CacheError

LAYER = LAYERS[0]
STATES = f"states/{LAYER}"
DISTINCT = f"distinct/{LAYER}"


def forge(folder, change, **said):
    """Change the first shard and let the journal agree, as no accident would; its new name comes back."""
    entry = cache_contents(folder).entries[0]
    path = folder / entry.file
    with h5py.File(path, "r+") as shard:
        change(shard)
    return agree(folder, entry.file, path.read_bytes(), **said)


def agree(folder, old, data, **said):
    """Store a shard's new contents under the name that they call for, and have the journal say so."""
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"shard-{sha256[:16]}.h5"
    (folder / old).unlink()
    (folder / name).write_bytes(data)
    journal = folder / "shards-0.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line.get("file") == old:
            line.update(file=name, sha256=sha256, bytes=len(data), **said)
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return name


def replace(field, make):
    def change(shard):
        array = shard[field][:]
        del shard[field]
        shard.create_dataset(field, data=make(array))

    return change


def edit(field, position, value):
    def make(array):
        array = array.copy()
        array[position] = value
        return array

    return replace(field, make)


def stored_otherwise(field, **options):
    def change(shard):
        array = shard[field][:]
        del shard[field]
        shard.create_dataset(field, data=array, **options)

    return change


def external(shard):
    array = shard[STATES][:]
    del shard[STATES]
    data = shard.create_dataset(STATES, array.shape, array.dtype, external=[("/etc/passwd", 0, array.nbytes)])
    assert data.external


def linked(field, link):
    def change(shard):
        shard.move(field, "elsewhere")
        shard[field] = link

    return change


def virtual(shard):
    shard.move(STATES, "elsewhere")
    source = h5py.VirtualSource(shard["elsewhere"])
    layout = h5py.VirtualLayout(source.shape, source.dtype)
    layout[:] = source
    shard.create_virtual_dataset(STATES, layout)


def unallocated(shard):
    """A data set that claims a petabyte and has not a byte of it."""
    del shard["line_number"]
    shard.create_dataset("line_number", (2**47,), np.int64)


def wrapping(shard):
    """Offsets whose differences overflow, so that they look ascending to a subtraction."""
    array = shard["pair_offset"][:]
    assert len(array) > 4
    array[1:4] = [2**63 - 1, -(2**63), -1]
    del shard["pair_offset"]
    shard["pair_offset"] = array


def of_bits(shard):
    """32-bit floats with another exponent than IEEE's."""
    array = shard[STATES][:]
    del shard[STATES]
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_ebias(100)
    space = h5py.h5s.create_simple(array.shape)
    h5py.h5d.create(shard["states"].id, str(LAYER).encode(), kind, space).write(space, space, array)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit("pairs", (0, 0), -1), "'pairs' names rows"),
        (edit("pairs", (0, 1), 10**6), "'pairs' names rows"),
        (edit("pairs", (0, 1), 2**63 - 1), "'pairs' names rows"),
        (edit("pairs", (-1, 0), 0), "'pairs' names rows"),  # a row of another group: counted from the wrong end
        (replace("pairs", lambda a: a.astype(np.float64)), "'pairs' is of type float64"),
        (replace("pairs", lambda a: a[:, :1]), "'pairs' has shape"),
        (replace("pairs", np.ravel), "'pairs' has shape"),
        (replace("pairs", lambda a: a[:-1]), "'pair_offset' does not"),
        (edit("pair_offset", -1, 0), "'pair_offset' does not"),
        (edit("pair_offset", 0, 1), "'pair_offset' does not"),
        (wrapping, "'pair_offset' does not"),
        (edit("program_offset", 1, 10**6), "'program_offset' does not"),
        (edit("program_offset", 1, -1), "'program_offset' does not"),
        (edit("program_offset", -1, 10**6), "'program_offset' does not"),
        (replace("program_offset", lambda a: a[:-1]), "'program_offset' does not"),
        (replace("program_offset", lambda a: a.astype(np.int32)), "'program_offset' is of type int32"),
        (replace("program_offset", lambda a: a.astype(">i8")), "'program_offset' is of type >i8"),
        (edit("group_offset", 1, 99), "'group_offset' does not"),
        (replace("group_offset", lambda a: a[1:]), "'group_offset' does not"),
        (replace("group_offset", lambda a: a[:0]), "'group_offset' does not"),
        (edit("group_id_offset", 1, 2**40), "'group_id_offset' does not"),
        (replace("group_id", lambda a: a[:-1]), "'group_id_offset' does not"),
        (edit("group_id", 0, ord("q")), "'group_id' names groups"),
        (edit("group_id", 0, 255), "codec can't decode"),
        (replace("line_number", lambda a: a[:-1]), f"'{STATES}' has shape"),
        (replace("program_lines", lambda a: a[:-1]), "'program_offset' does not"),
        (edit("program_id_offset", 1, -1), "'program_id_offset' does not"),
        (replace("program_id", lambda a: a.astype(np.int64)), "'program_id' is of type int64"),
        (replace(STATES, lambda a: a[:-1]), f"'{STATES}' has shape"),
        (replace(STATES, lambda a: a[:, :-1]), f"'{STATES}' has shape"),
        (replace(STATES, np.ravel), f"'{STATES}' has shape"),
        (replace(STATES, lambda a: a.astype(np.float64)), f"'{STATES}' is of type float64, expected float32"),
        (replace(STATES, lambda a: a.astype(np.float16)), f"'{STATES}' is of type float16, expected float32"),
        (replace(STATES, lambda a: a.astype(">f4")), f"'{STATES}' is of type >f4"),
        (of_bits, f"'{STATES}' is of type|not a shard"),
        (edit(DISTINCT, 0, 2), f"'{DISTINCT}' is not a mark"),
        (replace(DISTINCT, lambda a: a[:-1]), f"'{DISTINCT}' is not a mark"),
        (replace(DISTINCT, lambda a: 1 - a), "where the journal says"),
        (replace(DISTINCT, lambda a: a.astype(bool)), f"'{DISTINCT}' is of type bool"),
        (lambda shard: shard.__setitem__("uncertainty", np.zeros((3, 3), np.float32)), "'uncertainty' has shape"),
        (lambda shard: shard.__setitem__("uncertainty", np.zeros((3, 3))), "'uncertainty' is of type float64"),
        (lambda shard: shard.__setitem__("lookback", np.zeros((3, 9), np.float32)), "'lookback' has shape"),
        (lambda shard: shard.__setitem__("lookback", np.zeros(3, np.float32)), "'lookback' has shape"),
        (replace("line_tokens", lambda array: array[:-1]), "'line_tokens' has shape"),
        (replace("line_tokens", lambda array: array.astype(np.int32)), "'line_tokens' is of type int32"),
        (
            lambda shard: shard.__setitem__("uncertainty", h5py.ExternalLink("/etc/passwd", "/x")),
            "'uncertainty' is a l",
        ),
        *(
            (lambda shard, name=name: shard.__delitem__(name), f"'{name}.*' is missing")
            for name in (STATES, "states", DISTINCT, "pairs", "group_id", "line_number")
        ),
        (linked(STATES, h5py.SoftLink("/elsewhere")), f"'{STATES}' is a link"),
        (linked("states", h5py.SoftLink("/elsewhere")), f"'{STATES}' is a link"),
        (linked("pairs", h5py.SoftLink("/elsewhere")), "'pairs' is a link"),
        (linked(STATES, h5py.ExternalLink("/etc/passwd", "/x")), f"'{STATES}' is a link"),
        (lambda shard: shard.move(STATES, "pairs2") or shard.create_group(STATES), f"'{STATES}' is no data set"),
        (lambda shard: shard.move("states", "s2") or shard.__setitem__("states", [1]), f"'{STATES}' is missing"),
        (external, f"'{STATES}' is not stored in one"),
        (virtual, f"'{STATES}' is not stored in one"),
        (stored_otherwise(STATES, chunks=(2, 2)), f"'{STATES}' is not stored in one"),
        (stored_otherwise(STATES, compression="gzip"), f"'{STATES}' is not stored in one"),
        (stored_otherwise("pairs", shuffle=True, chunks=True), "'pairs' is not stored in one"),
        (unallocated, "'line_number' does not lie within"),
        (replace("program_id", lambda a: np.array(["a", "b"], dtype=object)), "'program_id' is of type|not a shard"),
    ],
)
def test_what_is_not_as_the_schema_says_is_refused_by_file_and_field(folder, change, said):
    with h5py.File(folder / cache_contents(folder).entries[0].file) as shard:
        assert len(shard["pairs"]) > 2 and len(shard["group_id_offset"]) > 3 and len(shard[STATES]) > 40
    name = forge(folder, change)
    with pytest.raises(CacheError, match=rf"{name} is not a shard of a state cache \(.*({said}).*Delete the line of"):
        StateCache(folder, layer=LAYER)


def test_another_layer_may_be_read_all_the_same(folder):
    forge(folder, replace(STATES, np.ravel))
    StateCache(folder, layer=LAYERS[1])


def test_forging_alone_is_not_what_is_refused(folder):
    group = json.loads((folder / "shards-0.jsonl").read_text().splitlines()[0])["groups"][0]
    forge(folder, edit(STATES, (0, 0), 42.0))
    cache = StateCache(folder, layer=LAYER)
    assert cache.groups([cache.group_ids.index(group)]).states[0, 0] == 42.0


@pytest.mark.parametrize("field", ["rows", "pairs"])
def test_other_numbers_than_the_journals_are_refused(folder, field):
    said = getattr(cache_contents(folder).entries[0], field) + 1
    name = forge(folder, lambda shard: None, **{field: said})
    with pytest.raises(CacheError, match=rf"{name}.*where the journal says \(.*{said}"):
        StateCache(folder, layer=LAYER)


def test_a_user_block_is_refused(folder):
    """It would move every offset."""
    old = cache_contents(folder).entries[0].file
    with h5py.File(folder / "block.h5", "w", userblock_size=512) as made, h5py.File(folder / old) as shard:
        for name in shard:
            shard.copy(name, made)
    name = agree(folder, old, (folder / "block.h5").read_bytes())
    with pytest.raises(CacheError, match=rf"{name}.*user block"):
        StateCache(folder, layer=LAYER)


@pytest.mark.parametrize("data", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n no more than a signature"])
def test_a_file_that_is_no_hdf5_is_refused(folder, data):
    name = agree(folder, cache_contents(folder).entries[0].file, data)
    with pytest.raises(CacheError, match=rf"{name} is not a shard of a state cache"):
        StateCache(folder, layer=LAYER)


def test_a_header_that_was_cut_anywhere_is_refused(folder):
    """Cut files of any length end in our error, and not in HDF5's or numpy's."""
    old = cache_contents(folder).entries[0].file
    data = (folder / old).read_bytes()
    for length in range(0, len(data) - 1, len(data) // 40):
        old = agree(folder, old, data[:length])
        with pytest.raises(CacheError, match=old):
            StateCache(folder, layer=LAYER)
