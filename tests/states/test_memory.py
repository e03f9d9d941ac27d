from __future__ import annotations

import warnings

import pytest
import torch
from tiny_llms import PYTHON

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.memory import free_caches, is_out_of_memory
from pttrust_lightning.states.rows import Cost
from pttrust_lightning.types import Exclusions, Mutant, Program, ProgramGroup

CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
GROUPS = [ProgramGroup(Program(f"p{i}", PYTHON[: 60 + 20 * i], "python")) for i in range(12)]
LINES = PYTHON.splitlines(keepends=True)
MUTANT = Mutant(Program("q#0", "".join([*LINES[:20], "    pass\n", *LINES[21:]]), "python"), (), ())
SHARED = [ProgramGroup(Program("q", PYTHON, "python"), (MUTANT,))]


class Limited:
    """A model that runs out of memory above so many tokens."""

    def __init__(self, model, limit, error):
        self.model, self.limit, self.error, self.failures = model, limit, error, 0

    def __call__(self, input_ids, **settings):
        if input_ids.numel() > self.limit:
            self.failures += 1
            raise self.error
        return self.model(input_ids=input_ids, **settings)


def limited(folder, limit, error, with_uncertainty=False):
    extractor = LineStateExtractor(LineStateConfig(llm=str(folder)), with_uncertainty)
    extractor._reader.cost = Cost(1.0, 0.0)
    extractor._reader._model = Limited(extractor._reader._model, limit, error)
    return extractor


def same(a, b):
    assert [s.program_id for s in a] == [s.program_id for s in b]
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x.states, y.states, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("with_uncertainty", [False, True])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(CPU_MESSAGE)])
def test_a_batch_that_does_not_fit_is_halved_for_the_rest_of_the_run(gpt2, error, with_uncertainty):
    expected = LineStateExtractor(LineStateConfig(llm=str(gpt2))).extract(GROUPS, Exclusions())
    extractor = limited(gpt2, 400, error, with_uncertainty)
    exclusions = Exclusions()
    with pytest.warns(UserWarning, match=r"batch of \d+ tokens does not fit .* Set states\.batch_tokens to \d+"):
        same(extractor.extract(GROUPS, exclusions), expected)
    assert not exclusions.counts
    assert extractor._reader._model.failures < 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failures = extractor._reader._model.failures
        same(extractor.extract(GROUPS, exclusions), expected)
    assert extractor._reader._model.failures == failures  # it was learnt once


def test_a_shared_row_that_does_not_fit_is_taken_apart(gpt2):
    expected = LineStateExtractor(LineStateConfig(llm=str(gpt2))).extract(SHARED, Exclusions())
    longest = max(len(s.token_ids) for s in limited(gpt2, 0, None).layout(SHARED, Exclusions())[0])
    extractor = limited(gpt2, longest, torch.OutOfMemoryError())
    with warnings.catch_warnings(record=True):
        same(extractor.extract(SHARED, Exclusions()), expected)
    assert extractor._reader._model.failures > 0


def test_a_program_that_does_not_fit_alone_is_named(gpt2):
    extractor = limited(gpt2, 200, torch.OutOfMemoryError())
    groups = [*GROUPS[:2], ProgramGroup(Program("huge", "x = [1, 2, 3]\n" * 40, "python"))]
    with (
        warnings.catch_warnings(record=True),
        pytest.raises(LanguageModelError, match=r"huge: its \d+ tokens do not fit .* Set states\.context_length below"),
    ):
        extractor.extract(groups, Exclusions())


def test_other_errors_are_not_taken_for_it(gpt2):
    with pytest.raises(RuntimeError, match="device-side assert"):
        limited(gpt2, 0, RuntimeError("CUDA error: device-side assert")).extract(GROUPS, Exclusions())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError(), True),
        (MemoryError(), True),
        (RuntimeError(CPU_MESSAGE), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) is expected


def test_the_cpu_allocators_own_error_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_caches_can_be_freed_anywhere():
    free_caches()
