from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_llms import JAVA, N_LAYERS, PYTHON, WIDTH, gpt2_tokenizer, save_llm
from transformers import AutoModelForCausalLM, AutoTokenizer, RobertaConfig, RobertaModel

from pttrust_lightning.errors import ConfigError, LanguageModelError, NonFiniteError
from pttrust_lightning.source.lines import non_blank_lines
from pttrust_lightning.states import reader as reader_module
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import BEYOND_CONTEXT, BLANK_LINE, NOT_ALIGNED, LineStateExtractor
from pttrust_lightning.states.language_model import load_truncated
from pttrust_lightning.states.reader import BlockReader
from pttrust_lightning.states.tokenise import LineTokeniser
from pttrust_lightning.types import LINE_RULES, Exclusions, Mutant, Program, ProgramGroup

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
"""States are of order 1; what is left is float32 rounding in another order of summation."""

PROGRAMS = [
    Program("long", PYTHON, "python"),
    Program("short", "x = 1\n", "python"),
    Program("java", JAVA, "java", prompt="Twice an int"),
    Program("middle", PYTHON[:200], "python", prompt="def f():\n"),
]


def extract(folder, programs=PROGRAMS, with_uncertainty=False, storage_dtype="float32", **settings):
    exclusions = Exclusions()
    extractor = LineStateExtractor(LineStateConfig(llm=str(folder), **settings), with_uncertainty, storage_dtype)
    return extractor.extract([ProgramGroup(p) for p in programs], exclusions), exclusions


def full_model_hidden(folder, ids):
    """The residual stream after every block of the whole model, ``(n_layers, S, D)``."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    backbone = model.get_decoder()
    blocks = next(m for m in backbone.children() if isinstance(m, torch.nn.ModuleList))
    assert len(blocks) == N_LAYERS
    last = []
    blocks[-1].register_forward_hook(lambda _m, _i, out: last.append(out[0] if isinstance(out, tuple) else out))
    with torch.inference_mode():
        hidden = model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states
    assert len(hidden) == N_LAYERS + 1
    return torch.cat([*hidden[1:-1], *last])  # the last of `hidden` has gone through the final norm


def test_states_are_the_full_models_residual_stream(llm, family):
    tokenizer = AutoTokenizer.from_pretrained(llm)
    program = Program("p", PYTHON, "python", prompt="An example:\n")
    ids = tokenizer(program.prompt + program.code)["input_ids"]
    hidden = full_model_hidden(llm, ids)
    for layer in (0, 4, N_LAYERS - 1, None):
        for rule in LINE_RULES if layer == 4 else ("newline",):
            (states,), _ = extract(llm, [program], layer=layer, line_rule=rule)
            tokens = LineTokeniser(tokenizer, rule, 10**6)(program).tokens
            expected = [
                hidden[1 if layer is None else layer, a : b + 1].mean(0)
                for a, b in zip(tokens.first, tokens.last, strict=True)
            ]
            torch.testing.assert_close(states.states[0], torch.stack(expected), **CLOSE, msg=f"{family} {layer} {rule}")
            assert states.line_numbers.tolist() == [line.number for line in non_blank_lines(PYTHON)]
            assert states.n_lines == len(states.line_numbers)
    assert not torch.allclose(hidden[0], hidden[1], **CLOSE)


def test_only_the_blocks_up_to_the_layer_are_loaded(llm):
    model = load_truncated(LineStateConfig(llm=str(llm), layer=2))
    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList)]
    assert [len(m) for m in lists] == [3]
    assert not any("lm_head" in name or "embed_out" in name for name, _ in model.named_parameters())
    assert not any(p.requires_grad for p in model.parameters())
    assert not model.training


def test_without_uncertainty_the_whole_model_is_never_loaded(gpt2, monkeypatch):
    monkeypatch.setattr(reader_module, "load_causal_lm", None)
    states, _ = extract(gpt2)
    assert all(s.uncertainty is None for s in states)
    with pytest.raises(TypeError):
        extract(gpt2, with_uncertainty=True)


def test_states_with_uncertainty_are_the_same(llm):
    for layer in (None, N_LAYERS - 1):
        plain, _ = extract(llm, layer=layer)
        with_uncertainty, _ = extract(llm, layer=layer, with_uncertainty=True)
        for a, b in zip(plain, with_uncertainty, strict=True):
            torch.testing.assert_close(a.states, b.states, **CLOSE)
            assert b.uncertainty.shape == (len(b.line_numbers), 3)


def test_batching_and_padding_change_nothing(llm):
    alone, _ = extract(llm, batch_tokens=1, with_uncertainty=True)
    for batch_tokens in (400, 100_000):
        together, _ = extract(llm, batch_tokens=batch_tokens, with_uncertainty=True)
        assert [s.program_id for s in together] == [p.id for p in PROGRAMS]
        for a, b in zip(alone, together, strict=True):
            assert a.line_numbers.tolist() == b.line_numbers.tolist()
            torch.testing.assert_close(a.states, b.states, **CLOSE)
            np.testing.assert_allclose(a.uncertainty, b.uncertainty, **CLOSE)


def test_batches_stay_within_the_limit(gpt2, monkeypatch):
    sizes = []
    forward = BlockReader.__call__
    monkeypatch.setattr(
        BlockReader,
        "__call__",
        lambda self, inputs, *args: sizes.append(inputs.ids.shape) or forward(self, inputs, *args),
    )
    extract(
        gpt2,
        [Program(f"p{i}", "x = 1\n" * (i + 1), "python") for i in range(20)],
        batch_tokens=300,
        share_prefixes=False,
    )
    del sizes[:3]  # the checks that the model is causal and its MLP token-wise
    assert sum(rows for rows, _ in sizes) == 20
    assert 1 < len(sizes) < 20
    assert all(rows * length <= 300 for rows, length in sizes)


def test_states_are_float32_on_the_cpu_and_can_be_trained_on(gpt2):
    for dtype in ("float32", "bfloat16"):
        (state,), _ = extract(gpt2, PROGRAMS[:1], dtype=dtype)
        assert state.states.dtype == torch.float32
        assert state.states.shape == (1, len(state.line_numbers), WIDTH)
        weight = torch.ones(WIDTH, requires_grad=True)
        (state.states @ weight).sum().backward()  # raises for an inference tensor
        assert weight.grad is not None
    assert not torch.equal(state.states, extract(gpt2, PROGRAMS[:1])[0][0].states)


def test_the_prompt_is_read_but_has_no_states(gpt2):
    prompts = ("", "Return the sum.", "Return the product.\n")
    bare, *prompted = (extract(gpt2, [Program("p", PYTHON, "python", p)])[0][0] for p in prompts)
    for states in prompted:
        assert np.array_equal(states.line_numbers, bare.line_numbers)
        assert (states.states - bare.states).abs().sum(-1).min() > 1e-3
    assert not torch.allclose(prompted[0].states, prompted[1].states, **CLOSE)


def test_lines_beyond_the_context_are_counted_and_get_no_state(llm):
    (whole,), nothing = extract(llm, [PROGRAMS[0]])
    (cut,), exclusions = extract(llm, [PROGRAMS[0]], context_length=60)
    n = len(cut.line_numbers)
    assert 0 < n < len(whole.line_numbers)
    assert np.array_equal(cut.line_numbers, whole.line_numbers[:n])
    assert cut.n_lines == whole.n_lines == len(non_blank_lines(PYTHON))
    torch.testing.assert_close(cut.states, whole.states[:, :n], **CLOSE)
    assert exclusions.counts == {BEYOND_CONTEXT: whole.n_lines - n}
    assert not nothing.counts


def test_a_prompt_that_fills_the_context_leaves_no_state(gpt2):
    states, exclusions = extract(gpt2, [Program("p", "a\n\nb\n", "python", "word " * 50)], context_length=20)
    assert states == []
    assert exclusions.counts == {BEYOND_CONTEXT: 2}


def test_a_program_longer_than_the_positions_is_cut_there(gpt2):
    (states,), exclusions = extract(gpt2, [Program("p", "abc = 1\n" * 200, "python")])
    assert len(states.line_numbers) + exclusions.counts[BEYOND_CONTEXT] == states.n_lines == 200
    assert exclusions.counts[BEYOND_CONTEXT] > 0


def test_what_cannot_be_read_is_counted_with_its_reason(llm_folders):
    programs = [
        Program("blank", " \n\n", "python"),
        PROGRAMS[1],
        Program("nfd", "name = 'e\u0301'\n", "python"),
        Program("surrogate", "s = '\ud800'\n", "python"),
    ]
    states, exclusions = extract(llm_folders["qwen2"], programs)
    assert [s.program_id for s in states] == ["short"]
    assert exclusions.counts == {BLANK_LINE: 1, NOT_ALIGNED: 2}
    assert exclusions.examples[BLANK_LINE] == ["blank"]
    assert "nfd: the tokens' bytes differ from the source's at byte 8" in exclusions.examples[NOT_ALIGNED][0]
    assert "surrogate" in exclusions.examples[NOT_ALIGNED][1]


@pytest.mark.parametrize("code", ["", " \n"])
def test_a_blank_program_is_counted_as_blank_by_every_family(llm, code):
    states, exclusions = extract(llm, [Program("p", code, "python")])
    assert (states, exclusions.counts) == ([], {BLANK_LINE: 1})


def test_nothing_to_read(gpt2):
    assert extract(gpt2, [])[0] == []


@pytest.mark.parametrize("with_uncertainty", [False, True])
def test_states_that_are_not_finite_name_program_layer_and_type(tmp_path, with_uncertainty):
    folder = save_llm(tmp_path / "broken", "gpt2")
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.transformer.h[1].mlp.c_fc.weight.data[0, 0] = torch.nan
    model.save_pretrained(folder)
    with pytest.raises(NonFiniteError, match=r"short: block 1 of .*broken gave NaN .* in float32"):
        extract(folder, [PROGRAMS[1]], with_uncertainty)
    assert len(extract(folder, [PROGRAMS[1]], layer=0)[0]) == 1


@pytest.mark.parametrize("with_uncertainty", [False, True])
def test_an_encoder_is_refused(tmp_path, with_uncertainty):
    """Its config and its tokenizer look like a decoder's, but its states depend on what follows."""
    tokenizer = gpt2_tokenizer()
    config = RobertaConfig(
        vocab_size=len(tokenizer), num_hidden_layers=4, hidden_size=32, num_attention_heads=4, intermediate_size=64,
        initializer_range=0.2,
    )  # fmt: skip
    if with_uncertainty:
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    else:
        RobertaModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(LanguageModelError, match="depends on the tokens after it"):
        extract(tmp_path, with_uncertainty=with_uncertainty)


def test_all_layers_come_from_one_pass(llm, monkeypatch):
    calls = []
    forward = BlockReader.__call__
    monkeypatch.setattr(BlockReader, "__call__", lambda self, *args: calls.append(self) or forward(self, *args))
    (together,), _ = extract(llm, PROGRAMS[:1], layer=4, layers=(5, 0, 4), share_prefixes=False)
    assert len(calls) == 4  # the checks that the model is causal and its MLP token-wise, and the batch
    assert together.states.shape[0] == 3
    lists = [m for m in calls[0]._model.modules() if isinstance(m, torch.nn.ModuleList)]
    assert [len(m) for m in lists] == [6]
    for i, layer in enumerate((0, 4, 5)):
        torch.testing.assert_close(together.states[i], extract(llm, PROGRAMS[:1], layer=layer)[0][0].states[0], **CLOSE)


def test_every_layer_is_checked(gpt2):
    assert LineStateExtractor(LineStateConfig(llm=str(gpt2), layers=(7, 0))).layers == (0, 1, 7)
    with pytest.raises(LanguageModelError, match="layer 8 does not exist"):
        extract(gpt2, layers=(0, 8))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_states_are_narrowed_as_they_are_stored(gpt2, dtype):
    whole, narrow = extract(gpt2)[0], extract(gpt2, storage_dtype=dtype)[0]
    for a, b in zip(whole, narrow, strict=True):
        assert b.states.dtype == getattr(torch, dtype)
        assert torch.equal(a.states.to(b.states.dtype), b.states)
        assert b.states.is_contiguous() and b.states.untyped_storage().nbytes() == b.states.nbytes


def test_an_unknown_storage_type_is_refused(gpt2):
    with pytest.raises(ConfigError, match="Choose float32, float16 or bfloat16"):
        extract(gpt2, storage_dtype="int8")


@pytest.mark.parametrize("line_rule", ["newline", "mean"])
def test_states_too_large_for_the_storage_type_name_program_layer_and_value(tmp_path, line_rule):
    folder = save_llm(tmp_path / "large", "gpt2")
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.transformer.h[1].mlp.c_proj.bias.data[0] = 1e5
    model.save_pretrained(folder)
    message = (
        r"(long|short|java|middle): block 1 of .*large gave states up to 1e\+05, which do not fit float16. Set sto"
    )
    with pytest.raises(NonFiniteError, match=message):
        extract(folder, storage_dtype="float16", layers=(0, 2), line_rule=line_rule)
    assert len(extract(folder, storage_dtype="bfloat16", line_rule=line_rule)[0]) == len(PROGRAMS)


def test_groups_come_in_order_with_their_originals_first(gpt2):
    def group(name):
        mutants = [Mutant(Program(f"{name}#{i}", PYTHON[: 50 + 40 * i], "python"), (), ()) for i in range(3)]
        return ProgramGroup(
            Program(name, PYTHON[:100], "python"), (*mutants, Mutant(Program("-", " ", "python"), (), ()))
        )

    exclusions = Exclusions()
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2), batch_tokens=100))
    states = extractor.extract([group("b"), group("a")], exclusions)
    assert [s.program_id for s in states] == ["b", "b#0", "b#1", "b#2", "a", "a#0", "a#1", "a#2"]
    assert exclusions.counts == {BLANK_LINE: 2}
