from __future__ import annotations

import pytest
import torch
from tools.embedded_llm.training.optimizer import MuonAdamW, orthogonalise, split_parameters, trapezoid
from transformers import LlamaConfig, LlamaForCausalLM


@pytest.mark.parametrize("shape", [(16, 16), (12, 40), (40, 12)])
def test_singular_values_go_to_one_and_the_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(matrix)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.5
    assert values.max() < 1.35
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.nn.functional.cosine_similarity(result.flatten(), (u @ vh).flatten(), dim=0) > 0.97


def test_it_is_torchs_muon_on_matrices():
    start = torch.randn(24, 40, generator=torch.Generator().manual_seed(1))
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    a = MuonAdamW([ours], [], lr=0.01, weight_decay=0.1)
    b = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        grad = torch.randn(24, 40, generator=torch.Generator().manual_seed(2 + step))
        ours.grad, theirs.grad = grad.clone(), grad.clone()
        a.step()
        b.step()
    moved, expected = ours.detach() - start, theirs.detach() - start
    assert torch.nn.functional.cosine_similarity(moved.flatten(), expected.flatten(), dim=0) > 0.999
    torch.testing.assert_close(moved.norm(), expected.norm(), rtol=0.01, atol=0)


def test_it_is_torchs_adamw_on_the_rest():
    start = torch.randn(7, 5, generator=torch.Generator().manual_seed(3))
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    a = MuonAdamW([], [ours], adamw_lr=0.01)
    b = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.95), weight_decay=0.0)
    for step in range(5):
        grad = torch.randn(7, 5, generator=torch.Generator().manual_seed(4 + step))
        ours.grad, theirs.grad = grad.clone(), grad.clone()
        a.step()
        b.step()
    torch.testing.assert_close(ours, theirs)


def test_a_parameter_without_gradient_stays():
    parameter = torch.nn.Parameter(torch.ones(3, 3))
    MuonAdamW([parameter], []).step()
    assert (parameter == 1).all()


def test_only_the_blocks_matrices_go_to_muon():
    config = LlamaConfig(
        vocab_size=32, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    muon, adamw = split_parameters(model)
    assert len(muon) == 2 * 7
    assert {tuple(p.shape) for p in adamw} == {(32, 8), (8,)}
    assert sum(p.numel() for p in muon + adamw) == sum(p.numel() for p in model.parameters())


def test_the_schedule_rises_stays_and_falls():
    factors = [trapezoid(step, warmup=4, decay=5, total=20) for step in range(21)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert set(factors[4:16]) == {1.0}
    assert factors[16:] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])


def test_a_longer_run_has_the_same_beginning():
    assert [trapezoid(s, 3, 5, 20) for s in range(15)] == [trapezoid(s, 3, 5, 40) for s in range(15)]
