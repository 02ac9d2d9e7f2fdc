"""The gymnasium environments: gymnasium's own checks, and the same dynamics as the pure rollout."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsd_envs import Illegal, generate, get_task, orbit_key, rollout, task_names
from mgsd_envs.splits import SPLITS, Split, split_of
from mgsd_envs.symmetry import SYMMETRIES
from mgsd_envs.task import Task
from mgsd_envs.types import Fact
from support.tasks import NAMES, near

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

import mgsd_envs.gym  # noqa: E402

IDS = {type(get_task(name)).__name__: name for name in NAMES}
every_id = pytest.mark.parametrize("name", [f"MGSD/{name}-v0" for name in IDS])


def make(name: str, **options: Any) -> Any:
    return gymnasium.make(name, **options)


def task_of(name: str) -> Task[Any]:
    return get_task(IDS[name.split("/")[1].removesuffix("-v0")])


class TestRegistration:
    @every_id
    def test_spec(self, name: str) -> None:
        spec = gymnasium.spec(name)
        assert spec.max_episode_steps == 200
        again = type(spec).from_json(spec.to_json()).make()
        assert again.unwrapped.task is task_of(name)

    @pytest.mark.parametrize("task", task_names())
    @pytest.mark.parametrize("observation", ["image", "symbolic"])
    def test_every_installed_task_has_an_id(self, task: str, observation: str) -> None:
        ids = [name for name, spec in gymnasium.registry.items() if spec.kwargs.get("task") == task]
        env = make(ids[0], observation=observation)
        seen, _ = env.reset(seed=0)
        for action in get_task(task).solve(env.unwrapped.episode.state):
            assert seen in env.observation_space
            seen, reward, terminated, *_ = env.step(get_task(task).actions.index(action))
        assert seen in env.observation_space
        assert (reward, terminated) == (1.0, True)

    def test_registering_again_is_silent(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mgsd_envs.gym.register()

    def test_one_line_without_an_import(self) -> None:
        code = 'import gymnasium; gymnasium.make("mgsd_envs.gym:MGSD/Maze-v0", level=4).reset(seed=0)'
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)

    def test_the_tasks_need_no_gymnasium(self) -> None:
        code = "import sys, mgsd_envs; assert not {'gymnasium', 'minigrid', 'pygame'} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_the_environments_need_no_minigrid(self) -> None:
        code = "import sys, mgsd_envs.gym; assert not {'minigrid', 'pygame'} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)

    @every_id
    @pytest.mark.parametrize("observation", ["image", "symbolic"])
    @pytest.mark.parametrize("render_mode", ["rgb_array", "ansi"])
    def test_gymnasium_s_checks(self, name: str, observation: str, render_mode: str) -> None:
        env = make(name, observation=observation, size=64, render_mode=render_mode)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(env.unwrapped, skip_render_check=False)

    @every_id
    @pytest.mark.parametrize(
        "options",
        [
            {"level": 1},
            {"split": "all"},
            {"split_by": "mirror"},
            {"theme": "neon"},
            {"size": 8},
            {"observation": "text"},
            {"render_mode": "human"},
        ],
    )
    def test_bad_options(self, name: str, options: dict[str, Any]) -> None:
        task = task_of(name).name
        with pytest.raises(ValueError, match="|".join(str(value) for value in options.values())):
            mgsd_envs.gym.BoardEnv(task, **options)

    @every_id
    def test_vector(self, name: str) -> None:
        envs = gymnasium.make_vec(name, num_envs=3, observation="symbolic")
        first, _ = envs.reset(seed=5)
        assert first.shape[0] == 3
        for _ in range(20):
            observations, *_ = envs.step(envs.action_space.sample())
        assert observations in envs.observation_space
        envs.close()


class TestEpisodes:
    @every_id
    def test_seed_fixes_the_whole_stream(self, name: str) -> None:
        def stream(seed: int) -> list[Any]:
            env = make(name, level=6, observation="symbolic")
            return [env.reset(seed=seed if k == 0 else None)[1]["state"] for k in range(8)]

        first, again, other = stream(1), stream(1), stream(2)
        assert first == again
        assert len({json.dumps(state) for state in first + other}) >= 15  # two may meet by chance

    @every_id
    def test_other_randomness_is_not_touched(self, name: str) -> None:
        env = make(name, observation="symbolic")
        env.reset(seed=1)
        np.random.seed(0)
        before = np.random.get_state()[1].tolist()
        second = env.reset()[1]["state"]
        assert np.random.get_state()[1].tolist() == before
        env.reset(seed=1)
        np.random.seed(1)
        assert env.reset()[1]["state"] == second

    @every_id
    def test_states_are_of_the_split_of_orbits(self, name: str) -> None:
        task = task_of(name)
        env = make(name, split="test", split_by="orbit", observation="symbolic")
        env.reset(seed=0)
        for _ in range(20):
            state = task.from_json(env.reset()[1]["state"])
            assert split_of(orbit_key(task, state)) == "test"
        mirrored = task.transform(state, SYMMETRIES[3])  # type: ignore[attr-defined]
        assert env.reset(options={"state": mirrored})[1]["split"] == "test"

    @every_id
    @pytest.mark.parametrize("split", SPLITS)
    def test_states_are_of_the_split_and_of_all_lengths(self, name: str, split: Split) -> None:
        task = task_of(name)
        env = make(name, split=split, observation="symbolic")
        level = env.unwrapped.level
        assert level == min(task.levels)
        lengths, straight = [], 0
        env.reset(seed=0)
        for _ in range(150):
            _, info = env.reset()
            state = task.from_json(info["state"])
            assert split_of(task.key(state)) == info["split"] == split
            assert state.size == level
            assert info["shortest"] == len(task.solve(state))
            assert info["symbolic"] == task.describe(state)
            lengths.append(info["shortest"])
            straight += rollout(task, state, task.straight(state)).outcome == "solved"
        for band in task.bands(level):
            assert sum(length in band for length in lengths) > 25
        assert 0 < straight < 75

    @every_id
    def test_given_state(self, name: str) -> None:
        task = task_of(name)
        level = near(task, 5)
        state = next(generate(task, level, 1, split="test", stream="given")).state
        env = make(name, level=level, split="train", render_mode="ansi")
        for given_state in (state, task.to_json(state), json.loads(json.dumps(task.to_json(state)))):
            _, info = env.reset(options={"state": given_state})
            assert info["state"] == task.to_json(state)
            assert info["split"] == "test"
            assert env.render() == task.describe(state)

    @every_id
    def test_given_states_that_will_not_do(self, name: str) -> None:
        task = task_of(name)
        level = near(task, 4)
        env = make(name, level=level + 1)
        other = next(generate(task, level, 1, split="train", stream="given")).state
        with pytest.raises(ValueError, match=f"not of level {level + 1}"):
            env.reset(options={"state": other})
        with pytest.raises(ValueError):
            env.reset(options={"state": {"size": 5}})

    def test_given_state_without_a_plan(self) -> None:
        state = {"size": 3, "player": [0, 0], "goal": [2, 2], "holes": [[0, 1], [1, 0]]}
        with pytest.raises(ValueError, match="no plan"):
            make("MGSD/FrozenLake-v0").reset(options={"state": state})


class TestDynamics:
    @every_id
    @given(data=st.data())
    @settings(max_examples=60)
    def test_same_as_the_pure_rollout(self, name: str, data: st.DataObject) -> None:
        task = task_of(name)
        env = make(name, level=near(task, data.draw(st.integers(4, 6))), observation="symbolic").unwrapped
        _, info = env.reset(seed=data.draw(st.integers(0, 10**6)))
        state = task.from_json(info["state"])
        # a shortest plan with something else mixed in, so that all outcomes come up
        plan = list(task.solve(state))
        for _ in range(data.draw(st.integers(0, 3))):
            plan.insert(data.draw(st.integers(0, len(plan))), data.draw(st.sampled_from(task.actions)))
        expected = rollout(task, state, plan)
        total = steps = 0
        for action in plan:
            _, reward, terminated, truncated, info = env.step(task.actions.index(action))
            total += reward
            steps += 1
            assert not truncated
            assert ("illegal" in info) == (terminated and not reward)
            if terminated:
                break
        if expected.outcome == "illegal":
            assert (terminated, total, info["illegal"], steps) == (True, 0, expected.illegal, expected.steps + 1)
        else:
            assert (terminated, total, steps) == (
                (True, 1, expected.steps) if expected.outcome == "solved" else (False, 0, len(plan))
            )

    @every_id
    @pytest.mark.parametrize("theme", ["classic", "plain"])
    def test_what_is_seen_follows_the_cursor(self, name: str, theme: str) -> None:
        task = task_of(name)
        pictures = make(name, level=near(task, 5), theme=theme, size=100, render_mode="rgb_array")
        texts = make(name, level=near(task, 5), observation="symbolic", render_mode="ansi")
        image, info = pictures.reset(seed=3)
        board, _ = texts.reset(seed=3)
        state = task.from_json(info["state"])
        cursor = task.start(state)
        for action in (None, *task.solve(state)):
            if action is not None:
                cursor = task.step(state, cursor, action)
                image, *_, info = pictures.step(task.actions.index(action))
                board, *_ = texts.step(task.actions.index(action))
            now = task.state_at(state, cursor)
            assert np.array_equal(image, task.draw(now, theme, 100).rgb())
            assert np.array_equal(pictures.render(), image)
            assert texts.render() == task.describe(now) == info["symbolic"]
            assert facts_of(texts.unwrapped, board) == task.facts(now)

    @every_id
    def test_an_illegal_action_leaves_the_board(self, name: str) -> None:
        task = task_of(name)
        env = make(name, level=near(task, 5), render_mode="ansi")
        env.reset(seed=0)
        state, cursor = env.unwrapped.episode.state, task.start(env.unwrapped.episode.state)
        action = next(a for a in task.actions if isinstance(task.step(state, cursor, a), Illegal))
        before = env.render()
        _, reward, terminated, _, info = env.step(task.actions.index(action))
        assert (reward, terminated, info["illegal"]) == (0, True, task.step(state, cursor, action))
        assert env.render() == before

    @every_id
    def test_after_the_end(self, name: str) -> None:
        task = task_of(name)
        env = make(name).unwrapped
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(0)
        env.reset(seed=0)
        for action in task.solve(env.episode.state):
            env.step(task.actions.index(action))
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(0)
        env.reset()
        for action in (-1, len(task.actions), 0.5, "left"):
            with pytest.raises(gymnasium.error.InvalidAction):
                env.step(action)

    def test_time_limit(self) -> None:
        open_lake = {"size": 4, "player": [0, 0], "goal": [3, 3], "holes": []}
        env = make("MGSD/FrozenLake-v0", level=4, max_episode_steps=6)
        env.reset(options={"state": open_lake})
        ends = [env.step(action)[2:4] for action in (1, 3, 1, 3, 1, 3)]  # down and up
        assert ends == [(False, False)] * 5 + [(False, True)]

    @every_id
    def test_copies_go_their_own_way(self, name: str) -> None:
        env = make(name, level=near(task_of(name), 5), observation="symbolic")
        env.reset(seed=0)
        actions = [env.unwrapped.task.actions.index(action) for action in env.unwrapped.episode.plan]
        for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
            rewards = [twin.step(action)[1] for action in actions]
            assert rewards[-1] == 1
            assert twin.reset()[1]["state"] == copy.deepcopy(env).reset()[1]["state"]
        assert env.step(actions[0])[1] in (0, 1)

    @every_id
    def test_render_without_a_mode_warns(self, name: str) -> None:
        env = make(name)
        env.reset(seed=0)
        with pytest.warns(UserWarning, match="render mode"):
            assert env.unwrapped.render() is None


def facts_of(env: Any, board: Any) -> set[Fact]:
    """The facts that a symbolic observation holds."""
    facts: set[Fact] = {("size", env.level)}
    for row, column, plane in np.argwhere(board).tolist():
        name, *labels = env.planes[plane]
        facts.add((name, row, column, *labels))
    return facts
