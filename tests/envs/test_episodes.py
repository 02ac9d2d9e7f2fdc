"""Episodes: the same everywhere and for ever, distinct, in their split, and as hard as asked for."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest

from mgsd_envs import Mix, TooFewStatesError, generate, make_episode, rollout
from mgsd_envs.splits import SPLITS, Split, split_of
from mgsd_envs.task import Task
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, TASKS, every_task, near, sampled

listed_and_drawn = pytest.mark.parametrize(
    ("task", "level"),
    [(FROZENLAKE, 3), (FROZENLAKE, 6), (MAZE, 3), (MAZE, 6), (MINIBEHAVIOUR, 5), (MINIBEHAVIOUR, 8)],
    ids=lambda value: getattr(value, "name", value),
)
paper_levels = pytest.mark.parametrize(
    ("task", "level"),
    [(task, level) for task in TASKS for level in task.levels],
    ids=lambda value: getattr(value, "name", value),
)


def lines(task: Task[Any], level: int, count: int, **options: Any) -> list[str]:
    options = {"split": "test", "stream": "s"} | options
    return [episode.canonical() for episode in generate(task, level, count, **options)]


def keys(task: Task[Any], level: int, count: int, **options: Any) -> list[str]:
    options = {"split": "test", "stream": "s"} | options
    return [task.key(episode.state) for episode in generate(task, level, count, **options)]


class TestReproducible:
    @pytest.mark.parametrize(
        ("task", "level", "digest"),
        [
            (FROZENLAKE, 3, "29afa96e82f2075f"),
            (FROZENLAKE, 5, "0651d5683810e689"),
            (MAZE, 3, "5d1c9501d176f2c2"),
            (MAZE, 5, "c73fce5121a7a216"),
            (MINIBEHAVIOUR, 5, "3ff33f8f106c6d7e"),
            (MINIBEHAVIOUR, 7, "65fc1a2aaea1988e"),
        ],
        ids=lambda value: getattr(value, "name", value),
    )
    def test_golden(self, task: Task[Any], level: int, digest: str) -> None:
        """A new digest means that published suites change: never without a new suite version."""
        text = "\n".join(lines(task, level, 20, stream="golden"))
        assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest

    @listed_and_drawn
    def test_again(self, task: Task[Any], level: int) -> None:
        assert lines(task, level, 30) == lines(task, level, 30)

    @listed_and_drawn
    def test_a_prefix_is_the_beginning_of_the_whole(self, task: Task[Any], level: int) -> None:
        assert lines(task, level, 12) == lines(task, level, 40)[:12]
        endless = generate(task, level, 10**9, split="test", stream="s")
        assert [episode.canonical() for episode in islice(endless, 12)] == lines(task, level, 12)

    @listed_and_drawn
    def test_another_stream_gives_other_episodes(self, task: Task[Any], level: int) -> None:
        first, second = (keys(task, level, 60, stream=name, split="train") for name in ("suite-1", "suite-2"))
        # where a level has a few thousand states, some meet by chance
        assert len(set(first) & set(second)) <= (20 if task.states(level) else 1)
        assert first != second

    def test_canonical_lines_are_canonical_json(self) -> None:
        for task in TASKS:
            (line,) = lines(task, near(task, 5), 1)
            data = json.loads(line)
            assert line == json.dumps(data, sort_keys=True, separators=(",", ":"))
            assert set(data) == {"id", "level", "split", "state", "task", "theme"}
            assert data["id"] == f"{task.name}/{near(task, 5)}/0000"
            assert task.key(task.from_json(data["state"])) == keys(task, near(task, 5), 1)[0]


class TestSplits:
    @listed_and_drawn
    @pytest.mark.parametrize("split", SPLITS)
    def test_every_episode_is_distinct_and_in_its_split(self, task: Task[Any], level: int, split: Split) -> None:
        episodes = list(generate(task, level, 60, split=split, stream="s"))
        names = [task.key(episode.state) for episode in episodes]
        assert len(set(names)) == 60
        assert {split_of(name) for name in names} == {episode.split for episode in episodes} == {split}

    @pytest.mark.parametrize(("task", "level"), [(FROZENLAKE, 3), (MAZE, 3), (MINIBEHAVIOUR, 5)])
    def test_no_test_state_is_in_any_training_stream(self, task: Task[Any], level: int) -> None:
        test = set(keys(task, level, 150))
        train = set()
        for stream in "abc":
            train |= set(keys(task, level, 500, split="train", stream=stream))
        assert len(train) > 600
        assert not test & train

    def test_the_split_of_a_state_is_fixed_for_good(self) -> None:
        found = [split_of(f"frozenlake:3:1:8:{i:x}") for i in range(64)]
        assert [i for i, split in enumerate(found) if split == "test"] == [
            14,
            16,
            22,
            28,
            32,
            36,
            42,
            43,
            50,
            53,
            58,
            61,
        ]
        assert [i for i, split in enumerate(found) if split == "val"] == [4, 23, 44, 46, 57, 63]

    @pytest.mark.parametrize(("task", "level"), [(FROZENLAKE, 3), (MAZE, 3), (MINIBEHAVIOUR, 5)])
    def test_shares(self, task: Task[Any], level: int) -> None:
        shares = Counter(split_of(task.key(state)) for state in task.states(level))
        total = shares.total()
        assert shares["test"] / total == pytest.approx(0.2, abs=0.02)
        assert shares["val"] / total == pytest.approx(0.1, abs=0.015)


class TestDifficulty:
    @paper_levels
    def test_a_third_from_each_band_and_few_for_the_blind(self, task: Task[Any], level: int) -> None:
        episodes = list(generate(task, level, 100, split="test", stream="mgsd"))
        counts = [sum(episode.shortest in band for episode in episodes) for band in task.bands(level)]
        assert counts == [34, 33, 33]
        assert sum(episode.straight for episode in episodes) <= 100 / 3

    @listed_and_drawn
    def test_what_an_episode_says_of_itself(self, task: Task[Any], level: int) -> None:
        for episode in generate(task, level, 30, split="val", stream="s", theme="plain"):
            state = episode.state
            assert rollout(task, state, episode.plan) == ("solved", episode.shortest, None)
            assert episode.straight == (rollout(task, state, task.straight(state)).outcome == "solved")
            assert episode.detour == (episode.shortest > task.obstacle_free_length(state))
            assert episode.plans >= 1
            assert (episode.task, episode.level, episode.theme) == (task.name, level, "plain")
            assert state.size == level

    @listed_and_drawn
    def test_length(self, task: Task[Any], level: int) -> None:
        for length in (range(3, 4), range(4, 7)):
            episodes = generate(task, level, 15, split="test", stream="s", mix=Mix(length=length))
            assert {episode.shortest for episode in episodes} <= set(length)

    @pytest.mark.parametrize("level", [3, 7])
    @pytest.mark.parametrize("density", [0.1, 0.4])
    def test_density(self, level: int, density: float) -> None:
        mix = Mix(density=density, length=range(1, 5))
        episodes = list(generate(FROZENLAKE, level, 60, split="train", stream="s", mix=mix))
        share = np.mean([len(episode.state.holes) / level**2 for episode in episodes])
        assert share == pytest.approx(density, abs=0.1)

    @pytest.mark.parametrize("level", [3, 5])
    def test_no_holes_at_all_leaves_only_what_the_blind_can_solve(self, level: int) -> None:
        episodes = list(generate(FROZENLAKE, level, 6, split="train", stream="s", mix=Mix(density=0.0)))
        assert all(episode.straight and not episode.state.holes for episode in episodes)

    @every_task
    @pytest.mark.parametrize("level", [4, 8])
    def test_shortest_of_all(self, task: Task[Any], level: int) -> None:
        """Every plan of one move is straight: the cap on straight ones gives way."""
        length = range(1, 3)
        episodes = list(generate(task, near(task, level), 4, split="train", stream="s", mix=Mix(length=length)))
        assert {episode.shortest for episode in episodes} <= {1, 2}

    @pytest.mark.parametrize(("task", "level"), [(FROZENLAKE, 3), (FROZENLAKE, 5), (MINIBEHAVIOUR, 6)])
    def test_cap_on_straight(self, task: Task[Any], level: int) -> None:
        def share(cap: float) -> float:
            episodes = generate(task, level, 60, split="train", stream="s", mix=Mix(straight=cap))
            return sum(episode.straight for episode in episodes) / 60

        assert share(0) == 0
        assert 0 < share(0.2) <= 0.2
        assert share(1) > 0.33

    @every_task
    @pytest.mark.parametrize("level", [None, 16, 32], ids=lambda level: level or "lowest")
    def test_every_size_works(self, task: Task[Any], level: int | None) -> None:
        level = near(task, level or 0)
        episodes = list(generate(task, level, 3, split="train", stream="s"))
        assert len({task.key(episode.state) for episode in episodes}) == 3

    @every_task
    def test_episode_of_a_known_state(self, task: Task[Any]) -> None:
        state = sampled(task, task.min_level)
        episode = make_episode(task, task.min_level, "mine", state)
        assert (episode.id, episode.split) == ("mine", split_of(task.key(state)))
        assert episode.draw(64).rgb().shape == (64, 64, 3)

    def test_no_episode_without_a_plan(self) -> None:
        state = FROZENLAKE.from_json({"size": 2, "player": [0, 0], "goal": [1, 1], "holes": [[0, 1], [1, 0]]})
        with pytest.raises(ValueError, match="mine: no plan"):
            make_episode(FROZENLAKE, 2, "mine", state)


class TestScarcity:
    @pytest.mark.parametrize(
        ("task", "level", "length"),
        [(FROZENLAKE, 3, range(1, 9)), (MAZE, 3, range(1, 9)), (MINIBEHAVIOUR, 4, range(2, 20))],
    )
    def test_every_last_state_is_found_and_then_an_error_says_so(
        self, task: Task[Any], level: int, length: range
    ) -> None:
        have = sum(split_of(task.key(state)) == "val" for state in task.states(level))
        mix = Mix(length=length)
        assert len(set(keys(task, level, have, split="val", mix=mix))) == have
        with pytest.raises(TooFewStatesError) as caught:
            keys(task, level, have + 1, split="val", mix=mix)
        message = str(caught.value)
        assert message.startswith(f"{task.name} level {level}, val split: only {have} of {have + 1} distinct episodes")
        assert "ask for fewer" in message

    def test_a_kind_that_does_not_exist(self) -> None:
        for level in (3, 4):
            with pytest.raises(TooFewStatesError, match=r"shortest plan of 40 to 41 actions"):
                keys(FROZENLAKE, level, 1, mix=Mix(length=range(40, 42)))

    @listed_and_drawn
    def test_excluded_states_do_not_come(self, task: Task[Any], level: int) -> None:
        first = keys(task, level, 30)
        second = keys(task, level, 30, exclude=frozenset(first))
        assert not set(first) & set(second)
        assert len(set(second)) == 30
