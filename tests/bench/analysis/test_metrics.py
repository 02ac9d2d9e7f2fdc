"""Metrics against hand-made samples."""

from __future__ import annotations

from typing import Any

import pytest

from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.summary import summarise as summarise_frame
from mgsd_bench.runs.sample import Sample


def sample(episode: str, outcome: str, **changes: Any) -> Sample:
    task, level, _ = episode.split("/")
    plan = None if outcome in ("no_answer", "truncated", "error") else ["left"]
    fields: dict[str, Any] = {
        "episode": episode, "task": task, "level": int(level), "condition": "visual", "repeat": 0,
        "prompt_digest": "", "text": "", "finish_reason": "stop", "prompt_tokens": None, "completion_tokens": None,
        "plan": plan, "form": "asked" if plan else "none", "facts": [],
        "outcome": outcome, "optimal": outcome == "solved",
        "illegal": "hole" if outcome == "illegal" else None, "steps": 1, "shortest": 1, "straight": False,
        "detour": False, "error": "reset" if outcome == "error" else None, "seconds": None,
    }  # fmt: skip
    return Sample(**{**fields, **changes})


def summarise(samples: list[Sample]) -> dict[str, Any]:
    return summarise_frame(sample_frame(samples)).to_json()


OUTCOMES = ["solved", "solved", "wrong", "illegal", "no_answer", "truncated", "error", "solved"]


def test_every_question_is_in_the_denominator() -> None:
    samples = [sample(f"maze/3/{i:04d}", outcome) for i, outcome in enumerate(OUTCOMES)]
    samples[7] = sample("maze/3/0007", "solved", optimal=False)
    summary = summarise(samples)
    (row,) = summary["conditions"]["visual"]["levels"]
    assert summary["samples"] == 8
    assert summary["errors"] == 1
    assert row["accuracy"]["value"] == 3 / 8
    assert row["accuracy"]["n"] == 8
    assert row["optimal_accuracy"]["value"] == 2 / 8
    assert row["accuracy_answered"] == {**row["accuracy_answered"], "value": 0.6, "n": 5}
    assert row["outcomes"] == {"solved": 3, "wrong": 1, "illegal": 1, "no_answer": 1, "truncated": 1, "error": 1}
    assert row["illegal_rules"] == {"hole": 1}


def test_macro_is_the_mean_of_tasks_not_of_episodes() -> None:
    samples = [sample(f"maze/3/{i:04d}", "solved") for i in range(30)]
    samples += [sample(f"frozenlake/{3 + i % 2}/{i:04d}", "wrong") for i in range(10)]
    of_visual = summarise(samples)["conditions"]["visual"]
    assert of_visual["macro"]["accuracy"]["value"] == pytest.approx(0.5)
    assert [(row["task"], row["n"]) for row in of_visual["tasks"]] == [("frozenlake", 10), ("maze", 30)]


def test_repeats_are_not_new_episodes() -> None:
    samples = [
        sample(f"maze/3/{i:04d}", "solved" if i % 2 == 0 else "wrong", repeat=repeat)
        for i in range(20)
        for repeat in range(5)
    ]
    once = summarise(samples[::5])["conditions"]["visual"]["levels"][0]
    often = summarise(samples)["conditions"]["visual"]["levels"][0]
    assert (once["n"], often["n"], often["samples"]) == (20, 20, 100)
    assert often["accuracy"] == once["accuracy"]


def test_conditions_are_kept_apart() -> None:
    samples = [sample("maze/3/0000", "solved"), sample("maze/3/0000", "wrong", condition="symbolic")]
    conditions = summarise(samples)["conditions"]
    assert conditions["visual"]["levels"][0]["accuracy"]["value"] == 1
    assert conditions["symbolic"]["levels"][0]["accuracy"]["value"] == 0


def test_nothing_answered_is_not_a_division_by_zero() -> None:
    row = summarise([sample("maze/3/0000", "no_answer")])["conditions"]["visual"]["levels"][0]
    assert row["accuracy_answered"] is None
