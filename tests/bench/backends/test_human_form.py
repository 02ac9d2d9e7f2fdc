"""A person's keys and buttons: every task has them, and what is stored is read as it was meant."""

from __future__ import annotations

import pytest

from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.backends.human_form import answer_text, buttons, form_of
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_envs import get_task, task_names

ONE_STEP = LoopSettings()


@pytest.mark.parametrize("name", task_names())
def test_what_is_stored_is_what_was_meant(name: str) -> None:
    task = get_task(name)
    form = form_of(task, "direct", ONE_STEP)
    plans = [task.actions, *((action,) for action in task.actions), task.actions[::-1] * 3]
    for plan in plans:
        answer = parse_answer(answer_text(task, form, plan, "ignored"), task)
        assert (answer.plan, answer.form) == (tuple(plan), "asked")
    assert answer_text(task, form, (), "") == ""


@pytest.mark.parametrize("name", task_names())
def test_every_action_has_a_button_and_no_key_has_two(name: str) -> None:
    found = buttons(get_task(name))
    assert tuple(button.action for button in found) == get_task(name).actions
    keys = [key for button in found for key in button.keys]
    assert len(keys) == len(set(keys))
    assert all(button.keys and button.label for button in found)


def test_keys_are_those_that_one_expects() -> None:
    keys = {button.action: button.keys for button in buttons(get_task("minibehaviour"))}
    assert keys["left"] == ("ArrowLeft", "l")
    assert keys["down"] == ("ArrowDown", "d")
    assert keys["pick"] == ("p",)
    assert "d" not in keys["drop"]
    keys = {button.action: button.keys for button in buttons(get_task("minigrid-doorkey"))}
    assert keys["turn_left"] == ("ArrowLeft", "l")
    assert keys["forward"] == ("ArrowUp", "f")
    assert keys["toggle"] == ("t",)


def test_a_state_is_stored_before_the_plan_and_read_from_there() -> None:
    task = get_task("frozenlake")
    form = form_of(task, "visual", ONE_STEP)
    assert form.lines == ("size", "player", "goal", "holes")
    text = answer_text(task, form, ("right", "down"), "size: 4 \nplayer: (0,1)\ngoal: \nholes:\n\n")
    assert text == "size: 4\nplayer: (0,1)\n<answer>RD</answer>"
    answer = parse_answer(text, task)
    assert answer.facts == {("size", 4), ("player", 0, 1)}
    assert answer.plan == ("right", "down")
    assert answer_text(task, form_of(task, "perceive", ONE_STEP), (), "size: 4") == "size: 4"
    assert answer_text(task, form, ("left",), "size: \ud800") == "size: \\ud800\n<answer>L</answer>"


@pytest.mark.parametrize(
    ("condition", "actions", "stated", "why"),
    [
        ("direct", ("pick",), "", "no such action"),
        ("perceive", ("left",), "", "no such action"),
        ("act", ("left", "left"), "", "at most 1"),
        ("act", (), "", "choose an action"),
        ("direct", ("left",) * 5000, "", "at most 4096"),
        ("visual", ("left",), "<think>", "read otherwise"),
        ("visual", (), "<answer>R</answer>", "read otherwise"),
    ],
)
def test_what_is_no_answer_is_refused(condition: str, actions: tuple[str, ...], stated: str, why: str) -> None:
    task = get_task("frozenlake")
    with pytest.raises(ValueError, match=why):
        answer_text(task, form_of(task, condition, ONE_STEP), actions, stated)


def test_the_closed_loop_takes_what_it_was_set_to() -> None:
    task = get_task("maze")
    assert form_of(task, "act", ONE_STEP).most == 1
    assert form_of(task, "act", LoopSettings(chunk=None)).most is None
    assert not form_of(task, "act", ONE_STEP).states
    assert form_of(task, "act", LoopSettings(say_state=True)).lines[0] == "size"
