"""One action of an episode in which blocked actions are forgiven and fatal ones end it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from mgsd_envs.task import UNKNOWN_ACTION, Illegal, Task
from mgsd_envs.types import Cursor

Effect = Literal["done", "blocked", "fatal"]


class Act(NamedTuple):
    """What came of an action.

    Attributes:
        effect: ``done``; ``blocked``, a no-op; or ``fatal``, which ends the episode.
        cursor: the cursor after it, unchanged unless done.
        rule: the rule that it would have broken; None where it is done.
    """

    effect: Effect
    cursor: Cursor
    rule: Illegal | None


def act(task: Task[Any], state: Any, cursor: Cursor, action: str) -> Act:
    """Carry out one action."""
    result = task.step(state, cursor, action) if action in task.actions else UNKNOWN_ACTION
    if isinstance(result, Illegal):
        return Act("fatal" if result in task.fatal else "blocked", cursor, result)
    return Act("done", result, None)
