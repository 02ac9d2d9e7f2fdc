"""Figures of episodes that are acted in step by step: columns, metrics, and what `eval` stores."""

from __future__ import annotations

from random import Random
from typing import Any

import pandas as pd
import pytest

from mgsd_bench.analysis.frame import Origin, concatenate, sample_frame
from mgsd_bench.analysis.groups import group, group_rows
from mgsd_bench.analysis.loop_columns import LOOP
from mgsd_bench.analysis.metrics import ACTING, METRICS
from mgsd_bench.analysis.summary import ConditionSummary, summarise
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.sample import Sample
from mgsd_bench.statistics.intervals import fact_values, macro
from mgsd_envs.views import View
from support.tasks import NAMES
from support.walking import LAKE, careless, episode_of, oracle, scripted, sees, walked


def _walks(policy: Any, tasks: tuple[str, ...] = ("frozenlake", "maze"), n: int = 6, **more: Any) -> list[Sample]:
    return [walked(episode_of(task, 4, i), policy, **more) for task in tasks for i in range(n)]


def _summary(samples: list[Sample], condition: str = "act") -> ConditionSummary:
    return summarise(sample_frame(samples)).conditions[condition]


def test_oracle_is_perfect_in_every_figure() -> None:
    acting = _summary(_walks(oracle, NAMES)).macro.acting
    assert acting is not None
    ones = {"strict", "within_1", "within_1_5", "within_2", "within_3", "spl", "progress", "useful"}
    zeros = {"unreadable", "blocked", "revisit", "loop", "dead_end"}
    assert {name: acting[name].value for name in ones | zeros} == dict.fromkeys(ones, 1.0) | dict.fromkeys(zeros, 0.0)
    assert set(ACTING) - set(acting) == {"repeat", "coverage", "explorer"}  # nothing to count these of
    assert acting["dead_end"].n == 6  # of Sokoban alone
    assert acting["spl"].n == 24


def test_figures_by_hand() -> None:
    """A way through a lake, once as short as can be (6 actions), once with a bump and a step back and forth (9)."""
    straight = [["right"], ["right"], ["down"], ["down"], ["down"], ["right"]]
    bumpy = [["up"], ["right"], ["left"], [], *straight]
    episode = episode_of("frozenlake", **LAKE)
    frame = sample_frame([walked(episode, scripted(*turns), repeat=i) for i, turns in enumerate((straight, bumpy))])
    assert frame["spl"].tolist() == [1.0, pytest.approx(6 / 9)]
    assert frame["strict"].tolist() == [True, False]
    assert frame["within_1"].tolist() == [True, False]
    assert frame["within_1_5"].tolist() == [True, True]
    assert frame[["turns", "unread", "actions", "blocked", "useful", "harmful", "visits", "revisits"]].to_numpy(
        int
    ).tolist() == [[6, 0, 6, 0, 6, 0, 7, 0], [10, 1, 9, 1, 7, 1, 9, 2]]
    rate = {name: group_rows(frame, ACTING[name]).estimate().value for name in ("blocked", "unreadable", "revisit")}
    assert rate == {"blocked": 1 / 15, "unreadable": 1 / 16, "revisit": 2 / 16}
    assert group(frame, METRICS["act_spl"]).estimate().value == pytest.approx((1 + 6 / 9) / 2)


def test_who_bumps_three_times_and_goes_on_repeats_two_of_three() -> None:
    turns = [["up"], ["up"], ["up"], ["right"], ["down"], ["down"]]
    acting = _summary([walked(episode_of("frozenlake", number=i, **LAKE), scripted(*turns)) for i in range(5)]).macro
    assert acting.acting is not None
    assert acting.acting["repeat"].value == pytest.approx(2 / 3)
    assert acting.acting["loop"].value == 1.0


def test_who_walks_in_circles_has_no_progress_and_loops() -> None:
    acting = _summary(_walks(scripted(*[["right"], ["left"], ["down"], ["up"]] * 10), ("frozenlake",))).macro.acting
    assert acting is not None
    assert acting["loop"].value > 0
    assert acting["spl"].value == 0.0


@pytest.mark.parametrize("name", [name for name, metric in ACTING.items() if metric.over])
def test_rates_are_counts_over_counts_with_the_linearised_interval(name: str) -> None:
    settings = LoopSettings(view=View("fog", 1))
    samples = [walked(episode_of("frozenlake", 4, i), careless(Random(i)), loop=settings) for i in range(30)]
    frame, metric = sample_frame(samples), ACTING[name]
    assert metric.over is not None
    top, bottom = frame[metric.column].to_numpy(float), frame[metric.over].to_numpy(float)
    found = group_rows(frame, metric).estimate()
    assert found.value == pytest.approx(top.sum() / bottom.sum())
    by_hand = macro(fact_values([[[*zip(top, 0 * top, bottom - top, strict=True)]]], "recall"))
    assert found == by_hand
    assert found.low < found.value < found.high


def test_a_task_in_which_nothing_is_counted_leaves_the_macro_rate_out() -> None:
    bumps = walked(episode_of("frozenlake", **LAKE), scripted(["up"]), most=4)
    of_both = _summary([bumps, walked(episode_of("maze"), oracle)])
    by_task = {row.task: row.acting or {} for row in of_both.tasks}
    assert by_task["frozenlake"]["repeat"].value == 1.0
    assert "repeat" not in by_task["maze"]
    assert "repeat" not in (of_both.macro.acting or {})


def test_explorer_and_coverage_are_of_partial_views_alone() -> None:
    samples = _walks(oracle, ("frozenlake",), loop=LoopSettings(view=View("window", 1)))
    acting = _summary(samples).macro.acting
    assert acting is not None
    assert 0 < acting["coverage"].value <= 1
    assert acting["explorer"].value == 1.0  # nobody is slower than who explores


def test_outcomes_are_those_of_the_condition() -> None:
    row = _summary(_walks(scripted([]), most=3)).tasks[0]
    assert list(row.outcomes) == ["solved", "fatal", "stuck", "out_of_steps", "no_answer", "truncated", "error"]
    assert row.outcomes["out_of_steps"] == 6
    assert row.accuracy_answered is None


def test_answers_at_once_look_as_before() -> None:
    sample = Sample.from_row({**_row(walked(episode_of("maze"), oracle)), "condition": "visual", "loop": None})
    frame = sample_frame([sample])
    assert not set(LOOP) & set(frame)
    found = summarise(frame).to_json()["conditions"]["visual"]
    assert list(found["tasks"][0]["outcomes"]) == ["solved", "wrong", "illegal", "no_answer", "truncated", "error"]
    assert "acting" not in found["tasks"][0] | found["levels"][0] | found["macro"]


def test_tables_of_both_kinds_are_put_together() -> None:
    acted = sample_frame([walked(episode_of("maze"), oracle)], origin=Origin(view="fog:1"))
    said = sample_frame([Sample.from_row({**_row(walked(episode_of("maze"), oracle)), "condition": "visual",
                                          "loop": None})])  # fmt: skip
    for parts in ([acted, said], [said, acted]):
        both = concatenate(parts)
        assert both["turns"].notna().tolist() == [part is acted for part in parts]
        for name, column in LOOP.items():
            assert str(both[name].dtype) == column.dtype or column.dtype == "str"
        assert both.loc[both["condition"] == "act", "view"].tolist() == ["fog:1"]
    mixed = sample_frame([*_walks(oracle, n=1), Sample.from_row({**_row(walked(episode_of("maze", 4, 9), oracle)),
                                                                "condition": "visual", "loop": None})])  # fmt: skip
    assert pd.isna(mixed.set_index("condition").loc["visual", "turns"])


def test_causes_are_counted_where_states_are_said() -> None:
    frame = sample_frame(
        [walked(episode_of("frozenlake", **LAKE), careless(Random(i)), loop=LoopSettings(say_state=True), seer=sees,
                repeat=i) for i in range(4)]
    )  # fmt: skip
    assert (frame["attributed_steps"] == frame["harmful"] + frame["blocked"] + frame["fatal"]).all()
    assert (frame["misplanned_steps"] == frame["attributed_steps"]).all()
    assert (frame[["misread_steps", "both_steps", "unstated_steps"]] == 0).all(axis=None)


def test_what_was_wasted_comes_after_the_dead_end() -> None:
    samples = _walks(careless(Random(4)), ("sokoban",), n=12)
    frame = sample_frame(samples)
    assert frame["lost"].any()
    lost = frame[frame["lost"]]
    assert (lost["wasted"] == lost["actions"] - lost["dead_end"]).all()
    assert frame.loc[~frame["lost"], "wasted"].isna().all()


def _row(sample: Sample) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in Sample.__slots__}
