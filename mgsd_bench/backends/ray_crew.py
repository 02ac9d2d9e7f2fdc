"""The workers as the driver sees them: which are ready, what they say, and which have died."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Literal

from mgsd_bench.backends import BackendConfig, EngineError, Response
from mgsd_bench.backends.ray_cluster import Cluster
from mgsd_bench.backends.ray_worker import Hello, Loaded, Refused, Taken, Worker
from mgsd_bench.backends.shared import one_line
from mgsd_bench.backends.wire import Parcel
from mgsd_bench.errors import Exit

MOST_LOADS = 3
"""Starts of an engine in a row that may fail before its worker is given up."""

_PAUSE = 0.5  # seconds before a worker that is not there is asked for again
_LONGEST_WAIT = 1.0  # seconds

Call = Literal["hello", "load", "take", "feed", "drop"]


@dataclass(slots=True, eq=False)
class Member:
    """A worker.

    Attributes:
        number: which it is.
        state: ``placing`` until its process is there, ``loading`` until its engine is, then ``ready``; ``gone`` once
            it is given up.
        hello: its process.
        loaded: its engine, the last one.
        failures: starts of its engine that have failed since the last one that did not.
        why: what its last death or failure was.
        answered: how many questions it has answered.
        deaths: how often it died with an engine.
        seconds: how long it has been ready in all, without this time.
    """

    number: int
    actor: Any
    state: Literal["placing", "loading", "ready", "gone"] = "placing"
    hello: Hello | None = None
    loaded: Loaded | None = None
    failures: int = 0
    why: str = ""
    answered: int = 0
    deaths: int = 0
    seconds: float = 0.0
    since: float = 0.0
    _life: int = field(default=0, repr=False)
    _retry: float = field(default=0.0, repr=False)
    _dropping: bool = field(default=False, repr=False)
    _dead: str = field(default="", repr=False)  # the token of a process that is on its way out

    @property
    def window(self) -> int:
        """How many questions it may have at once."""
        return self.loaded.window if self.loaded else 0

    def ready_seconds(self) -> float:
        """How long it has been ready in all."""
        return self.seconds + (monotonic() - self.since if self.state == "ready" else 0.0)


@dataclass(frozen=True, slots=True)
class Event:
    """What has happened to a worker.

    Attributes:
        member: the worker.
        kind: ``ready`` (its engine is), ``answers``, ``refused`` (its engine cannot be started), or ``died`` (it had
            an engine).
        answers: the answers.
        refused: why there is no engine.
    """

    member: Member
    kind: Literal["ready", "answers", "refused", "died"]
    answers: Sequence[Response] = ()
    refused: Refused | None = None


class Crew:
    """All workers of a run.

    Args:
        cluster: where they are.
        kind: what they are.
        of: the backend in each.
        config: what it gets.
    """

    def __init__(self, cluster: Cluster, kind: type[Worker], of: str, config: BackendConfig) -> None:
        import ray

        self._ray = ray
        self.members = [Member(i, cluster.start(kind, of, config)) for i in range(cluster.workers())]
        self._calls: dict[Any, tuple[Member, Call, int]] = {}

    def in_state(self, *states: str) -> list[Member]:
        """The workers in some states."""
        return [member for member in self.members if member.state in states]

    def windows(self) -> dict[int, int]:
        """Of each worker that can be given questions, by its number, how many it may have at once."""
        return {member.number: member.window for member in self.in_state("ready") if not member._dropping}

    def feed(self, member: Member, parcels: Sequence[tuple[int, Parcel]]) -> None:
        """Hand questions to a worker that is ready."""
        assert member.hello is not None
        self._call(member, "feed", member.actor.feed.remote(member.hello.token, parcels))

    def drop(self, member: Member) -> None:
        """Make a worker that is ready give up its questions; until it has, it is not open to others."""
        assert member.hello is not None
        member._dropping = True  # calls overtake one another
        self._call(member, "drop", member.actor.drop.remote(member.hello.token))

    def wait(self) -> list[Event]:
        """Wait a second at most, and tell what has happened.

        Raises:
            EngineError: the cluster is gone.
        """
        try:
            return list(self._wait())
        except (ConnectionError, RuntimeError, self._ray.exceptions.RaySystemError) as error:
            raise EngineError(f"the connection to the Ray cluster is lost: {one_line(error)}") from error

    def close(self) -> None:
        """End all workers."""
        for member in self.members:
            self._kill(member, restart=False)
        self._calls.clear()

    def _wait(self) -> Iterator[Event]:
        busy = {(member.number, call) for member, call, _ in self._calls.values()}
        now = monotonic()
        for member in self.members:
            if member.state == "placing" and now >= member._retry and (member.number, "hello") not in busy:
                self._call(member, "hello", member.actor.hello.remote())
            if member.state == "ready" and (member.number, "take") not in busy:
                assert member.hello is not None
                self._call(member, "take", member.actor.take.remote(member.hello.token))
        if not self._calls:
            sleep(_PAUSE / 5)
            return
        calls = list(self._calls)
        soon = any(member.state == "placing" and member._retry > now for member in self.members)
        done, _ = self._ray.wait(calls, num_returns=1, timeout=_PAUSE / 2 if soon else _LONGEST_WAIT)
        if done:
            done, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        for each in done:
            member, call, life = self._calls.pop(each)
            if life == member._life:  # else it is about a process that is gone
                yield from self._said(member, call, each)

    def _call(self, member: Member, call: Call, reference: Any) -> None:
        self._calls[reference] = member, call, member._life

    def _said(self, member: Member, call: Call, reference: Any) -> Iterator[Event]:
        try:
            said = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            yield from self._failed(member, call, error)
            return
        if call == "drop":
            member._dropping = False
        elif isinstance(said, Hello):
            if said.token == member._dead:  # it is on its way out; or could not be reached, and is to go now
                self._kill(member, restart=True)
                member._retry = monotonic() + _PAUSE
                return
            member.hello, member.state = said, "loading"
            self._call(member, "load", member.actor.load.remote())
        elif isinstance(said, Loaded):
            member.loaded, member.state, member.failures, member.since = said, "ready", 0, monotonic()
            yield Event(member, "ready")
        elif isinstance(said, Refused):
            yield self._not_loaded(member, said, alive=True)
        elif isinstance(said, Taken):
            member.answered += len(said.answers)
            if said.answers:
                yield Event(member, "answers", said.answers)
            if said.death is not None:
                member.why = said.death
                yield from self._lost(member, alive=True)

    def _failed(self, member: Member, call: Call, error: Exception) -> Iterator[Event]:
        """A call that came to nothing: the process is gone, or cannot be reached, or is another one by now."""
        for_good = isinstance(error, self._ray.exceptions.ActorDiedError)
        if member.state == "ready":
            member.why = f"its process or its machine is gone, or cannot be reached ({type(error).__name__})"
            yield from self._lost(member, alive=False)
        if for_good:
            member.state, member.why = "gone", f"no worker can be started: {_cause(error)}"
            yield Event(member, "refused", refused=Refused(member.why, Exit.ENGINE))
        elif member.state == "loading" and call == "load":
            died = Refused("the process died while its engine was started", Exit.ENGINE)
            yield self._not_loaded(member, died, alive=False)
        elif member.state != "placing":
            self._place(member)
        else:
            member._retry = monotonic() + _PAUSE

    def _lost(self, member: Member, *, alive: bool) -> Iterator[Event]:
        member.seconds, member.deaths = member.ready_seconds(), member.deaths + 1
        self._restart(member, alive=alive)
        yield Event(member, "died")

    def _not_loaded(self, member: Member, refused: Refused, *, alive: bool) -> Event:
        member.failures, member.why = member.failures + 1, refused.message
        if member.failures >= MOST_LOADS:
            self._kill(member, restart=False)
            member.state = "gone"
        else:
            self._restart(member, alive=alive)
        return Event(member, "refused", refused=refused)

    def _restart(self, member: Member, *, alive: bool) -> None:
        """Let Ray put a new process in the place of one; of one that seems dead, its successor is not to be hit."""
        if alive:
            self._kill(member, restart=True)
        member._dead = member.hello.token if member.hello else ""
        self._place(member)

    def _kill(self, member: Member, *, restart: bool) -> None:
        """End a worker's process, if there is one."""
        with suppress(Exception):  # it, or the cluster, is gone
            self._ray.kill(member.actor, no_restart=not restart)

    def _place(self, member: Member) -> None:
        member.state, member._life, member._retry = "placing", member._life + 1, monotonic() + _PAUSE
        member._dropping = False


def _cause(error: BaseException) -> str:
    """The line of an error of Ray's that says what it came from: the last of a traceback, if there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(error, lines[-1] if lines else type(error).__name__)
