"""What of a board is shown: all of it, what has come near so far, or what is near now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from mgsd_envs.types import Cell

S = TypeVar("S")

_PARTIAL = re.compile(r"(fog|window):([1-9])")


@dataclass(frozen=True, slots=True)
class View:
    """How much of a board is shown.

    Attributes:
        kind: ``full``, ``fog`` (cells that have been near so far) or ``window`` (cells that are near now).
        radius: how far near goes, in cells, diagonals included; 0 for ``full``.
    """

    kind: Literal["full", "fog", "window"]
    radius: int = 0

    @classmethod
    def parse(cls, text: str) -> View:
        """The view of a text such as ``full``, ``fog:2`` or ``window:1``.

        Raises:
            ValueError: it is none.
        """
        if text == "full":
            return FULL
        found = _PARTIAL.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r:.40} is no view; write full, fog:R or window:R with R from 1 to 9")
        return cls("fog" if found[1] == "fog" else "window", int(found[2]))

    def __str__(self) -> str:
        return self.kind if self.kind == "full" else f"{self.kind}:{self.radius}"


FULL = View("full")
"""The whole board."""


@runtime_checkable
class Explorable(Protocol, Generic[S]):
    """What a task may have besides, for partial views.

    Attributes:
        landmarks: names of the facts that are shown even under fog.
    """

    landmarks: frozenset[str]

    def optimistic(self, state: S, seen: frozenset[Cell]) -> S:
        """The state as who has seen only these cells may believe it: what is not seen is free."""
        ...
