from __future__ import annotations

import numpy as np
import pytest
import torch
from tools.embedded_llm.evaluation.line_readings import read_lines
from tools.embedded_llm.evaluation.llms import compared_llms
from tools.embedded_llm.evaluation.same_work import (
    FEW_LINES,
    LINES_CUT,
    NO_WRONG_LINE,
    NOT_READ,
    ONE_LINE,
    WRONG_LINES_CUT,
    same_work,
)

from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import BEYOND_CONTEXT, NOT_ALIGNED, LineStateExtractor
from pttrust_lightning.types import Exclusions, LabelledSnippet, Program, ProgramGroup, ProgramStates

CODE = "def f(x):\n    y = x + 1\n\n    return y\n"
PROGRAMS = [
    Program("short", CODE, "python", prompt='"""What f does."""\n'),
    Program("long", CODE * 3, "python"),
    Program("long prompt", CODE, "python", prompt="# so it goes\n" * 40),
]


@pytest.fixture(scope="module")
def llm(llm_folders):
    return compared_llms([f"{llm_folders['qwen2']}:64"], "cpu")[0]


def test_every_block_is_what_the_package_extracts(llm):
    found = read_lines(llm, PROGRAMS, Exclusions())
    assert list(found) == ["short", "long"]
    for layer in range(llm.n_blocks):
        config = LineStateConfig(llm=llm.config.llm, context_length=64, layer=layer, device="cpu")
        extractor = LineStateExtractor(config, with_uncertainty=True)
        for lines in extractor.extract([ProgramGroup(program) for program in PROGRAMS], Exclusions()):
            reading = found[lines.program_id]
            assert reading.line_numbers.tolist() == lines.line_numbers.tolist()
            assert reading.n_lines == lines.n_lines
            torch.testing.assert_close(reading.states[layer], lines.states[0], rtol=1e-4, atol=1e-4)
            assert reading.uncertainty == pytest.approx(lines.uncertainty, abs=1e-3)


def test_what_cannot_be_read_is_counted(llm):
    exclusions = Exclusions()
    found = read_lines(llm, [Program("nfc", "x = 'e\u0301'\n", "python"), *PROGRAMS], exclusions)
    assert list(found) == ["short", "long"]
    assert exclusions.counts[NOT_ALIGNED] == 1
    assert exclusions.examples[BEYOND_CONTEXT][-1] == "long prompt"


def snippet(id_, n_lines, *wrong):
    code = "".join(f"x{i} = {i}\n" for i in range(n_lines))
    return LabelledSnippet(id_, id_, "python", "repair", "", code, wrong, not wrong, "diff")


def reading(n_read, n_lines):
    numbers = np.arange(n_read)
    states = torch.arange(2.0 * n_read).reshape(2, n_read, 1)
    return ProgramStates("", numbers, states, np.tile(numbers[:, None], 3), n_lines)


def test_all_llms_are_asked_the_same():
    snippets = [snippet("a", 6, 1, 5), snippet("b", 6, 5), snippet("c", 1, 0), snippet("d", 6, 0), snippet("e", 3, 0)]
    near = {"a": reading(4, 6), "b": reading(4, 6), "c": reading(1, 1), "d": reading(1, 6), "e": reading(3, 3)}
    far = {"a": reading(6, 6), "b": reading(6, 6), "c": reading(1, 1), "d": reading(6, 6)}
    work = same_work(snippets, {"near": near, "far": far})
    assert [s.id for s in work.snippets] == ["a"]
    assert work.labels[0].tolist() == [0, 1, 0, 0]
    for name in ("near", "far"):
        assert work.readings[name][0].line_numbers.tolist() == [0, 1, 2, 3]
    assert work.states("far", 1)[0].lines.states.flatten().tolist() == [6, 7, 8, 9]
    assert work.exclusions["near"].counts == {NO_WRONG_LINE: 1, ONE_LINE: 1, FEW_LINES: 1}
    assert work.exclusions["far"].counts == {ONE_LINE: 1, NOT_READ: 1}
    assert work.left_out.counts == {"snippet that not every LLM can rank": 4, LINES_CUT: 2, WRONG_LINES_CUT: 1}


def test_copies_share_a_group():
    snippets = [snippet("a", 3, 0), snippet("b", 3, 0), snippet("c", 4, 0)]
    work = same_work(snippets, {"llm": {s.id: reading(3, 3) for s in snippets}})
    assert work.groups() == ["a", "a", "c"]
