"""Lookback ratios against the paper's definition, one step at a time on the full attention tensors."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from tiny_llms import JAVA, N_LAYERS, PYTHON, save_llm
from transformers import AutoModelForCausalLM, AutoTokenizer

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.states import extractor as extractor_module
from pttrust_lightning.states import reader as reader_module
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.rows import Cost
from pttrust_lightning.states.token_bytes import TokenBytes
from pttrust_lightning.types import Exclusions, Mutant, Program, ProgramGroup

CLOSE = {"rtol": 1e-4, "atol": 1e-6}
PROGRAMS = [
    Program("long", PYTHON, "python", prompt="A stack, and what it is for.\n"),
    Program("short", "x = 1\n", "python", prompt="One"),
    Program("java", JAVA, "java", prompt="Twice an int: see below\n\n"),
    Program("indented", "    y = 2\n\n    return y\n", "python", prompt="def f():\n"),
]


@functools.cache
def full_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


def by_definition(folder, program, n_tokens=None):
    """The ratio of each head at each line (those that begin within ``n_tokens``), in float64, from loops alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    token_bytes = TokenBytes(tokenizer)
    prompt = program.prompt if program.prompt.endswith("\n") or not program.prompt else f"{program.prompt}\n"
    text = token_bytes.dummy_prefix(prompt + program.code) + prompt + program.code
    ids = tokenizer(prompt + program.code)["input_ids"]
    with torch.no_grad():
        attention = full_model(folder)(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    attention = torch.cat(attention).double().numpy()  # (layers, heads, S, S)
    code_start = len(text.encode()) - len(program.code.encode()) if prompt else 0
    starts, at = [], 0
    for i in ids:
        starts.append(at)
        at += 0 if i in tokenizer.all_special_ids else len(token_bytes(i))
    n_context = sum(start < code_start for start in starts)
    rows, end = [], len(text.encode()) - len(program.code.encode())
    for line in program.code.split("\n")[:-1]:
        begin, end = end, end + len(line.encode()) + 1
        own = [t for t, start in enumerate(starts) if begin <= start < end and ids[t] not in tokenizer.all_special_ids]
        if not line.strip() or (n_tokens is not None and own[-1] >= n_tokens):
            continue
        ratios = []
        for token in own:
            weights = attention[:, :, max(token - 1, 0), : max(token, 1)]
            context, new = (part.mean(-1) if part.size else 0.0 for part in np.split(weights, [n_context], axis=-1))
            ratios.append(np.ravel(context / (context + new)) * np.ones(attention[:, :, 0, 0].size))
        rows.append(np.mean(ratios, axis=0))
    return np.array(rows)


def read(folder, groups, **settings):
    config = LineStateConfig(llm=str(folder), **settings)
    return LineStateExtractor(config, with_lookback=True).extract(groups, Exclusions())


@pytest.mark.parametrize("batch_tokens", [1, 10_000])
def test_ratios_are_those_of_the_definition_whatever_the_batch(llm, batch_tokens):
    found = read(llm, [ProgramGroup(p) for p in PROGRAMS], batch_tokens=batch_tokens)
    assert [s.program_id for s in found] == [p.id for p in PROGRAMS]
    for program, states in zip(PROGRAMS, found, strict=True):
        expected = by_definition(llm, program)
        assert states.lookback.shape == (len(states.line_numbers), N_LAYERS * 4)
        np.testing.assert_allclose(states.lookback, expected, **CLOSE, err_msg=program.id)
        assert states.lookback.std() > 0.02  # random weights, but heads and lines that differ
        assert states.uncertainty is None


def test_the_embedded_llm_looks_back_as_defined():
    program = Program("p", PYTHON, "python", prompt="A stack.\n")
    (found,) = read("embedded", [ProgramGroup(program)])
    expected = by_definition(extractor_module.load_tokenizer(LineStateConfig()).name_or_path, program)
    np.testing.assert_allclose(found.lookback, expected, **CLOSE)
    assert found.lookback.shape[1] == 8 * 4


def test_lines_beyond_the_context_are_left_out_and_change_nothing(llm):
    (found,) = read(llm, [ProgramGroup(PROGRAMS[0])], context_length=60)
    expected = by_definition(llm, PROGRAMS[0], n_tokens=60)
    assert 0 < len(expected) < len(by_definition(llm, PROGRAMS[0]))
    np.testing.assert_allclose(found.lookback, expected, **CLOSE)


def test_rows_that_share_a_prefix_give_what_each_program_gives_alone(llm):
    """Also where a mutant has another prompt, and more or fewer of its tokens than are shared."""
    prompt, code = "Add the items, or not.\n", PYTHON[: PYTHON.index("def pop")].rstrip(" ")
    programs = [
        Program("p", code, "python", prompt),
        Program("p#edited", code.replace("append(item)", "append(self)"), "python", prompt),
        Program("p#deleted", "\n".join(code.split("\n")[:-4]) + "\n", "python", prompt),
        Program("p#other", code, "python", "Add the items twice, and then again.\n"),
        Program("p#without", code, "python"),
    ]
    group = ProgramGroup(programs[0], tuple(Mutant(p, (), ()) for p in programs[1:]))
    extractor = LineStateExtractor(LineStateConfig(llm=str(llm)), with_uncertainty=True, with_lookback=True)
    extractor._reader.cost = Cost(token=1.0, pair=0.0)
    (row, *_) = extractor.layout([group], Exclusions())[1]
    assert {0, 1, 2, 3} <= set(row.members)
    found = extractor.extract([group, ProgramGroup(PROGRAMS[1])], Exclusions())
    for program, states in zip([*programs, PROGRAMS[1]], found, strict=True):
        np.testing.assert_allclose(states.lookback, by_definition(llm, program), **CLOSE, err_msg=program.id)
        assert states.uncertainty.shape == (len(states.line_numbers), 3)
    assert not found[4].lookback.any()  # without a prompt there is nothing to look back at


def test_states_and_probabilities_are_those_of_fused_attention(llm):
    groups = [ProgramGroup(p) for p in PROGRAMS]
    plain = LineStateExtractor(LineStateConfig(llm=str(llm)), with_uncertainty=True).extract(groups, Exclusions())
    beside = LineStateExtractor(LineStateConfig(llm=str(llm)), True, "float32", True).extract(groups, Exclusions())
    for a, b in zip(plain, beside, strict=True):
        torch.testing.assert_close(a.states, b.states, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(a.uncertainty, b.uncertainty, rtol=1e-4, atol=1e-5)
        assert a.lookback is None and np.array_equal(a.line_tokens, b.line_tokens)


def test_attention_weights_held_at_once_stay_within_the_budget(gpt2, monkeypatch):
    shapes = []
    real = extractor_module.line_lookback
    monkeypatch.setattr(
        extractor_module, "line_lookback", lambda w, index: shapes.append(tuple(w.shape)) or real(w, index)
    )
    monkeypatch.setattr(extractor_module, "_ATTENTION_BUDGET", 4 * 100 * 100)
    programs = [Program(f"p{i}", "x = 1\n" * (i + 1), "python", "One.\n") for i in range(12)]
    found = read(gpt2, [ProgramGroup(p) for p in programs])
    assert max(b for b, *_ in shapes) > 1
    assert all(b == 1 or b * h * s * s <= 4 * 100 * 100 for b, h, s, _ in shapes)
    for program, states in zip(programs, found, strict=True):
        np.testing.assert_allclose(states.lookback, by_definition(gpt2, program), **CLOSE)


def test_a_model_that_gives_no_attention_is_refused(gpt2, monkeypatch):
    fused = reader_module.load_causal_lm
    monkeypatch.setattr(reader_module, "load_causal_lm", lambda config, _: fused(config))
    with pytest.raises(LanguageModelError, match="does not give the attention weights of each of its 8 blocks"):
        read(gpt2, [])


def test_every_block_is_read_whatever_the_layer(gpt2):
    for layer in (0, (2, 5)):
        (found,) = read(gpt2, [ProgramGroup(PROGRAMS[0])], layer=layer)
        np.testing.assert_allclose(found.lookback, by_definition(gpt2, PROGRAMS[0]), **CLOSE)


def test_a_sliding_window_sees_no_context_beyond_it(tmp_path):
    folder = save_llm(tmp_path / "window", "starcoder2", sliding_window=24)
    (found,) = read(folder, [ProgramGroup(PROGRAMS[0])])
    np.testing.assert_allclose(found.lookback, by_definition(folder, PROGRAMS[0]), **CLOSE)
    assert not found.lookback[-1].any()


def test_tokens_of_a_line_are_those_that_start_in_it(llm):
    for program, states in zip(PROGRAMS, read(llm, [ProgramGroup(p) for p in PROGRAMS]), strict=True):
        assert states.line_tokens.min() >= 1
        n_code = len(AutoTokenizer.from_pretrained(llm)(program.code, add_special_tokens=False)["input_ids"])
        assert 0.5 * n_code <= states.line_tokens.sum() <= n_code + 1  # blank lines have tokens, too
