from __future__ import annotations

import pytest
from tiny_llms import END_OF_TEXT, TOKENIZERS, TRAINING_TEXT, byte_level
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.states.token_bytes import TokenBytes, byte_level_alphabet


def test_the_alphabet_is_gpt2s():
    assert byte_level_alphabet() == {c: b for b, c in bytes_to_unicode().items()}


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", [*TRAINING_TEXT, "    indented = 1\n", "\tx\n", "\n", "ünïcode 中 😀\n"])
def test_tokens_add_up_to_the_text(tokenizers, name, text):
    tokenizer = tokenizers[name]
    token_bytes = TokenBytes(tokenizer)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert b"".join(map(token_bytes, ids)) == (token_bytes.dummy_prefix(text) + text).encode()


def test_the_dummy_space_depends_on_the_tokenizer_and_on_the_text(tokenizers):
    prefixes = {
        name: tuple(TokenBytes(tokenizer).dummy_prefix(text) for text in ("x", " x", "\tx"))
        for name, tokenizer in tokenizers.items()
    }
    assert prefixes.pop("codellama") == (" ", "", " ")
    assert prefixes.pop("legacy_sentencepiece") == (" ", " ", " ")
    assert set(prefixes.values()) == {("", "", "")}


def test_byte_level_with_a_dummy_space():
    token_bytes = TokenBytes(byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)))
    assert [token_bytes.dummy_prefix(text) for text in ("x", " x")] == [" ", ""]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_an_added_token_stands_for_its_own_text(tokenizers, name):
    tokenizer = tokenizers[name]
    special = "</s>" if END_OF_TEXT not in tokenizer.get_vocab() else END_OF_TEXT
    assert TokenBytes(tokenizer)(tokenizer.convert_tokens_to_ids(special)) == special.encode()


def test_every_single_byte_has_a_token(tokenizers):
    for tokenizer in tokenizers.values():
        token_bytes = TokenBytes(tokenizer)
        assert {bytes([b]) for b in range(256)} <= {token_bytes(i) for i in range(len(tokenizer))}


def test_families_treat_newlines_as_the_method_says(tokenizers):
    def pieces(name, text):
        token_bytes = TokenBytes(tokenizers[name])
        return [token_bytes(i) for i in tokenizers[name](text, add_special_tokens=False)["input_ids"]]

    for name in ("qwen2", "llama3"):
        assert b"):\n" in pieces(name, "f(x):\n    return g()\n\n\n")
        assert b"()\n\n\n" in pieces(name, "f(x):\n    return g()\n\n\n")
        assert b"();\r\n" in pieces(name, "log();\r\n")
    for name in ("gpt2", "starcoder2"):
        assert pieces(name, "f(x):\n    return")[-2:] == [b"\n   ", b" return"]
    assert b"    " in pieces("gpt_neox", "x:\n    return")
    for name in ("codellama", "legacy_sentencepiece"):
        assert pieces(name, "f():\n\nx")[-3:] == [b"\n", b"\n", b"x"]
        assert b";\r" in pieces(name, "log();\r\n")


def test_a_tokenizer_of_another_encoding_is_refused():
    word_piece = Tokenizer(models.WordPiece({"[UNK]": 0, "x": 1}, unk_token="[UNK]"))
    word_piece.decoder = decoders.WordPiece()
    with pytest.raises(LanguageModelError, match="WordPiece"):
        TokenBytes(PreTrainedTokenizerFast(tokenizer_object=word_piece, unk_token="[UNK]"))
    plain = Tokenizer(models.WordLevel({"[UNK]": 0, "x": 1}, unk_token="[UNK]"))
    with pytest.raises(LanguageModelError, match="none"):
        TokenBytes(PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]"))


def test_a_slow_tokenizer_is_refused():
    class Slow(PreTrainedTokenizer):
        vocab_size = 1

        def get_vocab(self):
            return {"x": 0}

        def _tokenize(self, text, **kwargs):
            return list(text)

        def _convert_token_to_id(self, token):
            return 0

        def _convert_id_to_token(self, index):
            return "x"

    with pytest.raises(LanguageModelError, match="Slow has no fast backend"):
        TokenBytes(Slow())


def test_normalisers_and_post_processors_do_not_hide_the_dummy_space():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC(), bos="<|s|>")
    assert isinstance(tokenizer.backend_tokenizer.post_processor, processors.TemplateProcessing)
    assert TokenBytes(tokenizer).dummy_prefix("x") == ""
