"""Chat completions from any OpenAI-compatible endpoint: retries, and a key that goes nowhere else."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pttrust_lightning.errors import ConfigError, JudgeError

_RETRIED = frozenset({408, 409, 425, 429})
"""Statuses below 500 that say that the same request may succeed later."""

_ABOUT_ONE_REQUEST = frozenset({400, 413, 422})
"""Statuses that may concern one request alone (too long, filtered); any other ends the run."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 120.0
_MAX_RESPONSE_BYTES = 4 << 20
_SHOWN = 300
"""Characters of an endpoint's message that are passed on."""


class RefusedRequestError(JudgeError):
    """The endpoint refused one request; others may succeed."""


class Completion(NamedTuple):
    """One answer of the model.

    Attributes:
        content: The text; empty where the model gave none.
        finish_reason: ``stop`` where the answer is whole.
        prompt_tokens: Tokens read, as the endpoint counts them; 0 where it does not.
        answer_tokens: Tokens written, likewise.
    """

    content: str
    finish_reason: str
    prompt_tokens: int
    answer_tokens: int


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Urllib would send the key along to wherever a redirect points, and turn the POST into a GET: follow none."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class ChatClient:
    """Asks one endpoint; safe to share between threads.

    Attributes:
        base_url: What precedes ``/chat/completions``, such as ``https://host/v1``.
        api_key: Sent as a bearer token to this endpoint alone; empty: none is sent.
        timeout_s: Seconds without a byte from the endpoint after which a request counts as lost.
        attempts: How often a request is sent before it counts as failed.
        wait: Sleeps for so many seconds (replaced in tests); returns whether to give up, as ``Event.wait`` does.

    Raises:
        ConfigError: An address that is no HTTP address, or one that would send the key unencrypted to another machine.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    attempts: int = 6
    wait: Callable[[float], bool] = field(default_factory=lambda: threading.Event().wait, repr=False)

    def __post_init__(self) -> None:
        """Check before anything is sent."""
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"judge.base_url {self.base_url!r} is no HTTP address. Give one like https://host/v1.")
        if parts.username or parts.password:
            raise ConfigError(
                "judge.base_url holds a password. Name the variable of the key in judge.api_key_variable."
            )
        if self.api_key and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigError(
                f"The key would go unencrypted to {parts.hostname}. Use https, or leave judge.api_key_variable out."
            )

    def complete(self, request: Mapping[str, Any]) -> Completion:
        """Send one chat completion request; again after a wait where the endpoint is busy, broken or slow.

        The wait doubles from a second up to two minutes; ``Retry-After`` lengthens it.

        Args:
            request: The body: ``model``, ``messages``, ``response_format``, ...

        Raises:
            RefusedRequestError: The endpoint refuses this request.
            JudgeError: It refuses all, cannot be reached, or asks for a longer wait than two minutes.
        """
        body = json.dumps(request).encode()
        jitter = random.Random(body)  # spreads requests; the same one always waits the same
        for attempt in range(1, self.attempts + 1):
            wait_s = min(_FIRST_WAIT_S * 2 ** (attempt - 1), _LONGEST_WAIT_S) * jitter.uniform(0.75, 1.0)
            try:
                return _completion(self._send(body))
            except urllib.error.HTTPError as error:
                with error:
                    problem = self._problem(error)
                if error.code < 500 and error.code not in _RETRIED:
                    kind = RefusedRequestError if error.code in _ABOUT_ONE_REQUEST else JudgeError
                    raise kind(problem) from None
                wait_s = max(wait_s, _retry_after_s(error.headers.get("Retry-After", "")))
                if wait_s > _LONGEST_WAIT_S:
                    raise JudgeError(f"{problem} It asks to wait {wait_s:.0f} s. Run the command again then.") from None
            except (OSError, http.client.HTTPException, _BrokenResponseError) as error:  # URLError is an OSError
                problem = self._redacted(f"{self.base_url} did not answer ({error}).")
            if attempt < self.attempts and self.wait(wait_s):
                break
        raise JudgeError(
            f"{problem} Given up after {attempt} attempts. What was answered so far is kept: run the command again."
        )

    def _send(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        url = self.base_url.rstrip("/") + "/chat/completions"
        opener = urllib.request.build_opener(_NoRedirects)
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        with opener.open(request, timeout=self.timeout_s) as response:
            data: bytes = response.read(_MAX_RESPONSE_BYTES + 1)
        if len(data) > _MAX_RESPONSE_BYTES:
            raise _BrokenResponseError("its response is longer than 4 MiB")
        return data

    def _problem(self, error: urllib.error.HTTPError) -> str:
        if 300 <= error.code < 400:
            return (
                f"{self.base_url} redirects to {error.headers.get('Location')}; no redirect is followed, so that the "
                "key stays here. Set judge.base_url to the final address."
            )
        message = error.read(4096).decode("utf-8", errors="replace").strip()
        remedy = {
            401: "Check the key in the variable that judge.api_key_variable names.",
            403: "Check what the key may do.",
            404: "Check judge.base_url (it ends before /chat/completions) and judge.model.",
        }.get(error.code, "")
        return self._redacted(f"{self.base_url} answered {error.code}: {message[:_SHOWN]}. {remedy}".rstrip())

    def _redacted(self, message: str) -> str:
        return message.replace(self.api_key, "***") if self.api_key else message


class _BrokenResponseError(Exception):
    """A response that is no chat completion."""


def _completion(data: bytes) -> Completion:
    try:
        response = json.loads(data)
        choice = response["choices"][0]
        content, reason = choice["message"].get("content"), choice.get("finish_reason")
        usage = response.get("usage") or {}
        return Completion(
            content=content if isinstance(content, str) else "",
            finish_reason=str(reason),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            answer_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _BrokenResponseError(f"its response is no chat completion: {data[:100]!r}") from error


def _retry_after_s(header: str) -> float:
    """Seconds that ``Retry-After`` asks for, as a number or a date (RFC 9110, 10.2.3); 0 where it says nothing."""
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return 0.0
