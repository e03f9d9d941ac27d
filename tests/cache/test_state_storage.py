from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pttrust_lightning.cache.schema import STORED_AS, decode_names, decode_states, encode_names, encode_states
from pttrust_lightning.errors import CacheError, NonFiniteError

PROPERTY = settings(deadline=None, derandomize=True)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
LARGEST = {"float32": 3.4e38, "float16": 65504.0, "bfloat16": 3.38e38}


@pytest.mark.parametrize("storage", STORED_AS)
def test_states_come_back_rounded_to_the_storage_type(storage):
    bounded = FLOATS.filter(lambda x: abs(x) <= LARGEST[storage])

    @PROPERTY
    @given(hnp.arrays(np.float32, SHAPES, elements=bounded))
    def check(array):
        states = torch.from_numpy(array)
        stored = encode_states(states, storage)
        assert stored.dtype == STORED_AS[storage]
        decoded = decode_states(stored, storage)
        assert decoded.dtype == torch.float32
        assert torch.equal(decoded, states.to(getattr(torch, storage)).float())
        again = encode_states(decoded, storage)
        assert again.tobytes() == stored.tobytes()

    check()


@pytest.mark.parametrize(("storage", "error"), [("float32", 0.0), ("float16", 2**-11), ("bfloat16", 2**-8)])
def test_rounding_is_within_half_a_unit(storage, error):
    states = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
    decoded = decode_states(encode_states(states, storage), storage)
    assert ((decoded - states).abs() <= error * states.abs() + 1e-7).all()
    assert bool((decoded != states).any()) == (error > 0)


@pytest.mark.parametrize("value", [65520.0, -1e5, float("inf"), float("nan")])
def test_values_that_float16_cannot_hold_are_refused(value):
    states = torch.tensor([[0.0, value]])
    with pytest.raises(NonFiniteError, match=r"do not fit float16.*float32 or bfloat16"):
        encode_states(states, "float16")
    if np.isfinite(value):
        assert decode_states(encode_states(states, "float32"), "float32")[0, 1] == value
        encode_states(states, "bfloat16")
    else:
        with pytest.raises(NonFiniteError):
            encode_states(states, "float32")


def test_values_that_bfloat16_cannot_hold_are_refused():
    with pytest.raises(NonFiniteError, match="do not fit bfloat16"):
        encode_states(torch.tensor([[3.4e38]]), "bfloat16")


@pytest.mark.parametrize("storage", ["float32", "float16", "float64"])
def test_rows_of_another_type_are_refused(storage):
    with pytest.raises(CacheError, match=f"uint16, which does not store {storage}"):
        decode_states(np.zeros((1, 2), dtype=np.uint16), storage)


def test_bfloat16_is_stored_as_bits_and_says_so(tmp_path, fill):
    entries = fill(tmp_path, storage_dtype="bfloat16").entries
    with h5py.File(tmp_path / entries[0].file) as shard:
        assert set(shard["states"]) == set(shard["distinct"]) == {"3", "7"}
        for states in shard["states"].values():
            assert states.dtype == np.uint16
            assert states.attrs["dtype"] == "bfloat16"
            assert states.chunks is None  # contiguous: an order of magnitude faster to read
            assert states.id.get_offset() > 0


@PROPERTY
@given(st.lists(st.text()))
def test_names_come_back(names):
    """Those with a NUL, and file names that are no UTF-8, included."""
    names += ["a\0b", "", "\udc80.py"]
    blob, offset = encode_names(names)
    assert blob.dtype == np.uint8
    assert decode_names(blob, offset) == names
