"""Boxoban's files of Sokoban levels, as their authors write them.

``; <number>`` and then the rows of the level: ``#`` wall, ``@`` player, ``+`` player on a goal, ``$`` box, ``*`` box on
a goal, ``.`` goal, a space for floor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from mgsd_envs.registry import get_task

NAME = re.compile(r"\d+\.txt")
"""What the files are called."""

_HEADING = re.compile(r";\s*(\d{1,9})\s*")
_MARKS = {
    "#": ("wall",),
    " ": (),
    "@": ("player",),
    "+": ("player", "goal"),
    "$": ("box",),
    "*": ("box", "goal"),
    ".": ("goal",),
}


def read_levels(text: str) -> Iterator[tuple[str, list[str]]]:
    """Number and rows of every level; empty lines are passed over, and so is what stands before the first heading."""
    number: str | None = None
    rows: list[str] = []
    for line in text.splitlines():
        if heading := _HEADING.fullmatch(line):
            if number is not None:
                yield number, rows
            number, rows = heading[1], []
        elif line.strip():
            rows.append(line)
    if number is not None:
        yield number, rows


def room_state(rows: Sequence[str]) -> Any:
    """A Sokoban state from the rows of a level.

    Raises:
        ValueError: the rows are not square, have another mark, an open rim, or not one player and as many boxes as
            goals, or the level is solved or too large.
    """
    n = len(rows)
    if any(len(row) != n for row in rows):
        raise ValueError(f"the level is not square: {n} rows of {sorted({len(row) for row in rows})} cells")
    if unknown := set("".join(rows)) - set(_MARKS):
        raise ValueError(f"unknown marks {', '.join(sorted(map(repr, unknown)))}; a level has {' '.join(_MARKS)}")
    facts: dict[str, list[list[int]]] = {"size": [[n]]}
    for r, row in enumerate(rows):
        for c, mark in enumerate(row):
            if mark != "#" and (r in (0, n - 1) or c in (0, n - 1)):
                raise ValueError(f"the cell ({r},{c}) of the rim is no wall")
            for name in _MARKS[mark]:
                facts.setdefault(name, []).append([r, c])
    return get_task("sokoban").from_json(facts)
