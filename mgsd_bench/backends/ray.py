"""The ray backend: engines on the machines of a Ray cluster, each asked through a bounded window.

The driver draws up what is asked, alone writes the run folder, and decides what is asked again: what a worker had when
it died, up to three times (:mod:`mgsd_bench.backends.ray_ledger`). Pictures are drawn by the workers
(:mod:`mgsd_bench.backends.wire`). No answer waits for another.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Any

from mgsd_bench.backends import Backend, BackendConfig, EngineError, Request, Response
from mgsd_bench.backends.ray_cluster import Cluster
from mgsd_bench.backends.ray_crew import MOST_LOADS, Crew, Event, Member
from mgsd_bench.backends.ray_ledger import MOST_DEATHS, Ledger, Ticket
from mgsd_bench.backends.ray_settings import RaySettings, read_settings
from mgsd_bench.backends.ray_worker import Worker
from mgsd_bench.backends.shared import installed_versions, one_line
from mgsd_bench.backends.wire import pack
from mgsd_bench.errors import Exit, UserError, option

GRACE = 3.0
"""Seconds that a ready worker waits for others whose processes are being started."""

OF_MACHINES = ("hardware", "max_num_seqs", "model")
"""Facts of an engine that may differ between workers: they change how fast answers come, not what they say."""

OURS = ("mgsd-bench", "numpy", "pillow")
"""Packages of which the driver has to have the workers' versions: requests are made by them, and pictures."""


def open_backend(config: BackendConfig) -> RayBackend:
    """Start workers in a Ray cluster, and wait until all that it has room for are ready.

    Engine arguments: see :class:`mgsd_bench.backends.ray_settings.RayArguments`; all others go to the backend that
    answers.

    Raises:
        UserError: Ray is not installed, an argument is wrong, no cluster answers, it has no room for a worker, an
            engine does not start, or workers are not alike.
    """
    return RayBackend(read_settings(config), Worker)


class RayBackend(Backend):
    """Workers that are ready to be asked.

    Args:
        settings: how they are held.
        kind: what they are.
    """

    def __init__(self, settings: RaySettings, kind: type[Worker]) -> None:
        self._settings = settings
        self._ledger = Ledger()
        self._numbers = count()
        self._ended: list[Response] = []
        self._first: Member | None = None
        self._asked_again = 0
        self._given_up: list[str] = []
        self._hope = monotonic()
        self._cluster = Cluster(settings)
        try:
            self._crew = Crew(self._cluster, kind, settings.of, settings.inner)
            self._await_crew()
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """The windows of all workers that are ready; at least one question, while there are none."""
        return max(1, sum(member.window for member in self._crew.in_state("ready")))

    def describe(self) -> dict[str, Any]:
        """What the engines say of themselves, and on which machines they are."""
        assert self._first is not None
        assert self._first.loaded is not None
        workers = [
            {"host": member.hello.host, "hardware": member.loaded.facts.get("hardware")}
            for member in self._crew.in_state("ready")
            if member.hello and member.loaded
        ]
        return {
            **self._first.loaded.facts,
            "ray": {
                "version": self._cluster.version,
                "workers": workers,
                "waiting": len(self._crew.members) - len(workers),
                "alike": all(worker["hardware"] == workers[0]["hardware"] for worker in workers),
            },
        }

    def usage(self) -> dict[str, Any]:
        """What each worker has answered, and how fast; which deaths there were, and what came of them."""
        workers = []
        for member in self._crew.members:
            seconds = member.ready_seconds()
            workers.append(
                {
                    "host": member.hello.host if member.hello else None,
                    "hardware": member.loaded.facts.get("hardware") if member.loaded else None,
                    "answered": member.answered,
                    "seconds": round(seconds, 1),
                    "per_second": round(member.answered / seconds, 2) if seconds else None,
                    "deaths": member.deaths,
                    **({"last_death": member.why} if member.why else {}),
                }
            )
        return {"workers": workers, "asked_again": self._asked_again, "given_up": self._given_up}

    def submit(self, request: Request) -> None:
        """Take a request; one whose picture cannot be drawn is answered by the reason."""
        try:
            parcel = pack(request, scripted=self._settings.of == "scripted")
        except Exception as error:
            self._ended.append(Response(request.key, "", "error", error=one_line(error)))
            return
        self._ledger.add(Ticket(next(self._numbers), request.key, parcel))

    def collect(self) -> list[Response]:
        """Wait for an answer, and give back all that are there.

        Raises:
            EngineError: no worker is left, or the cluster is gone.
            UserError: a worker that has come late is not like the others.
        """
        while True:
            self._hand_out()
            if self._ended:
                ended, self._ended = self._ended, []
                return ended
            for event in self._crew.wait():
                self._heard(event)
            self._check_hope()

    def abort(self) -> None:
        """Give up what is on its way."""
        for member in self._crew.in_state("ready"):
            if self._ledger.held(member.number):
                self._crew.drop(member)
        self._ledger.clear()
        self._ended.clear()

    def close(self) -> None:
        """End all workers, and leave the cluster; a second call does nothing."""
        if hasattr(self, "_crew"):
            self._crew.close()
        self._cluster.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _await_crew(self) -> None:
        """Wait until a worker is ready, and none is starting that could be soon.

        Raises:
            UserError: there is no room for any, an engine does not start, or two are not alike.
        """
        first: float | None = None
        while True:
            for event in self._crew.wait():
                self._heard(event)
                if event.refused is not None:
                    raise self._at(event.member, event.refused.message, Exit(event.refused.code))
            ready, starting = self._crew.in_state("ready"), self._crew.in_state("loading")
            if ready and first is None:
                first = monotonic()
            placing = self._crew.in_state("placing")
            if first is not None and not starting and (not placing or monotonic() - first > GRACE):
                return
            try:
                self._check_hope()
            except EngineError as error:
                raise UserError(f"{option('backend', 'ray')}: {error}", Exit.ENGINE) from error

    def _hand_out(self) -> None:
        for number, tickets in self._ledger.assign(self._crew.windows()).items():
            self._crew.feed(self._crew.members[number], [(ticket.number, ticket.parcel) for ticket in tickets])

    def _heard(self, event: Event) -> None:
        member = event.member
        if event.kind == "ready":
            self._check_alike(member)
        for answer in event.answers:
            ticket = self._ledger.answered(member.number, int(answer.key))
            if ticket is not None:  # else it was given up, as abort does
                self._ended.append(replace(answer, key=ticket.key))
        if event.kind == "died":
            held = self._ledger.held(member.number)
            given_up = self._ledger.lost(member.number)
            self._asked_again += held - len(given_up)
            for ticket in given_up:
                self._given_up.append(ticket.key)
                reason = f"{MOST_DEATHS} workers died while they had it; the last time: {member.why}"
                self._ended.append(Response(ticket.key, "", "error", error=reason))

    def _check_alike(self, member: Member) -> None:
        """Refuse a worker whose answers may be others: which one is right, nobody here can know.

        Raises:
            UserError: it is not like the first one, or not like the driver.
        """
        assert member.loaded is not None
        ours = installed_versions()
        for name in OURS:
            if member.loaded.versions.get(name) != ours.get(name):
                theirs = member.loaded.versions.get(name, "none")
                raise self._at(
                    member, f"{name} is {theirs}, here it is {ours.get(name)}; install one version everywhere"
                )
        if self._first is None:
            self._first = member
            return
        assert self._first.loaded is not None
        for what, old, new in (
            ("versions", self._first.loaded.versions, member.loaded.versions),
            ("facts", self._first.loaded.facts, member.loaded.facts),
        ):
            for name in sorted(old.keys() | new.keys()):
                if old.get(name) == new.get(name) or (what == "facts" and name in OF_MACHINES):
                    continue
                named = "the weights' fingerprint" if name == "fingerprint" else name
                host = self._first.hello.host if self._first.hello else "?"
                raise self._at(
                    member,
                    f"{named} is {_short(new.get(name))}, on {host} it is {_short(old.get(name))}; workers have to be "
                    "alike: give every machine the same",
                    Exit.NOT_COMPARABLE,
                )

    def _check_hope(self) -> None:
        """Raises EngineError where nobody will answer any more."""
        if self._crew.in_state("ready", "loading"):
            self._hope = monotonic()
        elif not self._crew.in_state("placing"):
            raise EngineError(f"no worker is left, after {MOST_LOADS} starts each: {self._crew.members[-1].why}")
        elif monotonic() - self._hope > self._settings.patience:
            biggest = max(
                self._cluster.resources(), key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), default={}
            )
            has = ", ".join(f"{biggest.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
            raise EngineError(
                f"no machine of the cluster had room for a worker, {self._cluster.need()}, in "
                f"{self._settings.patience:g} s; the largest has {has} in all"
            )

    def _at(self, member: Member, message: str, code: Exit = Exit.NOT_COMPARABLE) -> UserError:
        where = member.hello.host if member.hello else "a worker"
        return UserError(f"{message} (on {where})" if message.startswith("\x02") else f"{where}: {message}", code)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:16]}..."
