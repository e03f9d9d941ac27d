from __future__ import annotations

import torch
from torch import nn

from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.reader import BlockReader
from pttrust_lightning.states.rows import Inputs
from pttrust_lightning.states.selected_tokens import SelectedTokens
from pttrust_lightning.types import Exclusions, Program, ProgramGroup

CODES = [f"x = {i}\n\nif x > {i}:\n    y = x + {i}\n" * (i + 1) for i in range(5)]
GROUPS = [ProgramGroup(Program(str(i), code, "python")) for i, code in enumerate(CODES)]


def test_the_inner_module_runs_at_the_tokens_only():
    seen = []
    inner = nn.Linear(3, 3)
    inner.register_forward_hook(lambda _m, args, _o: seen.append(args[0].shape))
    module, hidden = SelectedTokens(inner), torch.randn(2, 4, 3)
    whole = module(hidden)
    module.tokens = torch.tensor([6, 1])
    some = module(hidden)
    assert seen == [(2, 4, 3), (1, 2, 3)]
    torch.testing.assert_close(some[0, 1], whole[0, 1])
    torch.testing.assert_close(some[1, 2], whole[1, 2])
    assert some.abs().sum(-1).nonzero().tolist() == [[0, 1], [1, 2]]


def test_every_family_is_narrowed_and_gives_the_same_states(llm, monkeypatch):
    for rule in ("newline", "mean"):
        config = LineStateConfig(llm=str(llm), layers=(0, 2), layer=3, line_rule=rule)
        narrowed = LineStateExtractor(config)
        assert narrowed._reader._last_mlp is not None
        with monkeypatch.context() as patch:
            patch.setattr(BlockReader, "_narrowed_mlp", lambda self: None)
            whole = LineStateExtractor(config)
        for a, b in zip(narrowed.extract(GROUPS, Exclusions()), whole.extract(GROUPS, Exclusions()), strict=True):
            torch.testing.assert_close(a.states, b.states, rtol=1e-5, atol=1e-5)


def test_token_probabilities_need_the_whole_of_every_block(llm):
    assert LineStateExtractor(LineStateConfig(llm=str(llm)), with_uncertainty=True)._reader._last_mlp is None


class Mixing(nn.Module):
    """No MLP: each token gets the mean of all."""

    def forward(self, hidden):
        return hidden.mean(1, keepdim=True).expand_as(hidden)


class Experts(nn.Module):
    """Gives more than a tensor."""

    def forward(self, hidden):
        return hidden, hidden.sum()


def test_what_is_no_token_wise_mlp_stays_as_it_is(gpt2):
    reader = BlockReader(LineStateConfig(llm=str(gpt2), layer=1), whole=False)
    block = reader._blocks[-1]
    block.mlp = mixing = Mixing()
    assert reader._narrowed_mlp() is None
    assert block.mlp is mixing
    block.forward = lambda hidden, *_, **__: block.mlp(hidden)[0]
    block.mlp = experts = Experts()
    assert reader._narrowed_mlp() is None
    assert block.mlp is experts
    del block.mlp
    assert reader._narrowed_mlp() is None


def test_a_batch_without_tokens_named_runs_whole(gpt2):
    reader = BlockReader(LineStateConfig(llm=str(gpt2), layer=1), whole=False)
    ids = torch.arange(12).reshape(2, 6)
    (named,), _ = reader(Inputs(ids), lambda hidden: hidden, torch.tensor([4]))
    (whole,), _ = reader(Inputs(ids), lambda hidden: hidden)
    torch.testing.assert_close(named[0, 4], whole[0, 4])
    assert not torch.allclose(named[0, 3], whole[0, 3])
