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
from ipaddress import ip_address
from random import uniform
from typing import Any
from urllib.parse import urlsplit

import httpx

from mgsd_bench.backends import EngineError
from mgsd_bench.backends.chat_api import Answer, Fault, Usage, read_reply
from mgsd_bench.backends.chat_settings import ChatSettings

FIRST_RETRIES = 4
"""Retries at most of a question to one server alone: at the start, nobody wants to wait minutes for a mistake."""

LONGEST_PAUSE = 60.0
"""Seconds; the back-off grows no further."""

LONGEST_WAIT = 900.0
"""Seconds; a server that asks to wait longer is dropped, and the run can go on another day."""

FAILED_REQUESTS, FAILED_TRIES = 3, 20
"""A server is dropped when so many requests and tries failed there for good, with no answer in between."""

_IDLE = 3.0  # seconds; servers close idle connections after 5 and more, and a request on its way then is lost


@dataclass(slots=True, eq=False)
class Server:
    """One server, and how it fares."""

    url: str
    client: httpx.AsyncClient
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
            self.tokens[name] += getattr(usage, name) or 0
        if usage.model:
            self.models[usage.model] += 1


class Servers:
    """The servers of a run. Its coroutines are to run on one loop."""

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings
        self.concurrency = settings.concurrency or 32
        self.usage = UsageCounter()
        self.all = [Server(url, _client(url, settings)) for url in settings.base_url]
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
            await server.client.aclose()

    async def models(self, server: Server) -> list[dict[str, Any]]:
        """The server's list of models; empty where it has none to show.

        Raises:
            EngineError: it cannot be reached.
        """
        for attempt in range(1, 4):
            try:
                reply = await server.client.get("models", timeout=self._settings.connect_timeout)
                cards = reply.json()["data"]
                return [card for card in cards if isinstance(card, dict) and isinstance(card.get("id"), str)]
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise EngineError(f"cannot be reached ({_reason(error)})") from error
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                await asyncio.sleep(self._pause(attempt))
        return []

    async def version(self, server: Server) -> str | None:
        """The version that a vLLM server states."""
        root = server.url.removesuffix("/v1")
        try:
            reply = (await server.client.get(f"{root}/version", timeout=self._settings.connect_timeout)).json()
        except (httpx.HTTPError, ValueError):
            return None
        return str(reply["version"]) if isinstance(reply, dict) and "version" in reply else None

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
            if reply.wait is not None and reply.wait > LONGEST_WAIT:
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
        limit = self._settings.timeout
        try:
            async with asyncio.timeout(limit):
                response = await server.client.post("chat/completions", content=content)
        except TimeoutError:
            return Fault("passing", f"no answer within {limit:g} s")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = f"cannot be reached ({_reason(error)})"
            if server.watch is None or server.watch.done():
                server.reachable = False
                server.watch = asyncio.create_task(self._watch(server, reason))
            return Fault("passing", reason)
        except httpx.TimeoutException:
            return Fault("passing", f"nothing came for {self._settings.read_timeout:g} s")
        except httpx.HTTPError as error:
            return Fault("passing", f"the connection broke ({_reason(error)})")
        reply = read_reply(response.status_code, response.headers, response.content)
        if reply.usage:
            self.usage.add(reply.usage)
        if isinstance(reply, Fault) and self._settings.key:  # some servers quote the key that they refuse
            reply = replace(reply, reason=reply.reason.replace(self._settings.key, "***"))
        return reply

    async def _watch(self, server: Server, reason: str) -> None:
        """Wait until a server can be reached again, or drop it."""
        patience, pause = self._settings.patience, min(1.0, self._settings.backoff)
        began = _now()
        while not server.reachable and _now() - began < patience:
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)
            try:
                await server.client.get("models", timeout=self._settings.connect_timeout)
                server.reachable = True
            except httpx.HTTPError as error:
                reason = f"cannot be reached ({_reason(error)})"
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


def _client(url: str, settings: ChatSettings) -> httpx.AsyncClient:
    headers = {"Content-Type": "application/json", "User-Agent": "mgsd-bench"}
    if settings.key:
        headers["Authorization"] = f"Bearer {settings.key}"
    return httpx.AsyncClient(
        base_url=url + "/",
        headers=headers,
        timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_IDLE),
        trust_env=not _is_local(url),  # no proxy leads to this machine
    )


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
