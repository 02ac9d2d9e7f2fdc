"""Rows of the closed loop: asked as the runner asks, answered by a step that leads nearer, at states of the split."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from mgsd_baselines.data.acting import draw_turns
from mgsd_baselines.data.dataset import as_dataset, rows_digest, stage_rows, train_episodes
from mgsd_baselines.data.examples import ACT_KINDS, Example, condition_of
from mgsd_baselines.data.exports import export
from mgsd_baselines.recipe import DataSpec, Recipe, Teacher
from mgsd_baselines.recipe_file import load_recipe
from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.backends import Response
from mgsd_bench.prompts import load_prompts
from mgsd_bench.prompts.protocol import LoopSettings, opening
from mgsd_bench.runs.closed_loop import Loop, closed_loop
from mgsd_bench.runs.conversation import Question, turn_digest
from mgsd_bench.runs.turns import TurnRecord
from mgsd_envs import get_task
from mgsd_envs.acting import act
from mgsd_envs.orbits import split_key
from mgsd_envs.splits import split_of
from support.training_rows import SPEC, key, make, rows_of, write_records

ACT = {"act": 0.3, "act-think": 0.1, "act-say": 0.3, "act-symbolic": 0.2, "visual": 0.1}


def recipe(rows: dict[str, float] = ACT, spec: DataSpec = SPEC, method: str = "sft") -> Recipe:
    made = make(rows, method=method, spec=spec, teacher=Teacher(context="state"))
    return replace(made, prompts="compact")


def acting(rows: list[Example]) -> list[Example]:
    return [row for row in rows if row.kind in ACT_KINDS]


def asked_by_the_runner(row: Example) -> TurnRecord:
    """The turn that an evaluation records which comes to the row's state, answered as the row says."""
    assert row.turn is not None
    say_state, condition = row.kind == "act-say", condition_of(row.kind)
    prompts = load_prompts("compact", [row.episode], [condition], say_state=say_state)
    loop = Loop(LoopSettings(history=0, say_state=say_state), {(row.episode.task, row.episode.level): row.turn.limit})
    turns: list[TurnRecord] = []
    asking = closed_loop(Question(row.episode, condition, 0), prompts, 0, loop, on_turn=turns.append, image_size=64)
    request = next(asking)
    answers = [*(f"<answer>{action}</answer>" for action in row.turn.tried), row.completion or ""]
    for answer in answers:
        shown = [image() for image in request.images]
        text = request.turns[-1].text
        try:
            request = asking.send(Response(request.key, answer, "stop"))
        except StopIteration:
            break
    assert len(turns) == len(answers)
    drawn = row.to_trl(64)["images"]
    assert text == row.prompt
    assert len(shown) == len(drawn)  # type: ignore[arg-type]
    assert all(np.array_equal(one, np.asarray(other)) for one, other in zip(shown, drawn, strict=True))  # type: ignore[call-overload]
    return turns[-1]


def digest_of(row: Example) -> str:
    """The prompt digest that a run would record of the row's question."""
    assert row.turn is not None
    prompts = load_prompts("compact", [row.episode], [condition_of(row.kind)], say_state=row.kind == "act-say")
    loop = LoopSettings(history=0, say_state=row.kind == "act-say")
    first = opening(prompts, row.episode, condition_of(row.kind), loop, row.turn.limit)
    content = b"" if row.picture is None else row.draw(row.picture, 64).content()
    digest = turn_digest(row.prompt.removeprefix(first).removeprefix("\n\n"), content)
    return sha256(f"{first}\0{digest}".encode()).hexdigest()


def test_questions_are_the_runners_byte_for_byte() -> None:
    rows = acting(rows_of(recipe()))
    assert {row.kind for row in rows} == {"act", "act-think", "act-say", "act-symbolic"}
    assert any("not possible" in row.prompt for row in rows)
    assert any("Result" not in row.prompt for row in rows)
    for row in rows:
        assert asked_by_the_runner(row).prompt_digest == digest_of(row)


def test_answers_lead_nearer_and_say_what_is_so() -> None:
    for row in acting(rows_of(recipe())):
        assert row.turn is not None
        assert row.completion is not None
        task, state, cursor = get_task(row.episode.task), row.episode.state, row.turn.trail[-1]
        answer = parse_answer(row.completion, task)
        assert answer.form == "asked"
        assert answer.plan is not None
        assert len(answer.plan) == 1
        result = act(task, state, cursor, answer.plan[0])
        left = task.to_go(state, cursor)
        assert left is not None
        assert (result.effect, task.to_go(state, result.cursor)) == ("done", left - 1)
        plan, cursors = row.turn.to_success()
        assert plan[0] == answer.plan[0]
        assert len(plan) == left
        assert task.solved(state, cursors[-1])
        assert ("Route: " in row.completion) == (row.kind != "act")
        now = task.facts(task.state_at(state, cursor))
        assert answer.facts == (now if row.kind in ("act-say", "act-think") else frozenset())


def test_only_states_of_the_split_and_none_that_is_excluded(tmp_path: Path) -> None:
    spec = replace(SPEC, count=60)
    for split_by in ("state", "orbit"):
        rows = acting(rows_of(recipe(spec=replace(spec, split_by=split_by))))
        for row in rows:
            assert row.turn is not None
            task = get_task(row.episode.task)
            now = task.state_at(row.episode.state, row.turn.trail[-1])
            assert split_of(split_key(task, now, split_by)) == row.episode.split == "train"
        assert sum(len(row.turn.tried) > 0 for row in rows if row.turn) > 0.5 * len(rows)
    lakes = DataSpec("test-v1", {"frozenlake": (3,)}, 60)
    later = [row.turn for row in acting(rows_of(recipe(spec=lakes))) if row.turn and len(row.turn.trail) > 1]
    met = [get_task("frozenlake").state_at(turn.episode.state, turn.trail[-1]) for turn in later]
    file = write_records(tmp_path / "set.jsonl", met)
    gone = {get_task("frozenlake").key(state) for state in met}
    for row in acting(rows_of(recipe(spec=replace(lakes, exclude=(str(file),))))):
        assert row.turn is not None
        now = get_task("frozenlake").state_at(row.episode.state, row.turn.trail[-1])
        assert get_task("frozenlake").key(now) not in gone


def test_random_steps_come_in_the_share_asked_for() -> None:
    episodes = train_episodes(replace(SPEC, count=100))
    straight = draw_turns(episodes, 0.0, 0).values()
    for turn in straight:
        task = get_task(turn.episode.task)
        ends = task.to_go(turn.episode.state, turn.trail[-1])
        assert ends == turn.episode.shortest - len(turn.tried)
    off = [turn for turn in draw_turns(episodes, 0.5, 0).values() if turn.tried]
    wrong = sum(
        (get_task(t.episode.task).to_go(t.episode.state, t.trail[-1]) or 0) > t.episode.shortest - len(t.tried)
        for t in off
    )
    assert 0.4 < wrong / len(off) < 0.95
    assert draw_turns(episodes, 0.5, 0) == draw_turns(episodes[::-1], 0.5, 0) != draw_turns(episodes, 0.5, 1)


def test_the_teacher_is_asked_with_the_state_of_the_same_turn() -> None:
    rows = acting(rows_of(recipe({"distill-act": 0.5, "distill": 0.5}, method="distill")))
    told, same = {key(row.episode): row for row in acting(rows_of(recipe({"act-symbolic": 1.0})))}, 0
    for row in rows:
        assert row.completion is None
        other = told[key(row.episode)]
        assert row.turn is not None
        assert other.turn is not None
        assert row.privileged
        assert row.privileged in row.teacher_prompt
        assert row.privileged not in row.prompt
        if row.turn.limit == other.turn.limit:  # it is drawn from the boards that have turns
            assert row.turn == other.turn
            assert row.teacher_prompt == other.prompt
            same += 1
    assert same > 0.5 * len(rows)


def test_columns_are_those_of_all_rows_and_digests_of_what_they_depend_on() -> None:
    rows = rows_of(recipe({"distill-act": 0.5, "distill": 0.5}, method="distill", spec=replace(SPEC, count=6)))
    columns = as_dataset(rows, 64)
    assert {tuple(columns[i]) for i in range(len(rows))} == {tuple(columns[0])}
    assert {columns[i]["tried"] is None for i in range(len(rows))} == {True, False}
    spec = replace(SPEC, count=6)
    assert rows_digest(rows_of(recipe(spec=spec))) == rows_digest(rows_of(recipe(spec=spec)))
    assert rows_digest(rows_of(recipe(spec=replace(spec, astray=0.9)))) != rows_digest(rows_of(recipe(spec=spec)))


def test_exported_pictures_are_of_the_turns(tmp_path: Path) -> None:
    one = recipe({"act": 1.0}, spec=replace(SPEC, count=4, image_size=64))
    summary = export(one, "only", "ms-swift", tmp_path / "rows")
    rows = stage_rows(one.stages[0], one)
    assert summary.rows == summary.pictures == len(rows)
    from PIL import Image

    for row in rows:
        file = tmp_path / "rows" / "images" / f"{row.picture_name.replace('/', '_')}.png"
        assert row.picture is not None
        assert np.array_equal(np.asarray(Image.open(file).convert("RGB")), row.draw(row.picture, 64).rgb())


@pytest.mark.parametrize("name", ["tiny-act", "tiny-act-distill", "tiny-act-grpo"])
def test_the_shipped_recipes_have_rows_to_act_by(name: str) -> None:
    shipped = load_recipe(name, ["data.count=6"])
    for stage in shipped.stages:
        rows = stage_rows(replace(stage, data=replace(stage.data, count=6)), shipped)
        assert acting(rows)
