"""The shipped prompt sets, and loading a user's own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS, ONE_SHOT, WITH_PLAN, in_order, load_prompts
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes, select, subsample
from mgsd_envs import generate, get_task, make_episode, rollout
from mgsd_envs.splits import split_of

SMOKE = [*episodes(find_suite("smoke")), *subsample(episodes(select(find_suite("sokoban-v1"), levels=[6])), 6)]


@pytest.mark.parametrize("name", ["default", "compact"])
@pytest.mark.parametrize("theme", ["classic", "plain"])
def test_every_task_condition_and_theme_renders(name: str, theme: str) -> None:
    themed = [replace(e, theme=theme) for e in SMOKE]
    prompts = load_prompts(name, themed, CONDITIONS)
    for episode in themed[::6]:
        for condition in in_order(ONE_SHOT):
            text = prompts.render(episode, condition)
            assert "{" not in text
            assert ("<answer>" in text) == (condition in WITH_PLAN)
            stated = get_task(episode.task).describe(episode.state)
            assert (stated in text) == (condition == "symbolic")


@pytest.mark.parametrize("name", ["default", "compact"])
def test_texts_by_question_are_what_is_asked_without_the_state(name: str) -> None:
    prompts = load_prompts(name, SMOKE, CONDITIONS)
    texts = prompts.by_question()
    assert set(texts) == {f"{task}/{condition}" for task in {e.task for e in SMOKE} for condition in CONDITIONS}
    for episode in SMOKE[::6]:
        stated = get_task(episode.task).describe(episode.state)
        for condition in CONDITIONS:
            asked = texts[f"{episode.task}/{condition}"]
            assert asked.replace("{state}", stated) == prompts.render(episode, condition)


def test_of_several_looks_none_is_put_into_the_texts_by_question() -> None:
    both = [*SMOKE, *(replace(episode, theme="plain") for episode in SMOKE)]
    texts = load_prompts("default", both, ["visual"]).by_question()
    assert all("{look}" in text for text in texts.values())


def test_compact_visual_prompts_have_at_most_60_words() -> None:
    prompts = load_prompts("compact", SMOKE, ["visual"])
    for episode in SMOKE[::6]:
        assert len(prompts.render(episode, "visual").split()) <= 60


def test_instructions_are_one_shared_prefix() -> None:
    prompts = load_prompts("default", SMOKE, ["visual"])
    for task in {e.task for e in SMOKE}:
        assert len({prompts.render(e, "visual") for e in SMOKE if e.task == task}) == 1


@pytest.mark.parametrize("task", list(dict.fromkeys(episode.task for episode in SMOKE)))
def test_worked_example_is_right_short_and_not_from_the_test_split(task: str) -> None:
    episode = next(e for e in SMOKE if e.task == task)
    text = load_prompts("default", [episode], ["visual"]).render(episode, "visual")
    example = text.split("Example of a complete answer", 1)[1]
    the_task = get_task(task)
    state = the_task.from_facts(the_task.parse(example))
    state = the_task.from_json(the_task.to_json(state))
    assert split_of(the_task.key(state)) == "train"
    plan = parse_answer(example, the_task).plan
    assert plan is not None
    assert rollout(the_task, state, plan).outcome == "solved"
    assert len(plan) == make_episode(the_task, state.size, "example", state).shortest


def _own_set(folder: Path, **texts: str) -> Path:
    (folder / "maze").mkdir(parents=True)
    for name, text in texts.items():
        (folder / "maze" / f"{name}.txt").write_text(text)
    return folder


MAZE = [e for e in SMOKE if e.task == "maze"]


def test_own_prompt_set(tmp_path: Path) -> None:
    own = _own_set(tmp_path / "own", visual="Solve {this} maze.")
    assert load_prompts(str(own), MAZE, ["visual"]).render(MAZE[0], "visual") == "Solve {this} maze."


@pytest.mark.parametrize(
    ("texts", "condition", "words"),
    [
        ({}, "visual", ("visual.txt is missing",)),
        ({"visual": "{look}"}, "visual", ("look.classic.txt is missing",)),
        ({"symbolic": "no place"}, "symbolic", ("needs {state}",)),
        ({"visual": "{state}"}, "visual", ("gives the state away",)),
        ({}, "act-stale", ("act.txt is missing",)),
        ({}, "act-symbolic", ("act-symbolic.txt is missing",)),
        ({"act": "{look} {protocol}"}, "act-blind", ("look.classic.txt is missing",)),
        (
            {"act": "no place"},
            "act",
            ("maze/act.txt needs {protocol} or {protocol:compact} where",),
        ),
        ({"act": "{protocol} {state}"}, "act-blind", ("maze/act.txt gives the state away",)),
        ({"act-symbolic": "{protocol:compact} {state}"}, "act-symbolic", ("comes with every turn: remove {state}",)),
    ],
)
def test_broken_prompt_sets(tmp_path: Path, texts: dict[str, str], condition: str, words: tuple[str, ...]) -> None:
    own = _own_set(tmp_path / "own", **texts)
    with pytest.raises(UserError) as caught:
        load_prompts(str(own), MAZE, [condition])  # type: ignore[list-item]
    assert all(word in str(caught.value) for word in words)


def test_missing_folder_and_bad_bytes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load_prompts(str(tmp_path / "none"), MAZE, ["visual"])
    own = _own_set(tmp_path / "own")
    (own / "maze" / "visual.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="UTF-8"):
        load_prompts(str(own), MAZE, ["visual"])


def test_prompts_hold_no_hidden_characters() -> None:
    for episode in SMOKE[::6]:
        text = load_prompts("default", [episode], ["visual"]).render(episode, "visual")
        assert re.fullmatch(r"[\x20-\x7e\n]+", text)


class TestMissions:
    """Of tasks whose episodes ask for different things."""

    @pytest.mark.parametrize("name", ["default", "compact"])
    def test_the_mission_is_told_with_picture_and_text_and_gives_nothing_else_away(self, name: str) -> None:
        pytest.importorskip("minigrid")
        episodes = list(generate(get_task("minigrid-gotoobj"), 6, 6, split="train", stream="missions"))
        prompts = load_prompts(name, episodes, CONDITIONS)
        asked = {prompts.render(episode, "visual") for episode in episodes}
        missions = {episode.state.mission for episode in episodes}
        assert len(asked) == len(missions) > 1
        for episode in episodes:
            for condition in ("visual", "symbolic", "direct"):
                text = prompts.render(episode, condition)
                assert episode.state.mission in text
                assert "{" not in text
                assert (get_task(episode.task).describe(episode.state) in text) == (condition == "symbolic")
        assert len({prompts.render(episode, "perceive") for episode in episodes}) == 1

    def test_a_text_that_leaves_the_mission_out_is_refused(self, tmp_path: Path) -> None:
        pytest.importorskip("minigrid")
        folder = tmp_path / "minigrid-gotoobj"
        folder.mkdir()
        (folder / "direct.txt").write_text("Where to?")
        episodes = list(generate(get_task("minigrid-gotoobj"), 6, 1, split="train", stream="missions"))
        with pytest.raises(UserError, match=r"minigrid-gotoobj/direct.txt needs \{mission\} where the mission belongs"):
            load_prompts(str(tmp_path), episodes, ("direct",))
