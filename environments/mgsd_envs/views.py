"""Views: how much of a board is shown to one who acts in it step by step, as a picture and as text.

What is shown is made from :meth:`Explorable.optimistic` alone, a state that knows no more than what was seen: nothing
that is hidden can show in a picture or a text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol, Self, TypeVar, get_args, runtime_checkable

from mgsd_envs.grid import MAX_LEVEL
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

    landmarks: tuple[str, ...]

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
