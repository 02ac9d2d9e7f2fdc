"""A chat server that means harm: it speaks raw bytes, and what it says is an attack, a small function in a registry.

An attack is told which request it answers, and gives the bytes of its answer: all at once, or as they are to be sent.
Requests that it is not for get a sound answer, so an attack can wait until a run is under way.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from support.chat_server import PROBE, completion

Place = Literal["models", "version", "first question", "answer"]
POSTS: tuple[Place, ...] = ("first question", "answer")
EVERYWHERE: tuple[Place, ...] = ("models", "first question", "answer")


class ResetError(Exception):
    """The connection is to end with a reset."""


@dataclass(slots=True)
class Call:
    """A request that an attack answers.

    Attributes:
        place: what is asked for.
        key: the key that the client sent.
        number: how many requests the attack had before.
        keep: whether the connection stays open after the answer.
    """

    place: Place
    key: str
    number: int
    keep: bool = False


Script = Callable[[Call], bytes | AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to do harm.

    Attributes:
        kind: its class, for the table.
        name: unique.
        place: the requests that it answers.
        script: what it says.
        heavy: so much data, or so many requests, that it is left to the long form.
        vllm: whether the server says that it is vLLM.
        quick: engine arguments that end it sooner.
        questions: how many questions the run asks.
    """

    kind: str
    name: str
    place: Place
    script: Script
    heavy: bool = False
    vllm: bool = False
    quick: dict[str, float] = field(default_factory=dict)
    questions: int = 2


ATTACKS: dict[str, Attack] = {}


def attack(kind: str, name: str, places: Iterable[Place] = ("answer",), **options: Any) -> Callable[[Script], Script]:
    """Register a function as an attack, one for each place."""

    def register(script: Script) -> Script:
        for place in places:
            full = f"{name} / {place}"
            assert full not in ATTACKS, full
            ATTACKS[full] = Attack(kind, full, place, script, **{"vllm": place == "version", **options})
        return script

    return register


def attacks(kind: str, scripts: dict[str, Script], places: Iterable[Place] = ("answer",), **options: Any) -> None:
    """Register several of a kind."""
    for name, script in scripts.items():
        attack(kind, name, places, **dict(options))(script)


# ---- bytes


def http(body: bytes | str, status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    """A whole response."""
    data = body if isinstance(body, bytes) else body.encode(errors="surrogatepass")
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    lines += [f"Content-Length: {len(data)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode(errors="surrogateescape") + data


def chat(text: str | None = "<answer>R</answer>", reason: str | None = "stop", **over: Any) -> str:
    """The body of a completion, with fields replaced."""
    return json.dumps({**completion(text, reason), **over})


def cards(*more: dict[str, Any], owner: str = "tests", **over: Any) -> str:
    """The body of a list of models."""
    card = {"id": "fake", "object": "model", "owned_by": owner, "root": "/models/fake", **over}
    return json.dumps({"object": "list", "data": [card, *more]})


def sound(place: Place, vllm: bool) -> bytes:
    """What a server in order says."""
    match place:
        case "models":
            return http(cards(owner="vllm" if vllm else "tests"))
        case "version":
            return http('{"version": "1.2.3"}')
    return http(chat())


# ---- the server


class HostileServer:
    """A server at ``url`` on a loop in a thread of its own, as a context manager.

    Attributes:
        attack: what it does.
        calls: how many requests the attack has answered.
    """

    def __init__(self, attack: Attack) -> None:
        self.attack, self.calls = attack, 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                pass
        with suppress(Exception):
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n"))
        }
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        place = _place(head, body)
        if place != self.attack.place:
            writer.write(sound(place, self.attack.vllm))
            await writer.drain()
            return True
        call = Call(place, fields.get("authorization", "").removeprefix("Bearer "), self.calls)
        self.calls += 1
        try:
            said = self.attack.script(call)
            if isinstance(said, bytes):
                writer.write(said)
                await writer.drain()
            else:
                async for part in said:
                    writer.write(part)
                    await writer.drain()
        except ResetError:  # a closed socket that lingers for 0 s sends RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return call.keep


def _place(head: str, body: bytes) -> Place:
    if head.startswith("GET /v1/models "):
        return "models"
    if head.startswith("GET "):
        return "version"
    return "first question" if PROBE.encode() in body else "answer"
