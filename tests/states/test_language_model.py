from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_llms import N_LAYERS, POSITIONS, gpt2_tokenizer
from tokenizers import Tokenizer, decoders, models
from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast, T5Config
from transformers.utils import logging as transformers_logging

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.states import language_model
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.language_model import (
    context_length,
    load_causal_lm,
    load_config,
    load_tokenizer,
    load_truncated,
    model_folder,
    provenance,
)


def config(folder, **settings):
    return LineStateConfig(llm=str(folder), **settings)


@pytest.fixture
def copy(gpt2, tmp_path) -> Path:
    """A copy of the tiny LLM that a test may damage."""
    return Path(shutil.copytree(gpt2, tmp_path / "copy"))


def edit_json(file, **changes):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes))


def test_an_unknown_layer_is_refused_before_anything_is_loaded(gpt2):
    message = rf"layer {N_LAYERS} does not exist: .* blocks 0 to {N_LAYERS - 1}.* for block 1"
    for read in (LineStateExtractor, load_truncated, provenance):
        with pytest.raises(LanguageModelError, match=message):
            read(config(gpt2, layer=N_LAYERS))


@pytest.mark.parametrize("llm", ["./nowhere", "~/no/such/folder", "/no/such/folder"])
def test_a_missing_folder_is_named(llm):
    with pytest.raises(LanguageModelError, match=f"{llm} does not exist"):
        model_folder(llm)


def test_a_hub_name_that_cannot_be_fetched_says_what_to_do(monkeypatch):
    import huggingface_hub

    def unreachable(*_args, **_kwargs):
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(LanguageModelError, match=r"'some/llm' .*ConnectionError: no route\).* use 'embedded'"):
        model_folder("some/llm")


def test_pickled_weights_are_not_loaded(copy):
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    for read in (LineStateExtractor, provenance, load_causal_lm):
        with pytest.raises(LanguageModelError, match="no safetensors weights"):
            read(config(copy))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda f: f.unlink(), "config.json is not the configuration"),
        (lambda f: f.write_text("{"), "config.json is not the configuration"),
        (lambda f: f.write_text('{"model_type": "no_such_type"}'), "config.json is not the configuration"),
        (lambda f: BertConfig(num_hidden_layers=4).save_pretrained(f.parent), None),
        (lambda f: T5Config().save_pretrained(f.parent), "'t5', which is not a decoder-only"),
    ],
    ids=["missing", "not JSON", "unknown type", "encoder", "encoder-decoder"],
)
def test_a_config_of_no_causal_model_is_refused(copy, broken, message):
    broken(copy / "config.json")
    with pytest.raises(LanguageModelError, match=message):
        LineStateExtractor(config(copy))
    if message is not None:
        with pytest.raises(LanguageModelError, match=message):
            load_config(config(copy))


def test_the_context_is_bounded_by_the_positions(gpt2):
    llm_config = load_config(config(gpt2))
    assert context_length(config(gpt2), llm_config) == POSITIONS
    assert context_length(config(gpt2, context_length=7), llm_config) == 7
    for read in (LineStateExtractor, provenance):
        with pytest.raises(LanguageModelError, match=rf"{POSITIONS + 1} is more than the {POSITIONS} positions"):
            read(config(gpt2, context_length=POSITIONS + 1))


def test_a_model_that_states_no_context_length_needs_one(gpt2):
    class Silent:
        max_position_embeddings = None

    with pytest.raises(LanguageModelError, match=r"Set states\.context_length"):
        context_length(config(gpt2), Silent())
    assert context_length(config(gpt2, context_length=99), Silent()) == 99


def test_missing_weights_are_named(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    for read in (load_truncated, load_causal_lm):
        with pytest.raises(LanguageModelError, match=r"lack 1 .*h.1.mlp.c_fc.weight"):
            read(config(copy))
    load_truncated(config(copy, layer=0))  # the tensor belongs to a block that is not read


@pytest.mark.parametrize("damage", ["truncated", "another shape"])
def test_damaged_weights_are_refused(copy, damage):
    file = copy / "model.safetensors"
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-1000])
    else:
        weights = load_file(file)
        weights["transformer.wpe.weight"] = weights["transformer.wpe.weight"][:5].clone()
        save_file(weights, file, metadata={"format": "pt"})
    for read in (load_truncated, load_causal_lm):
        message = r"weights in .*copy" + ("" if damage == "truncated" else r".*wpe\.weight")
        with pytest.raises(LanguageModelError, match=message):
            read(config(copy))


def test_a_tokenizer_that_cannot_be_read_is_refused(copy):
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(LanguageModelError, match="No tokenizer could be read"):
        load_tokenizer(config(copy))


def test_a_folder_without_tokenizer_is_refused(copy):
    for file in copy.glob("token*.json"):
        file.unlink()
    with pytest.raises(LanguageModelError, match=r"holds no tokenizer\. Save one|No tokenizer could be read"):
        load_tokenizer(config(copy))


def test_a_tokenizer_whose_bytes_are_unknown_is_refused(copy):
    word_piece = Tokenizer(models.WordPiece({"[UNK]": 0, "x": 1}, unk_token="[UNK]"))
    word_piece.decoder = decoders.WordPiece()
    PreTrainedTokenizerFast(tokenizer_object=word_piece, unk_token="[UNK]").save_pretrained(copy)
    with pytest.raises(LanguageModelError, match="WordPiece"):
        LineStateExtractor(config(copy))


def test_provenance_says_what_was_read(gpt2):
    found = provenance(config(gpt2, line_rule="mean", context_length=64, dtype="bfloat16"))
    assert found[:2] == ("gpt2", None)
    assert found[4:] == (None, 1, "mean", 64, "bfloat16")
    assert len(found.weights_sha256) == len(found.tokenizer_sha256) == 64
    json.dumps(found)


def test_provenance_does_not_depend_on_where_the_folder_lies(gpt2, tmp_path):
    elsewhere = Path(shutil.copytree(gpt2, tmp_path / "elsewhere" / gpt2.name))
    assert provenance(config(elsewhere)) == provenance(config(gpt2))


@pytest.mark.parametrize(
    ("file", "field"),
    [("model.safetensors", "weights_sha256")]
    + [(name, "tokenizer_sha256") for name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json")],
)
def test_provenance_changes_with_the_files(copy, file, field):
    """In place too: a notebook that trains its LLM on must not meet the states of the old one."""
    before = provenance(config(copy))
    data = bytearray((copy / file).read_bytes() if (copy / file).exists() else b"{}")
    data[-1] ^= 1
    (copy / file).write_bytes(data)
    after = provenance(config(copy))
    assert [name for name in before._fields if getattr(before, name) != getattr(after, name)] == [field]


def test_provenance_tells_weights_split_over_files(copy):
    before = provenance(config(copy))
    (copy / "model.safetensors").rename(copy / "model-00001-of-00001.safetensors")
    assert provenance(config(copy)).weights_sha256 != before.weights_sha256


def test_provenance_keeps_the_quantisation(copy):
    settings = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    edit_json(copy / "config.json", quantization_config=settings)
    assert provenance(config(copy)).quantisation.items() >= settings.items()


@pytest.fixture
def records():
    """What arrives at the logger of transformers' model loading."""
    seen = []

    class Keep(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    logger, handler = logging.getLogger("transformers.modeling_utils"), Keep(level=logging.WARNING)
    logger.addHandler(handler)
    yield seen
    logger.removeHandler(handler)


def test_the_load_report_is_silenced_and_nothing_else(gpt2, records, monkeypatch):
    logger = logging.getLogger("transformers.modeling_utils")
    AutoModel.from_pretrained(gpt2, num_hidden_layers=2)
    assert any("LOAD REPORT" in r for r in records)  # what is to be silenced is there
    records.clear()
    original = AutoModel.from_pretrained

    def warns(*args, **kwargs):
        logger.warning("some other warning")
        return original(*args, **kwargs)

    monkeypatch.setattr(language_model.AutoModel, "from_pretrained", warns)
    load_truncated(config(gpt2))
    assert records == ["some other warning"]
    logger.warning("a LOAD REPORT of somebody else")
    assert records[1:] == ["a LOAD REPORT of somebody else"]
    assert logger.filters == []


def test_the_progress_bar_is_left_as_it_was(gpt2):
    was_on = transformers_logging.is_progress_bar_enabled()
    try:
        for switch, expected in (
            (transformers_logging.enable_progress_bar, True),
            (transformers_logging.disable_progress_bar, False),
        ):
            switch()
            load_truncated(config(gpt2))
            assert transformers_logging.is_progress_bar_enabled() is expected
    finally:
        (transformers_logging.enable_progress_bar if was_on else transformers_logging.disable_progress_bar)()


def test_a_tokenizer_is_read_as_it_was_saved(gpt2):
    code = "def f():\n    return 1\n"
    assert load_tokenizer(config(gpt2))(code)["input_ids"] == gpt2_tokenizer()(code)["input_ids"]
