"""Several chat-completions servers that share the work, on one event loop.

A try goes to the server with the fewest requests in flight, a second try to another one where there is one. A server
that cannot be reached gets no requests while it is watched, and comes back or is dropped; one that refuses the key, or
fails request after request, is dropped at once. When none is left, every request ends in ``EngineError``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import uniform

from mgsd_bench.backends import EngineError
from mgsd_bench.backends.chat_api import (
    LARGEST_COUNT,
    Answer,
    Fault,
    ModelCard,
    Usage,
    read_cards,
    read_reply,
    read_version,
)
from mgsd_bench.backends.chat_exchange import Connection, ExchangeError
from mgsd_bench.backends.chat_settings import ChatSettings

FIRST_RETRIES = 4
"""Retries at most of a question to one server alone: at the start, nobody wants to wait minutes for a mistake."""

LONGEST_PAUSE = 60.0
"""Seconds; the back-off grows no further."""

FAILED_REQUESTS, FAILED_TRIES = 3, 20
"""A server is dropped when so many requests and tries failed there for good, with no answer in between."""

MOST_NAMES = 16
"""Names of models that are counted one by one; a server that answers by more counts under ``others``."""


@dataclass(slots=True, eq=False)
class Server:
    """One server, and how it fares."""

    url: str
    connection: Connection
    in_flight: int = 0
    paused_until: float = 0.0
    reachable: bool = True
    failed_requests: int = 0
    failed_tries: int = 0
    dropped: str | None = None
    watch: asyncio.Task[None] | None = None


@dataclass(slots=True)
class UsageCounter:
    """What was sent and spent, answers that were of no use included."""

    requests: int = 0
    retries: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)

    def add(self, usage: Usage) -> None:
        """Count the tokens of a reply."""
        for name in ("prompt", "completion", "reasoning", "cached"):
            self.tokens[name] = min(self.tokens[name] + (getattr(usage, name) or 0), LARGEST_COUNT - 1)
        if usage.model:
            is_counted = usage.model in self.models or len(self.models) < MOST_NAMES
            self.models[usage.model if is_counted else "others"] += 1


class Servers:
    """The servers of a run. Its coroutines are to run on one loop."""

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings
        self.concurrency = settings.concurrency or 32
        self.usage = UsageCounter()
        self.all = [Server(url, Connection(url, settings)) for url in settings.base_url]
        self._changed = asyncio.Condition()

    @property
    def alive(self) -> list[Server]:
        """Those that were not dropped."""
        return [server for server in self.all if server.dropped is None]

    def failure_summary(self) -> str:
        """Why servers were dropped, in one line."""
        return "; ".join(f"{server.url}: {server.dropped}" for server in self.all if server.dropped)

    async def close(self) -> None:
        """End all connections."""
        for server in self.all:
            if server.watch:
                server.watch.cancel()
            await server.connection.close()

    async def models(self, server: Server) -> list[ModelCard]:
        """The server's list of models; empty where it has none to show.

        Raises:
            EngineError: it cannot be reached.
        """
        for attempt in range(1, 4):
            try:
                return read_cards((await server.connection.get("models")).body)
            except ExchangeError as error:
                if error.cause == "unreachable":
                    raise EngineError(str(error)) from None
                if error.cause == "request":
                    break
            except ValueError:
                pass
            await asyncio.sleep(self._pause(attempt))
        return []

    async def version(self, server: Server) -> str | None:
        """The version that a vLLM server states."""
        try:
            return read_version((await server.connection.get(f"{server.url.removesuffix('/v1')}/version")).body)
        except ExchangeError:
            return None

    async def ask(self, content: bytes, only: Server | None = None) -> Answer | Fault:
        """Send a request until it is answered, or its tries are used up.

        Raises:
            EngineError: no server is left (or ``only`` was dropped).
        """
        attempt, last = 0, None
        among, retries = self.all, self._settings.retries
        if only is not None:
            among, retries = [only], min(retries, FIRST_RETRIES)
        while True:
            async with self._slot(among, last) as server:
                reply = await self._post(server, content)
            if isinstance(reply, Answer) or reply.cause == "request":
                server.failed_requests = server.failed_tries = 0
                return reply
            if only is not None and reply.status == 404:
                return reply
            if reply.wait is not None and reply.wait > self._settings.longest_wait:
                reply = replace(reply, cause="server", reason=f"asks to wait {reply.wait:,.0f} s: {reply.reason}")
            last = server
            if reply.cause == "server":
                await self._drop(server, reply.reason)
                continue
            if reply.wait:
                server.paused_until = max(server.paused_until, _now() + reply.wait)
            attempt += 1
            server.failed_tries += 1
            if attempt > retries:
                server.failed_requests += 1
                if server.failed_requests >= FAILED_REQUESTS and server.failed_tries >= FAILED_TRIES:
                    await self._drop(server, f"{server.failed_tries} tries in a row failed: {reply.reason}")
                return reply
            self.usage.retries += 1
            await asyncio.sleep(self._pause(attempt, reply.wait))

    @asynccontextmanager
    async def _slot(self, among: Sequence[Server], last: Server | None) -> AsyncIterator[Server]:
        """A place at the server that can best take one more request."""
        async with self._changed:
            while True:
                if all(server.dropped is not None for server in among):
                    raise EngineError(self.failure_summary())
                free = [s for s in among if s.dropped is None and s.reachable and s.in_flight < self.concurrency]
                if free:
                    break
                await self._changed.wait()
            now = _now()
            server = min(free, key=lambda s: (max(0.0, s.paused_until - now), s is last, s.in_flight))
            server.in_flight += 1
        try:
            if (pause := server.paused_until - now) > 0:
                await asyncio.sleep(pause + uniform(0, self._settings.backoff))
            yield server
        finally:
            server.in_flight -= 1
            await self._tell()

    async def _post(self, server: Server, content: bytes) -> Answer | Fault:
        self.usage.requests += 1
        try:
            response = await server.connection.post("chat/completions", content)
        except ExchangeError as error:
            if error.cause != "unreachable":
                return Fault(error.cause, str(error))
            if server.watch is None or server.watch.done():
                server.reachable = False
                server.watch = asyncio.create_task(self._watch(server, str(error)))
            return Fault("passing", str(error))
        reply = read_reply(response.status, response.headers, response.body)
        if reply.usage:
            self.usage.add(reply.usage)
        return reply

    async def _watch(self, server: Server, reason: str) -> None:
        """Wait until a server can be reached again, or drop it."""
        patience, pause = self._settings.patience, min(1.0, self._settings.backoff)
        began = _now()
        while not server.reachable and _now() - began < patience:
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)
            try:
                await server.connection.get("models")
                server.reachable = True
            except ExchangeError as error:
                reason = str(error) if error.cause == "unreachable" else f"cannot be reached ({error})"
        if server.reachable:
            await self._tell()
        else:
            await self._drop(server, f"{reason.removesuffix(')')}, for {patience:g} s)")

    async def _drop(self, server: Server, reason: str) -> None:
        server.dropped = server.dropped or reason
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _pause(self, attempt: int, wait: float | None = None) -> float:
        """Seconds until the next try: what the server asks for, else the back-off; never quite the same."""
        base = self._settings.backoff
        if wait:
            return wait + uniform(0, base)
        return min(LONGEST_PAUSE, base * 2.0 ** (attempt - 1)) * uniform(0.5, 1)


def _now() -> float:
    return asyncio.get_running_loop().time()
