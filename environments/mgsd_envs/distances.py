"""How far every situation of a state is from success, for tasks that know no faster way to say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mgsd_envs.errors import SearchError
from mgsd_envs.types import Cursor

if TYPE_CHECKING:
    from mgsd_envs.task import Task

Distances = Mapping[Cursor, int | None]
"""Fewest actions to success, by cursor; None where success is out of reach."""

MOST_CURSORS = 200_000
"""How many situations of one state are looked at; a second or two."""

MOST_KEPT = 1_000_000
"""How many situations are kept in all, those of the states that were asked about last."""


def distances(
    start: Cursor,
    after: Callable[[Cursor], Iterable[Cursor]],
    solved: Callable[[Cursor], bool],
    most: int = MOST_CURSORS,
) -> Distances:
    """The distance to success of every cursor that actions lead to from ``start``; actions end at success.

    Args:
        start: where to begin.
        after: the cursors that one action leads to.
        solved: whether a cursor is a success.
        most: how many cursors to look at.

    Raises:
        SearchError: there are more than ``most`` cursors.
    """
    before: dict[Cursor, list[Cursor]] = {start: []}
    waiting, front = [start], []
    for cursor in waiting:  # it grows
        if solved(cursor):
            front.append(cursor)
            continue
        for target in after(cursor):
            if target not in before:
                if len(before) == most:
                    raise SearchError(f"there are more than {most:,} situations; the state is too large to be searched")
                before[target] = []
                waiting.append(target)
            before[target].append(cursor)
    found: dict[Cursor, int | None] = dict.fromkeys(before)
    distance = 0
    while front:
        onward = []
        for cursor in front:
            if found[cursor] is None:
                found[cursor] = distance
                onward += before[cursor]
        front, distance = onward, distance + 1
    return found


class _Kept:
    """Distances of the states that were asked about last, as many as there is space for."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._tables: dict[tuple[Task[Any], Any, Cursor], Distances] = {}

    def get(self, task: Task[Any], state: Any, start: Cursor, after: Callable[[Cursor], Iterable[Cursor]]) -> Distances:
        """:func:`distances` of a state, made if they are not kept."""
        key = task, state, start
        found = self._tables.pop(key, None)
        if found is None:
            found = distances(start, after, lambda cursor: task.solved(state, cursor))
            self._size += len(found)
            while self._tables and self._size > self._most:
                self._size -= len(self._tables.pop(next(iter(self._tables))))
        self._tables[key] = found  # the last one now
        return found


kept_distances = _Kept(MOST_KEPT).get
"""The distances of (task, state, start, cursors after one action), kept for the next question about the state."""
