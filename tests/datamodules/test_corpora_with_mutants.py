"""Corpora that bring mutants of their own: real bugs beside those that operators make, or in their place."""

from __future__ import annotations

import pytest
import torch

from pttrust_lightning.datamodules import StreamedStates, UnlabelledStates
from pttrust_lightning.source.corpora.bug_fixes import BugFixes
from pttrust_lightning.source.fixes import BugFix, FixSource
from pttrust_lightning.states.config import LineStateConfig

N = 12


class Fixes(FixSource):
    """Each program adds where it should; its buggy version subtracts."""

    def fixes(self, exclusions):
        for i in range(N):
            correct = f"def f{i}(a, b):\n    total = a + b + {i}\n    c = total * 2\n    return c\n"
            yield BugFix(f"fix{i:02}", f"p{i}", "python", "", correct.replace("a + b", "a - b"), correct)


@pytest.fixture
def make(gpt2, tmp_path):
    def make(**settings):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        states = LineStateConfig(llm=str(gpt2))
        data = UnlabelledStates(BugFixes(Fixes()), str(folder), states, val_fraction=0.25, **settings)
        data.prepare_data()
        data.setup("fit")
        return data

    return make


def test_the_fixes_alone_make_the_pairs(make):
    data = make(operators=[])
    assert len(data.cache) == N
    assert data.cache.n_rows == N * 2 * 4
    assert data.cache.n_pairs == N  # the line that was changed
    original, buggy = (data.cache.program(name).states for name in ("fix03", "fix03#bug0"))
    batch = data.cache.groups([3])
    ((a, b),) = batch.pairs.tolist()
    assert torch.equal(batch.states[a], original[1]) and torch.equal(batch.states[b], buggy[1])


def test_operators_add_to_them(make):
    data = make(operators=["delete_line"], rounds=[0.25])
    assert {name for i in range(N) for name in (f"fix{i:02}", f"fix{i:02}#bug0", f"fix{i:02}#round0")} == set(
        data.cache._programs
    )
    assert data.cache.n_pairs > N


@pytest.mark.parametrize("operators", [[], ["switch_inside"]])
def test_streamed_states_are_those_of_the_cache(make, gpt2, operators):
    cached = make(operators=operators, rounds=[0.25])
    streamed = StreamedStates(
        BugFixes(Fixes()), LineStateConfig(llm=str(gpt2)), operators, [0.25], val_fraction=0.25, programs_per_batch=1,
        window=4,
    )  # fmt: skip
    streamed.setup("fit")
    batches = [*streamed.train_dataloader(), *streamed.val_dataloader()]
    groups = [cached.cache.groups([i]) for i in range(N)]
    assert len(batches) == N
    for batch in batches:
        same = [
            g
            for g in groups
            if g.states.shape == batch.states.shape and torch.allclose(g.states, batch.states, atol=1e-5)
        ]
        assert any(torch.equal(g.pairs, batch.pairs) for g in same)
