"""How far an attribution to both faults can be told apart: by hand, and against faults that were planted together."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from mgsd_bench.analysis.overlap import Bounds, attribution_bounds

Row = tuple[str, bool, bool, float]
SEEN_SOLVED: Row = ("solved", True, False, 1.0)
SEEN_FAILED: Row = ("planning", True, True, 1.0)
MISREAD_SOUND: Row = ("perception", False, False, 0.0)
BOTH: Row = ("both", False, True, 0.0)
HARMLESS: Row = ("both", False, True, 1.0)


def table(*rows: Row, level: int = 3) -> pd.DataFrame:
    """A table of samples with what the bounds are made of."""
    columns: dict[str, Any] = {
        "task": ["maze"] * len(rows),
        "level": [level] * len(rows),
        "episode": [f"{level}/{i}" for i in range(len(rows))],
        "repeat": [0] * len(rows),
    }
    names = ("attribution", "state_exact", "misplanned", "if_planned_well")
    frame = pd.DataFrame({**columns, **{name: [row[i] for row in rows] for i, name in enumerate(names)}})
    return frame.astype({"misplanned": "boolean", "state_exact": "boolean"})


def told(rows: pd.DataFrame, *solved: bool) -> pd.DataFrame:
    """The table with what became of the same tries as text."""
    return rows.assign(told=solved)


def close(bounds: Bounds, independent: float, low: float, high: float) -> bool:
    return (bounds.independent, bounds.low, bounds.high) == pytest.approx((independent, low, high))


def test_without_both_there_is_nothing_to_tell_apart() -> None:
    found = attribution_bounds(table(SEEN_SOLVED, SEEN_FAILED, MISREAD_SOUND, MISREAD_SOUND))
    assert close(found["perception"], 0.5, 0.5, 0.5)
    assert close(found["planning"], 0.25, 0.25, 0.25)
    assert close(found["both"], 0, 0, 0)


def test_a_planner_that_never_fails_where_it_sees_right_failed_by_what_it_misread() -> None:
    rows = table(*[SEEN_SOLVED] * 10_000, *[BOTH] * 100)
    found = attribution_bounds(rows)
    assert found["perception"].independent == pytest.approx(100 / 10_100)
    assert found["perception"].low > 90 / 10_100
    assert found["planning"] == Bounds(0, 0, 0)


def test_a_harmless_misreading_leaves_the_fault_with_planning_where_planning_fails_anyway() -> None:
    rows = table(*[SEEN_FAILED] * 10_000, *[HARMLESS] * 100)
    found = attribution_bounds(rows)
    assert found["planning"].independent == pytest.approx(1)
    assert found["perception"].high == pytest.approx(0, abs=1e-9)


def test_text_tells_who_would_have_planned_badly_anyway() -> None:
    rows = table(*[BOTH] * 500, *[MISREAD_SOUND] * 500)
    failing = told(rows, *[False] * 500, *[True] * 500)
    found = attribution_bounds(failing)
    assert found["both"].independent == pytest.approx(0.5)  # just those that fail as text too
    assert found["perception"].independent == pytest.approx(0.5)
    # half fail as text, half in the misread world: as far as these numbers go, all or none of them are the same ones
    assert (found["both"].low, found["both"].high) == pytest.approx((0, 0.5), abs=0.05)
    never = attribution_bounds(told(rows, *[True] * 1000))
    assert never["both"].independent == 0
    assert never["perception"].low > 0.98


def test_a_level_where_nothing_was_seen_rightly_says_nothing() -> None:
    rows = pd.concat([table(*[SEEN_SOLVED] * 50), table(*[BOTH] * 50, level=4)], ignore_index=True)
    found = attribution_bounds(rows)
    assert close(found["perception"], 0.5, 0, 0.5)
    assert close(found["both"], 0, 0, 0.5)
    assert close(attribution_bounds(table(*[BOTH] * 10))["both"], 0.5, 0, 1)


@pytest.mark.parametrize("rows", [table(BOTH), table(HARMLESS, SEEN_SOLVED), table(SEEN_FAILED, BOTH, HARMLESS)])
def test_bounds_hold_what_they_bound(rows: pd.DataFrame) -> None:
    for frame in (rows, told(rows, *[True] * len(rows)), told(rows, *[False] * len(rows))):
        found = attribution_bounds(frame)
        counts = rows["attribution"].value_counts()
        for bounds in found.values():
            assert 0 <= bounds.low <= bounds.independent + 1e-9 <= bounds.high + 2e-9 <= 1 + 3e-9
        total = sum(bounds.independent for bounds in found.values()) * len(rows)
        assert total == pytest.approx(sum(counts.get(kind, 0) for kind in ("perception", "planning", "both")))
