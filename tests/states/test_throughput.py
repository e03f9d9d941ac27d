from __future__ import annotations

import time

import pytest
from tiny_llms import PYTHON

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.throughput import Amount, measure
from pttrust_lightning.types import Exclusions, Mutant, Program, ProgramGroup

GROUPS = [ProgramGroup(Program(f"p{i}", "x = 1\n", "python")) for i in range(64)]


class Reader:
    """Takes a known time a group, and more for the first call."""

    def __init__(self, seconds, lines=2):
        self.seconds, self.lines, self.sizes = seconds, lines, []

    def __call__(self, groups):
        time.sleep(self.seconds * len(groups) + (0 if self.sizes else 0.05))
        self.sizes.append(len(groups))
        return Amount(self.lines * len(groups), 10 * len(groups))


def test_a_slow_device_is_measured_on_few_groups_after_a_warm_up():
    read = Reader(0.01)
    found = measure(read, GROUPS, seconds=0.03)
    assert read.sizes[0] == 1
    assert read.sizes[-1] < len(GROUPS)
    assert 0 < found.lines_per_second <= 2 / 0.01
    assert found.tokens_per_second == pytest.approx(5 * found.lines_per_second)
    assert found.tokens_per_line == 5


def test_few_groups_are_read_over_and_over():
    read = Reader(0.001)
    measure(read, GROUPS[:3], seconds=0.03)
    assert set(read.sizes) == {1, 2, 3}
    assert read.sizes.count(3) > 1


@pytest.mark.parametrize("groups", [[], GROUPS[:3]])
def test_nothing_that_can_be_scored_is_an_error(groups):
    with pytest.raises(LanguageModelError, match=f"None of the {len(groups)} programs tried"):
        measure(Reader(0, lines=0), groups, seconds=0.01)


def test_the_extractors_probe_counts_what_it_reads(gpt2):
    mutant = Mutant(Program("p#0", PYTHON + "x = 2\n", "python"), (), ())
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2)))
    found = extractor.probe([ProgramGroup(Program("p", PYTHON, "python"), (mutant,))], seconds=0.01)
    programs, _ = extractor.layout([ProgramGroup(Program("p", PYTHON, "python"), (mutant,))], Exclusions())
    tokens, lines = sum(len(p.token_ids) for p in programs), sum(len(p.tokens.last) for p in programs)
    assert found.tokens_per_line == tokens / lines
    assert found.tokens_per_second == pytest.approx(found.lines_per_second * tokens / lines)
