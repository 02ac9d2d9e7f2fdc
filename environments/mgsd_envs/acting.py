"""One action at a time: done, blocked or fatal, as an episode in which each action is answered for has it."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Literal, NamedTuple, TypeVar

from mgsd_envs.task import UNKNOWN_ACTION, Illegal, Task
from mgsd_envs.types import Cursor

S = TypeVar("S")

Effect = Literal["done", "blocked", "fatal"]
"""What came of an action: it was carried out, nothing happened, or the episode is lost."""


class Act(NamedTuple):
    """What came of one action.

    Attributes:
        effect: ``done``; ``blocked`` (a rule forbids it, and nothing happens); ``fatal`` (it breaks one of
            :attr:`mgsd_envs.Task.fatal`, which ends the episode).
        cursor: where things are now; where they were unless the action was done.
        rule: the rule that was broken, else None.
    """

    effect: Effect
    cursor: Cursor
    rule: Illegal | None


def act(task: Task[S], state: S, cursor: Cursor, action: str) -> Act:
    """Try one action; one that the task does not have is blocked by :data:`mgsd_envs.task.UNKNOWN_ACTION`.

    Whether the episode has ended in success is :meth:`mgsd_envs.Task.solved` of the new cursor.
    """
    result = task.step(state, cursor, action) if action in task.actions else UNKNOWN_ACTION
    if isinstance(result, Illegal):
        return Act("fatal" if result in task.fatal else "blocked", cursor, result)
    return Act("done", result, None)


def distance(task: Task[S], state: S, cursor: Cursor) -> float:
    """Fewest actions from a cursor to success, infinite where it is out of reach.

    Raises:
        mgsd_envs.errors.SearchError: the state is too large to know.
    """
    fewest = task.to_go(state, cursor)
    return inf if fewest is None else fewest


def nearer(task: Task[S], state: S, cursor: Cursor) -> Iterator[str]:
    """The actions that lead nearer to success, in the task's order; none where success is reached or out of reach.

    Raises:
        mgsd_envs.errors.SearchError: distances cannot be told in a state as large as this.
    """
    left = task.to_go(state, cursor)
    if left:
        for action in task.actions:
            tried = act(task, state, cursor, action)
            if tried.effect == "done" and task.to_go(state, tried.cursor) == left - 1:
                yield action
