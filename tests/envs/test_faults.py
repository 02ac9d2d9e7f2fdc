"""False worlds and spoiled plans: as wrong as they are said to be, and functions of their randomness."""

from __future__ import annotations

from random import Random

import pytest

from mgsd_envs import Episode, generate, get_task, rollout
from mgsd_envs.faults import misread, random_state, spoil
from support.tasks import TASKS


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [
        episode
        for task in TASKS
        for level in task.levels
        for episode in generate(task, level, 6, split="test", stream="faults")
    ]


def test_misread_and_spoil_are_functions_of_their_randomness(episodes: list[Episode]) -> None:
    for episode in episodes:
        task = get_task(episode.task)
        assert misread(task, episode.state, Random(1), 0.0) == episode.state
        worlds = {misread(task, episode.state, Random(1), 0.5) for _ in range(3)}
        assert len(worlds) == 1
        spoiled = spoil(task, episode.state, episode.plan, Random(2))
        assert spoiled == spoil(task, episode.state, episode.plan, Random(2))
        assert rollout(task, episode.state, spoiled).outcome != "solved"


def test_at_rate_one_nothing_but_the_size_is_right(episodes: list[Episode]) -> None:
    for episode in episodes:
        task = get_task(episode.task)
        right = task.facts(episode.state) & task.facts(misread(task, episode.state, Random(1), 1.0))
        assert right == {("size", episode.level)}


def test_a_random_state_is_one_of_the_level_and_its_randomness(episodes: list[Episode]) -> None:
    for episode in episodes:
        task = get_task(episode.task)
        state = random_state(task, episode.level, Random(3))
        assert state == random_state(task, episode.level, Random(3))
        assert state != random_state(task, episode.level, Random(4))
        assert task.solve(state)
        assert ("size", episode.level) in task.facts(state)
