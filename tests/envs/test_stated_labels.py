"""Values with labels, in the forms that models write them in, and near-misses that must state nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs import get_task
from mgsd_envs.minigrid_world import OBJECTS

pytest.importorskip("minigrid")

DOORKEY = get_task("minigrid-doorkey")
THINGS = {("object", 1, 2, "red key"), ("object", 3, 4, "blue door locked")}


def read(text: str, *names: str) -> set[Any]:
    facts = DOORKEY.parse(text)
    return {fact for fact in facts if not names or fact[0] in names}


@pytest.mark.parametrize(
    "value",
    [
        "(1,2) red key, (3,4) blue door locked",
        "(1, 2) Red key; (3, 4) locked blue door.",
        "(1,2): red key, (3,4): blue door, locked",
        "(1,2) the red key and (3,4) a blue door (locked)",
        "red key at (1,2), blue door locked at (3,4)",
        "a red key (1,2), a locked blue door (3,4)",
        "**(1,2)** `red key`, **(3,4)** `blue door locked`",
        "(row 1, column 2) red key, (row 3, column 4) blue door locked",
        "\n- (1,2) red key\n- (3,4) blue door locked",
        "(1,2) -> red key, (3,4) -> locked blue door",
        "[1,2] red key, [3,4] blue door locked",
        "(1,2) red_key, (3,4) blue_door_locked",
    ],
)
def test_objects_in_other_forms(value: str) -> None:
    assert read(f"size: 6\nobjects: {value}\nlava: none") == {("size", 6), *THINGS}


@pytest.mark.parametrize(
    "text",
    [
        '{"objects": ["(1,2) red key", "(3,4) blue door locked"]}',
        '{"objects": [{"cell": [1, 2], "color": "red", "type": "key"}, '
        '{"cell": [3, 4], "color": "blue", "type": "door", "state": "locked"}], "lava": []}',
        "size: 6, objects: (1,2) red key, (3,4) blue door locked, carrying: none",
        "objects: (1,2) red key, (3,4) blue door locked. Route: I take the red key and open the door.",
        "object 1: (1,2) red key\nobject 2: (3,4) blue door locked",
        "objects: (0,0) green ball\nWait, once more:\nobjects: (1,2) red key, (3,4) blue door locked",
    ],
)
def test_objects_among_other_things(text: str) -> None:
    assert read(text, "object") == THINGS


@pytest.mark.parametrize(
    "value",
    [
        "(1,2) red key, (3,4) blue door",  # open, closed or locked?
        "(1,2) red key or red ball",
        "(1,2) red key?",
        "not (1,2) red key",
        "(1,2) key",
        "(1,2) red",
        "(1,2) red key ball",
        "(1,2) pink key",
        "(1,2)",
        "red key",
        "red key (1,2) blue ball (3,4)",
        "(1,2), red key (3,4)",
        "(1,2) maybe red key",
        "none, (1,2) red key",
        "(1,2) -> (1,3) red key",
        "(1,2,3) red key",
        "~(1,2) red key~",
        "(1,2) red key 2",
    ],
)
def test_objects_that_are_not_clear_state_nothing(value: str) -> None:
    assert read(f"size: 6\nobjects: {value}") == {("size", 6)}


def test_columns_first_states_nothing() -> None:
    assert not read("Cells are (x,y).\nobjects: (1,2) red key")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("facing: up", {("facing", "up")}),
        ("Facing: **Up**.", {("facing", "up")}),
        ("- facing = 'left'", {("facing", "left")}),
        ('{"facing": "down", "carrying": "red key"}', {("facing", "down"), ("carrying", "red key")}),
        ("facing: right, carrying: none, lava: none", {("facing", "right")}),
        ("facing: up. Route: I go left.", {("facing", "up")}),
        ("facing: up\nfacing: left", {("facing", "left")}),
        ("carrying: Red Key", {("carrying", "red key")}),
        ("carrying: red_key", {("carrying", "red key")}),
        ("carrying: nothing", set()),
        ("carrying:\nfacing: left", {("facing", "left")}),
        ("facing: up or left", set()),
        ("facing: north", set()),
        ("facing: not up", set()),
        ("facing: up?", set()),
        ("facing: the wall (1,2)", set()),
        ("facing: up -> left", set()),
        ("carrying: key", set()),
        ("carrying: red key and blue ball", set()),
    ],
)
def test_phrases(text: str, facts: set[Any]) -> None:
    assert read(text) == facts


@given(st.dictionaries(st.tuples(st.integers(0, 31), st.integers(0, 31)), st.sampled_from(OBJECTS), max_size=12))
def test_what_is_written_is_read(objects: dict[tuple[int, int], str]) -> None:
    facts = {("object", *cell, label) for cell, label in objects.items()}
    said = ", ".join(f"({row},{column}) {label}" for (row, column), label in sorted(objects.items())) or "none"
    assert read(f"objects: {said}") == facts
    assert read(f"I see it.\n* Objects: {said}\n") == facts


@given(st.text(alphabet="(1,2) redkyboxlouacin:;.\n-{}[]\"'|>", max_size=200))
def test_reading_never_raises_and_states_known_labels_alone(text: str) -> None:
    for fact in read("objects: " + text, "object"):
        assert fact[3] in OBJECTS


@pytest.mark.parametrize("piece", ["(1,2) red key, ", "red ", "(1,2) ", "objects: ", "facing: up ", "red key: ", "("])
def test_time_is_linear(piece: str) -> None:
    def seconds(times: int) -> float:
        text = "objects: " + piece * times
        start = time.process_time()
        DOORKEY.parse(text)
        return time.process_time() - start

    seconds(10)
    assert min(seconds(20_000) for _ in range(3)) < 40 * seconds(2_000) + 0.2  # collecting others' garbage takes long
