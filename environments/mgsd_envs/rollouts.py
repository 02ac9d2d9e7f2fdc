"""What becomes of a plan in the simulator, and a plan of one who does not look."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, Literal, NamedTuple, TypeVar

from mgsd_envs.errors import SearchError
from mgsd_envs.task import UNKNOWN_ACTION, Illegal, Irreversible, Task
from mgsd_envs.types import Cursor, Plan

S = TypeVar("S")


class Rollout(NamedTuple):
    """What came of a plan in the simulator.

    A rollout starts at the state's own start and ends at success, at the first illegal action or with the plan.

    Attributes:
        outcome: ``solved`` (success, in one action or more), ``wrong`` (every action legal, ends short of success) or
            ``illegal``.
        steps: legal actions carried out, those behind success left out; for ``illegal`` also the 0-based index of the
            offending action.
        illegal: the rule that was broken, else None.
    """

    outcome: Literal["solved", "wrong", "illegal"]
    steps: int
    illegal: Illegal | None


def rollout(task: Task[S], state: S, plan: Iterable[str]) -> Rollout:
    """Carry out a plan. It ends at success (later actions are ignored) or at the first illegal action."""
    cursors, illegal = trace(task, state, plan)
    steps = len(cursors) - 1
    if illegal is not None:
        return Rollout("illegal", steps, illegal)
    return Rollout("solved" if steps and task.solved(state, cursors[-1]) else "wrong", steps, None)


def trace(task: Task[S], state: S, plan: Iterable[str]) -> tuple[list[Cursor], Illegal | None]:
    """Where a plan leads: the cursor before the first action and after every legal one, and the rule broken at last.

    It ends as in :func:`rollout`.
    """
    cursors = [task.start(state)]
    for action in plan:
        result = task.step(state, cursors[-1], action) if action in task.actions else UNKNOWN_ACTION
        if isinstance(result, Illegal):
            return cursors, result
        cursors.append(result)
        if task.solved(state, result):
            break
    return cursors, None


def dead_end(task: Task[Any], state: Any, plan: Iterable[str]) -> int | None:
    """The first error of a plan that nothing makes good: the number of its action, counted from 1.

    It is the first legal action after which success is out of reach. None where the plan ends before there is one, for
    a task without dead ends (:class:`Irreversible`), and where the state is too large to tell.
    """
    if not isinstance(task, Irreversible):
        return None
    cursors, _ = trace(task, state, plan)
    try:
        if not task.hopeless(state, cursors[-1]):
            return None
        hopeful, lost = 0, len(cursors) - 1  # what is lost stays lost
        while lost - hopeful > 1:
            middle = (hopeful + lost) // 2
            if task.hopeless(state, cursors[middle]):
                lost = middle
            else:
                hopeful = middle
        return lost or None
    except SearchError:
        return None


def random_plan(task: Task[Any], level: int, rng: Random) -> Plan:
    """A plan of one who does not look: between one and three times the grid size of actions, each drawn evenly."""
    return tuple(rng.choices(task.actions, k=rng.randint(1, 3 * level)))
