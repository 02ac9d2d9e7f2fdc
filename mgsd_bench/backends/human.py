"""A person as the model: questions are laid on a desk, one at a time, and whoever sits at it answers them.

The desk stands between two sides: the backend lays a question down and waits, and a server shows it in a browser and
brings the answer (:mod:`mgsd_bench.play.server`). A person is shown the turns that a model is sent, and nothing of the
episode but the names of its actions. The clock of an answer runs from when its question is first shown.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from threading import Condition
from typing import Any, Self

from mgsd_bench.backends import HUMAN, Backend, Request, Response, StoppedError
from mgsd_bench.backends.human_form import Form, answer_text, form_of
from mgsd_bench.backends.shared import one_line
from mgsd_bench.backends.wire import png
from mgsd_bench.errors import Exit
from mgsd_bench.prompts.protocol import LoopSettings, without_result
from mgsd_envs import get_task

_TICK = 0.25
"""Seconds after which a wait looks up."""

_BETWEEN_LOOKS = 1.0
"""Seconds that a page which is open may take from one look to the next."""


class LateError(Exception):
    """The question has been answered, or is not the one that lies on the desk."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A question on the desk.

    Attributes:
        number: how many were laid down before it.
        board: what names the episode that it belongs to, under its condition.
        task: name of the task.
        form: how it is to be answered.
        shown: what a person is shown, as plain JSON values.
    """

    number: int
    board: str
    task: str
    form: Form
    shown: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered: the text that is stored, and the seconds that it took."""

    text: str
    seconds: float


class Desk:
    """Where questions lie. Both sides may be threads of their own."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._version = 0
        self._sheet: Sheet | None = None
        self._answer: Answer | None = None
        self._begun = ""
        self._shown_at: float | None = None
        self._done, self._total = 0, 0
        self._end: Mapping[str, Any] | None = None
        self._end_seen = False
        self._stopped = False
        self._looking = 0
        self._last_look = time.monotonic()

    def lay(self, sheet: Sheet | None) -> None:
        """Lay a question down, in place of the one before; None clears the desk."""
        with self._changed:
            self._sheet, self._answer, self._shown_at = sheet, None, None
            self._change()

    def wait(self, idle: float) -> Answer:
        """Wait for the answer to the question that was laid down.

        Args:
            idle: seconds without anybody at the desk after which not to wait any longer.

        Raises:
            StoppedError: the person wants to stop, or nobody is there.
        """
        with self._changed:
            while self._answer is None:
                if self._stopped:
                    raise StoppedError("stopped on the page", Exit.INTERRUPTED)
                if self._away() > idle:
                    raise StoppedError(f"nobody has had the page open for {idle:g} s", Exit.ENGINE)
                self._changed.wait(_TICK)
            return self._answer

    def progress(self, done: int, total: int) -> None:
        """So many of all questions are answered."""
        with self._changed:
            self._done, self._total = done, total
            self._change()

    def open(self) -> None:
        """From now on somebody may come."""
        with self._changed:
            self._last_look = time.monotonic()

    def close(self, end: Mapping[str, Any], patience: float = 5.0) -> None:
        """Everything is answered: show how it ended to whoever is there, for some seconds at most."""
        last = time.monotonic() + patience
        with self._changed:
            self._end = end
            self._change()
            while not self._end_seen and time.monotonic() < last and self._away() < _BETWEEN_LOOKS:
                self._changed.wait(_TICK)

    @contextmanager
    def somebody(self) -> Iterator[None]:
        """Somebody is at the desk for the time of the block."""
        with self._changed:
            self._looking += 1
        try:
            yield
        finally:
            with self._changed:
                self._looking -= 1
                self._last_look = time.monotonic()
                self._changed.notify_all()

    def look(self, after: int, patience: float) -> dict[str, Any]:
        """What there is to be seen, as plain JSON values; a question that is shown starts its clock.

        Args:
            after: the version that was seen last, below 0 for none; waits for another one.
            patience: seconds to wait at most.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._version != after or self._stopped, patience)
            found = {"version": self._version, "done": self._done, "total": self._total}
            if self._end is not None:
                return {**found, "end": self._end}
            if self._stopped:
                return {**found, "stopped": True}
            if self._sheet is None or self._answer is not None:
                return found
            found["number"] = self._sheet.number
            if self._sheet.board != self._begun:
                return found
            if self._shown_at is None:
                self._shown_at = time.monotonic()
            return {**found, "question": self._sheet.shown}

    def end_seen(self) -> None:
        """Somebody has seen how it ended."""
        with self._changed:
            self._end_seen = True
            self._changed.notify_all()

    def begin(self, number: int) -> None:
        """The person is ready for the board that a question belongs to.

        Raises:
            LateError: the question does not lie there.
        """
        with self._changed:
            self._begun = self._lying(number).board
            self._change()

    def answer(self, number: int, actions: list[str], stated: str) -> None:
        """Answer a question.

        Args:
            number: of the question.
            actions: names of actions.
            stated: lines of the state.

        Raises:
            LateError: it does not lie there, has been answered, or was never shown.
            ValueError: this is no answer to it; one line for the person.
        """
        with self._changed:
            sheet = self._lying(number)
            if self._shown_at is None:
                raise LateError
            text = answer_text(get_task(sheet.task), sheet.form, actions, stated)
            self._answer = Answer(text, time.monotonic() - self._shown_at)
            self._change()

    def stop(self) -> None:
        """Stop for now: the person wants to, or nobody reads answers any more."""
        with self._changed:
            self._stopped = True
            self._change()

    def _away(self) -> float:
        """Seconds since somebody was there."""
        return 0.0 if self._looking else time.monotonic() - self._last_look

    def _lying(self, number: int) -> Sheet:
        if self._sheet is None or self._sheet.number != number or self._answer is not None or self._end is not None:
            raise LateError
        return self._sheet

    def _change(self) -> None:
        self._version += 1
        self._changed.notify_all()


class HumanBackend(Backend):
    """Asks whoever sits at a desk.

    Args:
        name: what the person is called in the run.
        desk: the desk.
        loop: how the closed loop goes.
        idle: seconds without anybody there after which to stop.
        on_ready: told once that questions are about to come.
    """

    def __init__(self, name: str, desk: Desk, loop: LoopSettings, idle: float, on_ready: Callable[[], None]) -> None:
        self._name, self._desk, self._loop, self._idle, self._on_ready = name, desk, loop, idle, on_ready
        self._asked: Request | None = None
        self._refused: list[Response] = []
        self._number = 0

    def __enter__(self) -> Self:
        self._desk.open()
        self._on_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._desk.lay(None)

    @property
    def capacity(self) -> int:
        """People do one thing after another."""
        return 1

    def describe(self) -> dict[str, Any]:
        """That it is a person, by the name that was given."""
        return {"engine": HUMAN, "model": self._name}

    def submit(self, request: Request) -> None:
        """Lay a question on the desk; one whose picture cannot be drawn is answered by the reason."""
        try:
            self._desk.lay(_sheet(request, self._number, self._loop))
        except Exception as error:
            self._refused.append(Response(request.key, "", "error", error=one_line(error)))
            return
        self._asked = request
        self._number += 1

    def collect(self) -> list[Response]:
        """Wait for the person.

        Raises:
            StoppedError: the person wants to stop, or nobody is there.
        """
        refused, self._refused = self._refused, []
        if refused or self._asked is None:
            return refused
        answer = self._desk.wait(self._idle)
        request, self._asked = self._asked, None
        return [Response(request.key, answer.text, "stop", seconds=answer.seconds)]

    def abort(self) -> None:
        """Clear the desk."""
        self._asked, self._refused = None, []
        self._desk.lay(None)

    def progress(self, done: int, total: int) -> None:
        """Show how far the run is."""
        self._desk.progress(done, total)


def _sheet(request: Request, number: int, loop: LoopSettings) -> Sheet:
    """A request as it is laid down. Of its episode no more than the task's name is looked at."""
    task = get_task(request.episode.task)
    form = form_of(task, request.condition, loop)
    turns = [
        {"role": turn.role, "text": turn.text, "image": None if turn.image is None else _url(png(turn.image()))}
        for turn in request.turns
    ]
    told, result = without_result(request.turns[0].text)
    turns[0]["text"] = result
    shown = {"number": number, "told": told, "turns": turns, "form": asdict(form)}
    return Sheet(number, request.key.partition("#")[0], request.episode.task, form, shown)


def _url(file: bytes) -> str:
    return f"data:image/png;base64,{b64encode(file).decode()}"
