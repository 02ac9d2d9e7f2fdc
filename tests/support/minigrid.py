"""Random walks in MiniGrid's environments and in our worlds, action by action."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

from mgsd_envs import Illegal
from mgsd_envs.minigrid_rooms import draw_room, read_room
from mgsd_envs.minigrid_task import MiniGridTask
from mgsd_envs.minigrid_world import ACTIONS

FAILURES = {"lava", "wrong_object", "wrong_place", "wrong_door"}
"""Rules that end an episode of MiniGrid's without a reward; what else is illegal changes nothing there."""

_LONGEST = 80
_WEIGHTS = (2, 2, 5, 3, 2, 3)


def rooms(task: MiniGridTask, rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
    """MiniGrid's environments at the start of an episode, each with our state of it."""
    known: dict[tuple[int, int], Any] = {}
    while True:
        level = int(rng.choice(list(task.levels)))
        variant = int(rng.integers(task.variants(level)))
        if (level, variant) not in known:
            known[level, variant] = task.room(level, variant)
        env = known[level, variant]
        state = draw_room(env, int(rng.integers(2**31)), level, scatter=task.scatter)
        if state is not None and not task.solved(state, task.start(state)):
            yield env, state


def walk(task: MiniGridTask, steps: int, seed: int = 0) -> Counter[str]:
    """Compare both over at least so many actions; two walks in five go along a shortest plan for a while.

    Returns:
        How often each rule was broken, and how many actions were carried out (``ok``) or led to success (``solved``).

    Raises:
        AssertionError: something is not the same.
    """
    seen: Counter[str] = Counter()
    chance = Random(seed)
    for env, state in rooms(task, np.random.default_rng(seed)):
        plan = list(task.solve(state) or ()) if chance.random() < 0.4 else []
        cursor = task.start(state)
        for at in range(_LONGEST):
            if at < len(plan) and chance.random() < 0.97:
                action = plan[at]
            else:
                plan = []
                action = chance.choices(ACTIONS, _WEIGHTS)[0]
            before = read_room(env, state.size)
            _, reward, terminated, _, _ = env.step(ACTIONS.index(action))
            after = read_room(env, state.size)
            result = task.step(state, cursor, action)
            if isinstance(result, Illegal):
                seen[str(result)] += 1
                assert reward == 0, (state, action)
                assert terminated if result in FAILURES else after == before, (state, action, result)
                if terminated:
                    break
                continue
            cursor = result
            assert task.state_at(state, cursor) == after, (state, action)
            solved = task.solved(state, cursor)
            assert solved == terminated == (reward > 0), (state, action)
            seen["solved" if solved else "ok"] += 1
            if solved:
                break
        if sum(seen.values()) >= steps:
            return seen
    raise AssertionError
