"""One who acts on the most favourable world that fits what was seen, and thinks again after every step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from mgsd_envs.acting import act, nearer
from mgsd_envs.exploring import View, believed
from mgsd_envs.task import Task
from mgsd_envs.types import Cursor

S = TypeVar("S")


def next_step(task: Task[S], state: S, trail: Sequence[Cursor], view: View, memory: int | None = None) -> str | None:
    """The first action of a shortest way in the world that the explorer believes in; None where it knows none.

    What is not seen is free for it, and what it looks for and has not seen lies in the nearest cell that it has not
    seen (:meth:`mgsd_envs.exploring.Explorable.optimistic`). In the view ``full`` that is a shortest plan.

    Args:
        task: the task.
        state: the state before the first action.
        trail: the cursors so far, the present one last.
        view: what is shown; fog shows what was ever seen, so that nothing of it has to be remembered.
        memory: how many of the last pictures it remembers, the present one included; None for all.

    Raises:
        ValueError: the task has no such view.
        mgsd_envs.errors.SearchError: the state is too large to be searched.
    """
    world = believed(task, state, trail, view, len(trail) if memory is None else memory)
    action = next(nearer(task, world, trail[-1]), None)
    if action is None and (left := task.to_go(world, trail[-1])):
        raise AssertionError(f"{task.name}: no action leads on from {trail[-1]}, which is {left} from success")
    return action


@lru_cache(maxsize=65_536)
def explorer_steps(task: Task[S], state: S, view: View) -> int:
    """How many actions the explorer takes that forgets nothing; in the view ``full`` those of a shortest plan.

    Raises:
        ValueError: the task has no such view, or the state has no plan.
        mgsd_envs.errors.SearchError: the state is too large to be searched.
    """
    trail = [task.start(state)]
    while not task.solved(state, trail[-1]):
        action = next_step(task, state, trail, view)
        if action is None:
            raise ValueError(f"no plan solves {task.key(state)}")
        trail.append(act(task, state, trail[-1], action).cursor)
    return len(trail) - 1
