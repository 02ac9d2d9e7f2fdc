"""The openai backend against servers on this machine, sound ones and bad ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from mgsd_bench.backends import EngineError, Request, Response, Turn, generate, single_turn
from mgsd_bench.backends.openai import OpenAIBackend
from support.chat_server import (
    FAULTS,
    KEY,
    TEXT,
    ChatServer,
    answers,
    ask,
    completion,
    echo,
    opened,
    pixels_digest,
    question,
)

pytest.importorskip("httpx")
pytestmark = pytest.mark.usefixtures("api_key")

# ---- the contract of every backend


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(echo) as running:
        yield running


@pytest.fixture
def backend(server: ChatServer) -> Iterator[OpenAIBackend]:
    with opened(server) as running:
        yield running


def test_describe(backend: OpenAIBackend, server: ChatServer) -> None:
    facts = backend.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["engine"], facts["model"], facts["concurrency"]) == ("openai", "fake", 4)
    (only,) = facts["servers"]
    assert (only["url"], only["kind"], only["answered_as"]) == (server.url, "openai", "fake-1")
    assert facts["sent"] == {
        "model": "fake", "temperature": 0.0, "top_p": 1.0, "max_tokens": 4096, "seed": "one a request",
    }  # fmt: skip
    assert set(facts["not_sent"]) == {
        "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "mm_processor_kwargs",
    }  # fmt: skip
    assert "not applied" in facts["not_sent"]["mm_processor_kwargs"]


def test_every_request_is_answered(backend: OpenAIBackend) -> None:
    got = answers(backend, *(ask(str(i), f"question {i}", image=i % 3 or None) for i in range(30)))
    assert {key: response.text for key, response in got.items()} == {
        str(i): f"You said: question {i}" for i in range(30)
    }
    for response in got.values():
        assert (response.finish_reason, response.error) == ("stop", None)
        assert (response.prompt_tokens, response.completion_tokens) == (100, 10)
        assert response.seconds is not None
        assert response.seconds > 0


def test_requests_are_drawn_as_needed_and_bounded_in_flight(backend: OpenAIBackend, server: ChatServer) -> None:
    server.delay, drawn = 0.02, 0

    def requests() -> Iterator[Request]:
        nonlocal drawn
        for i in range(20):
            drawn += 1
            yield ask(str(i))

    stream = generate(backend, requests())
    next(stream)
    assert drawn == 4
    assert sum(1 for _ in stream) == 19
    assert server.most_at_once == 4


def test_closing_the_stream_leaves_the_backend_ready(backend: OpenAIBackend, server: ChatServer) -> None:
    stream = generate(backend, (ask(str(i)) for i in range(20)))
    next(stream)
    cast(Any, stream).close()
    assert answers(backend, ask("next"))["next"].error is None
    backend.close()
    backend.close()


def test_what_is_sent(backend: OpenAIBackend, server: ChatServer) -> None:
    request = ask("with", image=5)
    answers(backend, request, ask("without", "only text", image=None))
    with_image, without = sorted(server.bodies[-2:], key=lambda body: len(json.dumps(body)), reverse=True)
    (draw,) = request.images
    assert question(with_image["messages"]) == (TEXT, pixels_digest(draw()))
    assert without["messages"] == [{"role": "user", "content": "only text"}]
    assert without["seed"] == 7
    assert server.keys == {f"Bearer {KEY}"}


def test_a_refused_request_fails_alone(backend: OpenAIBackend, server: ChatServer) -> None:
    def fussy(body: dict[str, Any]) -> Any:
        text = question(body["messages"])[0]
        if "long" in text:
            return 400, {}, b'{"error": {"message": "maximum context length is 8192", "param": "messages"}}'
        return (200, {}, json.dumps(completion(None, "content_filter")).encode()) if "rude" in text else text

    def broken() -> Any:
        raise OSError("no such picture")

    server.answer = fussy
    got = answers(
        backend,
        ask("before"),
        ask("long", "too long"),
        single_turn("no image", "?", broken, 0, "visual", cast(Any, None)),
        ask("rude", "rude"),
        ask("after"),
    )
    assert {key for key, response in got.items() if response.error} == {"long", "no image", "rude"}
    assert got["no image"] == Response("no image", "", "error", error="no such picture")
    assert got["long"].error == "HTTP 400: maximum context length is 8192"
    assert "content filter" in (got["rude"].error or "")
    assert len(server.bodies) == 3 + 4  # what is refused is not asked twice


# ---- servers that fail


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_passing_fault_is_overcome(fault: str) -> None:
    with (
        ChatServer(echo, fault_rate=0.5, faults=(fault,)) as server,
        opened(server, timeout=0.4, retries=12) as backend,
    ):
        got = answers(backend, *(ask(str(i), f"question {i}", image=None) for i in range(8)))
        assert {response.text for response in got.values()} == {f"You said: question {i}" for i in range(8)}
        assert server.injected[fault] > 0
        used = backend.usage()
        assert used["retries"] == used["requests"] - 3 - 8
        assert used["retries"] >= server.injected[fault]  # a busy machine may add a time-out


def test_a_silent_server_is_given_up() -> None:
    with ChatServer(echo) as server, opened(server, read_timeout=0.1, retries=1) as backend:
        server.delay = 0.5
        assert answers(backend, ask("a"))["a"].error == "nothing came for 0.1 s"


def test_a_server_is_left_alone_as_long_as_it_asks() -> None:
    times: list[float] = []

    def once(body: dict[str, Any]) -> Any:
        times.append(time.monotonic())
        return (429, {"Retry-After": "1"}, b"{}") if len(times) == 4 else "fine"

    with ChatServer(once) as server, opened(server, concurrency=1) as backend:
        assert not any(response.error for response in answers(backend, ask("a"), ask("b")).values())
    assert times[4] - times[3] >= 1.0


def test_a_server_that_asks_for_an_hour_is_dropped() -> None:
    def later(body: dict[str, Any]) -> Any:
        return "OK" if "OK" in question(body["messages"])[0] else (429, {"Retry-After": "3600"}, b"{}")

    with (
        ChatServer(later) as server,
        opened(server) as backend,
        pytest.raises(EngineError, match=r"asks to wait 3,600 s"),
    ):
        answers(backend, ask("a"))


def test_a_server_that_answers_nothing_is_dropped() -> None:
    def down(body: dict[str, Any]) -> Any:
        return "OK" if "OK" in question(body["messages"])[0] else (503, {}, b"<html>down</html>")

    got = []
    with (
        ChatServer(down) as server,
        opened(server, retries=1, concurrency=1) as backend,
        pytest.raises(EngineError, match=r"20 tries in a row failed: HTTP 503: down"),
    ):
        got.extend(generate(backend, (ask(str(i)) for i in range(15))))
    assert [response.error for response in got] == ["HTTP 503: down"] * 10


def test_a_conversation_is_sent_turn_by_turn(backend: OpenAIBackend, server: ChatServer) -> None:
    first, second = ask("a", "Rules.", image=1).turns[0], ask("b", "Done.", image=2).turns[0]
    answers(
        backend, Request("talk", (first, Turn("assistant", "<answer>R</answer>"), second), 7, "act", cast(Any, None))
    )
    said = server.bodies[-1]["messages"]
    assert [message["role"] for message in said] == ["user", "assistant", "user"]
    assert said[1]["content"] == "<answer>R</answer>"
    assert first.image is not None
    assert second.image is not None
    assert question([said[0]]) == ("Rules.", pixels_digest(first.image()))
    assert question([said[2]]) == ("Done.", pixels_digest(second.image()))
