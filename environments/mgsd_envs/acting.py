"""One action at a time: done, blocked or fatal, as an episode in which each action is answered for has it."""

from __future__ import annotations

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
