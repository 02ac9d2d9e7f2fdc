"""The openai backend: any server that speaks OpenAI's chat completions, hosted models and ``vllm serve`` alike.

Requests run on an event loop in a thread of its own, a bounded number at each server; each answer is handed on as it
comes. Before the first question, a few short ones, with pictures and without, find out what the servers take: every
parameter of the run is either sent as it is, or stands in ``run.json`` with the reason why it is not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from math import isqrt
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from mgsd_bench.backends import Backend, BackendConfig, EngineError, Request, Response
from mgsd_bench.backends.chat_api import (
    Answer,
    Fault,
    Kind,
    Template,
    drop_rejected_parameter,
    messages,
    shown,
    template,
    user_turn,
)
from mgsd_bench.backends.chat_settings import ChatSettings, read_settings
from mgsd_bench.errors import Exit, UserError, option

if TYPE_CHECKING:
    from mgsd_bench.backends.chat_servers import Server

T = TypeVar("T")

VLLM_CONCURRENCY = 256
"""Requests in flight at a vLLM server by default, which batches what it gets."""

SHOWN_MODELS = 10
"""Names of models that are shown of a server's list."""

NOT_FOUND = 404
PROBE = "Reply with the word OK."
PROBE_SIZE = 256
"""Side in pixels of the first question's picture, that of the benchmark's own."""

LARGEST_PROBE = 2048
"""Largest side in pixels of a picture that is asked about only to see whether limits hold."""


def open_backend(config: BackendConfig) -> OpenAIBackend:
    """Find out whether the servers are there, and how they take the run's parameters.

    Engine arguments: see :class:`mgsd_bench.backends.chat_settings.ChatArguments`.

    Raises:
        UserError: httpx is not installed, an engine argument is wrong, a server does not know the model or refuses a
            parameter, or (exit code ``ENGINE``) no server can be used.
    """
    if find_spec("httpx") is None:
        raise UserError("httpx is not installed: pip install 'mgsd-bench[openai]'")
    backend = OpenAIBackend(config, read_settings(config.engine_args, config.model))
    try:
        backend.check()
    except BaseException:
        backend.close()
        raise
    return backend


class OpenAIBackend(Backend):
    """Servers that are ready to be asked."""

    def __init__(self, config: BackendConfig, settings: ChatSettings) -> None:
        from mgsd_bench.backends.chat_servers import Servers

        self._config, self._settings = config, settings
        self._servers = Servers(settings)
        self._template: Template = {}
        self._omitted: dict[str, str] = {}
        self._facts: list[dict[str, Any]] = []
        self._live: set[Future[Response]] = set()
        self._done: SimpleQueue[Future[Response]] = SimpleQueue()
        self._refused: list[Response] = []
        self._death: EngineError | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="mgsd-chat", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Ask every server a few short questions; those that cannot be reached are left out.

        Raises:
            UserError: as for :func:`open_backend`.
        """
        accepted: dict[str, tuple[Template, dict[str, str]]] = {}
        for server in self._servers.all:
            try:
                accepted[server.url] = self._run(self._negotiate(server))
            except EngineError as error:
                server.dropped = server.dropped or str(error)
                self._facts.append({"url": server.url, "left_out": server.dropped})
        if not accepted:
            reasons = self._servers.failure_summary()
            if "HTTP 401" in reasons:
                raise UserError(f"{option('base_url', reasons)}; is {self._settings.key_env} set to your key?")
            raise UserError(option("base_url", reasons), Exit.ENGINE)
        (first, (self._template, self._omitted)), *others = accepted.items()
        for url, (fields, _) in others:
            if fields != self._template:
                names = sorted(name for name in fields.keys() ^ self._template.keys())
                raise UserError(
                    f"{option('base_url', url)}: takes other parameters than {first} ({', '.join(names)}); ask "
                    "servers of one "
                    f"kind in a run, or set {option('engine.server', 'vllm')} or {option('engine.server', 'openai')}"
                )
        if self._settings.concurrency is None and self._kinds() == {"vllm"}:
            self._servers.concurrency = VLLM_CONCURRENCY

    def describe(self) -> dict[str, Any]:
        """Facts for ``run.json``: the servers, what every request says, and what it omits."""
        kind = sorted(self._kinds())
        sent = {name: "one a request" if name == "seed" else value for name, value in self._template.items()}
        identity = json.dumps([kind, self._template], sort_keys=True)
        return {
            "engine": "openai",
            "client": f"httpx {version('httpx')}",
            "model": self._config.model,
            "fingerprint": sha256(identity.encode()).hexdigest(),
            "servers": self._facts,
            "sent": sent,
            "not_sent": self._omitted,
            "concurrency": self._servers.concurrency,
        }

    def usage(self) -> dict[str, Any]:
        """What was sent and spent so far, the first questions and answers of no use included.

        Tokens are as the servers count them; ``cost`` is None without prices, and takes cached prompt tokens at the
        full price.
        """
        spent = self._servers.usage
        tokens = {f"{name}_tokens": spent.tokens[name] for name in ("prompt", "completion", "reasoning", "cached")}
        return {
            "requests": spent.requests,
            "retries": spent.retries,
            **tokens,
            "cost": self._settings.cost(tokens["prompt_tokens"], tokens["completion_tokens"]),
            "answered_by": dict(spent.models),
            "dropped": {server.url: server.dropped for server in self._servers.all if server.dropped},
        }

    @property
    def capacity(self) -> int:
        """What the servers that are left have room for."""
        return self._servers.concurrency * max(1, len(self._servers.alive))

    def submit(self, request: Request) -> None:
        """Send a request on its way; one whose picture cannot be drawn is answered by the reason."""
        try:
            content = _body(self._template, messages(request.turns), request.seed)
        except Exception as error:
            self._refused.append(Response(request.key, "", "error", error=_line(error)))
            return
        future = asyncio.run_coroutine_threadsafe(self._answer(request.key, content), self._loop)
        self._live.add(future)
        future.add_done_callback(self._done.put)

    def collect(self) -> list[Response]:
        """Wait for an answer, and give back all that are there.

        Raises:
            EngineError: no server is left; answers that had come were given back.
        """
        if self._death:
            raise self._death
        ended, self._refused = self._refused, []
        while self._live and (not ended or not self._done.empty()):
            future = self._done.get()
            if future not in self._live:
                continue  # given up before
            self._live.remove(future)
            if isinstance(error := future.exception(), EngineError):
                self._death = error
            else:
                ended.append(future.result())
            if self._death and self._done.empty():
                break
        if self._death and not ended:
            raise self._death
        return ended

    def abort(self) -> None:
        """Give up what is on its way."""
        live, self._live, self._refused = self._live, set(), []
        for future in live:
            future.cancel()

    def close(self) -> None:
        """End all connections, whatever is on its way; a second call does nothing."""
        if self._loop.is_closed():
            return
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        if not self._thread.is_alive():
            self._loop.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _shut(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._servers.close()

    def _kinds(self) -> set[str]:
        return {facts["kind"] for facts in self._facts if "kind" in facts}

    async def _answer(self, key: str, content: bytes) -> Response:
        begin = perf_counter()
        reply = await self._servers.ask(content)
        spent = reply.usage
        tokens = (spent.prompt, spent.completion) if spent else (None, None)
        if isinstance(reply, Fault):
            return Response(key, "", "error", *tokens, perf_counter() - begin, reply.reason)
        return Response(key, reply.text, reply.finish_reason, *tokens, perf_counter() - begin)

    async def _negotiate(self, server: Server) -> tuple[Template, dict[str, str]]:
        """What a server is sent: what the run asks for, less what the server refuses. The facts about it are noted.

        Raises:
            EngineError: it cannot be reached, or does not answer.
            UserError: it does not know the model, or refuses a parameter.
        """
        cards = await self._servers.models(server)
        is_vllm = any(card.is_vllm for card in cards)
        kind: Kind = self._settings.server if self._settings.server != "auto" else "vllm" if is_vllm else "openai"
        card = next((card for card in cards if card.id == self._config.model), None)
        if is_vllm and not card:
            served = shown(", ".join(shown(card.id, 60) for card in cards[:SHOWN_MODELS]))
            more = f" and {len(cards) - SHOWN_MODELS} more" if len(cards) > SHOWN_MODELS else ""
            raise UserError(f"{option('model', self._config.model)}: {server.url} serves {served}{more}")
        fields, omitted = template(kind, self._config, self._settings.extra_body)
        while isinstance(pictured := await self._probe(server, fields, PROBE_SIZE), Fault):
            if pictured.cause != "request" and pictured.status != NOT_FOUND:
                raise EngineError(pictured.reason)
            remaining = drop_rejected_parameter(fields, omitted, pictured)
            if remaining is None and "mm_processor_kwargs" in fields:  # processors refuse in words of their own
                remaining = drop_rejected_parameter(
                    fields, omitted, Fault("request", pictured.reason, parameter="mm_processor_kwargs")
                )
            if remaining is None:
                hint = "" if server.url.endswith("/v1") else "; base URLs mostly end in /v1"
                raise UserError(
                    f"{option('model', self._config.model)}: {server.url} refuses a question: {pictured.reason}{hint}"
                )
            fields, omitted = remaining
        tokens = await self._picture_tokens(server, fields, kind)
        self._facts.append(
            {
                "url": server.url,
                "kind": kind,
                "version": await self._servers.version(server) if is_vllm else None,
                "answered_as": pictured.usage.model,
                "root": card.root if card else None,
                "max_model_len": card.max_model_len if card else None,
                "picture_tokens": tokens,
                "pixel_limits_hold": _hold(list(tokens.values())),
            }
        )
        return fields, omitted

    async def _picture_tokens(self, server: Server, fields: Template, kind: Kind) -> dict[str, int | None]:
        """What pictures cost by their side in pixels; for vLLM, of sides around both limits of the area too."""
        sides = [PROBE_SIZE]
        if kind == "vllm":
            low, high = isqrt(self._config.min_pixels), isqrt(self._config.max_pixels)
            sides = [low // 2, low, high, 2 * high] if 2 <= low < high <= LARGEST_PROBE // 2 else sides
        counts = []
        for side in (None, *sides):
            reply = await self._probe(server, fields, side)
            counts.append(reply.usage.prompt if isinstance(reply, Answer) else None)
        without, *with_picture = counts
        return {
            str(side): None if without is None or count is None else count - without
            for side, count in zip(sides, with_picture, strict=True)
        }

    async def _probe(self, server: Server, fields: Template, size: int | None) -> Answer | Fault:
        """The reply to a first question, with a picture of this size or without.

        Raises:
            EngineError: the server was dropped.
        """
        from numpy import uint8, zeros

        picture = None if size is None else zeros((size, size, 3), uint8)
        return await self._servers.ask(_body(fields, user_turn(PROBE, picture), 0), server)


def _body(fields: Template, chat: list[dict[str, Any]], seed: int) -> bytes:
    own = {"seed": seed} if "seed" in fields else {}
    return json.dumps({**fields, **own, "messages": chat}).encode()


def _hold(tokens: list[int | None]) -> bool | None:
    """Whether pictures below and above the limits cost what those at the limits do; None where that is not known."""
    match tokens:
        case [int(below), int(low), int(high), int(above)]:
            return abs(below - low) <= 0.1 * low and abs(above - high) <= 0.1 * high
    return None


def _line(error: Exception) -> str:
    return shown(str(error)) or type(error).__name__
