"""Wrong lines from an LLM judge: what it will cost, answers that are kept, lines that are verified to exist."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, NamedTuple

from tqdm import tqdm

from pttrust_lightning.errors import ConfigError, JudgeError
from pttrust_lightning.labelling.answer_cache import AnswerCache, content_key
from pttrust_lightning.labelling.judge.client import ChatClient, Completion, RefusedRequestError
from pttrust_lightning.labelling.judge.config import JudgeConfig
from pttrust_lightning.labelling.judge.prompt import (
    PROMPT_VERSION,
    RESPONSE_FORMAT,
    InvalidAnswerError,
    messages,
    verified_lines,
)
from pttrust_lightning.labelling.programs import CandidateRun
from pttrust_lightning.labelling.wrong_lines import LineLabel, are_few
from pttrust_lightning.source.lines import non_blank_lines

INVALID_ANSWER = "the judge's answers are invalid"
REFUSED = "the judge's endpoint refuses the program"
TOO_MANY_LINES = "the judge names too many lines"

_BYTES_PER_TOKEN = 3.0
"""Code has more for most tokenizers, so that the estimate is rather too high."""

_CORRECTION_TOKENS = 100
"""Of the message that asks for another answer."""

_MAX_REFUSALS = 3
"""Requests refused before any is answered, after which the setting is taken to be wrong, not the programs."""


class Estimate(NamedTuple):
    """What asking will take, before anything is sent.

    Attributes:
        known: Questions whose answers are kept from earlier runs, and cost nothing.
        requests: Requests to send, if every answer is valid at once.
        prompt_tokens: Their prompt tokens, estimated by their bytes.
        answer_tokens: Their answer tokens at most.
        max_cost: The most it can come to, each answer being asked for twice and of full length; None without prices.
    """

    known: int
    requests: int
    prompt_tokens: int
    answer_tokens: int
    max_cost: float | None

    def describe(self) -> list[str]:
        """The estimate in two lines."""
        cost = (
            "unknown: set judge.input_price and judge.output_price" if self.max_cost is None else f"{self.max_cost:.4f}"
        )
        return [
            f"{self.requests} requests ({self.known} answers are kept from before), about {self.prompt_tokens:,} "
            f"prompt tokens, at most {self.answer_tokens:,} answer tokens",
            f"cost at most, should each answer have to be asked for twice: {cost}",
        ]


@dataclass(slots=True)
class Spent:
    """Tokens that the endpoint said it counted."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0


class Judge:
    """Asks an LLM for the wrong lines of failing programs; each program once, ever.

    Args:
        config: Whom to ask, and for how much.
        cache: Where answers are kept.
        max_changed_share: Largest share of a program's lines that may be named; more says nothing. One line always may.
        environ: Where the key is looked up.

    Attributes:
        spent: What was asked in this run.

    Raises:
        ConfigError: The address cannot be used, or the key's variable is not set.
    """

    def __init__(
        self,
        config: JudgeConfig,
        cache: AnswerCache,
        max_changed_share: float,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.config = config
        self.spent = Spent()
        self._cache = cache
        self._max_changed_share = max_changed_share
        key = "" if config.dry_run else _api_key(config, environ)
        self._stop = threading.Event()
        self._client = ChatClient(config.base_url or "", key, config.timeout_s, config.attempts, self._stop.wait)
        self._lock = threading.Lock()
        self._refusals = 0
        self._answered = False

    def estimate(self, programs: Sequence[CandidateRun]) -> Estimate:
        """What asking will take; sends nothing."""
        new = [program for program in programs if self._key(program) not in self._cache]
        prompt_tokens = sum(round(len(json.dumps(self._request(messages(q)))) / _BYTES_PER_TOKEN) for q in new)
        answer_tokens = len(new) * self.config.max_tokens
        cost = self.config.cost(
            2 * prompt_tokens + answer_tokens + len(new) * _CORRECTION_TOKENS,  # the second request repeats the answer
            2 * answer_tokens,
        )
        return Estimate(len(programs) - len(new), len(new), prompt_tokens, answer_tokens, cost)

    def check_cost(self, estimate: Estimate) -> None:
        """Refuse what may cost more than is allowed.

        Raises:
            JudgeError: The estimate exceeds ``max_cost``.
        """
        limit = self.config.max_cost
        if limit is not None and estimate.max_cost is not None and estimate.max_cost > limit:
            raise JudgeError(
                f"The judge may cost up to {estimate.max_cost:.4f}, and judge.max_cost is {limit:g}. Raise it, lower "
                "judge.max_tokens, or give fewer candidates."
            )

    def labels(self, programs: Sequence[CandidateRun]) -> dict[str, LineLabel]:
        """The label of each program by its candidate's id; weak where the judge gave no valid answer.

        Raises:
            JudgeError: The endpoint cannot be used, or ``max_cost`` is reached. Answers are kept.
        """
        kept = [program for program in programs if self._key(program) in self._cache]
        found = {program.candidate.id: self._read(program) for program in kept}
        self._answered = bool(kept)
        with ThreadPoolExecutor(self.config.concurrency) as pool:
            asked = {pool.submit(self._ask, p): p.candidate.id for p in programs if p.candidate.id not in found}
            try:
                for future in tqdm(as_completed(asked), "judging", len(asked), unit="program", disable=None):
                    found[asked[future]] = future.result()
            except BaseException:  # also Ctrl-C: nothing more is sent
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return found

    def describe_spent(self) -> str:
        """One line on what this run asked, as the endpoint counted it."""
        spent = self.spent
        cost = self.config.cost(spent.prompt_tokens, spent.answer_tokens)
        tokens = f"{spent.prompt_tokens:,} prompt tokens, {spent.answer_tokens:,} answer tokens"
        return f"asked {spent.requests} times: {tokens}" + (f", cost {cost:.4f}" if cost is not None else "")

    def _ask(self, program: CandidateRun) -> LineLabel:
        """Ask, keep the answer, and read it."""
        try:
            answer = self._answer(program)
        except RefusedRequestError as error:
            self._count_refusal(error)
            return LineLabel.weak(REFUSED)
        self._answered = True
        self._cache.put(self._key(program), {"model": self.config.model, **answer})
        return self._read(program)

    def _read(self, program: CandidateRun) -> LineLabel:
        """The label of a kept answer, verified again: the file may have been edited."""
        code = program.candidate.code
        try:
            wrong_lines = verified_lines(str(self._cache[self._key(program)].get("content")), code)
        except InvalidAnswerError:
            return LineLabel.weak(INVALID_ANSWER)
        if not are_few(len(wrong_lines), len(non_blank_lines(code)), self._max_changed_share):
            return LineLabel.weak(TOO_MANY_LINES)
        return LineLabel(wrong_lines, f"judge:{self.config.model}")

    def _answer(self, program: CandidateRun) -> dict[str, Any]:
        """The answer to keep: the first valid one of two, else the second, with what is wrong with it."""
        conversation = messages(program)
        problem = ""
        for _ in range(2):
            completion = self._complete(self._request(conversation))
            try:
                if completion.finish_reason == "length":
                    raise InvalidAnswerError(f"it is longer than {self.config.max_tokens} tokens")
                verified_lines(completion.content, program.candidate.code)
                return {"content": completion.content}
            except InvalidAnswerError as error:
                problem = str(error)
            reply = [{"role": "assistant", "content": completion.content}] if completion.content else []
            ask_again = f"That answer cannot be used: {problem}. Answer again, in the same form."
            conversation = [*messages(program), *reply, {"role": "user", "content": ask_again}]
        return {"content": completion.content, "problem": problem}

    def _complete(self, request: dict[str, Any]) -> Completion:
        limit, spent = self.config.max_cost, self.spent
        if limit is not None and (self.config.cost(spent.prompt_tokens, spent.answer_tokens) or 0.0) >= limit > 0:
            raise JudgeError(f"judge.max_cost ({limit:g}) is reached. Answers are kept: raise it to go on from here.")
        completion = self._client.complete(request)
        with self._lock:
            spent.requests += 1
            spent.prompt_tokens += completion.prompt_tokens
            spent.answer_tokens += completion.answer_tokens
        return completion

    def _count_refusal(self, error: RefusedRequestError) -> None:
        with self._lock:
            self._refusals += 1
            if self._refusals >= _MAX_REFUSALS and not self._answered:
                raise JudgeError(
                    f"{error} The first {self._refusals} requests were refused: check the judge's settings."
                )

    def _request(self, conversation: list[dict[str, str]]) -> dict[str, Any]:
        return {**self._fixed(), "messages": conversation, "response_format": RESPONSE_FORMAT}

    def _fixed(self) -> dict[str, Any]:
        """What every request has, whatever the program."""
        config = self.config
        return {**config.request, "model": config.model, config.max_tokens_field: config.max_tokens}

    def _key(self, program: CandidateRun) -> str:
        """Without the run's output, which may differ from run to run."""
        problem = program.problem
        about = [problem.language, problem.prompt, problem.test, problem.completes_prompt, program.candidate.code]
        return content_key(prompt_version=PROMPT_VERSION, request=self._fixed(), program=about)


def _api_key(config: JudgeConfig, environ: Mapping[str, str]) -> str:
    """The endpoint's key; empty where none is named. It goes into no file, message or log."""
    if config.api_key_variable is None:
        return ""
    key = environ.get(config.api_key_variable, "").strip()
    if not key or " " in key or not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"The environment variable {config.api_key_variable} (judge.api_key_variable) is not set to a key. Set it, "
            "or leave judge.api_key_variable out where no key is needed."
        )
    return key
