"""The judge as a whole, against a local endpoint: labels, what is kept, and what it may cost."""

from __future__ import annotations

import json

import pytest
from judge_stand_in import Reply, completion, naming

from pttrust_lightning.errors import ConfigError, JudgeError
from pttrust_lightning.labelling.answer_cache import AnswerCache
from pttrust_lightning.labelling.judge import Judge, JudgeConfig
from pttrust_lightning.labelling.judge.judge import INVALID_ANSWER, REFUSED, TOO_MANY_LINES
from pttrust_lightning.labelling.problems import Candidate, Problem, TestRun
from pttrust_lightning.labelling.programs import CandidateRun

CODE = "def f(x):\n    y = x\n    return y - 1\n"
RIGHT = (3, "    return y - 1")


def program(name: str, code: str = CODE) -> CandidateRun:
    problem = Problem("p", "python", "Add one.", "assert f(1) == 2")
    return CandidateRun(
        problem, Candidate(name, "p", code + f"# {name}\n"), TestRun(name, "wrong", "assertion", 0.1, "")
    )


@pytest.fixture
def judge(endpoint, tmp_path):
    """Makes judges that share one file of answers."""

    def make(share: float = 0.5, environ: dict[str, str] | None = None, **settings: object) -> Judge:
        config = JudgeConfig(**{"base_url": endpoint.base_url, "model": "m", "attempts": 1} | settings)
        return Judge(config, AnswerCache(tmp_path / "judge.jsonl"), share, environ or {})

    return make


def test_a_second_run_asks_nothing(endpoint, judge):
    endpoint.answer = lambda asked: naming(RIGHT)
    programs = [program(f"c{i}") for i in range(6)]
    first = judge().labels(programs)
    assert len(endpoint.asked) == 6
    assert {label.source for label in first.values()} == {"judge:m"}
    assert {label.wrong_lines for label in first.values()} == {(2,)}
    again = judge()
    assert again.estimate(programs)[:3] == (6, 0, 0)
    assert again.labels(programs) == first
    assert len(endpoint.asked) == 6
    assert again.spent.requests == 0


def test_an_interrupted_run_goes_on(endpoint, judge):
    endpoint.answer = lambda asked: naming(RIGHT) if "c0" in str(asked.body) else Reply(500)
    with pytest.raises(JudgeError, match="answered 500"):
        judge(concurrency=1).labels([program("c0"), program("c1")])
    endpoint.asked.clear()
    endpoint.answer = lambda asked: naming(RIGHT)
    assert len(judge().labels([program("c0"), program("c1")])) == 2
    assert len(endpoint.asked) == 1


def test_the_request(endpoint, judge):
    endpoint.answer = lambda asked: naming(RIGHT)
    settings = {"request": {"top_p": 0.5}, "max_tokens": 99, "max_tokens_field": "max_completion_tokens"}
    judge(api_key_variable="A_KEY", environ={"A_KEY": "secret\n"}, **settings).labels([program("c")])
    (asked,) = endpoint.asked
    assert asked.headers["Authorization"] == "Bearer secret"
    body = asked.body
    assert body["response_format"]["json_schema"]["strict"] is True
    del body["response_format"], body["messages"]
    assert body == {"model": "m", "top_p": 0.5, "max_completion_tokens": 99}


@pytest.mark.parametrize(
    "bad",
    [
        completion("not JSON"),
        completion(""),
        naming((9, "")),
        naming(),
        naming((3, "return y")),
        completion(json.loads(naming(RIGHT).body)["choices"][0]["message"]["content"], finish_reason="length"),
    ],
)
def test_an_invalid_answer_is_asked_for_once_more(endpoint, judge, bad):
    endpoint.replies(bad, naming(RIGHT))
    assert judge().labels([program("c")])["c"].wrong_lines == (2,)
    second = endpoint.asked[1].body["messages"]
    assert "cannot be used" in second[-1]["content"]
    assert all(message["content"] for message in second)


def test_two_invalid_answers_are_a_weak_label_and_not_asked_for_again(endpoint, judge):
    endpoint.answer = lambda asked: naming((3, "something else"))
    for _ in range(2):
        label = judge().labels([program("c")])["c"]
        assert (label.wrong_lines, label.source, label.why_weak) == ((), "tests", INVALID_ANSWER)
    assert len(endpoint.asked) == 2


def test_a_kept_answer_is_verified_again(endpoint, judge, tmp_path):
    endpoint.answer = lambda asked: naming(RIGHT)
    judge().labels([program("c")])
    file = tmp_path / "judge.jsonl"
    file.write_text(file.read_text().replace("return y - 1", "return y - 2"))
    assert judge().labels([program("c")])["c"].why_weak == INVALID_ANSWER


def test_an_answer_that_names_most_lines_says_nothing(endpoint, judge):
    lines = [(1, "def f(x):"), (2, "y = x"), RIGHT]
    endpoint.answer = lambda asked: naming(*lines)
    assert judge(share=0.5).labels([program("c")])["c"].why_weak == TOO_MANY_LINES
    assert judge(share=0.75).labels([program("c")])["c"].wrong_lines == (0, 1, 2)  # 3 of 4 lines, and nothing is asked
    assert len(endpoint.asked) == 1


def test_answers_depend_on_model_program_and_settings(endpoint, judge):
    endpoint.answer = lambda asked: naming(RIGHT)
    one = program("c")
    judge().labels([one])
    assert judge().estimate([one]).known == 1
    assert judge().estimate([one._replace(run=TestRun("c", "wrong", "exception", 9.0, "other output"))]).known == 1
    assert judge(model="other").estimate([one]).known == 0
    assert judge(max_tokens=5).estimate([one]).known == 0
    assert judge(request={}).estimate([one]).known == 0
    assert judge().estimate([program("d")]).known == 0


def test_a_refused_program_is_weak_and_many_refusals_end_the_run(endpoint, judge):
    endpoint.answer = lambda asked: Reply(400, b"too long") if "# long" in str(asked.body) else naming(RIGHT)
    labels = judge(concurrency=1).labels([program("c"), *(program(f"long{i}") for i in range(5))])
    assert [label.why_weak for label in labels.values()].count(REFUSED) == 5
    again = judge(concurrency=1).labels([program("c"), *(program(f"long{i}") for i in range(5))])
    assert again == labels  # refused again, and no reason to stop: one answer is kept
    endpoint.asked.clear()
    with pytest.raises(JudgeError, match=r"too long.*first 3 requests were refused"):
        judge(concurrency=1).labels([program(f"long{i}") for i in range(50)])
    assert len(endpoint.asked) < 10


def test_a_key_that_is_refused_ends_the_run_at_once(endpoint, judge):
    endpoint.answer = lambda asked: Reply(401, b"who are you")
    with pytest.raises(JudgeError, match="401: who are you"):
        judge(concurrency=1).labels([program(f"c{i}") for i in range(50)])
    assert len(endpoint.asked) < 5


def test_the_cost_is_known_before_anything_is_sent(endpoint, judge):
    cheap = judge(input_price=2.0, output_price=10.0, max_tokens=500, max_cost=0.05)
    estimate = cheap.estimate([program("c0"), program("c1")])
    assert (estimate.known, estimate.requests, estimate.answer_tokens) == (0, 2, 1000)
    # each asked for twice, the second time with the first answer and a correction
    assert estimate.max_cost == pytest.approx(((2 * estimate.prompt_tokens + 1000 + 200) * 2 + 2000 * 10) / 1e6)
    cheap.check_cost(estimate)
    many = [program(f"c{i}") for i in range(10)]
    with pytest.raises(JudgeError, match=r"judge\.max_cost is 0\.05"):
        cheap.check_cost(cheap.estimate(many))
    assert not endpoint.asked
    assert "unknown" in judge().estimate(many).describe()[1]


def test_the_estimate_is_close_to_what_is_sent(endpoint, judge):
    endpoint.answer = lambda asked: naming(RIGHT)
    asking = judge()
    estimate = asking.estimate([program("c")])
    asking.labels([program("c")])
    sent = int(endpoint.asked[0].headers["Content-Length"])
    assert estimate.prompt_tokens == pytest.approx(sent / 3, abs=1)


def test_spending_stops_at_the_limit_even_if_the_estimate_was_too_low(endpoint, judge):
    endpoint.answer = lambda asked: completion(naming(RIGHT).body.decode(), prompt_tokens=10**6, answer_tokens=0)
    limited = judge(input_price=1.0, output_price=1.0, max_cost=3.0, concurrency=1)
    with pytest.raises(JudgeError, match=r"max_cost \(3\) is reached"):
        limited.labels([program(f"c{i}") for i in range(20)])
    assert limited.spent.requests == 3


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"model": ""}, r"no judge\.model"),
        ({"max_tokens": 0}, r"judge\.max_tokens is 0"),
        ({"concurrency": 0}, r"judge\.concurrency"),
        ({"timeout_s": float("nan")}, r"judge\.timeout_s"),
        ({"max_cost": 1.0}, r"judge\.input_price"),
        ({"input_price": -1.0}, r"judge\.input_price is -1"),
        ({"api_key_variable": "sk-1234"}, "Give its name, not the key"),
        ({"api_key_variable": "MISSING"}, "MISSING .* is not set"),
        ({"api_key_variable": "BLANK"}, "BLANK .* is not set"),
        ({"api_key_variable": "LINES"}, "LINES .* is not set to a key"),
    ],
)
def test_settings_that_no_run_could_use(judge, settings, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        judge(environ={"BLANK": " ", "LINES": "sk-1234\nX-Evil: 1"}, **settings)
    assert "sk-1234" not in str(caught.value)


def test_a_dry_run_needs_no_key(judge):
    assert judge(api_key_variable="MISSING", dry_run=True).estimate([program("c")]).requests == 1


def test_no_answer_file_holds_the_key(endpoint, judge, tmp_path):
    endpoint.answer = lambda asked: naming(RIGHT)
    judge(api_key_variable="A_KEY", environ={"A_KEY": "secret-key"}).labels([program("c")])
    assert "secret-key" not in (tmp_path / "judge.jsonl").read_text()
