"""The attacks of the hostile server that are about what a reply is: framing, sizes, times, shapes and numbers."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import zlib
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

from support.chat_server import completion
from support.hostile_server import EVERYWHERE, POSTS, Call, ResetError, Script, attack, attacks, cards, chat, http

IMPATIENT = {"timeout": 1.0, "connect_timeout": 1.0, "read_timeout": 1.0}
MB = 2**20
FLOOD = 24  # questions at once, each answered by a flood


def static(data: bytes) -> Script:
    """An attack that always says the same."""
    return lambda call: data


def usage(**fields: Any) -> Script:
    """A completion with these counts."""
    return static(http(chat(usage={**completion("")["usage"], **fields})))


# ---- times


@attack("timing", "a byte each 0.3 s", (*EVERYWHERE, "version"), quick=IMPATIENT)
async def drip(call: Call) -> AsyncIterator[bytes]:
    yield http(b"")[:-1].replace(b"Content-Length: 0", b"Content-Length: 9000")
    while True:
        yield b" "
        await asyncio.sleep(0.3)


@attack("timing", "headers without end", EVERYWHERE, quick=IMPATIENT)
async def header_drip(call: Call) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: y\r\n"
        await asyncio.sleep(0.2)


@attack("timing", "status line without end", EVERYWHERE, quick=IMPATIENT)
async def status_drip(call: Call) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 "
    while True:
        yield b"O"
        await asyncio.sleep(0.2)


@attack("timing", "103 without end", EVERYWHERE, quick=IMPATIENT)
async def early_hints(call: Call) -> AsyncIterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20
        await asyncio.sleep(0.05)


@attack("timing", "100 without end", ("answer",), quick=IMPATIENT)
async def continues(call: Call) -> AsyncIterator[bytes]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 20
        await asyncio.sleep(0.05)


@attack("timing", "chunks of a byte without end", EVERYWHERE, quick=IMPATIENT)
async def chunk_drip(call: Call) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1\r\n \r\n"
        await asyncio.sleep(0.1)


@attack("timing", "silence", (*EVERYWHERE, "version"), quick=IMPATIENT)
async def silence(call: Call) -> AsyncIterator[bytes]:
    await asyncio.sleep(60)
    yield b""


@attack("timing", "empty blocks of gzip without end", quick=IMPATIENT)
async def empty_blocks(call: Call) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n\x78\x9c"
    while True:
        yield b"\x00\x00\x00\xff\xff" * 1000
        await asyncio.sleep(0.05)


# ---- sizes


def flood(head: bytes, part: bytes, times: int | None = None) -> Script:
    """A head, then the same again and again; for ever if nobody says how often."""

    async def script(call: Call) -> AsyncIterator[bytes]:
        yield head
        sent = 0
        while times is None or sent < times:
            yield part
            sent += 1

    return script


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_LETTERS, _SPACES = b"a" * MB, b" " * MB
attacks(
    "size",
    {
        "1 GB of a text": flood(_OK + b"Content-Length: 1073741824\r\n\r\n", _LETTERS),
        "an answer without end": flood(_OK + b'\r\n{"choices":[{"message":{"content":"', _LETTERS),
        "chunks without end": flood(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + _SPACES + b"\r\n"),
        "an error page without end": flood(b"HTTP/1.1 500 No\r\n\r\n", b"<p>" + _LETTERS),
    },
    EVERYWHERE, heavy=True, questions=FLOOD,
)  # fmt: skip
attacks(
    "size",
    {
        "answers of 3.9 MB": lambda call: http(chat("a" * (39 * MB // 10))),
        "answers of 1 MB and an emoji": lambda call: http(
            json.dumps(completion("a" * (MB - 9) + "\U0001f600"), ensure_ascii=False)
        ),
        "answers of 3.9 MB and an emoji": lambda call: http(
            json.dumps(completion("a" * (39 * MB // 10) + "\U0001f600"), ensure_ascii=False)
        ),
        "3.9 MB of empty lists": lambda call: http("[" + "[]," * (13 * MB // 10) + "[]]"),
        "3.9 MB of small mappings": lambda call: http('{"choices":[' + '{"a":1},' * (MB // 2 - 9999) + "{}]}"),
        "3.9 MB of escapes": lambda call: http('"' + "\\u0041" * (65 * MB // 100) + '"'),
        "3.9 MB of percent signs": lambda call: http('"' + "%25" * (13 * MB // 10) + '"'),
        "3.9 MB of backslashes": lambda call: http('"' + "\\" * (39 * MB // 10) + '"'),
    },
    heavy=True, questions=FLOOD,
)  # fmt: skip
attacks(
    "size",
    {
        "a header of 1 MB": static(http(chat(), "200 OK", "X-Big: " + "a" * MB)),
        "100,000 headers": static(http(chat(), "200 OK", *(f"X-{i}: {i}" for i in range(100_000)))),
        "a status line of 1 MB": static(http(chat(), "200 " + "O" * MB)),
        "a chunk size of 1 MB of digits": static(_OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * MB),
        "a cookie of 60 kB": static(http(chat(), "200 OK", "Set-Cookie: a=" + "b" * 60_000)),
    },
    ("models", "answer"),
)  # fmt: skip


# ---- compression


@cache
def bomb(layers: int = 1, size: int = 1500 * MB) -> bytes:
    """So many bytes of NUL, packed."""
    packer = zlib.compressobj(9, wbits=31)
    data = b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()
    return data if layers == 1 else gzip.compress(data)


def packed(coding: str, data: bytes) -> bytes:
    """A response in a coding."""
    return http(data, "200 OK", f"Content-Encoding: {coding}")


attacks(
    "compression",
    {
        "a bomb of gzip": lambda call: packed("gzip", bomb()),
        "a bomb of gzip in gzip": lambda call: packed("gzip, gzip", bomb(2)),
        "a bomb with status 500": lambda call: bomb_500(),
    },
    EVERYWHERE, heavy=True, questions=4,
)  # fmt: skip


def bomb_500() -> bytes:
    """The bomb as an error page."""
    return http(bomb(), "500 No", "Content-Encoding: gzip")


attacks(
    "compression",
    {
        "gzip that is none": static(packed("gzip", chat().encode())),
        "gzip cut short": static(packed("gzip", gzip.compress(chat().encode())[:-9])),
        "gzip with garbage behind": static(packed("gzip", gzip.compress(chat().encode()) + b"x" * MB)),
        "br": static(packed("br", b"\x8b\x02\x80" + chat().encode())),
        "zstd": static(packed("zstd", b"\x28\xb5\x2f\xfd" + chat().encode())),
        "a coding of 10,000 names": static(packed("gzip, " * 9_999 + "gzip", gzip.compress(chat().encode()))),
        "an unknown coding": static(packed("\x7f\x80none", chat().encode())),
    },
    ("models", "answer"),
)  # fmt: skip


# ---- framing


@attack("framing", "a reset", EVERYWHERE)
def reset(call: Call) -> bytes:
    raise ResetError


@attack("framing", "a reset within the body", EVERYWHERE)
async def late_reset(call: Call) -> AsyncIterator[bytes]:
    yield http(chat())[:-20]
    await asyncio.sleep(0.05)
    raise ResetError


@attack("framing", "a second response at once")
def pipelined(call: Call) -> bytes:
    call.keep = True
    return http(chat("<answer>L</answer>")) + http(chat("<answer>U</answer>"))


@attack("framing", "garbage behind the response")
def garbage_behind(call: Call) -> bytes:
    call.keep = True
    return http(chat()) + random.Random(call.number).randbytes(5000)


@attack("framing", "random bytes", EVERYWHERE)
def random_bytes(call: Call) -> bytes:
    return random.Random(call.number).randbytes(3000)


_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
attacks(
    "framing",
    {
        "nothing": static(b""),
        "a length that is too long": static(_OK + b"Content-Length: 99999\r\n\r\n" + chat().encode()),
        "a length that is too short": static(_OK + b"Content-Length: 20\r\n\r\n" + chat().encode()),
        "a negative length": static(_OK + b"Content-Length: -1\r\n\r\n" + chat().encode()),
        "two lengths": static(_OK + b"Content-Length: 10\r\nContent-Length: 20\r\n\r\n" + chat().encode()),
        "a length of 5,000 digits": static(_OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}"),
        "a length in words": static(_OK + b"Content-Length: many\r\n\r\n{}"),
        "a length and chunks": static(
            _OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        ),
        "chunks cut short": static(_CHUNKED + b"50\r\n{"),
        "a chunk size that is none": static(_CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
        "a chunk size of 2**70": static(_CHUNKED + b"fffffffffffffffffff\r\n{}"),
        "chunk extensions": static(_CHUNKED + b"2;" + b"x=y;" * 20_000 + b"\r\n{}\r\n0\r\n\r\n"),
        "trailers": static(_CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X-T: a\r\n" * 5000 + b"\r\n"),
        "an unknown transfer coding": static(_OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n"),
        "a NUL in a header": static(_OK + b"X: \0\r\nContent-Length: 2\r\n\r\n{}"),
        "a CR in a header": static(_OK + b"X: a\rb\r\nContent-Length: 2\r\n\r\n{}"),
        "a header without a name": static(_OK + b": x\r\nContent-Length: 2\r\n\r\n{}"),
        "a folded header": static(_OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}"),
        "a header in Latin-1": static(_OK + b"X-\xe4: \xff\r\nContent-Length: 2\r\n\r\n{}"),
        "line feeds alone": static(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
        "HTTP/0.9": static(chat().encode()),
        "HTTP/2": static(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100)),
        "HTTP/9.9": static(http(chat()).replace(b"HTTP/1.1", b"HTTP/9.9")),
        "TLS": static(b"\x15\x03\x01\x00\x02\x02\x46"),
        "a switch of protocols": static(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxx"),
    },
    ("models", "answer"),
)  # fmt: skip


# ---- status


attacks(
    "status",
    {
        f"status {status}": static(http("{}", status))
        for status in (
            "000 None", "099 Low", "201 Created", "204 No Content", "206 Part", "304 Same", "400 Bad", "401 Who",
            "402 Pay", "403 No", "404 Where", "408 Late", "410 Gone", "413 Big", "418 Tea", "429 Slow", "451 Law",
            "500 No", "503 Down", "599 Last", "600 What", "999 End", "9999 Long", "-1 Less", "two hundred",
            "200\x1b[31mred",
        )
    },
)  # fmt: skip
attacks("status", {"401 first": static(http("{}", "401 Who")), "404 first": static(http("{}", "404 No"))}, POSTS[:1])


# ---- when to come back


attacks(
    "retry-after",
    {
        f"Retry-After: {value[:60]}": static(http("{}", "429 Slow", f"Retry-After: {value}"))
        for value in (
            "1e9", "1e308", "1e999", "-5", "nan", "inf", "", "0", "a" * 9000, "9" * 5000, "901", "0x10", "١٢٣",
            "\x1b[31m",
            "Mon, 01 Jan 99999999999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2190 00:00:00 GMT",
            "Mon, 01 Jan 2024 00:00:00 +99999999999999999999", "Mon, 01 Jan 99999 00:00:00 GMT",
            "Mon, 01 Jan 1800 00:00:00 GMT", "Mon, 99 Jan 2024 99:99:99 GMT", "Sat, 01 Jan 0000 00:00:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359",
        )
    },
)  # fmt: skip
attacks(
    "retry-after",
    {
        "retry-after-ms: 1e400": static(http("{}", "429 Slow", "retry-after-ms: 1e400")),
        "a date that overflows": static(
            http("{}", "503 No", "Retry-After: Mon, 01 Jan 2024 00:00:00 GMT", "Date: Mon, 01 Jan 9999 00:00:00 -9999")
        ),
        "half a second each time": static(http("{}", "503 No", "Retry-After: 0.5")),
    },
    ("answer", "first question"),
)


# ---- nesting


def nested(opening: str, depth: int = 200_000) -> bytes:
    """JSON that opens and never closes."""
    return http(opening * depth)


def closed(depth: int) -> bytes:
    """A nested list that is whole, where a text is due."""
    deep = "[" * depth + "]" * depth
    return http(chat("REPLACE").replace('"REPLACE"', deep))


attacks(
    "nesting",
    {
        "lists": static(nested("[")),
        "mappings": static(nested('{"a":')),
        "an error": static(http('{"error":{"message":' + "[" * 900 + "]" * 900 + "}}", "400 Bad")),
        "lists, as an error": static(http("[" * 200_000, "400 Bad")),
        "900 deep content": static(closed(900)),
        "200,000 deep content": static(closed(200_000)),
    },
    (*EVERYWHERE, "version"),
)


# ---- numbers


attacks(
    "numbers",
    {
        f"prompt_tokens {name}": usage(prompt_tokens=value)
        for name, value in {
            "true": True, "-1": -1, "2**53": 2**53, "2**70": 2**70, "9e4299": 9 * 10**4299, "1.5": 1.5,
            "NaN": float("nan"), "infinite": float("inf"), "a text": "100", "a list": [1], "null": None,
        }.items()
    },
    POSTS, questions=4,
)  # fmt: skip
attacks(
    "numbers",
    {
        "5,000 digits": static(http(chat().replace("100", "9" * 5000))),
        "usage is a list": static(http(chat(usage=[1, 2]))),
        "usage is a number": static(http(chat(usage=7))),
        "reasoning tokens 2**64": usage(completion_tokens_details={"reasoning_tokens": 2**64}),
        "cached tokens -0.0": usage(prompt_tokens_details={"cached_tokens": -0.0}),
        "1e999999999": static(http(chat().replace("100", "1e999999999"))),
        "an error code of 5,000 digits": static(http('{"error":{"code":' + "9" * 4000 + "}}")),
        "an error code true": static(http('{"error":{"code":true,"message":"x"}}')),
    },
)
attacks(
    "numbers",
    {
        f"max_model_len {name}": static(http(cards(owner="vllm", max_model_len=value)))
        for name, value in {"2**70": 2**70, "nested": [[[]]], "a text of 1 MB": "a" * MB, "true": True}.items()
    },
    ("models",),
)
