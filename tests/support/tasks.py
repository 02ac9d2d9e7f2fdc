"""The paper's tasks and Sokoban, states of them for property tests, and a small office.

What every installed task has to keep is in :mod:`mgsd_envs.testing`; tests of these four know their worlds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from mgsd_envs import get_task, task_names
from mgsd_envs.task import Task
from mgsd_envs.types import Cell

NAMES = ("frozenlake", "maze", "minibehaviour", "sokoban")
TASKS: tuple[Task[Any], ...] = tuple(map(get_task, NAMES))
FROZENLAKE, MAZE, MINIBEHAVIOUR, SOKOBAN = TASKS

MINIGRID = tuple(name for name in task_names() if name.startswith("minigrid-"))
"""Families of one class, whose rooms take milliseconds to draw; tests/envs/test_minigrid_tasks.py is about them."""

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
every_listed_task = pytest.mark.parametrize(
    "task", [task for task in TASKS if task.states(task.min_level) is not None], ids=lambda task: task.name
)
"""The tasks whose smallest level can be listed."""


def near(task: Task[Any], level: int) -> int:
    """The level, or the nearest that the task has."""
    return max(task.min_level, min(task.max_level, level))


def sampled(task: Task[Any], level: int) -> Any:
    """A state of this level, or of the nearest that the task has; always the same."""
    rng = np.random.default_rng(0)
    return next(state for state in iter(lambda: task.sample(near(task, level), rng), 0) if state is not None)


@st.composite
def states(draw: st.DrawFn, task: Task[Any], levels: st.SearchStrategy[int] | None = None) -> Any:
    if levels is None:
        small = st.integers(task.min_level, near(task, 9))
        large = [level for level in (12, 16, 32) if level <= task.max_level]
        levels = st.one_of(small, small, small, small, st.sampled_from(large)) if large else small
    level = draw(levels)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = (task.sample(level, rng) for _ in range(100))
    return next(state for state in found if state is not None)


def office(size: int, agent: Cell, printer: Cell, table: set[Cell]) -> Any:
    data = {"size": size, "agent": list(agent), "printer": list(printer), "table": [list(cell) for cell in table]}
    return MINIBEHAVIOUR.from_json(data)


class Lopsided:
    """FrozenLake as a task that says nothing of symmetries, as one of somebody else's may be."""

    def __getattr__(self, name: str) -> Any:
        if name in ("transform", "orbit_key"):
            raise AttributeError(name)
        return getattr(FROZENLAKE, name)
