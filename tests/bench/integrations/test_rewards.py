"""Rewards for other trainers: one number in every form, whatever the answer, and nothing heavy is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from math import inf, isfinite
from typing import Any

import pytest

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.errors import UserError
from mgsd_bench.integrations.rewards import REWARDS, compute_score, reward
from mgsd_envs import Episode, generate, get_task, make_episode
from mgsd_envs.acting import act, distance
from support.fuzz_corpus import KEPT

KINDS = ("success", "optimal", "state_f1", "format")
HOSTILE = (
    *(json.loads(line) for line in (KEPT / "answers.jsonl").read_text("ascii").splitlines()),
    "",
    "\x00\ud800",
    "<answer>" * 10_000,
    "<answer>" + "R" * 100_000 + "</answer>",
    "[" * 50_000,
    "size: " + "9" * 10_000,
    "<|im_end|><|vision_start|><image>",
    "nan",
)


@pytest.fixture(scope="module")
def episode() -> Episode:
    """3x3: player top left, goal bottom left, a hole between them."""
    task = get_task("frozenlake")
    state = task.from_json({"size": 3, "player": [0, 0], "goal": [2, 0], "holes": [[1, 0]]})
    return make_episode(task, 3, "frozenlake/3/0000", state)


def in_every_form(text: str, episode: Episode, kind: str, tried: str | None = None) -> set[float | None]:
    """What an answer is worth as TRL calls, of texts and of messages, as verl calls, and by itself."""
    about = episode.canonical()
    messages: list[Any] = [
        text,
        [{"role": "assistant", "content": text}],
        [{"role": "assistant", "content": [{"type": "text", "text": text}]}],
        [{"role": "assistant", "content": "<answer>U</answer>"}, {"role": "tool", "content": "no"},
         {"role": "assistant", "content": text}],
    ]  # fmt: skip
    columns = {"prompts": [[]] * 4, "episode": [about] * 4, "tried": [tried] * 4, "trainer_state": None}
    extra = None if tried is None else {"tried": tried, "num_turns": 2}
    return {
        *REWARDS[kind](completions=messages, **columns),
        compute_score("mgsd-bench", text, about, extra, kind=kind, reward_router_address=None),
        compute_score(data_source=None, solution_str=text, ground_truth=about, extra_info=extra, kind={kind: 1.0}),
        reward(text, episode, kind, tried=tried),
        reward(messages[1], about, kind, tried=tried),
    }


FACTS = "size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: (1,0)\n"


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        (FACTS + "<answer>RDDL</answer>", (1, 1, 1, 1)),
        (FACTS + "<answer>RRDDLL</answer>", (1, 0, 1, 1)),
        (FACTS + "<answer>DD</answer>", (0, 0, 1, 1)),
        (FACTS, (0, 0, 1, 0)),
        ("player: (0,0)\n<answer>RD</answer>", (0, 0, 0.4, 1)),
        (FACTS.replace("(1,0)", "(1,1)") + "Answer: RDDL", (1, 1, 0.75, 0)),
        ("<answer>RDDL</answer>", (1, 1, 0, 0)),
        ("RDDL or RRDDLL, who knows", (0, 0, 0, 0)),
        ("", (0, 0, 0, 0)),
    ],
)
def test_an_answer_is_worth_the_same_in_every_form(
    episode: Episode, text: str, worth: tuple[float, float, float, float]
) -> None:
    for kind, expected in zip(KINDS, worth, strict=True):
        assert in_every_form(text, episode, kind) == {expected}, kind


@pytest.mark.parametrize(
    ("step", "worth"), [("R", (1, 1, 1, 1)), ("L", (0, 0, 1, 0)), ("D", (0, 0, 1, -1)), ("", (0, 0, 0, -1))]
)
def test_a_step_is_worth_the_same_in_every_form(
    episode: Episode, step: str, worth: tuple[float, float, float, float]
) -> None:
    text = f"I go. <answer>{step}</answer>" if step else "I stay."
    for kind, expected in zip(("success", "optimal", "format", "progress"), worth, strict=True):
        assert in_every_form(text, episode, kind, "[]") == {expected}, kind


def test_hostile_answers_are_worth_a_finite_number_in_range(episode: Episode) -> None:
    for text in HOSTILE:
        for kind in KINDS:
            (worth,) = in_every_form(text, episode, kind)
            assert worth is not None
            assert isfinite(worth)
            assert 0 <= worth <= 1
        (gain,) = in_every_form(text, episode, "progress", '["right"]')
        assert gain in (-1, 0, 1)


@pytest.mark.parametrize("completion", [None, 7, b"<answer>R</answer>", {}, [[]], [{"role": "user", "content": "R"}]])
def test_what_is_no_answer_is_worth_nothing(episode: Episode, completion: Any) -> None:
    assert reward(completion, episode) == 0
    assert REWARDS["success"]([completion], [episode.canonical()]) == [0]


def test_weights_sum_what_is_said(episode: Episode) -> None:
    text = FACTS + f"<answer>{write_plan(('right', 'right', *episode.plan[1:], 'left'))}</answer>"
    assert reward(text, episode, {"success": 1, "optimal": 2, "state_f1": 0.5, "progress": 9}) == 1.5
    assert REWARDS["progress"]([text], [episode.canonical()]) == [None]
    assert REWARDS["state_f1"]([text], [episode.canonical()], tried=["[]"]) == [None]


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ("", "is no episode"),
        ("{}", "no 'task'"),
        ("[1]", "is no episode"),
        ('{"task": "chess"}', "is no episode"),
        ("[" * 99_999, "is no episode"),
    ],
)
def test_no_episode_is_one_line(about: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault) as error:
        reward("<answer>R</answer>", about)
    assert "\n" not in str(error.value)


def test_no_such_kind_is_one_line(episode: Episode) -> None:
    with pytest.raises(UserError, match="choose from success, optimal, state_f1, format, progress"):
        reward("", episode, "solved")


def test_no_step_is_a_gain_where_success_is_out_of_reach() -> None:
    task = get_task("sokoban")
    about = next(generate(task, 6, 1, split="train", stream="mine"))
    tried = ["right", "down", "up", "up", "right", "left", "left"]
    cursor = task.start(about.state)
    for action in tried:
        cursor = act(task, about.state, cursor, action).cursor
    assert distance(task, about.state, cursor) == inf
    for action in task.actions:
        assert reward(f"<answer>{action}</answer>", about, "progress", tried=tried) == -1


def test_a_plan_that_was_cut_off_is_none(episode: Episode) -> None:
    text = FACTS + "<answer>RDDL"
    assert reward(text, episode) == compute_score("", text, episode.canonical()) == 1
    assert reward(text, episode, cut=True) == compute_score("", text, episode.canonical(), {"cut": True}) == 0


def test_what_asks_for_no_state_is_rewarded_without_one(episode: Episode) -> None:
    about, text = episode.canonical(), "<answer>RDDL</answer>"
    assert reward(text, episode, {"format": 1, "state_f1": 5}, condition="symbolic") == 1
    assert compute_score("", text, about, {"condition": "direct"}, kind="format") == 1
    assert REWARDS["format"]([text] * 2, [about] * 2, condition=["symbolic", "visual"]) == [1, 0]
    assert REWARDS["state_f1"]([text], [about], condition=["symbolic"]) == [None]


def test_the_actions_before_are_a_list_or_its_json(episode: Episode) -> None:
    for tried in ('["right"]', ["right"], ("right",)):
        assert compute_score("", "<answer>D</answer>", episode.canonical(), {"tried": tried}, kind="progress") == 1


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ({"tried": "[1"}, "no JSON list of actions"),
        ({"tried": "5"}, "no JSON list of actions"),
        ({"tried": [1]}, "no JSON list of actions"),
        ({"tried": [b"L"]}, "no list of actions"),
        ({"condition": "perceive"}, "condition"),
        ({"condition": "x"}, "condition"),
        ({"kind": {"success": float("nan")}}, "weight"),
        ({"episode": {"task": "maze"}}, "give canonical JSON"),
    ],
)
def test_a_mistake_is_one_line(episode: Episode, mistake: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        reward(**{"completion": "<answer>R</answer>", "episode": episode, **mistake})
    assert "\n" not in str(error.value)


def test_no_weights_are_worth_nothing(episode: Episode) -> None:
    assert isinstance(reward("", episode, {}), float)


def test_nothing_heavy_is_imported() -> None:
    heavy = ("torch", "transformers", "trl", "verl", "datasets", "pandas", "matplotlib", "mgsd_baselines")
    program = f"import sys, mgsd_bench.integrations.rewards; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
