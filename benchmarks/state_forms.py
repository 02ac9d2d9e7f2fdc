"""Ways to write a state, drawn at random: lines, one line, tables, headings, JSON, and one field spoiled."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from mgsd_envs import Fact, get_task, task_names

LETTERS = {"left": "L", "down": "D", "right": "R", "up": "U"}
FIELDS: dict[str, dict[str, str]] = {
    name: {one.name: one.fact for one in get_task(name).fields} for name in task_names()
}
MANY = {one.name for name in task_names() for one in get_task(name).fields if one.kind == "cells"}


class Writer:
    """One way to write states, drawn at random."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.cell_form = rng.choice(CELLS)
        self.sides_form = rng.choice(SIDES)

    def cells(self, cells: list[tuple[int, int]], *, many: bool) -> str:
        """Cells as text, ``none`` in one of its spellings where there are none."""
        if not cells:
            return self.rng.choice(("none", "None", "[]", "-", "no holes", "empty", "{}"))
        form = self.cell_form if not many or len(cells) > 1 or self.cell_form is not CELLS[-1] else CELLS[0]
        between = self.rng.choice((", ", "; ", " ", " and ", " , ")) if many else ""
        text = between.join(form(cell) for cell in cells)
        return f"[{text}]" if many and self.rng.random() < 0.2 and form is not CELLS[-1] else text

    def sides(self, rows: dict[tuple[int, int], list[str]], *, lines: bool) -> str:
        """Cells with their open sides as text."""
        if not rows:
            return "none"
        each = [self.sides_form(self.cell_form(cell), sides) for cell, sides in rows.items()]
        if lines and self.rng.random() < 0.5:
            mark = self.rng.choice(("- ", "* ", "", "  - "))
            return "".join(f"\n{mark}{one}" for one in each)
        return self.rng.choice((", ", "; ")).join(each)


CELLS: tuple[Callable[[tuple[int, int]], str], ...] = (
    lambda c: f"({c[0]},{c[1]})",
    lambda c: f"({c[0]}, {c[1]})",
    lambda c: f"[{c[0]},{c[1]}]",
    lambda c: f"`({c[0]},{c[1]})`",
    lambda c: f"**({c[0]}, {c[1]})**",
    lambda c: f"（{c[0]}，{c[1]}）",
    lambda c: f"(row {c[0]}, column {c[1]})",
    lambda c: f"(row: {c[0]}, col: {c[1]})",
    lambda c: f"(col {c[1]}, row {c[0]})",
    lambda c: f"r{c[0]}c{c[1]}",
    lambda c: f"(x={c[1]}, y={c[0]})",
    lambda c: f"{c[0]},{c[1]}",
)
SIDES: tuple[Callable[[str, list[str]], str], ...] = (
    lambda cell, sides: f"{cell} {''.join(LETTERS[side] for side in sides)}",
    lambda cell, sides: f"{cell}: {', '.join(LETTERS[side] for side in sides)}",
    lambda cell, sides: f"{cell}: {', '.join(sides)}",
    lambda cell, sides: f"{cell} → {' and '.join(sides)}",
    lambda cell, sides: f"{cell} -> {'/'.join(LETTERS[side].lower() for side in sides)}",
    lambda cell, sides: f"{cell}: [{', '.join(sides)}]",
    lambda cell, sides: f"{cell} ({' '.join(sides)})",
)


def write(task: str, state: Any, rng: Random, spoiled: str | None = None) -> str:
    """A state as text in a form drawn at random.

    Args:
        task: the task's name.
        state: a state of it.
        rng: draws the form.
        spoiled: a field to write so that it states nothing.
    """
    facts = get_task(task).facts(state)
    by_field: dict[str, list[Fact]] = {
        field: sorted((fact for fact in facts if fact[0] == name), key=str) for field, name in FIELDS[task].items()
    }
    if rng.random() < 0.3:
        return write_json(by_field, rng, spoiled)
    container = rng.choice(CONTAINERS)
    writer = Writer(rng)
    values = {}
    for field, its in by_field.items():
        if field == "size":
            n = its[0][1]
            value = str(n) if rng.random() < 0.6 else rng.choice((f"{n}x{n}", f"{n} × {n}", f"{n} rows", f"{n} by {n}"))
        elif field == "open":
            rows: dict[tuple[int, int], list[str]] = {}
            for _, row, column, side in its:
                rows.setdefault((int(row), int(column)), []).append(str(side))
            value = writer.sides(rows, lines=container is lines)
        else:
            value = writer.cells([(int(fact[1]), int(fact[2])) for fact in its], many=field in MANY)
        values[field] = spoil(value, field, rng) if field == spoiled else value
    if rng.random() < 0.3:
        order = list(values)
        rng.shuffle(order)
        values = {field: values[field] for field in order}
    return container(values, rng)


def spoil(value: str, field: str, rng: Random) -> str:
    """A value that states nothing any more."""
    ways = [
        f"not {value.lstrip()}",
        f"maybe {value.lstrip()}",
        f"~~{value.lstrip()}~~",
        "unknown",
        "the number of rows",
    ]
    if not any(end in value for end in "\n;"):  # else each part states what is in it
        ways += [f"{value}?", f"{value} or {'(1,1)' if field != 'size' else '5'}", f"{value}, 0.5", f"{value} is wrong"]
        ways += [f"{value}, no", f"-{value}" if field == "size" else f"{value}, (-1,2)"]
    return rng.choice(ways)


def lines(values: dict[str, str], rng: Random) -> str:
    """A field a line."""
    separator = rng.choice((": ", ":", " : ", " = ", "=", "：", " -> ", " → ", " – ", " := "))
    soft = separator.strip() in ("->", "→", "–")
    wrap = "{}" if soft else rng.choice(("{}", "{}", "**{}**", "`{}`", "*{}*", "The {}", "{} position"))
    case = rng.choice((str, str, str.upper, str.capitalize))
    marks = rng.choice(("", "- ", "* ", "• ", "> ", "  ", "{}. ", "({}) ", "### "))
    end = rng.choice(("", "", "", ".", ",", ";", "  "))
    between = rng.choice(("\n", "\n", "\n\n", "\r\n"))
    told = []
    for i, (field, value) in enumerate(values.items(), 1):
        name = wrap.format(case(field)) if not (field == "size" and "position" in wrap) else case(field)
        told.append(f"{marks.format(i)}{name}{separator}{value}{'' if soft else end}")
    return between.join(told)


def one_line(values: dict[str, str], rng: Random) -> str:
    """All fields on one line."""
    between = rng.choice((", ", "; ", " | ", " ", ". ", " • "))
    separator = rng.choice((": ", "=", ":", " = "))
    wrap = rng.choice(("{}", "**{}**", "{}"))
    text = between.join(f"{wrap.format(field)}{separator}{value}" for field, value in values.items())
    return rng.choice(("{}", "State: {}", "{}.", "| {} |", "<state>{}</state>")).format(text)


def table(values: dict[str, str], rng: Random) -> str:
    """A Markdown table, a row or a column a field."""
    if any("\n" in value for value in values.values()):
        return lines(values, rng)
    if rng.random() < 0.5:
        rows = [f"| {rng.choice((field, field.capitalize()))} | {value} |" for field, value in values.items()]
        return "\n".join(["| field | value |", "|---|:---|", *rows] if rng.random() < 0.7 else rows)
    head, row = (" | ".join(part) for part in (values, values.values()))
    return f"| {head} |\n|{' --- |' * len(values)}\n| {row} |"


def headings(values: dict[str, str], rng: Random) -> str:
    """A heading a field, the value below it."""
    mark = rng.choice(("## {}", "### {}:", "**{}**", "**{}:**"))
    return "\n".join(f"{mark.format(field.capitalize())}\n{value.lstrip()}" for field, value in values.items())


CONTAINERS = (lines, lines, lines, one_line, table, headings)


def write_json(by_field: dict[str, list[Fact]], rng: Random, spoiled: str | None) -> str:
    """A state as JSON, or as a dictionary of Python."""
    cell = rng.choice(
        (
            lambda c: [c[0], c[1]],
            lambda c: {"row": c[0], "col": c[1]},
            lambda c: {"column": c[1], "row": c[0]},
            lambda c: f"({c[0]},{c[1]})",
            lambda c: f"row {c[0]}, column {c[1]}",
            lambda c: {"x": c[1], "y": c[0]},
            lambda c: {"position": [c[0], c[1]]},
        )
    )
    bad = rng.choice(("unknown", None, [0.5, 1], [-1, 0], {"maybe": [1, 1]}, [[1, 2, 3]], True, "(1,1)?", {"row": 1}))
    data: dict[str, Any] = {}
    for field, its in by_field.items():
        name = field if rng.random() < 0.8 or field == "open" else f"{field}_position"
        name = "size" if field == "size" else name
        if field == spoiled:
            data[name] = bad
        elif field == "size":
            data[name] = its[0][1]
        elif field == "open":
            rows: dict[str, list[str]] = {}
            for _, row, column, side in its:
                rows.setdefault(f"{row},{column}", []).append(str(side))
            data[name] = (
                rows
                if rng.random() < 0.7
                else [{"cell": [*map(int, k.split(","))], "open": v} for k, v in rows.items()]
            )
        elif field in MANY:
            data[name] = [cell(fact[1:]) for fact in its]
        else:
            data[name] = cell(its[0][1:])
    if rng.random() < 0.3:
        data = {"state": data, "route": "past the holes: (1,1)", "visited": [[0, 0], [0, 1]]}
    text = json.dumps(data, indent=rng.choice((None, 2, 4)))
    if rng.random() < 0.15:
        text = repr(data)
    return rng.choice(("{}", "```json\n{}\n```", "Here is the state: {}", "{}\nThat is all.")).replace("{}", text)
