"""How much of a board is seen by one who acts in it step by step, and what that leaves of the state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar, cast, get_args, runtime_checkable

from mgsd_envs import grid
from mgsd_envs.grid import MAX_LEVEL
from mgsd_envs.task import Task
from mgsd_envs.types import Cell, Cursor

S = TypeVar("S")

Kind = Literal["full", "fog", "window"]


@dataclass(frozen=True, slots=True)
class View:
    """How much of the board is shown, written ``full``, ``fog:2`` or ``window:1``.

    Attributes:
        kind: ``full``, the whole board; ``fog``, the whole board with fog over every cell that was never within the
            radius; ``window``, the cells within the radius now and nothing else.
        radius: how far is seen, in cells, diagonals counting as one; 0 for the whole board.
    """

    kind: Kind
    radius: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"{self.kind!r:.40} is no view; write full, fog:2 or window:2")
        if self.kind == "full" and self.radius:
            raise ValueError(f"the view full has no radius, so not {self.radius!r:.20}")
        if self.kind != "full" and (type(self.radius) is not int or not 1 <= self.radius <= MAX_LEVEL):
            raise ValueError(f"a view's radius is 1 to {MAX_LEVEL} cells, not {self.radius!r:.20}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The view that is written so.

        Raises:
            ValueError: there is none.
        """
        kind, colon, radius = text.partition(":")
        if kind not in get_args(Kind) or bool(colon) != (kind != "full"):
            raise ValueError(f"{text!r:.40} is no view; write full, fog:2 or window:2")
        if colon and not (radius.isascii() and radius.isdigit() and len(radius) < 5):
            raise ValueError(f"a view's radius is 1 to {MAX_LEVEL} cells, not {radius!r:.20}")
        return cls(kind, int(radius or 0))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.kind if self.kind == "full" else f"{self.kind}:{self.radius}"

    @property
    def partial(self) -> bool:
        """Whether anything may be hidden."""
        return self.kind != "full"


FULL = View("full")
"""The whole board."""


@runtime_checkable
class Explorable(Protocol[S]):
    """What a :class:`mgsd_envs.Task` may have besides: what is left of a state where only some of its cells were seen.

    Only for tasks in which whoever sees the cells around is never forced into something that nothing makes good. Its
    :meth:`mgsd_envs.Task.atlas` has to take any level from 3: a window is drawn as a board of its own.

    Attributes:
        landmarks: names of facts that are shown even through fog: where to go.
    """

    landmarks: ClassVar[tuple[str, ...]]

    def optimistic(self, state: S, cursor: Cursor, seen: frozenset[Cell], known: Collection[str]) -> S:
        """The most favourable state that one may believe in who has seen only some cells: the rest is free.

        What is looked for and was not seen lies in the nearest cell that was not seen. Facts about seen cells are true,
        and nothing depends on what else is true of the others. It is acted in from ``cursor``, with which it agrees.

        Args:
            state: the state as it was before the first action.
            cursor: where things are now; the place of who acts is among the seen cells.
            seen: the cells that were seen.
            known: names of facts that are known wherever they are.
        """
        ...


def check_view(task: Task[Any], view: View, perturbation: str | None = None) -> None:
    """Refuse a view that a task is not asked in.

    Args:
        task: the task.
        view: the view.
        perturbation: what is done to the pictures, if anything.

    Raises:
        ValueError: the view is a partial one and the task is not :class:`Explorable`, or the view is a window and the
            pictures number rows and columns.
    """
    if view.partial and not _explorable(task):
        raise ValueError(
            f"{task.name} has no view {view}: one who does not see the whole board could be forced into a mistake "
            "there; use the view full"
        )
    if view.kind == "window" and perturbation == "labels":
        raise ValueError(f"labels number the board's rows and columns, which the view {view} does not show")


def seen(task: Task[S], state: S, trail: Sequence[Cursor], view: View) -> frozenset[Cell]:
    """The cells that are shown after a trail.

    Args:
        task: the task.
        state: the state before the first action.
        trail: the cursors so far, the present one last.
        view: the view.
    """
    size = task.level_of(state)
    if not view.partial:
        return _cells(size, (1 << size * size) - 1)
    shown = 0
    for cursor in trail if view.kind == "fog" else trail[-1:]:
        shown |= _around(size, task.place(state, cursor), view.radius)
    return _cells(size, shown)


def believed(task: Task[S], state: S, trail: Sequence[Cursor], view: View, memory: int = 1) -> S:
    """The state as one may believe it to be who was shown a trail: the state itself where nothing is hidden.

    Args:
        task: the task.
        state: the state before the first action.
        trail: the cursors so far, the present one last.
        view: the view.
        memory: of how many of the last pictures everything is remembered, the present one included.

    Raises:
        ValueError: the task has no such view.
    """
    if not view.partial:
        return state
    check_view(task, view)
    cells = seen(task, state, trail, view)
    if view.kind == "window" and memory > 1:
        cells |= seen(task, state, trail[-memory:], View("fog", view.radius))
    world: S = cast(Explorable[S], task).optimistic(state, trail[-1], cells, known(task, view))
    return world


def known(task: Task[Any], view: View) -> tuple[str, ...]:
    """Names of the facts that a view shows wherever they are: a task's landmarks, in fog."""
    return cast(Explorable[Any], task).landmarks if view.kind == "fog" and _explorable(task) else ()


@lru_cache(maxsize=256)
def _explorable(task: Task[Any]) -> bool:
    return isinstance(task, Explorable)


@lru_cache(maxsize=16_384)
def _around(size: int, place: Cell, radius: int) -> int:
    """The cells of a board within a radius, as a set of bits."""
    rows = range(max(0, place[0] - radius), min(size, place[0] + radius + 1))
    columns = range(max(0, place[1] - radius), min(size, place[1] + radius + 1))
    return grid.bit_set(size, ((row, column) for row in rows for column in columns))


@lru_cache(maxsize=8192)
def _cells(size: int, cells: int) -> frozenset[Cell]:
    return frozenset(grid.cells_of(size, cells))
