"""What is counted in an episode that is acted in step by step."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.contradiction import contradiction
from mgsd_bench.runs.lines import seal_of
from mgsd_bench.runs.loop_sample import loop_sample
from mgsd_bench.runs.loop_score import CAUSES, FAULTY, LoopScore
from mgsd_bench.runs.loop_scoring import ending_of, score_loop
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import LOOP_OUTCOMES, Outcome
from mgsd_bench.runs.stored import read_sample
from mgsd_envs import Fact, Task, get_task, make_episode
from mgsd_envs.views import View
from support.tasks import NAMES
from support.walking import LAKE, careless, ending, episode_of, oracle, scripted, sees, turn, walk, walked

SAYS = LoopSettings(say_state=True)
ACTIONS = st.sampled_from(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_oracle_takes_useful_steps_alone(name: str) -> None:
    episode = episode_of(name)
    sample = walked(episode, oracle)
    loop = sample.loop
    assert loop is not None
    assert (sample.outcome, sample.optimal, sample.steps, sample.dead_end) == ("solved", True, episode.shortest, None)
    assert (loop.useful, loop.actions, loop.blocked, loop.progress) == (episode.shortest, episode.shortest, 0, 1.0)
    assert loop.kinds == " ".join("u" * episode.shortest)
    assert loop.distinct == loop.visits
    assert not loop.looped


def test_every_kind_of_step_is_told_apart() -> None:
    """Up is off the grid; left again; right and back; an empty turn; down twice, right: into the hole of (2, 1)."""
    episode = episode_of("frozenlake", **{**LAKE, "holes": [[1, 1], [2, 1]]})
    turns = scripted(["up"], ["up"], ["left"], ["right"], ["left"], [], ["down"], ["down"], ["right"])
    sample = walked(episode, turns)
    loop = sample.loop
    assert loop is not None
    assert (sample.outcome, sample.illegal, sample.steps) == ("fatal", "hole", 4)
    assert loop.kinds == "b b b u h - u u f"
    assert (loop.turns, loop.unread, loop.cut, loop.actions, loop.blocked) == (9, 1, 0, 8, 3)
    assert (loop.after_blocked, loop.repeated) == (3, 1)
    assert (loop.visits, loop.distinct, loop.looped) == (5, 4, False)
    assert loop.progress == 0.0
    assert sample.plan == ["up", "up", "left", "right", "left", "down", "down", "right"]
    assert (sample.prompt_tokens, sample.completion_tokens, sample.seconds) == (900, 45, 4.5)


def test_a_push_that_nothing_makes_good_is_the_dead_end() -> None:
    """Down pushes the box to the wall below, along which there is no goal; all steps after it change nothing."""
    facts: set[Fact] = {("size", 5), ("player", 1, 2), ("goal", 2, 3), ("box", 2, 2)}
    task = get_task("sokoban")
    episode = make_episode(task, 5, "sokoban/5/0000", task.from_facts(facts))
    sample = walked(episode, scripted(["up"], ["left"], ["right"], ["down"], ["up"]), most=5)
    loop = sample.loop
    assert loop is not None
    assert (loop.kinds, loop.harmful, loop.progress) == ("b u h i n", 2, 0.0)
    assert (sample.outcome, sample.dead_end) == ("out_of_steps", 4)


def test_an_action_tried_three_times_in_one_state_is_a_loop() -> None:
    episode = episode_of("frozenlake", **LAKE)
    back_and_forth = scripted(*[["right"], ["left"]] * 3)
    assert walked(episode, back_and_forth, most=5).loop.looped  # type: ignore[union-attr]
    assert not walked(episode, scripted(*[["right"], ["left"]] * 3), most=4).loop.looped  # type: ignore[union-attr]
    bumps = walked(episode, scripted(["up"]), most=3).loop
    assert bumps is not None
    assert (bumps.looped, bumps.after_blocked, bumps.repeated) == (True, 2, 2)


def test_an_unreadable_turn_between_two_bumps_makes_them_no_less_a_repetition() -> None:
    loop = walked(episode_of("frozenlake", **LAKE), scripted(["up"], [], ["up"], ["right"]), most=4).loop
    assert loop is not None
    assert (loop.after_blocked, loop.repeated) == (2, 1)


def test_actions_of_one_turn_stop_at_the_first_that_is_blocked() -> None:
    loop = walked(episode_of("frozenlake", **LAKE), scripted(["right", "up", "right"], ["down"]), most=1).loop
    assert loop is not None
    assert loop.kinds == "ub"


def test_a_cut_answer_is_an_unread_turn_counted_apart() -> None:
    episode = episode_of("frozenlake", **LAKE)
    turns = [turn(0), turn(1, finish_reason="length"), turn(2, ["right"], ["done"], finish_reason="length")]
    loop = score_loop(episode, "act", LoopSettings(), turns, "out_of_steps").loop
    assert (loop.turns, loop.unread, loop.cut) == (3, 2, 1)


@pytest.mark.parametrize("end", ["stuck", "out_of_steps", "no_answer", "truncated", "error"])
def test_other_endings_are_the_outcome(end: Any) -> None:
    episode = episode_of("frozenlake", **LAKE)
    scored = score_loop(episode, "act", LoopSettings(), [turn(0, ["right"], ["done"])], end)
    assert (scored.outcome, ending_of(scored.outcome)) == (end, end)
    assert scored.loop.progress == pytest.approx(1 / 6, abs=1e-6)


def test_an_episode_whose_first_request_failed_counts_nothing() -> None:
    episode = episode_of("frozenlake", **LAKE)
    sample = loop_sample(episode, "act", 0, LoopSettings(), [], "error", prompt_digest="d", error="connection reset")
    assert (sample.outcome, sample.plan, sample.form, sample.finish_reason) == ("error", None, "none", "error")
    assert sample.loop is not None
    assert (sample.loop.turns, sample.loop.kinds, sample.loop.visits) == (0, "", 1)
    assert read_sample(sample.to_line(), True) == sample


@pytest.mark.parametrize(
    ("turns", "end", "words"),
    [
        ([turn(1, ["right"], ["done"])], "stuck", "turn 1 stands where turn 0 belongs"),
        ([turn(0, ["right"], ["blocked"])], "stuck", "turn 0: 'right' is done, not 'blocked'"),
        ([turn(0, ["right"], [])], "stuck", "1 actions and 0 effects"),
        ([turn(0, ["down", "right"], ["done", "fatal"]), turn(1)], None, "turn 1 comes after the end"),
        ([turn(0, ["down", "right", "up"], ["done", "fatal", "done"])], None, "goes on after the end"),
        ([turn(0, ["right"], ["done"])], None, "the last action does not end the episode"),
        ([turn(0, ["down", "right"], ["done", "fatal"])], "stuck", "ended as stuck"),
    ],
)
def test_turns_that_cannot_be_are_refused(turns: Any, end: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        score_loop(episode_of("frozenlake", **LAKE), "act", LoopSettings(), turns, end)


def test_cells_seen_are_counted_under_a_partial_view_alone() -> None:
    episode = episode_of("frozenlake", **LAKE)
    full = walked(episode, oracle).loop
    assert full is not None
    assert (full.explorer, full.seen, full.reachable) == (None, None, None)
    stays = walked(episode, scripted(["up"]), loop=LoopSettings(view=View("fog", 1)), most=2).loop
    assert stays is not None
    assert (stays.seen, stays.reachable) == (3, 14)  # of the four cells near the corner one is a hole
    window = walked(episode, oracle, loop=LoopSettings(view=View("window", 1))).loop
    fog = walked(episode, oracle, loop=LoopSettings(view=View("fog", 1))).loop
    assert window is not None
    assert fog is not None
    assert (window.seen, window.explorer) == (fog.seen, fog.explorer)


def _blind_to_holes(task: Task[Any], state: Any) -> frozenset[Fact]:
    return frozenset(fact for fact in task.facts(state) if fact[0] != "hole")


def _says_nothing(task: Task[Any], state: Any) -> frozenset[Fact]:
    return frozenset()


def _elsewhere(task: Task[Any], state: Any) -> frozenset[Fact]:
    return (task.facts(state) - {("goal", *state.goal)}) | {("goal", 0, 0)}


@pytest.mark.parametrize(
    ("seer", "causes"),
    [
        (sees, "pp"),  # off the grid and into the hole, and knew it
        (_blind_to_holes, "bs"),  # nobody leaves the grid for a hole unseen
        (_says_nothing, "uu"),
        (_elsewhere, "sb"),  # where one stands on the goal no step is right; later one is, another one
    ],
)
def test_faulty_steps_are_due_to_seeing_or_to_planning(seer: Any, causes: str) -> None:
    episode = episode_of("frozenlake", **{**LAKE, "goal": [2, 2]})
    loop = walked(episode, scripted(["up"], ["down"], ["right"]), loop=SAYS, seer=seer).loop
    assert loop is not None
    assert loop.kinds == "b u f"
    assert loop.causes == causes
    assert (loop.misread, loop.misplanned) == (causes.count("s"), causes.count("p"))
    unsaid = walked(episode, scripted(["up"], ["down"], ["right"]), seer=seer).loop
    assert unsaid is not None
    assert (unsaid.causes, unsaid.misread, unsaid.misplanned) == (None, None, None)


@pytest.mark.parametrize("name", NAMES)
def test_who_sees_right_misplans_every_faulty_step(name: str) -> None:
    sample = walked(episode_of(name), careless(Random(3)), loop=SAYS, seer=sees)
    assert sample.loop is not None
    assert set(sample.loop.causes or "p") == {"p"}


@pytest.mark.parametrize("name", NAMES)
def test_a_state_in_the_middle_goes_on_as_it_does_in_its_episode(name: str) -> None:
    """What is stated in a turn is acted in from where it stands: as far to go, and the same steps."""
    task, episode = get_task(name), episode_of(name)
    cursor, rng = task.start(episode.state), Random(1)
    for _ in range(40):
        now = task.from_facts(task.facts(task.state_at(episode.state, cursor)))
        assert task.to_go(now, task.resume(now)) == task.to_go(episode.state, cursor)
        after = task.step(episode.state, cursor, rng.choice(task.actions))
        if not isinstance(after, str) and not task.solved(episode.state, after):
            cursor = after


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    name, seed = draw(ACTIONS), draw(st.integers(0, 2**32))
    settings = SAYS if draw(st.booleans()) else LoopSettings()
    level = draw(st.integers(3, 5)) if name != "sokoban" else 5
    seer = _forgetting(Random(seed)) if settings.say_state else None
    return walked(
        episode_of(name, max(level, get_task(name).min_level)), careless(Random(seed)), loop=settings, seer=seer
    )


def _forgetting(rng: Random) -> Any:
    return lambda task, state: frozenset(fact for fact in sorted(task.facts(state), key=str) if rng.random() < 0.9)


@given(samples())
def test_every_action_is_counted_once(sample: Sample) -> None:
    loop = sample.loop
    assert loop is not None
    fatal = sample.outcome == Outcome.FATAL
    assert None not in (loop.useful, loop.neutral, loop.harmful)
    assert loop.useful + loop.neutral + loop.harmful + loop.blocked + fatal == loop.actions  # type: ignore[operator]
    assert loop.actions == len(sample.plan or ())
    assert sample.steps == loop.actions - loop.blocked - fatal == loop.visits - 1
    assert len(loop.kinds.split()) == loop.turns
    assert 0 <= (loop.progress or 0) <= 1
    if loop.causes is not None:
        assert len(loop.causes) == sum(loop.kinds.count(kind) for kind in FAULTY)
        assert set(loop.causes) <= set(CAUSES)


@given(samples())
def test_a_stored_sample_is_read_as_it_was(sample: Sample) -> None:
    line = sample.to_line()
    assert seal_of(line) is True
    assert read_sample(line, True) == sample


@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_scoring_again_gives_the_same(name: str, seed: int) -> None:
    episode = episode_of(name)
    turns = walk(episode, careless(Random(seed)), sees)
    once = loop_sample(episode, "act", 0, SAYS, turns, ending(episode, turns))
    assert loop_sample(episode, "act", 0, SAYS, turns, ending_of(once.outcome)) == once


def test_samples_of_answers_at_once_have_no_loop() -> None:
    sample = replace(walked(episode_of("frozenlake", **LAKE), oracle), condition="visual", loop=None)
    row = json.loads(sample.to_line())
    assert "loop" not in row
    assert read_sample(sample.to_line(), True) == sample


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"turns": -1}, "loop.turns is -1"),
        ({"turns": 2**31}, "loop.turns is 2147483648"),
        ({"turns": True}, "loop.turns is 'True'"),
        ({"turns": "6"}, "loop.turns is '6'"),
        ({"turns": 7}, "loop.turns is 7, and kinds comes to 6"),
        ({"useful": 5}, "loop.useful is 5, and kinds comes to 6"),
        ({"useful": None}, "loop.kinds"),
        ({"blocked": 1}, "loop.blocked is 1, and kinds comes to 0"),
        ({"visits": 9}, "loop.visits is 9"),
        ({"distinct": 8}, "loop.distinct is more than visits"),
        ({"distinct": 0}, "loop.distinct is 0"),
        ({"cut": 1}, "loop.cut is more than unread"),
        ({"after_blocked": 1}, "loop.after_blocked is more than blocked"),
        ({"repeated": 1}, "loop.repeated is more than after_blocked"),
        ({"seen": 1}, "loop.seen is more than reachable"),
        ({"progress": float("nan")}, "loop.progress is nan"),
        ({"progress": 1.5}, "loop.progress is 1.5"),
        ({"progress": None}, "loop.progress is None"),
        ({"kinds": "u u z"}, "loop.kinds is 'u u z'"),
        ({"kinds": "u  u"}, "loop.kinds is 'u  u'"),
        ({"kinds": "f f"}, "loop.kinds is 'f f'"),
        ({"kinds": "-u"}, "loop.kinds is '-u'"),
        ({"looped": 0}, "loop.looped is '0'"),
        ({"causes": "sp", "misread": 1, "misplanned": 1}, "loop.causes is 'sp'"),
        ({"causes": "", "misread": 1, "misplanned": 0}, "loop.misread is 1, and causes comes to 0"),
        ({"misread": 0}, "loop.misread is counted without causes"),
    ],
)
def test_counts_that_cannot_be_are_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    sample = walked(episode_of("frozenlake", **LAKE), oracle)
    assert sample.loop is not None
    row = {**json.loads(sample.to_line()), "loop": {**sample.loop.to_row(), **changes}}
    with pytest.raises(ValueError) as caught:
        Sample.from_row(row)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [field.name for field in fields(LoopScore) if "None" not in str(field.type)])
def test_a_count_that_is_missing_is_named(name: str) -> None:
    sample = walked(episode_of("frozenlake", **LAKE), oracle)
    assert sample.loop is not None
    row = sample.loop.to_row()
    del row[name]
    with pytest.raises(ValueError, match=f"loop.{name} is missing"):
        LoopScore.from_row(row)


@pytest.mark.parametrize("condition", ["visual", "act"])
def test_counts_belong_to_closed_loops_alone(condition: str) -> None:
    sample = walked(episode_of("frozenlake", **LAKE), oracle)
    damaged = replace(sample, condition=condition, loop=sample.loop if condition == "visual" else None)
    with pytest.raises(ValueError, match=f"under {condition}"):
        read_sample(damaged.to_line(), True)


@pytest.mark.parametrize("outcome", ["wrong", "illegal"])
def test_outcomes_of_answers_at_once_are_none_of_closed_loops(outcome: str) -> None:
    assert outcome not in map(str, LOOP_OUTCOMES)
    sample = replace(walked(episode_of("frozenlake", **LAKE), oracle), outcome=outcome)
    with pytest.raises(ValueError, match=outcome):
        read_sample(sample.to_line(), True)


@given(samples())
def test_a_sample_is_what_its_actions_come_to(sample: Sample) -> None:
    episode = episode_of(sample.task, sample.level)
    assert contradiction(sample, episode) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": "stuck"}, "an episode that ended as stuck"),
        ({"optimal": False}, "optimal is not that of the actions"),
        ({"steps": 5}, "steps is not that of the actions"),
        ({"plan": ["up"] * 6}, "turn 0: 'up' is blocked, not 'done'"),
        ({"plan": ["down"] * 5}, "plan does not hold the actions that are counted"),
        ({"illegal": "hole"}, "illegal is not that of the actions"),
        ({"dead_end": 1}, "dead_end is not that of the actions"),
        ({"shortest": 7}, "shortest is not that of the episode"),
        ({"loop": {"distinct": 6}}, "loop.distinct is not that of the actions"),
        ({"loop": {"looped": True}}, "loop.looped is not that of the actions"),
        ({"loop": {"progress": 0.5}}, "loop.progress is not that of the actions"),
    ],
)
def test_a_sample_that_its_actions_do_not_come_to_is_found_out(changes: dict[str, Any], words: str) -> None:
    episode = episode_of("frozenlake", **LAKE)
    sample = walked(episode, oracle)
    assert sample.loop is not None
    loop = replace(sample.loop, **changes.get("loop", {}))
    damaged = replace(sample, **{**changes, "loop": loop})
    assert words in (contradiction(damaged, episode) or "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("unhibfx- sp", max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(samples(), st.dictionaries(st.sampled_from([field.name for field in fields(LoopScore)]), JSON, min_size=1))
def test_counts_of_anybody_are_read_or_refused_in_one_line(sample: Sample, changes: dict[str, Any]) -> None:
    assert sample.loop is not None
    row = {**sample.loop.to_row(), **changes}
    refused = ""
    try:
        found = LoopScore.from_row(row)
    except ValueError as error:
        refused = str(error)
    else:
        assert found.to_row() == {name: row[name] for name in found.to_row()}
    assert refused == "" or refused.startswith("loop.")
    assert len(refused.splitlines()) < 2
    assert len(refused) < 200
