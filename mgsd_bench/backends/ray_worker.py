"""The process that holds an engine in a Ray cluster: questions go in and answers come out while it runs.

A thread drives the engine; the calls of the driver only fill its inbox and empty its outbox. An engine that dies takes
the process with it, so that Ray starts a new one.
"""

from __future__ import annotations

import os
import platform
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition, Thread, Timer
from typing import Any
from uuid import uuid4

from mgsd_bench.backends import Backend, BackendConfig, EngineError, Response, open_backend
from mgsd_bench.backends.shared import installed_versions, one_line
from mgsd_bench.backends.wire import Parcel, unpack
from mgsd_bench.errors import Exit, UserError

SPARE = 64
"""Most questions that wait at a worker beside those that its engine holds."""

_LAST_WORDS = 2.0
"""Seconds in which the driver can learn why an engine died, before its process ends."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Which process this is: ``token`` is another one after a new start."""

    token: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine that is ready.

    Attributes:
        facts: what it says of itself, for ``run.json``.
        versions: of the packages that answers depend on.
        window: how many questions it may be given at once.
    """

    facts: dict[str, Any]
    versions: dict[str, str]
    window: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no engine, in one line with its settings marked; ``code`` is the exit code."""

    message: str
    code: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Answers that have come since the last time, their keys the tickets' numbers.

    Attributes:
        answers: the answers.
        death: why the engine died; None while it lives.
    """

    answers: list[Response]
    death: str | None = None


class StaleError(Exception):
    """A call meant for a process that was here before."""


class Worker:
    """A Ray actor that holds one engine; :meth:`open` is what kind of engine."""

    def __init__(self, of: str, config: BackendConfig) -> None:
        self._of, self._config = of, config
        self._token = uuid4().hex
        self._loaded: Future[Loaded | Refused] | None = None
        self._changed = Condition()
        self._inbox: deque[tuple[int, Parcel]] = deque()
        self._outbox: list[Response] = []
        self._dropped = 0  # counts the times that everything was dropped
        self._death: str | None = None

    def hello(self) -> Hello:
        """Which process this is, and where."""
        return Hello(self._token, platform.node(), os.getpid())

    def open(self) -> Backend:
        """Start the engine."""
        if self._of == "vllm":
            # in this very process: whatever kills it leaves no other behind that holds the GPU's memory
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        return open_backend(self._of, self._config)

    def load(self) -> Loaded | Refused:
        """Start the engine, unless it was; returns when it is ready or cannot be."""
        with self._changed:
            if self._loaded is None:
                self._loaded = Future()
                Thread(target=self._run, args=(self._loaded,), name="mgsd-engine", daemon=True).start()
            loaded = self._loaded
        return loaded.result()

    def feed(self, token: str, parcels: Sequence[tuple[int, Parcel]]) -> None:
        """Take questions, each with its ticket's number.

        Raises:
            StaleError: they are meant for another process.
        """
        self._check(token)
        with self._changed:
            self._inbox.extend(parcels)
            self._changed.notify_all()

    def take(self, token: str) -> Taken:
        """Wait for some answers, and give them away.

        Raises:
            StaleError: another process is asked for them.
        """
        self._check(token)
        with self._changed:
            self._changed.wait_for(lambda: self._outbox or self._death)
            answers, self._outbox = self._outbox, []
            return Taken(answers, self._death)

    def drop(self, token: str) -> None:
        """Give up all questions.

        Raises:
            StaleError: those of another process are meant.
        """
        self._check(token)
        with self._changed:
            self._inbox.clear()
            self._outbox.clear()
            self._dropped += 1
            self._changed.notify_all()

    def _check(self, token: str) -> None:
        if token != self._token:
            raise StaleError

    def _run(self, loaded: Future[Loaded | Refused]) -> None:
        try:
            backend = self.open()
            loaded.set_result(
                Loaded(backend.describe(), installed_versions(), backend.capacity + min(backend.capacity, SPARE))
            )
        except UserError as error:
            loaded.set_result(Refused(error.message, error.code))
            return
        except Exception as error:  # a mistake of the engine's, or ours: whoever asked is told
            loaded.set_result(Refused(f"the engine does not start: {one_line(error)}", Exit.ENGINE))
            return
        try:
            self._serve(backend)
        except Exception as error:  # whatever ends the loop ends the engine
            with self._changed:
                self._death = str(error) if isinstance(error, EngineError) else one_line(error)
                self._changed.notify_all()
            Timer(_LAST_WORDS, os._exit, (1,)).start()

    def _serve(self, backend: Backend) -> None:
        """Answer what is in the inbox, for ever.

        Raises:
            EngineError: the engine died.
        """
        live, dropped = 0, 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._inbox or live or self._dropped != dropped)  # noqa: B023
                if self._dropped != dropped:
                    dropped, given_up, live = self._dropped, live, 0
                    if given_up:
                        backend.abort()
                    continue
                room = max(0, backend.capacity - live)
                questions = [self._inbox.popleft() for _ in range(min(room, len(self._inbox)))]
            refused = []
            for number, parcel in questions:
                try:
                    request = unpack(str(number), parcel)
                except Exception as error:  # a task that is not installed here, say
                    refused.append(Response(str(number), "", "error", error=f"not understood here: {one_line(error)}"))
                    continue
                backend.submit(request)
                live += 1
            answers = backend.collect() if live and not refused else []
            live -= len(answers)
            with self._changed:
                if self._dropped == dropped:
                    self._outbox += refused + answers
                    self._changed.notify_all()
