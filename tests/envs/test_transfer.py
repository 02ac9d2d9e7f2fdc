"""Plans of one world in another: exact shares against every shortest plan, tried one by one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from mgsd_envs import Illegal, Plan, Task, generate, get_task, rollout
from mgsd_envs.faults import misread
from mgsd_envs.transfer import transfer
from support.tasks import NAMES

LAKE = get_task("frozenlake")


def shortest_plans(task: Task[Any], state: Any) -> list[Plan]:
    """All of them, by search over ``step`` alone."""
    paths: list[tuple[Plan, Any]] = [((), task.start(state))]
    seen = {task.start(state)}
    while paths:
        onward = [
            ((*plan, action), cursor)
            for plan, at in paths
            for action in task.actions
            if not isinstance(cursor := task.step(state, at, action), Illegal) and cursor not in seen
        ]
        if solved := [plan for plan, cursor in onward if task.solved(state, cursor)]:
            return solved
        seen |= {cursor for _, cursor in onward}
        paths = onward
    return []


def pairs(task: Task[Any]) -> Iterator[tuple[Any, Any]]:
    """Worlds as a model may believe them, and the true ones."""
    rng = Random(5)
    for level in (task.levels[0], task.levels[0] + 1):
        for episode in generate(task, level, 25, split="test", stream="transfer"):
            for rate in (0.0, 0.1, 0.3):
                yield misread(task, episode.state, rng, rate), episode.state


@pytest.mark.parametrize("name", NAMES)
def test_share_is_that_of_all_shortest_plans_tried_one_by_one(name: str) -> None:
    task = get_task(name)
    between = 0
    for believed, true in pairs(task):
        plans = shortest_plans(task, believed)
        if not task.solve(believed):
            with pytest.raises(ValueError, match="no plan"):
                transfer(task, believed, true)
            continue
        share = sum(rollout(task, true, plan).outcome == "solved" for plan in plans) / len(plans)
        assert transfer(task, believed, true) == pytest.approx(share, abs=1e-12)
        between += 0 < share < 1
    assert between or name == "maze"  # a maze has one way


def test_a_plan_may_solve_the_true_world_on_its_way_or_lead_off_its_grid() -> None:
    def lake(size: int, goal: list[int], holes: list[list[int]] = []) -> Any:  # noqa: B006
        return LAKE.from_json({"size": size, "player": [0, 0], "goal": goal, "holes": holes})

    believed = lake(3, [0, 2])
    assert transfer(LAKE, believed, lake(3, [0, 1])) == 1
    assert transfer(LAKE, believed, lake(2, [0, 1])) == 1
    assert transfer(LAKE, believed, lake(2, [1, 1])) == 0
    assert transfer(LAKE, lake(2, [1, 1]), lake(2, [1, 1], [[0, 1]])) == 0.5
    assert transfer(LAKE, lake(3, [1, 2]), lake(3, [1, 2], [[1, 0]])) == pytest.approx(2 / 3)


def test_counts_are_exact_on_the_largest_grid() -> None:
    """Of C(62, 31) plans over open ice, half avoid a hole beside the player."""
    ends = {"size": 32, "player": [0, 0], "goal": [31, 31]}
    believed = LAKE.from_json({**ends, "holes": []})
    assert transfer(LAKE, believed, LAKE.from_json({**ends, "holes": [[0, 1]]})) == 0.5
