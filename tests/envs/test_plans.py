"""Every task's solver against a brute force that knows nothing but ``step``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mgsd_envs import Illegal, grid, rollout
from mgsd_envs.task import Task
from mgsd_envs.types import Cursor
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, every_task, office, states


def brute_force(task: Task[Any], state: Any) -> tuple[int, int] | None:
    """Length and number of the shortest plans, by layers of cursors."""
    ways = {task.start(state): 1}
    seen = set(ways)
    for length in range(1, 10_000):
        onward: Counter[Cursor] = Counter()
        for cursor, count in ways.items():
            for action in task.actions:
                after = task.step(state, cursor, action)
                if not isinstance(after, Illegal) and after not in seen:
                    onward[after] += count
        if not onward:
            return None
        ends = [count for cursor, count in onward.items() if task.solved(state, cursor)]
        if ends:
            return length, sum(ends)
        seen |= onward.keys()
        ways = onward
    raise AssertionError


class TestPlans:
    @every_task
    @given(data=st.data())
    def test_solve_gives_a_shortest_plan_and_counts_them_all(self, task: Task[Any], data: st.DataObject) -> None:
        state = data.draw(states(task))
        plan = task.solve(state)
        assert rollout(task, state, plan) == ("solved", len(plan), None)
        assert (len(plan), task.shortest(state)[1]) == brute_force(task, state)

    @pytest.mark.parametrize("task", [FROZENLAKE, MAZE, MINIBEHAVIOUR], ids=lambda task: task.name)
    @given(data=st.data())
    def test_no_plan_where_brute_force_finds_none(self, task: Task[Any], data: st.DataObject) -> None:
        # obstacles from another state cut off what could be reached; where agents start inside one, all bets are off
        obstacle = {"frozenlake": "hole", "maze": "open", "minibehaviour": "table"}[task.name]
        first, second = (data.draw(states(task, st.just(5))) for _ in range(2))
        facts = {fact for fact in task.facts(first) if fact[0] != obstacle}
        facts |= {fact for fact in task.facts(second) if fact[0] == obstacle}
        state = task.from_facts(facts)
        blocked = {fact[1:] for fact in facts if fact[0] == obstacle}
        assume(not any(fact[1:] in blocked for fact in facts if fact[0] in ("player", "goal", "agent", "printer")))
        expected = brute_force(task, state)
        found = task.shortest(state)
        assert (found and (len(found[0]), found[1])) == expected
        assert task.solve(state) == (found and found[0])

    @given(
        st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(list(grid.MOVES)))),
        st.integers(0, 3),
        st.integers(0, 3),
    )
    @settings(max_examples=200)
    def test_maze_that_a_model_believes_in(self, openings: set[tuple[int, int, str]], row: int, column: int) -> None:
        """Openings stated from one side, or leading off the grid."""
        assume((row, column) != (0, 0))
        facts = {("size", 4), ("player", 0, 0), ("goal", row, column)} | {("open", *opening) for opening in openings}
        state = MAZE.from_facts(facts)
        assert MAZE.facts(state) == facts
        found = MAZE.shortest(state)
        assert (found and (len(found[0]), found[1])) == brute_force(MAZE, state)

    @every_task
    @given(data=st.data())
    def test_bounds_on_the_shortest_length(self, task: Task[Any], data: st.DataObject) -> None:
        state = data.draw(states(task))
        shortest = len(task.solve(state))
        straight = task.straight(state)
        assert task.obstacle_free_length(state) <= shortest
        assert set(straight) <= set(task.actions)
        if rollout(task, state, straight).outcome == "solved":
            assert shortest <= len(straight)

    @pytest.mark.parametrize("level", [3, 8, 32])
    @given(data=st.data())
    @settings(max_examples=10)
    def test_straight_plan_is_vertical_first_and_shortest_on_an_empty_lake(
        self, level: int, data: st.DataObject
    ) -> None:
        state = data.draw(states(FROZENLAKE, st.just(level)))
        empty = FROZENLAKE.from_facts(fact for fact in FROZENLAKE.facts(state) if fact[0] != "hole")
        plan = FROZENLAKE.straight(state)
        assert rollout(FROZENLAKE, empty, plan) == ("solved", FROZENLAKE.obstacle_free_length(state), None)
        turns = [action in ("left", "right") for action in plan]
        assert turns == sorted(turns)

    def test_straight_plan_of_minibehaviour_goes_by_the_nearest_cells(self) -> None:
        state = office(5, (4, 4), (2, 0), {(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)})
        plan = ("up", "up", "left", "left", "left", "pick", "up", "drop")
        assert MINIBEHAVIOUR.straight(state) == plan
        assert MINIBEHAVIOUR.obstacle_free_length(state) == 8
        assert rollout(MINIBEHAVIOUR, state, plan) == ("solved", 8, None)
        walled = office(5, (4, 4), (2, 0), {(2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (3, 4)})
        assert rollout(MINIBEHAVIOUR, walled, MINIBEHAVIOUR.straight(walled)) == ("illegal", 0, "table")
