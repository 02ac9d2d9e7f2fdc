"""Closed loop as gymnasium environments: gymnasium's own checks, and the same episodes as an evaluation."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from mgsd_bench.backends import BackendConfig, open_backend
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import step_limits
from mgsd_bench.runs.stored import read_samples
from mgsd_bench.runs.turns import read_turns
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes, subsample
from mgsd_envs import generate, get_task, task_names
from mgsd_envs.exploring import Explorable
from mgsd_envs.views import View

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from mgsd_bench.integrations.gym import MOST_CHARACTERS, TextEnv  # noqa: E402

LAKE = "MGSD/FrozenLakeText-v0"
BESIDE_A_HOLE = {"size": 3, "player": [0, 0], "goal": [2, 2], "holes": [[0, 1]]}
SHAPING = 0.5
EXPLORABLE = [name for name in task_names() if isinstance(get_task(name), Explorable)]


def id_of(task: str) -> str:
    """The id of a task's environment."""
    return next(
        name
        for name, spec in gymnasium.registry.items()
        if spec.kwargs.get("task") == task and name.endswith("Text-v0")
    )


def in_tags(*actions: str) -> str:
    return f"<answer>{','.join(actions)}</answer>"


@pytest.mark.parametrize("task", task_names())
def test_every_task_passes_gymnasium_s_checks(task: str) -> None:
    env = gymnasium.make(id_of(task), size=64, render_mode="rgb_array")
    assert type(env.spec).from_json(env.spec.to_json()).make().unwrapped.task is get_task(task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@pytest.mark.parametrize("task", EXPLORABLE)
@pytest.mark.parametrize("view", ["fog:1", "window:2"])
def test_partial_views_pass_gymnasium_s_checks(task: str, view: str) -> None:
    env = gymnasium.make(id_of(task), size=100, view=view, chunk="plan", history="all", say_state=True, shaping=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_one_line_without_an_import() -> None:
    code = 'import gymnasium; gymnasium.make("mgsd_bench.integrations.gym:MGSD/MazeText-v0", level=4).reset(seed=0)'
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize(
    ("model", "loop"),
    [
        ("oracle", LoopSettings()),
        ("random", LoopSettings(history=0)),
        ("noisy-step:0.4", LoopSettings(chunk=3, remember="all")),
        ("faulty:0.1,0.3,0.6", LoopSettings(chunk=None, say_state=True, feedback=False, history=None)),
        ("explorer", LoopSettings(view=View("fog", 1))),
        ("forgetful:1", LoopSettings(view=View("window", 1), history=2)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rollout_is_that_of_an_evaluation(model: str, loop: LoopSettings, tmp_path: Path) -> None:
    suite = find_suite("smoke")
    folder = tmp_path / "run"
    evaluate(
        Evaluation(suite, 1, ["act"], 1, "compact", "scripted", BackendConfig(model), folder, loop=loop),
        Console(quiet=True),
    )
    asked = {sample.episode: sample for sample in read_samples(folder)}
    turns = read_turns(folder)
    limits = step_limits(episodes(suite), loop.view)
    with open_backend("scripted", BackendConfig(model)) as backend:
        for episode in subsample(episodes(suite), 1):
            env = gymnasium.make(
                id_of(episode.task),
                level=episode.level,
                view=str(loop.view),
                history="all" if loop.history is None else loop.history,
                feedback=loop.feedback,
                remember=loop.remember,
                chunk="plan" if loop.chunk is None else loop.chunk,
                say_state=loop.say_state,
                prompts="compact",
                steps=limits[episode.task, episode.level],
                shaping=SHAPING,
            )
            shown, info = env.reset(options={"episode": episode})
            total, over = 0.0, False
            while not over:
                request = env.unwrapped.request
                assert np.array_equal(shown, request.turns[-1].image())
                assert info["prompt"] == request.turns[-1].text
                assert [turn["content"][0]["text"] for turn in info["chat"]] == [turn.text for turn in request.turns]
                backend.submit(request)
                (response,) = backend.collect()
                shown, reward, terminated, truncated, info = env.step(response.text)
                assert shown in env.observation_space
                assert -SHAPING <= reward <= 1 + SHAPING
                total, over = total + reward, terminated or truncated
            sample = asked[episode.id]
            assert env.unwrapped.sample == sample
            assert env.unwrapped.turns == turns[sample.key]
            assert (info["prompt"], info["chat"], info["outcome"]) == ("", [], sample.outcome)
            assert terminated == (sample.outcome in ("solved", "fatal"))
            assert sample.loop is not None
            assert sample.loop.progress is not None
            assert total == pytest.approx((sample.outcome == "solved") + SHAPING * sample.loop.progress, abs=1e-5)
    assert len(asked) == 12


def test_what_a_turn_tells() -> None:
    env = gymnasium.make(LAKE, prompts="compact", shaping=1.0, size=64)
    shown, info = env.reset(options={"state": BESIDE_A_HOLE})
    assert (info["steps"], info["to_go"], info["shortest"]) == (2 * max(get_task("frozenlake").bands(3)[-1]) + 8, 4, 4)
    assert f"at most {info['steps']} steps" in info["prompt"]
    assert info["chat"] == [{"role": "user", "content": [{"type": "text", "text": info["prompt"]}, {"type": "image"}]}]
    again, reward, terminated, truncated, info = env.step("I go up. <answer>U</answer>")
    assert np.array_equal(again, shown)
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert (info["actions"], info["effect"], info["rule"], info["to_go"]) == (["up"], "blocked", "off_grid", 4)
    assert info["prompt"] == "Result of your last step: not possible (a step off the grid)."
    assert info["chat"][1] == {"role": "assistant", "content": [{"type": "text", "text": "<answer>U</answer>"}]}
    moved, reward, _, _, info = env.step(in_tags("D"))
    assert not np.array_equal(moved, shown)
    assert (reward, info["effect"], info["rule"], info["to_go"]) == (0.25, "done", None, 3)
    _, reward, _, _, info = env.step("what now?")
    assert (reward, info["actions"], info["effect"]) == (0.0, [], None)
    env.step(in_tags("R"))
    _, reward, terminated, truncated, info = env.step(in_tags("U"))
    assert (reward, terminated, truncated) == (-0.5, True, False)
    assert (info["effect"], info["rule"], info["outcome"]) == ("fatal", "hole", "fatal")


def test_episodes_end() -> None:
    env = gymnasium.make(LAKE, steps=5)
    for answers, outcome in ((["?"] * 3, "no_answer"), ([in_tags("L")] * 5, "out_of_steps")):
        env.reset(options={"state": BESIDE_A_HOLE})
        ends = [env.step(answer)[2:4] for answer in answers]
        assert ends == [(False, False)] * (len(answers) - 1) + [(False, True)]
        assert env.unwrapped.sample.outcome == outcome
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.step("")
    env.reset(options={"state": BESIDE_A_HOLE})
    assert [env.step(in_tags(move))[1:4] for move in "DDRR"] == [(0, False, False)] * 3 + [(1, True, False)]
    with pytest.raises(gymnasium.error.ResetNeeded):
        TextEnv("maze").step("")


def test_actions_are_texts_of_any_writing() -> None:
    space = gymnasium.make(LAKE).action_space
    assert isinstance(space, gymnasium.spaces.Text)
    assert all(text in space for text in ("", "右へ <answer>R</answer>\x00", "x" * MOST_CHARACTERS))
    assert all(value not in space for value in (1, None, b"R", "x" * (MOST_CHARACTERS + 1)))
    space.seed(1)
    assert {space.sample() for _ in range(100)} == {f"<answer>{letter}</answer>" for letter in "LDRU"}
    env = gymnasium.make(LAKE).unwrapped
    env.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction):
        env.step(2)


@pytest.mark.parametrize("view", ["full", "fog:2"])
def test_seeds_reproduce(view: str) -> None:
    def stream(seed: int) -> list[Any]:
        env = gymnasium.make("MGSD/MazeText-v0", level=5, view=view)
        found: list[Any] = []
        for k in range(4):
            shown, info = env.reset(seed=seed if k == 0 else None)
            env.action_space.seed(k)
            found += [shown.tobytes(), info]
            for _ in range(6):
                found += [env.step(env.action_space.sample())[-1]]
        return found

    first, other = stream(1), stream(2)
    assert first == stream(1)
    assert first != other


def test_copies_go_their_own_way() -> None:
    env = gymnasium.make("MGSD/MiniBehaviourText-v0", level=5, shaping=0.5)
    env.reset(seed=0)
    first, *rest = env.unwrapped.episode.plan
    env.step(in_tags(first))
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.unwrapped.request.key == env.unwrapped.request.key
        assert sum(twin.step(in_tags(action))[1] for action in rest) == pytest.approx(
            1 + 0.5 * len(rest) / (len(rest) + 1)
        )
        assert twin.reset()[1]["state"] == copy.deepcopy(env).reset()[1]["state"]
    assert len(env.unwrapped.turns) == 1


def test_vector() -> None:
    envs = gymnasium.make_vec(LAKE, num_envs=3, vectorization_mode="sync", size=64)
    shown, infos = envs.reset(seed=5)
    assert shown.shape == (3, 64, 64, 3)
    assert len(infos["prompt"]) == 3
    for _ in range(20):
        shown, *_ = envs.step(envs.action_space.sample())
    assert shown in envs.observation_space
    envs.close()


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("maze", {"level": 1}, "level"),
        ("maze", {"split": "all"}, "split"),
        ("maze", {"theme": "neon"}, "themes"),
        ("maze", {"size": 8}, "pixels"),
        ("maze", {"view": "fog"}, "fog:2"),
        ("sokoban", {"view": "fog:2"}, "no view"),
        ("maze", {"history": -1}, "history"),
        ("maze", {"chunk": 0}, "chunk"),
        ("maze", {"remember": "none"}, "remember"),
        ("maze", {"steps": 0}, "steps"),
        ("maze", {"shaping": 2.0}, "shaping"),
        ("maze", {"render_mode": "human"}, "render_mode"),
    ],
)
def test_bad_options(task: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TextEnv(task, **options)


def test_given_episodes_that_will_not_do() -> None:
    env = gymnasium.make(LAKE, level=4)
    with pytest.raises(ValueError, match="not one of frozenlake, level 4"):
        env.reset(options={"episode": next(generate(get_task("maze"), 4, 1, split="test", stream="given"))})
    with pytest.raises(ValueError, match="not of level 4"):
        env.reset(options={"state": BESIDE_A_HOLE})


def test_render() -> None:
    env = gymnasium.make(LAKE, render_mode="ansi", view="window:1")
    _, info = env.reset(options={"state": BESIDE_A_HOLE})
    assert env.render() == info["symbolic"]
    assert "not seen" in info["symbolic"]
    pictures = gymnasium.make(LAKE, render_mode="rgb_array", view="window:1")
    shown, _ = pictures.reset(options={"state": BESIDE_A_HOLE})
    assert np.array_equal(pictures.render(), shown)
    with pytest.warns(UserWarning, match="render mode"):
        assert TextEnv("maze").render() is None
