"""The explorer: finds its way wherever there is one, breaks no rule, and is as good as can be where it sees all."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs.acting import act
from mgsd_envs.explorer import explorer_steps, next_step
from mgsd_envs.frozenlake import LakeState
from mgsd_envs.views import FULL, View
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, every_task, states

EXPLORABLE = (FROZENLAKE, MAZE, MINIBEHAVIOUR)
every_explorable = pytest.mark.parametrize("task", EXPLORABLE, ids=lambda task: task.name)
VIEWS = [View(kind, radius) for kind in ("fog", "window") for radius in (1, 2, 3)]  # type: ignore[arg-type]


def walk(task: Any, state: Any, view: View, memory: int | None = None, most: int = 10_000) -> list[Any]:
    """The explorer's trail, on which no rule is broken; it ends at success or after so many actions."""
    trail = [task.start(state)]
    while not task.solved(state, trail[-1]) and len(trail) <= most:
        action = next_step(task, state, trail, view, memory)
        assert action is not None
        tried = act(task, state, trail[-1], action)
        assert tried.effect == "done", (trail, tried)
        trail.append(tried.cursor)
    return trail


@every_explorable
@given(data=st.data())
def test_it_finds_its_way_and_breaks_no_rule(task: Any, data: st.DataObject) -> None:
    state, view = data.draw(states(task, st.integers(task.min_level, 10))), data.draw(st.sampled_from(VIEWS))
    trail = walk(task, state, view)
    assert task.solved(state, trail[-1])
    assert explorer_steps(task, state, view) == len(trail) - 1 >= len(task.solve(state))


@every_explorable
def test_on_all_states_of_the_smallest_levels(task: Any) -> None:
    for level in (task.min_level, task.min_level + 1):
        for state in islice(task.states(level), 0, None, 7):
            for view in (View("fog", 1), View("window", 1)):
                assert explorer_steps(task, state, view) >= len(task.solve(state))


def test_in_large_boards() -> None:
    rng = np.random.default_rng(6)
    for task in EXPLORABLE:
        state = next(state for state in iter(lambda task=task: task.sample(16, rng), 0) if state is not None)
        for view in (View("fog", 2), View("window", 2)):
            assert task.solved(state, walk(task, state, view)[-1])


@every_task
@given(data=st.data())
def test_who_sees_all_takes_a_shortest_plan(task: Any, data: st.DataObject) -> None:
    state = data.draw(states(task, st.integers(task.min_level, min(8, task.max_level))))
    assert explorer_steps(task, state, FULL) == len(task.solve(state)) == len(walk(task, state, FULL)) - 1


@every_explorable
@given(data=st.data())
def test_in_fog_nothing_has_to_be_remembered(task: Any, data: st.DataObject) -> None:
    state = data.draw(states(task, st.integers(task.min_level, 7)))
    assert walk(task, state, View("fog", 1), memory=1) == walk(task, state, View("fog", 1))


def test_who_forgets_goes_in_circles_where_who_remembers_does_not() -> None:
    rng = np.random.default_rng(2)
    lost = 0
    for _ in range(40):
        state = next(state for state in iter(lambda: MAZE.sample(6, rng), 0) if state is not None)
        steps = explorer_steps(MAZE, state, View("window", 1))
        ends = [walk(MAZE, state, View("window", 1), memory, 4 * steps + 8)[-1] for memory in (1, 10_000)]
        assert MAZE.solved(state, ends[1])
        lost += not MAZE.solved(state, ends[0])
    assert lost >= 10


def test_where_there_is_no_way() -> None:
    state = LakeState(4, (0, 0), (3, 3), frozenset({(0, 1), (1, 1), (1, 0)}))
    for view in (FULL, View("fog", 1), View("window", 1)):
        assert next_step(FROZENLAKE, state, [(0, 0)], view) is None
        with pytest.raises(ValueError, match="no plan solves frozenlake:4"):
            explorer_steps(FROZENLAKE, state, view)


def test_at_the_goal_there_is_nothing_to_do() -> None:
    state = LakeState(4, (0, 0), (0, 1), frozenset())
    assert next_step(FROZENLAKE, state, [(0, 0), (0, 1)], FULL) is None
