"""Candidates from an LLM: whole functions, seeded, drawn once."""

from __future__ import annotations

import pytest

from pttrust_lightning.errors import ConfigError, LanguageModelError
from pttrust_lightning.labelling.answer_cache import AnswerCache
from pttrust_lightning.labelling.generation import SamplingConfig, generate
from pttrust_lightning.labelling.generation.candidates import (
    NO_PROMPT_TO_COMPLETE,
    PROMPT_TOO_LONG,
    UNFINISHED,
    _text_of,
)
from pttrust_lightning.labelling.problems import Problem
from pttrust_lightning.source.lines import split_lines
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import load_tokenizer
from pttrust_lightning.types import Exclusions

PROBLEMS = [
    Problem("add", "python", 'def add(a, b):\n    """Return the sum of a and b."""\n', "assert add(1, 2) == 3"),
    Problem("size", "python", 'def size(items):\n    """Number of items."""\n', "assert size([1]) == 1"),
]


def settings(**changes):
    return SamplingConfig(**{"llm": "embedded", "samples": 3, "max_new_tokens": 48, "device": "cpu"} | changes)


def drawn(path, problems=PROBLEMS, **changes):
    exclusions = Exclusions()
    candidates = generate(settings(**changes), problems, AnswerCache(path / "samples.jsonl"), exclusions)
    return candidates, exclusions.counts


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Samples of the embedded LLM, and the folder that keeps them."""
    folder = tmp_path_factory.mktemp("samples")
    return folder, *drawn(folder)


def test_samples_are_bodies_of_the_function(embedded):
    _, candidates, left_out = embedded
    assert len(candidates) + left_out[UNFINISHED] == 6
    assert len(candidates) >= 3
    for candidate in candidates:
        lines = [line.text for line in split_lines(candidate.code)]
        assert candidate.problem_id in ("add", "size")
        assert candidate.id.startswith(f"{candidate.problem_id}#embedded-")
        assert lines[-1].strip()
        assert not [line for line in lines if line.strip() and not line.startswith((" ", "\t"))]


def test_kept_samples_are_not_drawn_again(embedded, monkeypatch):
    folder, candidates, left_out = embedded
    load = "pttrust_lightning.labelling.generation.candidates.load_causal_lm"
    monkeypatch.setattr(load, lambda config: pytest.fail("the LLM was loaded"))
    assert drawn(folder) == (candidates, left_out)


def test_an_interrupted_run_goes_on_to_the_same_samples(embedded, tmp_path):
    folder, candidates, left_out = embedded
    lines = (folder / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "samples.jsonl").write_text("".join(lines[:2]) + lines[2][:10])
    assert drawn(tmp_path) == (candidates, left_out)


def test_neither_order_nor_batch_size_changes_a_sample(embedded, tmp_path):
    _, candidates, _ = embedded
    again, _ = drawn(tmp_path, PROBLEMS[::-1], batch_size=2)
    assert sorted(again, key=lambda c: c.id) == sorted(candidates, key=lambda c: c.id)


def test_more_samples_keep_those_there_are(embedded):
    folder, candidates, _ = embedded
    more, _ = drawn(folder, samples=4)
    assert [c for c in more if not c.id.endswith("-3")] == candidates


def test_every_family_of_tokenizers(llm, tmp_path):
    """Random weights end no function: what is drawn is text all the same, and is counted as unfinished."""
    candidates, left_out = drawn(tmp_path, llm=str(llm), max_new_tokens=12, samples=2)
    assert len(candidates) + left_out[UNFINISHED] == 4


def test_a_completion_keeps_its_first_space(llm_folders):
    for family in ("llama", "qwen2"):
        tokenizer = load_tokenizer(LineStateConfig(llm=str(llm_folders[family])))
        prompt, whole = (tokenizer(text)["input_ids"] for text in ("def f(x):\n", "def f(x):\n    return x\n"))
        assert whole[: len(prompt)] == prompt
        assert _text_of(tokenizer)([*whole[len(prompt) :], tokenizer.eos_token_id]) == "    return x\n"


def test_problems_that_cannot_be_completed_are_counted(tmp_path):
    problems = [
        Problem("long", "python", "# far\n" * 2000, ""),
        Problem("whole", "python", "Write f.", "", completes_prompt=False),
    ]
    assert drawn(tmp_path, problems) == ([], {PROMPT_TOO_LONG: 1, NO_PROMPT_TO_COMPLETE: 1})


def test_a_batch_that_does_not_fit(tmp_path, monkeypatch):
    def out_of_memory(*args):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("pttrust_lightning.labelling.generation.sampling.Sampler.__call__", out_of_memory)
    with pytest.raises(LanguageModelError, match=r"Lower generate\.batch_size"):
        drawn(tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"samples": 0}, r"generate\.samples is 0"),
        ({"temperature": -1.0}, r"generate\.temperature"),
        ({"temperature": float("nan")}, r"generate\.temperature"),
        ({"top_p": 0.0}, r"generate\.top_p"),
        ({"top_p": 1.1}, r"generate\.top_p"),
        ({"temperature": 0.0}, "all 3 samples would be the same"),
        ({"batch_size": 0}, r"generate\.batch_size"),
        ({"llm": None}, r"Set generate\.llm"),
    ],
)
def test_settings_that_no_run_could_use(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        settings(**changes).llm_config()
