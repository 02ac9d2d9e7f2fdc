"""Fuzzed responses: raw bytes of HTTP to the real client, without a socket, and from there to what a reply means."""

from __future__ import annotations

import asyncio
import gzip
import json
from functools import cache
from math import isfinite

import httpcore
import httpx

from mgsd_bench.backends.chat_api import (
    LARGEST_COUNT,
    LONGEST_ANSWER,
    LONGEST_NAME,
    Answer,
    Fault,
    Usage,
    read_cards,
    read_reply,
    read_version,
)
from mgsd_bench.backends.chat_exchange import LONGEST_REPLY, Connection, ExchangeError, Reply
from mgsd_bench.backends.chat_secrets import Secrets
from mgsd_bench.backends.chat_settings import ChatSettings
from support.chat_server import KEY, completion
from support.hostile_server import cards, chat, http
from support.key_search import holds_key

_URL = "http://127.0.0.1:1/v1"


def replies(data: bytes) -> bool:
    """The first byte says what was asked: ``m`` for the list of models, ``v`` for the version, else a question."""
    place, response = data[:1], data[1:]
    try:
        reply = _exchange(place, response)
    except ExchangeError as error:
        _is_line(str(error))
        return False
    assert len(reply.body) <= LONGEST_REPLY
    assert not holds_key(reply.body.decode(errors="replace"), KEY)
    if place == b"v":
        version = read_version(reply.body)
        assert version is None or (len(version) <= LONGEST_NAME and version.isprintable())
        return version is not None
    if place == b"m":
        try:
            found = read_cards(reply.body)
        except ValueError:
            return False
        assert all(card.max_model_len is None or 0 <= card.max_model_len < LARGEST_COUNT for card in found)
        return bool(found)
    return _is_sound(read_reply(reply.status, reply.headers, reply.body))


def _is_sound(meaning: Answer | Fault) -> bool:
    if meaning.usage is not None:
        _counts(meaning.usage)
    if isinstance(meaning, Answer):
        assert len(meaning.text) <= LONGEST_ANSWER
        assert meaning.finish_reason in ("stop", "length")
        return True
    _is_line(meaning.reason)
    assert meaning.wait is None or (isfinite(meaning.wait) and meaning.wait >= 0), meaning.wait
    assert meaning.parameter is None or len(meaning.parameter) <= LONGEST_NAME
    return False


def _counts(usage: Usage) -> None:
    for count in (usage.prompt, usage.completion, usage.reasoning, usage.cached):
        assert count is None or (type(count) is int and 0 <= count < LARGEST_COUNT), count
    assert usage.model is None or (len(usage.model) <= LONGEST_NAME and usage.model.isprintable())


def _is_line(text: str) -> None:
    assert 0 < len(text) <= 200, len(text)
    assert text.isprintable(), text
    assert not holds_key(text, KEY)


@cache
def _client() -> tuple[asyncio.AbstractEventLoop, Connection, httpx.AsyncHTTPTransport]:
    """One client for all inputs: making one takes a hundred times as long as a reply."""
    settings = ChatSettings(
        base_url=(_URL,), key=KEY, secrets=Secrets([KEY]), connect_timeout=5.0, read_timeout=5.0, timeout=5.0
    )
    connection, transport = Connection(_URL, settings), httpx.AsyncHTTPTransport(verify=False)
    connection._client = httpx.AsyncClient(base_url=f"{_URL}/", transport=transport)
    return asyncio.new_event_loop(), connection, transport


def _exchange(place: bytes, response: bytes) -> Reply:
    loop, connection, transport = _client()
    transport._pool = httpcore.AsyncConnectionPool(network_backend=httpcore.AsyncMockBackend([response, b""]))
    if place == b"m":
        return loop.run_until_complete(connection.get("models"))
    if place == b"v":
        return loop.run_until_complete(connection.get(f"{_URL.removesuffix('/v1')}/version"))
    return loop.run_until_complete(connection.post("chat/completions", b"{}"))


def reply_seeds() -> list[bytes]:
    """Responses of every kind."""
    packed = gzip.compress(chat("<answer>R</answer>").encode())
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (chat()[:20].encode(), chat()[20:].encode(), b""))
    thoughts = json.dumps(completion(None, reasoning_content="so"))
    return [
        b"c" + http(chat("<answer>R</answer>")),
        b"c" + http(thoughts, "200 OK", "X-More: y"),
        b"c" + http(packed, "200 OK", "Content-Encoding: gzip"),
        b"cHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
        b"m" + http(cards(max_model_len=4096)),
        b"v" + http('{"version": "1.2.3"}'),
    ]


def refusal_seeds() -> list[bytes]:
    """Responses that say why there is no answer."""
    return [
        b"c" + http('{"error": {"message": "slow down", "code": 429}}', "429 Too Many Requests", "Retry-After: 3"),
        b"c" + http('{"error": {"message": "no seed", "param": "seed"}}', "400 Bad Request"),
        b"c"
        + http(
            "<p>later</p>",
            "503 No",
            "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT",
            "Date: Fri, 31 Dec 1999 23:59:50 GMT",
        ),
        b"c" + http('{"error": {"code": 502, "message": "behind"}}'),
    ]
