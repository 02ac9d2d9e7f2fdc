"""Many thousands of stated states: nothing raises, what was written comes back, and nothing is read that is not there.

Four kinds of text, a quarter each, over all tasks:

- a state in a form drawn at random, which must come back exactly;
- the same among lines that state nothing (prose, routes, steps, other labels), likewise;
- the same with one field spoiled (negated, doubted, contradicted, cut off): no fact of that field may come back, and
  what stands behind it on the same line may be lost;
- any of these with random pieces cut, doubled, swapped or put in: every fact must have its numbers and its field's name
  in the text.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from mgsd_envs import Fact, get_task
from mgsd_envs.stated_text import plain

LETTERS = {"left": "L", "down": "D", "right": "R", "up": "U"}
FIELDS: dict[str, dict[str, str]] = {
    "frozenlake": {"size": "size", "player": "player", "goal": "goal", "holes": "hole"},
    "maze": {"size": "size", "player": "player", "goal": "goal", "open": "open"},
    "minibehaviour": {"size": "size", "agent": "agent", "printer": "printer", "table": "table"},
}
MANY = ("holes", "table")
NOISE = (
    "Route: I go from (0,1) over (0,2) to (2,2).",
    "I see the player next to a hole at (1,1), and the goal is at (2,2).",
    "The hole nearest to the goal: (0,0)",
    "There is no table at (0,0) and no hole at (1,1).",
    "Step 1: the player moves to (0,2)",
    "1. Move right to (0,2), then the player is at (0,2).",
    "(0,0) is the top left corner",
    "Note: rows and columns are counted from 0.",
    "safe: (0,0), (0,1)",
    "So the agent walks over (1,0), takes the printer and goes on.",
    "## State",
    "```",
    "If I go down, player: (3,3)",
    "Is the printer at (1,1)? No: it is elsewhere.",
    "path: [[0,0],[0,1]]",
)
PIECES = (
    *("size", "player", "goal", "holes", "agent", "printer", "table", "open", "hole", "none", "LDRU", "left", "not ", "or "),
    *(":", "=", ";", "\n", " ", "**", "- ", "1. ", "(1,2)", "[0, 3]", "(", ")", "[", "]", "{", "}", ",", "7", "99999", "|"),
    *("->", "→", "row ", "column ", "r0c1", "x=", '"', "'", "`", "~~", "?", "(x,y)", "\n\n", "| --- |", "：", "（", "٣", "²", "."),
    *("\\n", "<br>", "\u2028", "0,1", "null", "is ", "at ", "0.5", "-1", "#", "//", "…", "é", "\u0130", "9" * 5000),
)


def state_of(task: str, rng: Random) -> Any:
    """A random state of 2 to 9 cells a side, and rarely of 32."""
    generator = np.random.default_rng(rng.randrange(2**32))
    level = 32 if rng.random() < 0.002 else rng.randint(get_task(task).min_level, 9)
    while (state := get_task(task).sample(level, generator)) is None:
        pass
    return state


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
    ways = [f"not {value.lstrip()}", f"maybe {value.lstrip()}", f"~~{value.lstrip()}~~", "unknown", "the number of rows"]
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
            data[name] = rows if rng.random() < 0.7 else [{"cell": [*map(int, k.split(","))], "open": v} for k, v in rows.items()]
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


def among_noise(text: str, rng: Random) -> str:
    """The text between lines that state nothing."""
    before, after = (rng.choices(NOISE, k=rng.randint(0, 3)) for _ in range(2))
    return "\n".join([*before, "", text, "", *after])


def mutated(text: str, rng: Random) -> str:
    """The text with a few random pieces cut, doubled, swapped or put in."""
    for _ in range(rng.randint(1, 6)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.randint(0, 12))
        way = rng.randrange(4)
        if way == 0:
            text = text[:start] + text[end:]
        elif way == 1:
            text = text[:end] + text[start:]
        elif way == 2:
            text = text[:start] + "".join(rng.choices(PIECES, k=rng.randint(1, 4))) + text[end:]
        else:
            other = rng.randint(0, len(text))
            text = text[:other] + text[start:end] + text[other:]
    return text


def invented(facts: frozenset[Fact], text: str, task: str) -> list[Fact]:
    """The facts of which a number or the field's name does not stand in the text."""
    told = plain(text).lower()
    numbers = {int(digits) for digits in re.findall("[0-9]+", told) if len(digits) <= 4}
    names = {name: field.removesuffix("s") for field, name in FIELDS[task].items()}
    return [
        fact
        for fact in facts
        if names[str(fact[0])] not in told or not numbers.issuperset(v for v in fact[1:] if isinstance(v, int))
    ]


def check(task: str, seed: str) -> tuple[str, str | None, str]:
    """Make one text and read it.

    Returns:
        Its kind, what is wrong if anything is, and the text.
    """
    rng = Random(seed)
    state = state_of(task, rng)
    facts = get_task(task).facts(state)
    kind = rng.choice(("written", "among noise", "spoiled", "mutated"))
    spoiled = rng.choice(list(FIELDS[task])) if kind == "spoiled" else None
    text = write(task, state, rng, spoiled)
    if kind == "among noise" or rng.random() < 0.3:
        text = among_noise(text, rng)
    if kind == "mutated":
        text = mutated(text, rng)
    try:
        read = get_task(task).parse(text)
    except Exception as error:
        return kind, f"raised {error!r:.200}", text
    if kind == "mutated":
        return kind, f"invented {found}" if (found := invented(read, text, task)) else None, text
    true = {fact for fact in facts if spoiled is None or fact[0] != FIELDS[task][spoiled]}
    if read - true:
        return kind, f"false {sorted(read - true, key=str)[:5]}", text
    lost = true - read if kind != "spoiled" else ()
    return kind, f"lost {sorted(lost, key=str)[:5]}" if lost else None, text


def main() -> None:
    """Check ``--count`` texts and print how many of each kind were read wrong; the first such texts go to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300_000)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--show", type=int, default=5, help="texts to show of each kind of failure")
    arguments = parser.parse_args()
    made: Counter[str] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    start = time.perf_counter()
    for i in range(arguments.count):
        task = list(FIELDS)[i % len(FIELDS)]
        kind, what, text = check(task, f"{arguments.seed}:{i}")
        made[kind] += 1
        if what:
            key = kind, what.split()[0]
            wrong[key] += 1
            if wrong[key] <= arguments.show:
                print(f"--- {task} {arguments.seed}:{i} {kind}: {what}\n{text:.1500}\n", file=sys.stderr)
    seconds = time.perf_counter() - start
    for kind, count in sorted(made.items()):
        told = ", ".join(f"{number} {what}" for (its, what), number in sorted(wrong.items()) if its == kind)
        print(f"{kind}: {count:,} texts, {told or 'none wrong'}")
    print(f"{arguments.count:,} texts in {seconds:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
