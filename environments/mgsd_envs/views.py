"""How much of a board is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from mgsd_envs.task import Task
from mgsd_envs.types import Cell, Cursor


@dataclass(frozen=True)
class View:
    """How much of a board is seen: all of it, what was ever near, or what is near now."""

    kind: Literal["full", "fog", "window"]
    radius: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """The view that ``full``, ``fog:2`` or ``window:1`` means."""
        kind, _, radius = text.partition(":")
        if kind == "full" and not radius:
            return cls("full")
        if kind in ("fog", "window") and radius.isdecimal():
            return cls(kind, int(radius))  # type: ignore[arg-type]
        raise ValueError(f"{text!r} is no view: full, fog:R or window:R")

    def __str__(self) -> str:
        return self.kind if self.kind == "full" else f"{self.kind}:{self.radius}"


FULL = View("full")


def seen(task: Task[Any], state: Any, trail: Sequence[Cursor], view: View) -> frozenset[Cell]:
    """The cells that are seen at the end of a trail of cursors."""
    level = task.level_of(state)
    if view.kind == "full":
        return frozenset((row, column) for row in range(level) for column in range(level))
    cells = set()
    for cursor in trail if view.kind == "fog" else trail[-1:]:
        row, column = task.place(state, cursor)
        reach = range(-view.radius, view.radius + 1)
        cells |= {(row + i, column + j) for i in reach for j in reach}
    return frozenset((row, column) for row, column in cells if 0 <= row < level and 0 <= column < level)
