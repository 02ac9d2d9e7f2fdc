"""Closed loop in words: first turns, results of steps, and past answers, for every task and setting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS, ONE_SHOT, Condition, in_order, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings, opening, result_line, said
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes, select, subsample
from mgsd_envs import Episode, generate, get_task, task_names
from mgsd_envs.maze import Maze
from mgsd_envs.views import FULL, View

SOKOBAN = subsample(episodes(select(find_suite("sokoban-v1"), levels=[6])), 1)
EPISODES = {episode.task: episode for episode in [*episodes(find_suite("smoke")), *SOKOBAN]}
FORMS = ["default", "compact"]
LOOPS = [
    LoopSettings(),
    LoopSettings(say_state=True),
    LoopSettings(view=View("fog", 2), feedback=False),
    LoopSettings(view=View("window", 1), chunk=3),
    LoopSettings(chunk=None),
]


def first_turns(form: str, episode: Episode, loop: LoopSettings, steps: int = 14) -> Iterator[tuple[Condition, str]]:
    prompts = load_prompts(form, [episode], in_order(CLOSED_LOOP), say_state=loop.say_state)
    for condition in in_order(CLOSED_LOOP):
        yield condition, opening(prompts, episode, condition, loop, steps)


def text_of(condition: Condition, loop: LoopSettings, form: str = "default", task: str = "maze") -> str:
    return dict(first_turns(form, EPISODES[task], loop))[condition]


def test_conditions_are_one_shot_or_closed_loop_and_one_shot_ones_come_first() -> None:
    assert CONDITIONS[:4] == ("visual", "symbolic", "perceive", "direct") == in_order(ONE_SHOT)
    assert CONDITIONS[4:] == ("act", "act-symbolic", "act-stale", "act-blind") == in_order(CLOSED_LOOP)


@pytest.mark.parametrize(("form", "loop", "name"), product(FORMS, LOOPS, EPISODES))
def test_first_turns_are_whole_and_alike_but_for_pictures(form: str, loop: LoopSettings, name: str) -> None:
    episode = EPISODES[name]
    texts = dict(first_turns(form, episode, loop))
    assert texts["act"] == texts["act-stale"] == texts["act-blind"] != texts["act-symbolic"]
    task = get_task(name)
    for text in texts.values():
        assert re.fullmatch(r"[\x20-\x7e\n]+", text)
        assert "{" not in text
        assert "<answer>" in text
        assert "14 steps" in text
        assert task.describe(episode.state) not in text
    fields = [one.name for one in task.fields if one.question]
    stated = [line for line in ("\n" + texts["act"]).split("\n") if line.split(":")[0] in fields]
    if form == "default":
        assert bool(stated) == loop.say_state
    else:
        assert (", ".join(fields[:2]) in texts["act"]) == loop.say_state


@pytest.mark.parametrize("form", FORMS)
def test_a_first_turn_says_nothing_of_its_own_board(form: str) -> None:
    boards = list(generate(get_task("maze"), 4, 5, split="train", stream="boards"))
    assert len({text for board in boards for _, text in first_turns(form, board, LoopSettings())}) == 2


@pytest.mark.parametrize("form", FORMS)
def test_missions_are_told(form: str) -> None:
    pytest.importorskip("minigrid")
    episode = next(generate(get_task("minigrid-fetch"), 5, 1, split="train", stream="missions"))
    for loop in LOOPS:
        for _, text in first_turns(form, episode, loop):
            assert episode.state.mission in text
            assert "{" not in text


def test_every_setting_that_the_model_may_notice_changes_the_text_and_no_other_does() -> None:
    for form, condition in product(FORMS, ("act", "act-symbolic")):
        plain = text_of(condition, LoopSettings(), form)
        noticed = [*(LoopSettings(view=View(kind, n)) for kind in ("fog", "window") for n in (1, 2)),
                   *(LoopSettings(chunk=chunk) for chunk in (2, 3, None))]  # fmt: skip
        assert len({text_of(condition, loop, form) for loop in noticed} | {plain}) == len(noticed) + 1
        for loop in (LoopSettings(history=None), LoopSettings(remember="all"), LoopSettings(stop_stuck=False)):
            assert text_of(condition, loop, form) == plain
    assert "told what came of your last step" in text_of("act", LoopSettings())
    assert "what came of" not in text_of("act", LoopSettings(feedback=False))


def test_compact_first_turns_have_at_most_70_words() -> None:
    for episode in EPISODES.values():
        assert all(len(text.split()) <= 70 for _, text in first_turns("compact", episode, LoopSettings()))


def test_what_fog_does_not_hide_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Maze, "landmarks", frozenset({"player", "goal"}), raising=False)
    monkeypatch.setattr(Maze, "optimistic", lambda self, state, seen: state, raising=False)
    for condition in ("act", "act-symbolic"):
        assert "Shown in any case: goal, player." in text_of(condition, LoopSettings(view=View("fog", 1)))
        assert "Always seen: goal, player." in text_of(condition, LoopSettings(view=View("fog", 1)), "compact")
        assert "goal, player" not in text_of(condition, LoopSettings(view=View("window", 1)))


def test_a_set_of_ones_own_chooses_between_the_two_lengths(tmp_path: Path) -> None:
    (tmp_path / "maze").mkdir()
    both = {"act": "Walk. {protocol}", "act-symbolic": "Walk. {protocol:compact}"}
    for stem, text in both.items():
        (tmp_path / "maze" / f"{stem}.txt").write_text(text)
    own = dict(first_turns(str(tmp_path), EPISODES["maze"], LoopSettings(), steps=9))
    assert own["act-symbolic"] == (
        "Walk. One step a turn, at most 9 steps; impossible steps count. End like <answer>L</answer>"
    )
    assert own["act"].startswith("Walk. Turns:\n- You act step by step")
    assert "at most 9 steps" in own["act"]


def test_what_is_recorded_has_the_places_that_are_filled_in() -> None:
    prompts = load_prompts("default", [EPISODES["maze"]], ["act", "act-stale"], say_state=True)
    texts = prompts.by_question()
    assert list(texts) == ["maze/act", "maze/act-stale"]
    assert "{protocol}" in texts["maze/act"] == texts["maze/act-stale"]


@pytest.mark.parametrize("name", task_names())
def test_what_was_said_is_read_back(name: str) -> None:
    task = get_task(name)
    for action in task.actions:
        for plan in ((action,), (action, *task.actions)):
            text = said(plan, task)
            assert parse_answer(text, task).plan == plan
            assert len(text) <= len("<answer></answer>") + 6 * len(plan)
    assert said((), task) == "<answer></answer>"
    assert parse_answer(said((), task), task).plan is None


def test_what_was_said_is_in_the_letters_of_the_texts() -> None:
    assert said(("right", "down"), get_task("maze")) == "<answer>RD</answer>"
    assert said(("up", "pick"), get_task("minibehaviour")) == "<answer>U,PICK</answer>"
    if "minigrid-fetch" in task_names():
        pytest.importorskip("minigrid")
        assert said(("turn_left", "pickup"), get_task("minigrid-fetch")) == "<answer>L,P</answer>"


@pytest.mark.parametrize("name", task_names())
def test_results_are_one_line_each_and_give_nothing_away(name: str) -> None:
    task = get_task(name)
    lines = [result_line("blocked", rule, task) for rule in (*task.rules, "unknown_action")]
    assert len({*lines}) == len(lines)
    for line in [*lines, result_line("done", "", task), result_line(None, "", task)]:
        assert re.fullmatch(r"Result of your last step: [^\n\d]+\.", line)


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (("done", ""), "Result of your last step: done."),
        (("blocked", "wall"), "Result of your last step: not possible (a step through a wall)."),
        (("blocked", "unknown_action"), "Result of your last step: not possible (no such action)."),
        ((None, ""), "Result of your last step: not readable: end with one action between <answer> and </answer>."),
        (("done", "", 3, 3), "Result of your last answer: 3 of 3 actions done."),
        (("done", "", 2, 5), "Result of your last answer: 2 of 5 actions done."),
        (("blocked", "off_grid", 1, 3),
         "Result of your last answer: 1 of 3 actions done, the next was not possible (a step off the grid)."),
    ],
)  # fmt: skip
def test_results(result: tuple[Any, ...], line: str) -> None:
    effect, rule, *counts = result
    assert result_line(effect, rule, get_task("maze"), **dict(zip(("done", "of"), counts, strict=False))) == line


def test_settings_are_plain_values_in_a_record() -> None:
    assert json.loads(json.dumps(LoopSettings(view=View("fog", 2), history=None, chunk=None).to_json())) == {
        "view": "fog:2", "history": None, "feedback": True, "remember": "answers", "chunk": None, "say_state": False,
        "stop_stuck": True,
    }  # fmt: skip
    assert LoopSettings().view == FULL
    assert replace(LoopSettings(), history=0) != LoopSettings()
