"""What becomes of an answer in the simulator."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256

import pytest

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.backends import Response
from mgsd_bench.prompts import ONE_SHOT, in_order
from mgsd_bench.runs.scoring import SCORER_VERSION, Outcome, score
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes
from mgsd_envs import Episode, get_task, make_episode


@pytest.fixture(scope="module")
def episode() -> Episode:
    """3x3: player top left, goal bottom left, a hole between them."""
    task = get_task("frozenlake")
    state = task.from_json({"size": 3, "player": [0, 0], "goal": [2, 0], "holes": [[1, 0]]})
    return make_episode(task, 3, "frozenlake/3/0000", state)


@pytest.mark.parametrize(
    ("answer", "finish", "outcome", "optimal", "steps", "illegal"),
    [
        ("<answer>RDDL</answer>", "stop", Outcome.SOLVED, True, 4, None),
        ("<answer>RRDDLL</answer>", "stop", Outcome.SOLVED, False, 6, None),
        ("<answer>RDDLUUU</answer>", "stop", Outcome.SOLVED, True, 4, None),
        ("<answer>RD</answer>", "stop", Outcome.WRONG, False, 2, None),
        ("<answer>DD</answer>", "stop", Outcome.ILLEGAL, False, 0, "hole"),
        ("<answer>RUL</answer>", "stop", Outcome.ILLEGAL, False, 1, "off_grid"),
        ("<answer>R,PICK</answer>", "stop", Outcome.ILLEGAL, False, 1, "unknown_action"),
        ("no idea", "stop", Outcome.NO_ANSWER, False, 0, None),
        ("<answer>RDD", "length", Outcome.TRUNCATED, False, 0, None),
        ("<answer>RDDL</answer> and then", "length", Outcome.SOLVED, True, 4, None),
    ],
)
def test_outcome(
    episode: Episode, answer: str, finish: str, outcome: Outcome, optimal: bool, steps: int, illegal: str | None
) -> None:
    scored = score(episode, "visual", Response("k", answer, finish))  # type: ignore[arg-type]
    assert (scored.outcome, scored.optimal, scored.steps, scored.illegal) == (outcome, optimal, steps, illegal)


def test_error_is_no_answer_whatever_the_text_says(episode: Episode) -> None:
    scored = score(episode, "visual", Response("k", "<answer>RDDL</answer>", "error", error="connection reset"))
    assert scored.outcome == Outcome.ERROR
    assert scored.plan is None


def test_stated_facts_are_read_where_they_were_asked_for(episode: Episode) -> None:
    text = "size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: (1,0)\n<answer>RDDL</answer>"
    task = get_task("frozenlake")
    assert score(episode, "visual", Response("k", text, "stop")).facts == task.facts(episode.state)
    assert score(episode, "direct", Response("k", text, "stop")).facts == frozenset()


@pytest.mark.parametrize(
    ("answer", "finish", "outcome"),
    [
        ("size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: (1,0)", "stop", Outcome.SOLVED),
        ("size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: (1,0), (1,1)", "stop", Outcome.WRONG),
        ("a lake", "stop", Outcome.NO_ANSWER),
        ("a lake", "length", Outcome.TRUNCATED),
    ],
)
def test_perceive_asks_for_the_state_alone(episode: Episode, answer: str, finish: str, outcome: Outcome) -> None:
    scored = score(episode, "perceive", Response("k", answer, finish))  # type: ignore[arg-type]
    assert (scored.outcome, scored.plan) == (outcome, None)


def test_the_version_goes_up_when_the_same_answers_come_out_otherwise() -> None:
    """If this fails for a good reason, raise SCORER_VERSION, and put the new pair here."""
    digest = sha256()
    for episode in episodes(find_suite("smoke")):
        task = get_task(episode.task)
        state, plan = task.describe(episode.state), f"<answer>{write_plan(episode.plan)}</answer>"
        for text in (f"{state}\n{plan}", plan, state, f"<think>{plan}</think>", plan[:-9], "<answer>URDL</answer>"):
            for condition in in_order(ONE_SHOT):
                for reason in ("stop", "length"):
                    found = asdict(score(episode, condition, Response("k", text, reason)))  # type: ignore[arg-type]
                    assert found.pop("dead_end") is None
                    assert found.pop("loop") is None
                    line = json.dumps({**found, "facts": sorted(map(str, found["facts"]))}, sort_keys=True)
                    digest.update(line.encode())
    assert (SCORER_VERSION, digest.hexdigest()[:16]) == (2, "c3d87cf90c96bc73")
