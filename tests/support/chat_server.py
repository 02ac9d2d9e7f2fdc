"""A chat-completions server on this machine for tests: scripted answers, and faults at will; and how to ask it."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Self, cast

import numpy as np
from PIL import Image

from mgsd_bench.backends import BackendConfig, Request, Response, Sampling, generate, open_backend, single_turn
from mgsd_bench.backends.openai import OpenAIBackend

KEY = "sk-a-secret-that-nobody-may-see"
QUICK = {"concurrency": 4, "backoff": 0.01, "connect_timeout": 5, "timeout": 2.0, "patience": 0.3}
TEXT = "Where is the elf?"
PROBE = "Reply with the word OK."
"""The text of the questions that the backend asks before any of a run's."""

Reply = tuple[int, Mapping[str, str], bytes]
FAULTS = (
    "500", "500 with a page", "503 to come back", "429 to come back", "429 with a date", "reset", "cut short", "drip",
    "malformed", "no choices", "no content", "page", "event stream", "error with 200", "given up",
)  # fmt: skip
"""Ways to fail that may pass."""


def question(messages: list[dict[str, Any]]) -> tuple[str, bytes]:
    """The text of a user turn, and the digest of its picture's pixels; fails where they are not as they should be."""
    (turn,) = messages
    assert turn["role"] == "user"
    if isinstance(turn["content"], str):
        return turn["content"], b""
    text, image = turn["content"]
    assert (text["type"], image["type"]) == ("text", "image_url")
    head, data = image["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    return text["text"], pixels_digest(np.asarray(Image.open(BytesIO(b64decode(data)))))


def pixels_digest(pixels: Any) -> bytes:
    """Tells pictures apart."""
    return sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def completion(text: str | None, reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    """A reply in the API's shape."""
    message = {"role": "assistant", "content": text, **more}
    return {
        "id": "x", "object": "chat.completion", "model": "fake-1",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110,
            "completion_tokens_details": {"reasoning_tokens": 3}, "prompt_tokens_details": {"cached_tokens": 64},
        },
    }  # fmt: skip


@dataclass
class ChatServer:
    """A server at ``url``, as a context manager.

    Attributes:
        answer: the answer to a request: a text, or a whole reply.
        fault_rate: share of the tries that fail, each in a random way that hangs on the question and the try alone.
        owner: what the list of models says of it, ``vllm`` for one.
        delay: seconds that every answer takes.
        port: 0 takes a free one.
    """

    answer: Callable[[dict[str, Any]], str | Reply]
    fault_rate: float = 0.0
    owner: str = "tests"
    delay: float = 0.0
    port: int = 0
    faults: tuple[str, ...] = FAULTS
    bodies: list[dict[str, Any]] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    keys: set[str | None] = field(default_factory=set)
    most_at_once: int = 0
    at_once: int = 0

    def __enter__(self) -> Self:
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()
        handler = type("Handler", (_Handler,), {"chat": self})
        ThreadingHTTPServer.request_queue_size = 64
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def die(self) -> None:
        """Close the port and cut every connection."""
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in self.open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def fault(self, key: str) -> str | None:
        """How the next try of a question fails."""
        with self.lock:
            self.tries[key] += 1
            dice = random.Random(f"{key}/{self.tries[key]}")
            name = dice.choice(self.faults) if dice.random() < self.fault_rate else None
            if name:
                self.injected[name] += 1
        return name


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with self.chat.lock:
            self.chat.open.add(self.connection)

    def finish(self) -> None:
        with self.chat.lock:
            self.chat.open.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with suppress(OSError, ValueError):
            super().handle()

    def log_message(self, *_: Any) -> None:
        return

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self.reply(404, {}, b"{}")
        card = {"id": "fake", "object": "model", "owned_by": self.chat.owner, "root": "/models/fake"}
        return self.reply(200, {}, json.dumps({"object": "list", "data": [card]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            return self.reply(404, {}, b'{"detail":"Not Found"}')
        chat = self.chat
        with chat.lock:
            chat.at_once += 1
            chat.most_at_once = max(chat.most_at_once, chat.at_once)
            chat.bodies.append(body)
            chat.keys.add(self.headers.get("Authorization"))
        try:
            text, picture = question(body["messages"])
            is_probe = text == PROBE
            time.sleep(0 if is_probe else chat.delay)
            fault = None if is_probe else chat.fault(text + picture.hex())
            answer = chat.answer(body)
        finally:
            with chat.lock:
                chat.at_once -= 1
        if fault:
            return self.fail(fault)
        if isinstance(answer, tuple):
            return self.reply(*answer)
        # a wrong content type by itself makes no answer a bad one
        kind = {"Content-Type": "text/html"} if len(answer) % 2 else {}
        return self.reply(200, kind, json.dumps(completion(answer)).encode())

    def fail(self, name: str) -> None:
        good = json.dumps(completion("<answer>R</answer>")).encode()
        page = b"<html><head><title>502</title></head><body><answer>LLL</answer>Bad gateway</body></html>"
        quoting = f"internal error, you sent {self.headers.get('Authorization')}"
        replies: dict[str, tuple[int, dict[str, str], Any]] = {
            "500": (500, {}, {"error": {"message": quoting, "code": 500}}),
            "500 with a page": (502, {"Content-Type": "text/html"}, page),
            "503 to come back": (503, {"Retry-After": "0.03"}, {"error": quoting}),
            "429 to come back": (
                429,
                {"retry-after-ms": "20"},
                {"error": {"message": "slow down", "type": "requests"}},
            ),
            "429 with a date": (429, {"Retry-After": self.date_time_string()}, {"error": {"message": "slow down"}}),
            "malformed": (200, {}, good[:-30]),
            "no choices": (200, {}, {**completion(""), "choices": []}),
            "no content": (200, {}, completion(None)),
            "page": (200, {"Content-Type": "text/html"}, page),
            "event stream": (200, {"Content-Type": "text/event-stream"}, b"data: " + good + b"\n\ndata: [DONE]\n\n"),
            "error with 200": (200, {}, {"error": {"message": "provider returned error", "code": 502}}),
            "given up": (200, {}, completion("<answer>L</answer>", "abort")),
        }
        if name in replies:
            status, headers, body = replies[name]
            return self.reply(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())
        self.close_connection = True
        if name == "reset":  # a closed socket that lingers for 0 s sends RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return None
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(good)))
        self.end_headers()
        if name == "cut short":
            self.wfile.write(good[:50])
            return None
        for byte in good:  # a drip: never silent for long, never done
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.1)
        return None


def echo(body: dict[str, Any]) -> str:
    return "You said: " + question(body["messages"])[0]


def opened(*servers: ChatServer, sampling: Sampling | None = None, **arguments: Any) -> OpenAIBackend:
    urls = [server.url for server in servers]
    config = BackendConfig("fake", sampling or Sampling(), engine_args={"base_url": urls, **QUICK, **arguments})
    return cast(OpenAIBackend, open_backend("openai", config))


def ask(name: str, text: str = TEXT, image: int | None = 0) -> Request:
    """A question; ``image`` seeds the noise that it is about."""

    def draw() -> Any:
        return np.random.default_rng(image).integers(0, 256, (32, 32, 3), dtype=np.uint8)

    return single_turn(name, text, None if image is None else draw, 7, "visual", cast(Any, None))


def answers(backend: OpenAIBackend, *requests: Request) -> dict[str, Response]:
    got = list(generate(backend, requests))
    assert len({response.key for response in got}) == len(got)
    return {response.key: response for response in got}
