"""The judge's HTTP client against a local endpoint: retries, waits, redirects, and where the key goes."""

from __future__ import annotations

import email.utils
import time

import pytest
from judge_stand_in import Reply, completion, stand_in

from pttrust_lightning.errors import ConfigError, JudgeError
from pttrust_lightning.labelling.judge.client import ChatClient, RefusedRequestError

KEY = "key-that-must-not-show"
REQUEST = {"model": "m", "messages": []}


def client(endpoint, **changes):
    """A client that notes its waits instead of sleeping."""
    waits = []

    def wait(seconds):
        waits.append(seconds)
        return False

    return ChatClient(**{"base_url": endpoint.base_url, "api_key": KEY, "wait": wait} | changes), waits


def test_an_answer_and_its_usage(endpoint):
    endpoint.replies(completion("yes", prompt_tokens=7, answer_tokens=3))
    asking, waits = client(endpoint)
    assert asking.complete(REQUEST) == ("yes", "stop", 7, 3)
    (asked,) = endpoint.asked
    assert (asked.path, asked.body, waits) == ("/v1/chat/completions", REQUEST, [])
    assert asked.headers["Authorization"] == f"Bearer {KEY}"


def test_no_key_no_header(endpoint):
    endpoint.replies(completion("yes"))
    client(endpoint, api_key="")[0].complete(REQUEST)
    assert "Authorization" not in endpoint.asked[0].headers


def test_waits_double_and_retry_after_lengthens_them(endpoint):
    date = email.utils.formatdate(time.time() + 40, usegmt=True)
    endpoint.replies(
        Reply(500),
        Reply(429, headers={"Retry-After": "17"}),
        Reply(503, headers={"Retry-After": date}),
        Reply(502, headers={"Retry-After": "soon"}),
        completion("at last"),
    )
    asking, waits = client(endpoint)
    assert asking.complete(REQUEST).content == "at last"
    assert 0.75 <= waits[0] <= 1
    assert waits[1] == 17
    assert 30 < waits[2] <= 40
    assert 6 <= waits[3] <= 8
    assert len(endpoint.asked) == 5


def test_a_wait_that_is_too_long_is_the_users_to_decide(endpoint):
    endpoint.replies(Reply(429, headers={"Retry-After": "3600"}))
    with pytest.raises(JudgeError, match="wait 3600 s"):
        client(endpoint)[0].complete(REQUEST)


def test_gives_up_after_the_attempts(endpoint):
    endpoint.answer = lambda asked: Reply(500, b"broken")
    asking, waits = client(endpoint, attempts=3)
    with pytest.raises(JudgeError, match=r"answered 500: broken.*3 attempts"):
        asking.complete(REQUEST)
    assert (len(endpoint.asked), len(waits)) == (3, 2)


def test_told_to_stop_it_sends_nothing_more(endpoint):
    endpoint.answer = lambda asked: Reply(500)
    with pytest.raises(JudgeError):
        client(endpoint, wait=lambda seconds: True)[0].complete(REQUEST)
    assert len(endpoint.asked) == 1


def test_a_slow_endpoint_is_asked_again(endpoint):
    endpoint.replies(Reply(delay=1.0), completion("quick"))
    assert client(endpoint, timeout_s=0.2)[0].complete(REQUEST).content == "quick"


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": 3}]}'])
def test_a_broken_response_is_asked_for_again(endpoint, body):
    endpoint.replies(Reply(body=body), completion("whole"))
    assert client(endpoint)[0].complete(REQUEST).content == "whole"


def test_an_endpoint_that_is_not_there():
    with stand_in() as gone:
        pass
    with pytest.raises(JudgeError, match="did not answer"):
        client(gone, attempts=2)[0].complete(REQUEST)


def test_a_response_without_an_end_is_not_read_forever(endpoint):
    endpoint.answer = lambda asked: Reply(body=b" " * (5 << 20))
    with pytest.raises(JudgeError, match="longer than 4 MiB"):
        client(endpoint, attempts=1)[0].complete(REQUEST)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_carries_the_key_away(endpoint, status):
    with stand_in() as elsewhere:
        elsewhere.answer = lambda asked: completion("stolen")
        endpoint.answer = lambda asked: Reply(status, headers={"Location": f"{elsewhere.base_url}/chat/completions"})
        with pytest.raises(JudgeError, match="redirects to"):
            client(endpoint)[0].complete(REQUEST)
        assert not elsewhere.asked


@pytest.mark.parametrize(("status", "kind"), [(400, RefusedRequestError), (401, JudgeError)])
def test_refusals_are_not_repeated_and_hide_the_key(endpoint, status, kind):
    endpoint.answer = lambda asked: Reply(status, f"your key {KEY} is odd".encode())
    with pytest.raises(kind, match=r"your key \*\*\* is odd") as caught:
        client(endpoint)[0].complete(REQUEST)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert len(endpoint.asked) == 1


def test_the_key_is_in_no_repr(endpoint):
    assert KEY not in repr(client(endpoint)[0])


@pytest.mark.parametrize("url", ["", "host/v1", "ftp://host/v1", "http://", "https://user:secret@host/v1"])
def test_addresses_that_cannot_be_used(url):
    with pytest.raises(ConfigError, match=r"judge\.base_url") as caught:
        ChatClient(url)
    assert "secret" not in str(caught.value)


def test_a_key_does_not_go_unencrypted_to_another_machine():
    with pytest.raises(ConfigError, match="unencrypted to gpu-7"):
        ChatClient("http://gpu-7:8000/v1", KEY)
    ChatClient("http://gpu-7:8000/v1")
    ChatClient("https://gpu-7/v1", KEY)
