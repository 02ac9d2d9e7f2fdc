"""The paper's tasks, states of them for property tests, and a small office.

What every installed task has to keep is in :mod:`mgsd_envs.testing`; tests of these three know their worlds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from mgsd_envs import get_task
from mgsd_envs.task import Task
from mgsd_envs.types import Cell

NAMES = ("frozenlake", "maze", "minibehaviour")
TASKS: tuple[Task[Any], ...] = tuple(map(get_task, NAMES))
FROZENLAKE, MAZE, MINIBEHAVIOUR = TASKS

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


@st.composite
def states(draw: st.DrawFn, task: Task[Any], levels: st.SearchStrategy[int] | None = None) -> Any:
    if levels is None:
        small = st.integers(task.min_level, 9)
        levels = st.one_of(small, small, small, small, st.sampled_from([12, 16, 32]))
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
