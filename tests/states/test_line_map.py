from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llms import JAVA, PYTHON, TOKENIZERS
from transformers.convert_slow_tokenizer import bytes_to_unicode

from pttrust_lightning.errors import TokenAlignmentError
from pttrust_lightning.source.lines import Line
from pttrust_lightning.states.line_map import TokenSpans, line_tokens, token_spans
from pttrust_lightning.states.tokenise import LineTokeniser
from pttrust_lightning.types import LINE_RULES, Program

NO_LIMIT = 10**6
NORMALISED = ("qwen2", "gpt_neox")
SENTENCEPIECE = ("codellama", "legacy_sentencepiece")

FRAGMENTS = [
    "def f(x):", "return ", "x", "();", ")", "'", " ", "    ", "\t", "\n", "\n", "\n\n\n", "\r\n", "\r\n\r\n", "\r",
    "\x0c", "\u2028", "\x85", "\x1c", "\x0b", "\u3000", "\u200b", "\ufeff", "é", "e\u0301", "中", "😀", "\u2581",
    "1234", "<|endoftext|>", "<|begin_of_text|>", "<s>", "</s>", "<unk>", "<0x0A>", "\0",
]  # fmt: skip
CODE = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)
PROPERTY = settings(deadline=None, derandomize=True, max_examples=40)


def program(code, prompt=""):
    return Program("p", code, "python", prompt)


def pieces_by_definition(tokenizer, name, ids):
    """The bytes of each token, from the tables of ``transformers`` itself."""
    to_byte = {c: b for b, c in bytes_to_unicode().items()}
    added = {i: str(t) for i, t in tokenizer.added_tokens_decoder.items()}
    begin = {"llama3": 1, "legacy_sentencepiece": 1}.get(name, 0)
    pieces = [b""] * begin
    for i in ids[begin:]:
        token = tokenizer.convert_ids_to_tokens(i)
        if i in added:
            pieces.append(added[i].encode())
        elif name not in SENTENCEPIECE:
            pieces.append(bytes(to_byte[c] for c in token))
        elif token.startswith("<0x") and token.endswith(">"):
            pieces.append(bytes.fromhex(token[3:-1]))
        else:
            pieces.append(token.replace("\u2581", " ").encode())
    return pieces


def non_blank_by_definition(data):
    """Number, start, byte after the last code byte and byte after the newline of each non-blank line."""
    start = 0
    for number, content in enumerate(data.split(b"\n")[:-1]):
        text = content.decode().rstrip()
        if text:
            yield number, start, start + len(text.encode()), start + len(content) + 1
        start += len(content) + 1


def completed(text):
    """With a final newline, as the file's first line ends."""
    if not text or text.endswith("\n"):
        return text
    return text + ("\r\n" if text.split("\n")[0].endswith("\r") and "\n" in text else "\n")


def assert_mapped(tokenizer, name, rule, code, prompt):
    text = completed(prompt) + completed(code)
    changed = "\u2581" in text if name in SENTENCEPIECE else not unicodedata.is_normalized("NFC", text)
    tokenise = LineTokeniser(tokenizer, rule, NO_LIMIT)
    if changed and (name in SENTENCEPIECE or name in NORMALISED) and code.strip():
        with pytest.raises(TokenAlignmentError, match="tokens' bytes differ"):
            tokenise(program(code, prompt))
        return
    result = tokenise(program(code, prompt))
    pieces = pieces_by_definition(tokenizer, name, tokenizer(text, split_special_tokens=True)["input_ids"])
    ends = np.cumsum([len(p) for p in pieces])
    starts = ends - [len(p) for p in pieces]
    joined = b"".join(pieces)
    offset = len(joined) - len(completed(code).encode())
    assert joined[offset:] == completed(code).encode()
    lines = list(non_blank_by_definition(completed(code).encode()))
    assert result.n_lines == len(lines)
    assert result.tokens.line_numbers.tolist() == [number for number, *_ in lines]
    assert (np.diff(result.tokens.last) > 0).all()
    for (_, start, code_end, line_end), first, last, own_first, own_last in zip(lines, *result.tokens[1:], strict=True):
        newline = offset + line_end - 1
        byte = offset + code_end - 1 if rule == "last_code" else newline
        assert starts[last] <= byte < ends[last]
        assert starts[own_last] <= newline < ends[own_last]
        if rule == "mean":
            assert (first, last) == (own_first, own_last)
            assert starts[first] >= offset + start
        else:
            assert first == last
        # From the first token that starts in the line, or the one that ends it where none does.
        assert own_first == next((i for i in range(own_last) if starts[i] >= offset + start and pieces[i]), own_last)
    needed = max(result.tokens.last.max(), result.tokens.own_last.max()) + 1 if lines else 0
    assert len(result.token_ids) == needed


@pytest.mark.parametrize("rule", LINE_RULES)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_non_blank_line_gets_its_own_token(tokenizers, name, rule):
    @PROPERTY
    @given(CODE, st.one_of(st.just(""), CODE))
    def check(code, prompt):
        assert_mapped(tokenizers[name], name, rule, code, prompt)

    check()


@pytest.mark.parametrize("rule", LINE_RULES)
@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("code", [PYTHON, JAVA, PYTHON.rstrip("\n"), "    x = 1\r\n\r\n\ty\x0c\u2028z"])
def test_real_code(tokenizers, name, rule, code):
    assert_mapped(tokenizers[name], name, rule, code, "")
    assert_mapped(tokenizers[name], name, rule, code, "Sum two numbers():\n\n    naïvely")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_rules_choose_different_tokens(tokenizers, name):
    chosen = {r: LineTokeniser(tokenizers[name], r, NO_LIMIT)(program(PYTHON)).tokens for r in LINE_RULES}
    assert (chosen["mean"].first < chosen["mean"].last).any()
    differ = chosen["newline"].last != chosen["last_code"].last
    if name in ("qwen2", "llama3"):
        assert 0 < differ.mean() < 1  # `):\n` is both, `self.items = []` + newline is not
    else:
        assert differ.all()
    for tokens in chosen.values():
        assert np.array_equal(tokens.own_last, chosen["newline"].last)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("rule", LINE_RULES)
def test_lines_beyond_the_context_have_no_token(tokenizers, name, rule):
    whole = LineTokeniser(tokenizers[name], rule, NO_LIMIT)(program(PYTHON, "prompt"))
    for limit in range(1, len(whole.token_ids) + 2):
        cut = LineTokeniser(tokenizers[name], rule, limit)(program(PYTHON, "prompt"))
        within = whole.tokens.own_last < limit
        assert cut.n_lines == whole.n_lines
        assert all(np.array_equal(a, b[within]) for a, b in zip(cut.tokens, whole.tokens, strict=True))
        assert cut.token_ids.tolist() == whole.token_ids[: len(cut.token_ids)].tolist()
        assert len(cut.token_ids) == (whole.tokens.own_last[within].max() + 1 if within.any() else 0) <= limit


def test_a_prompt_of_blank_lines_and_merged_newlines_moves_nothing(tokenizers):
    """``):\n\n\n`` holds the prompt's last newline and the code's blank lines: it belongs to neither's code."""
    result = LineTokeniser(tokenizers["qwen2"], "mean", NO_LIMIT)(program("\n\n    x\n", "f():"))
    assert result.tokens.line_numbers.tolist() == [2]
    first = result.token_ids[int(result.tokens.first[0]) :]
    assert "".join(tokenizers["qwen2"].convert_ids_to_tokens(first)).replace("Ġ", " ").endswith("   xĊ")


@pytest.mark.parametrize("code", ["", "\n", " \t\n\x0c\n"])
def test_a_blank_program_has_no_lines(tokenizers, code):
    for tokenizer in tokenizers.values():
        result = LineTokeniser(tokenizer, "newline", NO_LIMIT)(program(code, "prompt"))
        assert (result.n_lines, len(result.token_ids), len(result.tokens.line_numbers)) == (0, 0, 0)


def test_lone_surrogates_are_refused(tokenizers):
    with pytest.raises(TokenAlignmentError, match="surrogate"):
        LineTokeniser(tokenizers["gpt2"], "newline", NO_LIMIT)(program("x = '\ud800'\n"))


def test_spans_of_special_tokens_are_empty():
    spans = token_spans([7, 1, 2, 7], [1, 0, 0, 1], {1: b"ab", 2: b"c"}.__getitem__, b"abc")
    assert spans.starts.tolist() == [0, 0, 2, 3]
    assert spans.ends.tolist() == [0, 2, 3, 3]


@pytest.mark.parametrize(
    ("text", "where"), [(b"abd", "byte 2"), (b"abcd", "byte 3"), (b"ab", "byte 2"), (b"xbc", "byte 0")]
)
def test_bytes_that_differ_are_named(text, where):
    with pytest.raises(TokenAlignmentError, match=where):
        token_spans([0, 1], [0, 0], [b"ab", b"c"].__getitem__, text)


def test_lines_that_share_a_token_are_refused():
    lines = [Line(0, 0, 1, 2, "a"), Line(1, 2, 3, 4, "b")]
    shared = TokenSpans(np.array([0, 1]), np.array([1, 4]))  # a | \nb\n
    for rule in ("newline", "mean"):
        with pytest.raises(TokenAlignmentError, match="lines 1 and 2 end in one token"):
            line_tokens(lines, shared, rule)
    assert line_tokens(lines, shared, "last_code").last.tolist() == [0, 1]


def test_a_line_without_a_token_of_its_own_is_refused_for_the_mean():
    lines = [Line(0, 0, 1, 2, "a"), Line(1, 2, 3, 4, "b"), Line(2, 4, 5, 6, "c")]
    spans = TokenSpans(np.array([0, 2, 3, 5]), np.array([2, 3, 5, 6]))  # a\n | b | \nc | \n
    assert line_tokens(lines, spans, "newline").last.tolist() == [0, 2, 3]
    merged = TokenSpans(np.array([0, 1, 4]), np.array([1, 4, 6]))  # a | \nb\n | c\n, and one line less
    with pytest.raises(TokenAlignmentError, match="line 2 has no token of its own"):
        line_tokens(lines[1:], merged, "mean")
