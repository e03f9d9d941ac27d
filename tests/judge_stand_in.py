"""A local endpoint that answers chat completions as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the endpoint sends: a status, headers and a body, after a delay in seconds."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Asked:
    """One request: path, headers, and the JSON that it carried."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def completion(content: str, finish_reason: str = "stop", prompt_tokens: int = 100, answer_tokens: int = 10) -> Reply:
    """A chat completion with that text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": answer_tokens}
    return Reply(body=json.dumps({"choices": [choice], "usage": usage}).encode())


def naming(*lines: tuple[int, str]) -> Reply:
    """An answer that names lines by 1-based number and text."""
    named = [{"line": number, "text": text} for number, text in lines]
    return completion(json.dumps({"explanation": "", "wrong_lines": named}))


class StandIn:
    """A running endpoint: ``answer`` makes each reply, ``asked`` is what came in."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Reply] = lambda asked: Reply(404)

    def replies(self, *replies: Reply) -> None:
        """Send these, one a request, in order."""
        left = iter(replies)
        self.answer = lambda asked: next(left)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """An endpoint on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.path, dict(self.headers), json.loads(data) if data else {})
            with lock:
                endpoint.asked.append(asked)
                reply = endpoint.answer(asked)
            time.sleep(reply.delay)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_GET = _reply

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """A client that gave up is no error."""

    lock = threading.Lock()
    server = Server(("127.0.0.1", 0), Handler)
    endpoint = StandIn(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
