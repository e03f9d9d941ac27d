from __future__ import annotations

import pytest
from torch import nn

from pttrust_lightning.errors import ConfigError, LanguageModelError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.layers import decoder_blocks, default_layer, resolve_layer, resolve_layers, state_layers


@pytest.mark.parametrize(("n_layers", "layer"), [(40, 9), (8, 1), (4, 0), (2, 0), (1, 0), (32, 7), (11, 1)])
def test_default_layer_is_the_last_of_the_first_quarter(n_layers, layer):
    assert default_layer(n_layers) == layer
    assert resolve_layer(None, n_layers) == layer


@pytest.mark.parametrize("layer", [0, 3, 7])
def test_a_layer_that_exists_is_taken(layer):
    assert resolve_layer(layer, 8) == layer


@pytest.mark.parametrize("layer", [8, -1])
def test_an_unknown_layer_names_the_valid_ones_and_the_default(layer):
    with pytest.raises(LanguageModelError, match=rf"layer {layer} .* blocks 0 to 7.* block 1"):
        resolve_layer(layer, 8)


def test_all_layers_are_read_once_and_in_order():
    assert resolve_layers(None, (), 8) == (1,)
    assert resolve_layers(None, (7, 1, 0, 7), 8) == (0, 1, 7)
    assert resolve_layers(3, (2,), 8) == (2, 3)
    with pytest.raises(LanguageModelError, match="layer 8 does not exist"):
        resolve_layers(3, (2, 8), 8)


def blocks(n):
    return nn.ModuleList(nn.Linear(2, 2) for _ in range(n))


def test_blocks_are_found_by_their_number():
    model = nn.Module()
    model.inner, model.heads = nn.Module(), blocks(2)
    model.inner.h = blocks(3)
    assert decoder_blocks(model, 3) is model.inner.h


def test_lists_inside_blocks_do_not_count():
    model = nn.Module()
    model.layers = blocks(3)
    model.layers[0].experts = blocks(3)
    assert decoder_blocks(model, 3) is model.layers


@pytest.mark.parametrize(("lists", "found"), [((), 0), ((3, 3), 2)])
def test_no_list_of_blocks_or_two_are_refused(lists, found):
    model = nn.Module()
    for i, n in enumerate(lists):
        setattr(model, f"list{i}", blocks(n))
    with pytest.raises(LanguageModelError, match=f"Found {found} lists of 3 decoder blocks"):
        decoder_blocks(model, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"line_rule": "first"}, "'first'.*newline, last_code, mean"),
        ({"context_length": 0}, "context_length is 0"),
        ({"batch_tokens": -1}, "batch_tokens is -1"),
        ({"dtype": "int8"}, "'int8'.*float32, bfloat16, float16"),
        ({"quantization": {"load_in_8bit": True}}, "Set quant_method"),
    ],
)
def test_settings_that_no_run_could_use_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LineStateConfig(**settings)


@pytest.mark.parametrize(("layer", "expected"), [(None, (1,)), (5, (5,)), ((6, 2, 6), (2, 6)), ([0], (0,))])
def test_a_state_is_of_one_layer_or_of_several(layer, expected):
    assert state_layers(layer, 8) == expected
    assert resolve_layers(layer, (7, *expected), 8) == (*expected, 7)


@pytest.mark.parametrize(("layer", "message"), [((), "names no block"), ((0, 8), "layer 8 does not exist")])
def test_layers_that_make_no_state_are_refused(layer, message):
    with pytest.raises(LanguageModelError, match=message):
        state_layers(layer, 8)
