"""Properties of reading states: what is written comes back, and nothing that is not there."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgsd_envs import Fact
from mgsd_envs.stated_fields import Labels, read_statements
from mgsd_envs.statements import Field, read_facts
from mgsd_envs.task import Task
from support.tasks import every_task

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NUMBER = st.integers(0, 9999) | st.integers(0, 9)
CELL = st.tuples(NUMBER, NUMBER)
LETTERS = {"L": "left", "D": "down", "R": "right", "U": "up"}

Check = Callable[[str, str], tuple[str, str | None, str]]


@pytest.fixture(scope="module")
def check() -> Check:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return cast(Check, import_module("fuzz_states").check)


@every_task
@given(seed=st.integers(0, 2**64))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_in_random_forms(check: Check, task: Task[Any], seed: int) -> None:
    """Written, among noise, with a spoiled field and mutated; see the benchmark."""
    kind, wrong, text = check(task.name, str(seed))
    assert wrong is None, f"{kind}: {wrong}\n{text}"


def cell_text(cell: tuple[int, int]) -> str:
    return f"({cell[0]},{cell[1]})"


@st.composite
def asked(draw: st.DrawFn, task: Task[Any]) -> tuple[str, set[Fact]]:
    """Any statement in the form that prompts ask for, true or not, and what it states."""
    told: list[str] = []
    facts: set[Fact] = set()
    for one in task.fields:
        if one.kind == "number":
            number = draw(NUMBER)
            told.append(f"{one.name}: {number}")
            facts.add((one.fact, number))
            continue
        cells = [draw(CELL)] if one.kind == "cell" else draw(st.lists(CELL, max_size=6))
        letters = st.lists(st.sampled_from("LDRU"), min_size=1, max_size=4).map("".join)
        rows = [(cell, draw(letters) if one.kind == "sides" else "") for cell in cells]
        told.append(
            f"{one.name}: " + (", ".join(f"{cell_text(cell)} {sides}".strip() for cell, sides in rows) or "none")
        )
        for cell, sides in rows:
            facts |= {(one.fact, *cell, LETTERS[letter]) for letter in sides} or {(one.fact, *cell)}
    return "\n".join(told), facts


@every_task
@given(data=st.data())
@settings(max_examples=200)
def test_the_form_asked_for_is_read_as_it_stands(task: Task[Any], data: st.DataObject) -> None:
    text, facts = data.draw(asked(task))
    route = data.draw(st.sampled_from(["", "\n", "\nRoute: I go from (0,1) to the goal at (2,2).\n", "\n\nSo I go."]))
    assert read_facts(text + route, task.fields) == facts
    # with a space before it the text is no longer exactly in this form, and is read by the grammar
    assert read_facts(" " + text + route, task.fields) == facts


@pytest.mark.slow
@every_task
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "player: x goal: ",
            "size: 4, player: (0,1) x",
            '"player": [',
            '{"player": ',
            "{",
            "}",
            '{"a": ',
            "[[",
            "- [(1,1)\n",
        ),
        *(
            "row 0 ",
            "row 0, ",
            "r0c",
            "1,1 ",
            "1,1, ",
            "x=1 ",
            "holes: [(1,1)\n",
            "open: {",
            "(0,0): D\n",
            "(0,0) →",
            "a b c d: ",
        ),
        *(
            "| a | b |\n",
            "|---|\n",
            "| --- |\n| size |\n",
            "player |",
            "\\n",
            "<b",
            "<s>",
            "</s>",
            "(a",
            "((((",
            "# ",
            "// ",
            "~",
        ),
        *(
            "goal is ",
            "the ",
            "state: ",
            "initial ",
            "position of the ",
            "position of ",
            "player position",
            "player (",
            "goal (1)",
        ),
        *(
            "no ",
            "none ",
            "n/a ",
            "９",
            "：",
            "\u200b",
            "\u3000",
            "İ",
            "→",
            "↓",
            "holes:\n\n",
            "holes:\n- ",
            "1) ",
            "size: 4. ",
        ),
    ],
)
def test_linear_time_whatever_is_repeated(task: Task[Any], piece: str) -> None:
    """Quadratic time would take minutes here."""
    noise = piece * (100_000 // len(piece))
    for text in (
        noise,
        "open: " + noise,
        "holes: " + noise,
        "player: " + noise,
        '{"table": ' + noise,
        noise + "\nplayer:",
    ):
        task.parse(text)


def test_other_tasks_only_declare_their_fields() -> None:
    fields = (Field("boxes", "cells", "box", ("box", "crate positions")), Field("worker", "cell", "worker"))
    for text in (
        "boxes: (1,1), (2,2)\nworker: (0,0)",
        '{"box": [[1, 1], [2, 2]], "worker": {"row": 0, "col": 0}}',
        "worker: row 0, column 0 | crate_positions: (1,1), (2,2)",
    ):
        assert read_facts(text, fields) == {("box", 1, 1), ("box", 2, 2), ("worker", 0, 0)}


def test_statements_come_in_order() -> None:
    labels = Labels(("size", "player"))
    statements = read_statements("size: 4\nplayer: (0,1)\nsize: ?", labels, {"size": "number", "player": "cell"})
    assert [(one.name, one.value is None) for one in statements] == [("size", False), ("player", False), ("size", True)]
