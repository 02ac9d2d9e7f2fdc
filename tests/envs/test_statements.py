"""Reading statements as models write them."""

from __future__ import annotations

import pytest

from mgsd_envs import get_task
from mgsd_envs.stated_values import read_value

LAKE = {("size", 3), ("player", 0, 1), ("goal", 2, 2), ("hole", 1, 1), ("hole", 2, 0)}
PLAIN = "size: 3\nplayer: (0,1)\ngoal: (2,2)\nholes: (1,1), (2,0)"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.upper(),
        PLAIN.replace(",", " , ").replace("(", "( ").replace(")", " )"),
        PLAIN.replace("(", "[").replace(")", "]"),
        PLAIN.replace(": ", "="),
        PLAIN.replace(": ", " = "),
        PLAIN.replace("\n", "; "),
        PLAIN.replace("\n", ";\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace("size: 3", "size: 3x3"),
        PLAIN.replace("size: 3", "Size: **3**"),
        "- " + PLAIN.replace("\n", "\n- "),
        "  * " + PLAIN.replace("\n", "\n  * "),
        "1. size: 3\n2. player: (0,1)\n3) goal: (2,2)\n4. **holes**: (1,1), (2,0)",
        "**Size:** 3\n**Player:** (0,1)\n**Goal:** (2,2)\n**Holes:** (1,1), (2,0)",
        "**size**: 3\n**player**: `(0,1)`\n*goal*: (2,2)\n`holes`: [(1,1), (2,0)]",
        "### State\n" + PLAIN,
        "Looking at the picture, I see this.\n\n" + PLAIN + "\n\nThe route goes down.",
        PLAIN.replace("holes: (1,1), (2,0)", "holes:\n(1,1)\n(2,0)"),
        PLAIN.replace("holes: (1,1), (2,0)", "holes:\n  - (1,1)\n  - (2,0)\n"),
        PLAIN.replace("holes: (1,1), (2,0)", "holes: (1,1),\n(2,0)"),
        PLAIN.replace("holes: (1,1), (2,0)", "holes: (1,1); (2,0)"),
        PLAIN + "\nRoute: (0,1), (0,2), (1,2), (2,2)",
        PLAIN + "\nI go from (0,1) over (0,0) to (2,2).",
        PLAIN + "\n\n(0,0) is the corner",
        PLAIN + "\nNo holes at (0,0).\n<answer>RDD</answer>",
        "holes: (0,0)\nplayer: (2,1)\nOn second thoughts:\n" + PLAIN,
        PLAIN + "; note: (0,0)",
    ],
)
def test_a_lake_in_many_spellings(text: str) -> None:
    assert get_task("frozenlake").parse(text) == LAKE


def test_no_statement_without_a_separator() -> None:
    assert get_task("frozenlake").parse(PLAIN.replace(":", "")) == set()


@pytest.mark.parametrize("value", ["none", "None.", "[]", "", "no holes", "-"])
def test_no_holes(value: str) -> None:
    text = PLAIN.replace("(1,1), (2,0)", value)
    assert get_task("frozenlake").parse(text) == {fact for fact in LAKE if fact[0] != "hole"}


@pytest.mark.parametrize("name", ["hole_count", "myholes", "holes that I avoid are", "nonholes", "whole"])
def test_other_fields_are_not_holes(name: str) -> None:
    assert get_task("frozenlake").parse(f"{name}: (0,0)") == set()


def test_the_last_statement_counts_even_if_it_takes_back() -> None:
    parse = get_task("frozenlake").parse
    assert parse("holes: (1,1)\nholes: none") == set()
    assert parse("size: 3\nsize: unknown") == set()
    assert parse("player: (0,1)\nplayer: (0,2)") == {("player", 0, 2)}


def test_a_field_for_one_cell_takes_the_first() -> None:
    assert get_task("frozenlake").parse("player: (0,1) -> (0,2)") == {("player", 0, 1)}


@pytest.mark.parametrize(
    "opening",
    [
        "(0,0) DR, (0,1) L, (1,0) UR, (1,1) L",
        "(0,0): right, down; (0,1): left; (1,0): up, right; (1,1): left",
        "(0,0): D, R, (0,1): L, (1,0): U R, (1,1): L",
        "(0,0) down/right, (0,1) left, (1,0) up and right, (1,1) left",
        "\n(0,0) DR\n(0,1) L\n(1,0) UR\n(1,1) L",
        "\n- (0,0): Down, Right\n- (0,1): Left\n- (1,0): Up, Right\n- (1,1): Left\n",
        "[0,0] D/R, [0,1] L, [1,0] U/R, [1,1] L",
    ],
)
def test_open_sides_in_many_spellings(opening: str) -> None:
    facts = get_task("maze").parse(f"size: 2\nopen: {opening}")
    expected = {("open", 0, 0, "down"), ("open", 0, 0, "right"), ("open", 0, 1, "left")}
    expected |= {("open", 1, 0, "up"), ("open", 1, 0, "right"), ("open", 1, 1, "left")}
    assert facts == expected | {("size", 2)}


def test_a_maze_without_openings() -> None:
    assert get_task("maze").parse("size: 2\nplayer: (0,0)\ngoal: (1,1)\nopen: none") == {
        ("size", 2),
        ("player", 0, 0),
        ("goal", 1, 1),
    }
    assert get_task("maze").parse("") == set()


def test_an_office() -> None:
    text = "Size: 5\nAgent: (4,4)\n- printer = [0, 0]\n**Table**: (2,1), (2,2),\n(3,1)\nPlan: (1,0)"
    table = {("table", 2, 1), ("table", 2, 2), ("table", 3, 1)}
    assert get_task("minibehaviour").parse(text) == table | {("size", 5), ("agent", 4, 4), ("printer", 0, 0)}


def test_a_value_ends_where_the_next_line_is_no_part_of_it() -> None:
    assert get_task("maze").parse("size: 4\nopen: (0,0) L\n- (0,1) R\nend") == {
        ("size", 4),
        ("open", 0, 0, "left"),
        ("open", 0, 1, "right"),
    }


def test_cells() -> None:
    value = read_value("(0,1) [2, 3] ( 4 ,5 ) (12,345)", "cells")
    assert value is not None
    assert [*value.cells] == [(0, 1), (2, 3), (4, 5), (12, 345)]


@pytest.mark.parametrize("wrong", ["(6;7)", "(a,b)", "(-1,2)", "8,9,10", "(1,2,3)", "(0.5,1)", "(1,12345)", "(1,2"])
def test_what_is_no_cell_makes_the_value_unreadable(wrong: str) -> None:
    assert read_value(f"(0,1), {wrong}", "cells") is None


@pytest.mark.parametrize(
    ("label", "sides"),
    [
        ("LD", {"left", "down"}),
        (" L, R ", {"left", "right"}),
        ("up and down", {"up", "down"}),
        ("none", set()),
        ("walls all around", set()),
        ("", set()),
    ],
)
def test_sides(label: str, sides: set[str]) -> None:
    assert get_task("maze").parse(f"open: (0,1) {label}") == {("open", 0, 1, side) for side in sides}
