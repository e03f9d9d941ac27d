"""Drawing tokens: the right distribution, and the same completion whatever shares its batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from pttrust_lightning.labelling.generation.sampling import DrawToken, Prompt, Sampler


def never(ids):
    return False


@pytest.fixture(scope="module")
def model(gpt2):
    return AutoModelForCausalLM.from_pretrained(gpt2, dtype=torch.float64)


def prompts(n, ended=never):
    random = np.random.default_rng(0)
    return [
        Prompt(random.integers(5, 300, size=int(random.integers(3, 40))).tolist(), f"p{i}", ended) for i in range(n)
    ]


def test_draws_have_the_distribution_of_the_scores():
    scores = torch.tensor([[0.0, 1.0, -torch.inf, 2.0]])
    n = 20_000
    uniforms = torch.from_numpy(np.random.default_rng(0).random((1, n)))
    counts = np.zeros(4)
    for step in range(n):
        drawn = DrawToken(uniforms[:, step : step + 1], 1)(torch.zeros(1, 1, dtype=torch.long), scores)
        assert (drawn == 0).sum() == 1
        counts[int(drawn.argmax())] += 1
    expected = np.exp([0.0, 1.0, -np.inf, 2.0])
    expected /= expected.sum()
    assert counts[2] == 0
    assert np.abs(counts / n - expected).max() < 4 * np.sqrt(0.25 / n)


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (0.499, 1), (0.501, 3), (1 - 2**-53, 3)])
def test_no_token_of_probability_zero_is_drawn(uniform, token):
    scores = torch.tensor([[-torch.inf, 1.0, -torch.inf, 1.0, -torch.inf]])
    draw = DrawToken(torch.tensor([[uniform]], dtype=torch.float64), 1)
    assert int(draw(torch.zeros(1, 1, dtype=torch.long), scores).argmax()) == token


def test_a_completion_does_not_depend_on_its_batch(model):
    sampler = Sampler(model, [0], temperature=0.9, top_p=0.9, seed=3)
    wanted = prompts(5)
    together = sampler(wanted, 20)
    assert [sampler([prompt], 20)[0] for prompt in wanted] == together
    assert sampler(wanted[::-1], 20)[::-1] == together
    assert len({tuple(written) for written in together}) == 5


def test_seeds(model):
    wanted = prompts(1)
    same_prompt = [wanted[0], wanted[0]._replace(seed="other")]
    first, second = Sampler(model, [0], 1.0, 1.0, seed=3)(same_prompt, 20)
    assert first != second
    assert Sampler(model, [0], 1.0, 1.0, seed=4)(wanted, 20)[0] != first


def test_temperature_zero_takes_the_likeliest_token(model):
    wanted = prompts(2)
    for written, prompt in zip(Sampler(model, [0], 0.0, 1.0, seed=0)(wanted, 6), wanted, strict=True):
        ids = list(prompt.token_ids)
        for token in written:
            assert token == int(model(torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)


def test_a_tiny_nucleus_is_the_likeliest_token(model):
    wanted = prompts(2)
    assert Sampler(model, [0], 1.0, 1e-6, seed=0)(wanted, 6) == Sampler(model, [0], 0.0, 1.0, seed=0)(wanted, 6)


def test_stops_at_the_end_and_at_the_token_that_ends_a_text(model):
    ended = lambda ids: len(ids) >= 8  # noqa: E731
    wanted = [prompts(1)[0], prompts(1, ended)[0]]
    free, stopped = Sampler(model, [0], 1.0, 1.0, seed=0)(wanted, 24)
    assert len(free) == 24
    assert stopped == free[:8]  # the same seed
    eos = free[5]
    (cut,) = Sampler(model, [0, eos], 1.0, 1.0, seed=0)(wanted[:1], 24)
    assert cut == free[: free.index(eos)]
