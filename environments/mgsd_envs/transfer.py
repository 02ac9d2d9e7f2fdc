"""How far plans of one world carry in another: what a perfect planner makes of a world that was misread."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from mgsd_envs.task import Illegal, Task
from mgsd_envs.types import Cursor

_Fate = Cursor | bool
"""Where a plan has led in the true world so far: a cursor, or whether it has ended there in success."""


def transfer(task: Task[Any], believed: Any, true: Any) -> float:
    """The share of a world's shortest plans that solve another world, each plan weighing the same.

    Exact: plans are not listed but counted, action by action along the shortest plans of the believed world, by the
    node reached there and the cursor in the true world. A plan ends in the true world as in
    :func:`mgsd_envs.rollouts.rollout`.

    Args:
        task: the task that both states are of.
        believed: the world that is planned in.
        true: the world that is acted in; it may have another size.

    Raises:
        ValueError: the believed world has no plan of one action or more.
    """
    plans = task.shortest_plans(believed)
    if plans is None or not plans.layers:
        raise ValueError(f"{believed} has no plan of one action or more")
    ways: dict[tuple[Hashable, _Fate], int] = {(plans.start, task.start(true)): 1}
    for layer in plans.layers:
        onward: dict[tuple[Hashable, _Fate], int] = {}
        for (node, fate), count in ways.items():
            for action, target in layer[node]:
                reached = target, fate if isinstance(fate, bool) else _after(task, true, fate, action)
                onward[reached] = onward.get(reached, 0) + count
        ways = onward
    return sum(count for (_, fate), count in ways.items() if fate is True) / sum(ways.values())


def _after(task: Task[Any], true: Any, cursor: Cursor, action: str) -> _Fate:
    result = task.step(true, cursor, action)
    if isinstance(result, Illegal):
        return False
    return True if task.solved(true, result) else result
