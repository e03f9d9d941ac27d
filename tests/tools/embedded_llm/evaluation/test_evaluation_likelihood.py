from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tools.embedded_llm.evaluation import likelihood
from tools.embedded_llm.evaluation.likelihood import score_tokens, windows

from pttrust_lightning.errors import NonFiniteError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import load_causal_lm

BOS = 1


@pytest.fixture(scope="module")
def model(llm_folders):
    return load_causal_lm(LineStateConfig(llm=str(llm_folders["qwen2"])))


def sequences(*lengths):
    rng = np.random.default_rng(0)
    return [rng.integers(2, 400, size=n) for n in lengths]


def expected(model, tokens, window):
    """Nats of the window's scored tokens, from a forward of their own."""
    read = torch.tensor([[BOS, *tokens.tolist()][window.start : window.end]])
    with torch.no_grad():
        log_p = torch.log_softmax(model(input_ids=read).logits[0].double(), -1)
    return [-log_p[i - window.start, tokens[i]].item() for i in range(window.first, window.end)]


@given(st.integers(0, 400), st.integers(2, 70))
def test_every_token_is_scored_once_with_half_a_context_before_it(n_tokens, context):
    scored = []
    for window in windows(0, n_tokens, context):
        assert window.end - window.start <= context
        assert window.start <= window.first < window.end
        # before the first scored token stand window.start, ..., window.first - 1 and the token before them
        assert window.start == 0 or window.first - window.start + 1 >= context / 2
        scored += range(window.first, window.end)
    assert scored == list(range(n_tokens))


def test_a_short_text_costs_what_one_forward_says(model):
    texts = sequences(1, 17, 40)
    for text, scores in zip(texts, score_tokens(model, texts, BOS, 64, "test"), strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[BOS, *text[:-1]]])).logits[0]
        log_p = torch.log_softmax(logits.double(), -1).numpy()
        assert scores.nats == pytest.approx(-log_p[np.arange(len(text)), text], abs=1e-4)
        assert scores.top_1.tolist() == (log_p.argmax(-1) == text).tolist()


def test_a_long_text_is_scored_window_by_window(model, monkeypatch):
    texts = sequences(50, 7, 33)
    whole = score_tokens(model, texts, BOS, 16, "test")
    for number, (text, scores) in enumerate(zip(texts, whole, strict=True)):
        by_hand = [n for window in windows(number, len(text), 16) for n in expected(model, text, window)]
        assert scores.nats == pytest.approx(by_hand, abs=1e-4)
    monkeypatch.setattr(likelihood, "_LOGITS", 1)  # one window at a time
    for a, b in zip(whole, score_tokens(model, texts, BOS, 16, "test"), strict=True):
        assert a.nats == pytest.approx(b.nats, abs=1e-4)


def test_nonsense_is_refused(llm_folders):
    broken = load_causal_lm(LineStateConfig(llm=str(llm_folders["qwen2"])))
    next(broken.parameters()).data.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="new, python: the LLM gave NaN"):
        score_tokens(broken, sequences(3), BOS, 16, "new, python")
