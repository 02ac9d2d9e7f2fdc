"""The table of samples: its columns are those that are documented, and it holds what the samples say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgsd_bench.analysis.frame import COLUMNS, DIAGNOSTICS, concatenate, sample_frame
from mgsd_bench.analysis.groups import group, group_column
from mgsd_bench.analysis.loop_columns import LOOP
from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.analysis.run import Run, load_run
from support.gating import make

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
ALL = {**COLUMNS, **DIAGNOSTICS}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(make(tmp_path_factory.mktemp("frame") / "run", "faulty:0.1,0.2,0.1", limit=6, repeats=2))


def test_the_documentation_lists_the_columns() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(name, column.dtype, column.unit, column.meaning) for name, column in (ALL | LOOP).items()]


def test_columns_and_types(run: Run) -> None:
    frame = run.to_pandas()
    assert list(frame) == list(ALL)
    for name, column in ALL.items():
        assert str(frame[name].dtype) == column.dtype or column.dtype == "str", name
    assert frame.sort_values(["condition", "episode", "repeat"], kind="stable").index.tolist() == list(
        range(len(frame))
    )


def test_types_do_not_depend_on_what_is_there(run: Run) -> None:
    frame = run.to_pandas()
    empty = sample_frame([], {})
    one = sample_frame(run.samples[:1], run.episodes)
    assert empty.dtypes.map(str).tolist() == one.dtypes.map(str).tolist() == frame.dtypes.map(str).tolist()


def test_rows_say_what_samples_say(run: Run) -> None:
    frame = run.to_pandas().set_index(["condition", "episode", "repeat"])
    for sample in run.samples:
        row = frame.loc[sample.condition, sample.episode, sample.repeat]
        assert (row["outcome"], row["solved"]) == (sample.outcome, sample.outcome == "solved")
        assert pd.isna(row["plan"]) == (sample.plan is None)
        assert (row["shortest"], row["level"], row["task"]) == (sample.shortest, sample.level, sample.task)


def test_of_a_question_the_last_sample_counts(run: Run) -> None:
    first = run.samples[0]
    twice = sample_frame([*run.samples, first], run.episodes)
    pd.testing.assert_frame_equal(twice, sample_frame(run.samples, run.episodes))


def test_repeats_are_one_value_an_episode_and_facts_are_added_up(run: Run) -> None:
    frame = run.to_pandas()
    solved = group(frame, METRICS["e2e"])
    visual = frame[frame["condition"] == "visual"]
    assert solved.n == visual["episode"].nunique()
    by_hand = visual.groupby(["task", "level", "episode"], observed=True)["solved"].mean()
    assert [value for s in solved.strata for value in s.values] == by_hand.tolist()
    facts = group_column(visual, "state", "f1")
    stated = visual.groupby(["task", "level", "episode"], observed=True)[["state_tp", "state_fp", "state_fn"]].sum()
    assert [value.tolist() for s in facts.strata for value in s.values] == stated.to_numpy(float).tolist()


def test_places_go_from_levels_to_the_macro_average(run: Run) -> None:
    solved = group(run.to_pandas(), METRICS["e2e"])
    assert list(solved.places()) == [
        ("frozenlake", 3), ("frozenlake", 4), ("frozenlake", None), ("maze", 3), ("maze", 4), ("maze", None),
        (None, None),
    ]  # fmt: skip
    tasks = [solved.at(task).estimate().value for task in solved.tasks]
    assert solved.estimate().value == pytest.approx(sum(tasks) / 2)


def test_tables_are_joined_with_their_categories(run: Run) -> None:
    frame = run.to_pandas()
    parts = [frame[frame["task"] == task] for task in ("frozenlake", "maze")]
    joined = concatenate(parts)
    assert len(joined) == len(frame)
    assert joined.dtypes.map(str).tolist() == frame.dtypes.map(str).tolist()


def test_digests_and_other_texts_come_out_as_they_went_in() -> None:
    column = COLUMNS["prompt_digest"]
    texts = ["0" * 64, "ab" * 32, "no digest", "", "AB" * 32]
    values = column.values()
    for text in texts:
        values.append(text)
    order = np.array([4, 2, 0, 1, 3])
    assert values.series(order).tolist() == [texts[i] for i in order]
    assert [texts[i] for i in np.argsort(values.ranks(), kind="stable")] == sorted(texts)
