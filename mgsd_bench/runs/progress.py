"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from mgsd_bench.runs.sample import Sample

_SECONDS_BETWEEN_LINES = 10.0


class RunProgress:
    """Shows how many samples are there, the share solved and the time left.

    Args:
        console: where to show it.
        total: samples of the whole run.
        done: samples that were there before.
        solved: how many of those are solved.
    """

    def __init__(self, console: Console, total: int, done: int, solved: int) -> None:
        self._console = console
        self._total, self._done, self._solved = total, done, solved
        self._before = done + 1
        self._first: float | None = None
        self._last_line = time.monotonic()
        self._bar: Progress | None = None
        self._row = TaskID(0)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("solved {task.fields[solved]:.1f} %"),
                TimeRemainingColumn(),
                console=console,
            )
            self._row = self._bar.add_task("answers", total=total, completed=done, solved=self._share())

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, sample: Sample) -> None:
        """Count one more sample."""
        self._first = self._first or time.monotonic()
        self._done += 1
        self._solved += sample.outcome == "solved"
        if self._bar:
            self._bar.update(self._row, completed=self._done, solved=self._share())
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._console.print(self._line(), highlight=False)

    def _share(self) -> float:
        return 100 * self._solved / max(1, self._done)

    def _line(self) -> str:
        line = f"{self._done}/{self._total} answers, solved {self._share():.1f} %"
        if self._first is None or self._done <= self._before:
            return line
        # since the first answer, not since the start: an engine may need a minute to warm up
        seconds_each = (time.monotonic() - self._first) / (self._done - self._before)
        return f"{line}, {seconds_each * (self._total - self._done):.0f} s left"
