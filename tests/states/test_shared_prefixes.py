"""Rows that share a prefix give the states that each program has in a batch of one, in every family."""

from __future__ import annotations

import functools
import logging

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_llms import POSITIONS, PYTHON, save_llm
from transformers import AutoModelForCausalLM

from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.reader import BlockReader
from pttrust_lightning.states.rows import Cost
from pttrust_lightning.types import LINE_RULES, Exclusions, Mutant, Program, ProgramGroup

ALWAYS = Cost(token=1.0, pair=0.0)
LAYERS = (0, 4)
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 4e-3}
"""What the extractor promises: relative change of a state."""

LINES = PYTHON.splitlines()
CODE = st.lists(st.sampled_from([*LINES, "    pass", ""]), min_size=1, max_size=8)
PROPERTY = settings(
    deadline=None, derandomize=True, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def groups_of_programs(draw):
    """Programs with mutants in which lines are replaced, deleted or added."""
    groups = []
    for g in range(draw(st.integers(1, 3))):
        lines, prompt = draw(CODE), draw(st.sampled_from(["", "Add the items.\n"]))
        mutants = []
        for m in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(lines)))
            code = "\n".join([*lines[:at], *draw(CODE)[:2], *lines[at + draw(st.integers(0, 2)) :]])
            mutants.append(Mutant(Program(f"{g}#{m}", code, "python", prompt), (), ()))
        groups.append(ProgramGroup(Program(str(g), "\n".join(lines), "python", prompt), tuple(mutants)))
    return groups


@functools.cache
def extractor(folder, dtype="float32", rule="newline", share=True, with_uncertainty=False):
    made = LineStateExtractor(
        LineStateConfig(llm=str(folder), dtype=dtype, line_rule=rule, layers=LAYERS, share_prefixes=share),
        with_uncertainty,
    )
    assert made.shares_prefixes is share
    made._reader.cost = ALWAYS
    return made


@functools.cache
def full_model(folder, dtype):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()


def batch_of_one(folder, dtype, ids):
    """The residual stream after each layer that is read, ``(L, S, D)``, by a full forward of the whole model."""
    with torch.no_grad():
        model = full_model(folder, dtype)
        output = model(input_ids=torch.from_numpy(ids)[None], output_hidden_states=True, use_cache=False)
    return torch.stack([output.hidden_states[layer + 1][0].float() for layer in extractor(folder, dtype).layers])


def relative(a, b):
    return float(((a - b).norm(dim=-1) / b.norm(dim=-1)).max())


def compare_with_batches_of_one(folder, groups, dtype, rule="newline"):
    read = extractor(folder, dtype, rule)
    found = read.extract(groups, Exclusions())
    programs, rows = read.layout(groups, Exclusions())
    assert [s.program_id for s in found] == [p.program_id for p in programs]
    for states, program in zip(found, programs, strict=True):
        hidden = batch_of_one(folder, dtype, program.token_ids)
        spans = zip(program.tokens.first, program.tokens.last, strict=True)
        expected = torch.stack([hidden[:, a : b + 1].mean(1) for a, b in spans], dim=1)
        assert relative(states.states, expected) <= TOLERANCE[dtype]
    return rows


@PROPERTY
@given(groups=groups_of_programs(), batch_tokens=st.integers(1, 2000))
def test_states_do_not_depend_on_sharing_or_batching(llm, groups, batch_tokens):
    read = extractor(llm)
    read._batch_tokens = batch_tokens
    rows = compare_with_batches_of_one(llm, groups, "float32")
    n_programs = sum(len(row.members) for row in rows)
    assert len(rows) == n_programs or any(row.shared for row in rows)


LONG = ProgramGroup(
    Program("p", PYTHON[:400], "python", "Do it.\n"),
    tuple(
        Mutant(Program(f"p#{i}", PYTHON[:400].replace(old, new, 1), "python", "Do it.\n"), (), ())
        for i, (old, new) in enumerate([("self.items = []", "pass"), ("raise", "return"), ("if not", "while")])
    ),
)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_states_stay_within_the_tolerance_of_their_type(llm, dtype):
    rows = compare_with_batches_of_one(llm, [LONG], dtype)
    assert any(row.shared for row in rows)


@pytest.mark.parametrize("rule", LINE_RULES)
def test_every_line_rule_can_share(gpt2, rule):
    assert any(row.shared for row in compare_with_batches_of_one(gpt2, [LONG], "float32", rule))


def test_uncertainty_does_not_depend_on_sharing(llm):
    shared, apart = (
        extractor(llm, share=share, with_uncertainty=True).extract([LONG], Exclusions()) for share in (True, False)
    )
    for a, b in zip(shared, apart, strict=True):
        np.testing.assert_allclose(a.uncertainty, b.uncertainty, rtol=1e-4, atol=1e-5)


@pytest.fixture
def said(caplog):
    """What is told at the console."""
    caplog.set_level(logging.INFO, logger="lightning.pytorch.utilities.rank_zero")
    logging.getLogger("lightning.pytorch").propagate = True
    return caplog


def ignores(name, monkeypatch):
    """A model that takes a setting and does nothing with it."""
    forward = BlockReader.__call__

    def without(self, inputs, *args):
        if inputs.segments is not None:
            wrong = torch.arange(inputs.ids.shape[1])[None].expand_as(inputs.ids)
            inputs = inputs._replace(**{name: wrong if name == "positions" else torch.zeros_like(wrong) + 999})
        return forward(self, inputs, *args)

    monkeypatch.setattr(BlockReader, "__call__", without)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["positions", "visible"])
def test_a_model_that_ignores_positions_or_masks_reads_mutants_by_themselves(llm, name, dtype, monkeypatch, said):
    ignores(name, monkeypatch)
    read = LineStateExtractor(LineStateConfig(llm=str(llm), dtype=dtype))
    assert not read.shares_prefixes
    read._reader.cost = ALWAYS
    assert len(read.extract([LONG], Exclusions())) == 4
    assert sum("Each mutant is read by itself" in r.getMessage() for r in said.records) == 1


def test_a_model_that_takes_no_positions_reads_mutants_by_themselves(gpt2, monkeypatch):
    model = BlockReader.__call__

    def refuses(self, inputs, *args):
        if inputs.segments is not None:
            raise TypeError("forward() got an unexpected keyword argument 'position_ids'")
        return model(self, inputs, *args)

    monkeypatch.setattr(BlockReader, "__call__", refuses)
    assert not LineStateExtractor(LineStateConfig(llm=str(gpt2))).shares_prefixes


def test_a_sliding_window_shorter_than_the_context_is_no_case_for_sharing(tmp_path, said):
    folder = save_llm(tmp_path / "window", "starcoder2", sliding_window=50)
    assert not LineStateExtractor(LineStateConfig(llm=str(folder))).shares_prefixes
    assert "looks back over 50 tokens only (sliding_window)" in said.text
    assert LineStateExtractor(LineStateConfig(llm=str(folder), context_length=50)).shares_prefixes


def test_a_model_of_few_positions_is_no_case_for_sharing(tmp_path):
    folder = save_llm(tmp_path / "short", "gpt2", max_position_embeddings=32)
    assert not LineStateExtractor(LineStateConfig(llm=str(folder))).shares_prefixes


def test_shared_rows_are_no_longer_than_the_positions(gpt2):
    rows = extractor(gpt2).layout([LONG], Exclusions())[1]
    assert all(len(row.token_ids) <= POSITIONS for row in rows)


def test_sharing_is_left_out_where_it_is_not_wanted(gpt2, said):
    assert not any(row.shared for row in extractor(gpt2, share=False).layout([LONG], Exclusions())[1])
    assert "Each mutant" not in said.text
