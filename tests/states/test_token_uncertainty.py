from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_llms import PYTHON
from transformers import AutoModelForCausalLM, AutoTokenizer

from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.uncertainty import UNCERTAINTY_FEATURES, line_uncertainty, token_uncertainty
from pttrust_lightning.types import Exclusions, Program, ProgramGroup


def by_definition(logits, ids):
    """Log-probability and entropy of each token in float64, one at a time."""
    vocabulary = logits.shape[1]
    rows = [(-math.log(vocabulary), math.log(vocabulary))]
    for previous, token in zip(logits[:-1].astype(np.float64), ids[1:], strict=True):
        p = np.exp(previous - previous.max())
        p /= p.sum()
        rows.append((math.log(p[token]), -sum(q * math.log(q) for q in p if q > 0)))
    return np.array(rows)


def in_order(n):
    """Each token is predicted by the one before it."""
    return torch.arange(-1, n - 1)


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_values_are_those_of_the_definition(scale):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(7, 11, generator=generator)
    ids = torch.randint(11, (7,), generator=generator)
    expected = by_definition(logits.numpy(), ids.tolist())
    np.testing.assert_allclose(token_uncertainty(logits, in_order(7), ids).T, expected, rtol=1e-5, atol=1e-5)


def test_the_first_token_counts_as_uniform():
    log_p, entropy = token_uncertainty(torch.randn(1, 50), torch.tensor([-1]), torch.tensor([3]))
    assert log_p.tolist() == pytest.approx([-math.log(50)])
    assert entropy.tolist() == pytest.approx([math.log(50)])


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(5, 5000, generator=torch.Generator().manual_seed(1)).bfloat16()
    ids = torch.tensor([1, 2, 3, 4, 5])
    expected = by_definition(logits.float().numpy(), ids.tolist())
    np.testing.assert_allclose(token_uncertainty(logits, in_order(5), ids).T, expected, rtol=1e-5)


def test_tokens_may_follow_any_other():
    """As a mutant's suffix follows the prefix that it shares."""
    logits = torch.randn(9, 6, generator=torch.Generator().manual_seed(4))
    ids = torch.tensor([3, 1, 5, 2])
    places = torch.tensor([0, 1, 6, 7])
    expected = by_definition(logits[places].numpy(), ids.tolist())
    np.testing.assert_allclose(token_uncertainty(logits, torch.tensor([-1, 0, 1, 6]), ids).T, expected, rtol=1e-5)


def test_a_line_has_the_mean_and_the_least_of_its_tokens():
    assert UNCERTAINTY_FEATURES == ("mean_log_probability", "min_log_probability", "mean_entropy")
    rows = np.random.default_rng(2).normal(size=(8, 2))
    for first, last in (([0, 3, 4], [2, 3, 6]), ([1, 2, 5], [3, 2, 7])):  # lines may meet in a token
        expected = [
            (rows[a : b + 1, 0].mean(), rows[a : b + 1, 0].min(), rows[a : b + 1, 1].mean())
            for a, b in zip(first, last, strict=True)
        ]
        found = line_uncertainty(*rows.T, np.array(first), np.array(last))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_extracted_uncertainty_is_the_models(gpt2):
    """Lines end in a token of their own in this text, so that each line's tokens are known without the line map."""
    tokenizer = AutoTokenizer.from_pretrained(gpt2)
    code = PYTHON.split("\n\n")[0].replace("    ", "") + "\n"
    ids, lines = [], []
    for line in code.splitlines(keepends=True):
        begin = len(ids)
        ids += tokenizer(line)["input_ids"]
        lines.append((begin, len(ids)))
    assert ids == tokenizer(code)["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0].numpy()
    rows = by_definition(logits, ids)
    expected = [(rows[a:b, 0].mean(), rows[a:b, 0].min(), rows[a:b, 1].mean()) for a, b in lines]
    extractor = LineStateExtractor(LineStateConfig(llm=str(gpt2)), with_uncertainty=True)
    (states,) = extractor.extract([ProgramGroup(Program("p", code, "python"))], Exclusions())
    np.testing.assert_allclose(states.uncertainty, expected, rtol=1e-4, atol=1e-5)
