"""The common form in which states are written as text: one ``field: value`` a line.

The same form is what prompts ask for, what planners are given and what answers are read from::

    size: 4
    player: (0,1)
    goal: (2,3)
    holes: (1,2), (3,0)

A task declares its fields; reading is the same for all. It knows many other forms (JSON, lists, tables, all on one
line), states nothing that the text does not, takes time linear in the text's length and never raises. Where labels are
found is in :mod:`mgsd_envs.stated_fields`, what a value says in :mod:`mgsd_envs.stated_values`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from mgsd_envs.grid import LETTERS, MAX_LEVEL, inside
from mgsd_envs.stated_fields import Labels, Statement, read_statements
from mgsd_envs.stated_text import is_plain, plain
from mgsd_envs.stated_values import Kind, Value
from mgsd_envs.types import Cell, Fact

_CELL = re.compile(r"\(([0-9]{1,4}),([0-9]{1,4})\)(?: ([LDRU]+))?")
_ONE = r"\([0-9]{1,4},[0-9]{1,4}\)"
_ASKED = {
    "number": "[0-9]{1,4}",
    "cell": _ONE,
    "cells": f"none|{_ONE}(?:, {_ONE})*",
    "sides": f"none|{_ONE} [LDRU]{{1,4}}(?:, {_ONE} [LDRU]{{1,4}})*",
}
_OTHER_ORDER = re.compile(r"x(?<![a-z]x) ?, ?y\b|columns? ?, ?rows?\b|cols? ?, ?rows?\b|\(c ?, ?r\)|\[c ?, ?r\]")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a task's states.

    Attributes:
        name: its name in the text, in lower case.
        kind: what it holds: ``number``, ``cell``, ``cells``, or ``sides`` (cells with their open sides).
        fact: the name of the facts that it states: ``(fact, number)``, ``(fact, row, column)`` or
            ``(fact, row, column, side)``.
        aliases: other names that are read as well; a space in them may be left out or be ``_`` or ``-``.
        question: what to ask of a picture, so that the field's line is the answer.
    """

    name: str
    kind: Kind
    fact: str
    aliases: tuple[str, ...] = ()
    question: str = ""


SIZE = Field(
    "size",
    "number",
    "size",
    ("grid size", "board size", "map size", "size of the grid"),
    "How many rows does the grid have?",
)
"""Cells a side, for every task."""


def read_facts(text: str, fields: tuple[Field, ...]) -> frozenset[Fact]:
    """Facts that a text states in these fields; never raises.

    Of statements of a field the last one counts, also if it takes back or cannot be read; but where one JSON object
    states a field twice and differently, neither does, and ``hole 2: (3,0)`` adds to ``hole 1: (1,1)``. Where one
    cell or number is asked for, two different ones are none.

    Args:
        text: untrusted text.
        fields: in the order in which prompts ask for them.
    """
    form = _form(fields)
    if not is_plain(text):
        text = plain(text)
    positions = not _OTHER_ORDER.search(text.lower())
    if positions and (asked := form.asked.match(text)) and not any(form.labels.find(text, asked.end())):
        return frozenset(form.read_asked(asked))
    return frozenset(form.read(text, positions=positions))


class _Form:
    """How the states of a task are read."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        named = {name: one for one in fields for name in (one.name, *one.aliases)}
        self.by_name = {re.sub("[ _-]", "", name): one for name, one in named.items()}
        self.kinds = {name: one.kind for name, one in self.by_name.items()}
        self.labels = Labels(named)
        lines = (f"{one.name}: ({_ASKED[one.kind]})" for one in fields)
        self.asked = re.compile(r"\n*" + "\n".join(lines) + r"(?=\n*\Z|\nRoute:)")

    def read_asked(self, match: re.Match[str]) -> Iterator[Fact]:
        """Facts of a text in exactly the form that prompts ask for."""
        for one, value in zip(self.fields, match.groups(), strict=True):
            if one.kind == "number":
                yield one.fact, int(value)
                continue
            for row, column, sides in _CELL.findall(value):
                if one.kind == "sides":
                    for letter in sides:
                        yield one.fact, int(row), int(column), LETTERS[letter]
                else:
                    yield one.fact, int(row), int(column)

    def read(self, text: str, *, positions: bool) -> Iterator[Fact]:
        """Facts of any plain text; ``positions`` as in :func:`_facts`."""
        last: dict[str, tuple[Statement, frozenset[Fact]]] = {}
        for statement in read_statements(text, self.labels, self.kinds):
            one = self.by_name[statement.name]
            facts = frozenset(_facts(one, statement.value, positions=positions))
            before, stated = last.get(one.name, (None, facts))
            if before and before.number is not None and statement.number == before.number + 1:
                facts |= stated
            elif before and before.document is not None and before.document == statement.document and stated != facts:
                facts = frozenset()
            last[one.name] = statement, facts
        for _, facts in last.values():
            yield from facts


_form = cache(_Form)


def _facts(one: Field, value: Value | None, *, positions: bool) -> Iterator[Fact]:
    """The facts that a value of a field states.

    Args:
        one: the field.
        value: what is stated; None if it cannot be read.
        positions: whether two numbers are a row and a column.
    """
    if value is None:
        return
    if one.kind == "number":
        if len(value.numbers) == 1:
            yield one.fact, *value.numbers
        return
    lone = len(value.cells) == 1
    if (value.by_position and not positions) or (one.kind == "cell" and not lone):
        return
    if one.kind == "cells" and lone and value.bare:  # two numbers may be the numbers of two cells as well
        return
    for cell, sides in value.cells.items():
        if one.kind == "sides":
            for side in sides:
                yield one.fact, *cell, side
        else:
            yield one.fact, *cell


def write_cells(cells: Iterable[Cell]) -> str:
    """A list of cells in reading order, ``none`` if empty."""
    return ", ".join(f"({row},{column})" for row, column in sorted(cells)) or "none"


def write_facts(facts: Iterable[Fact], fields: tuple[Field, ...]) -> str:
    """Facts as text that :func:`read_facts` reads back: one ``field: value`` a line, in the order of the fields."""
    by_name: dict[str, list[Fact]] = {}
    for fact in facts:
        by_name.setdefault(str(fact[0]), []).append(fact)
    return "\n".join(f"{one.name}: {_write(one.kind, by_name.get(one.fact, []))}" for one in fields)


def _write(kind: Kind, facts: list[Fact]) -> str:
    if kind == "number":
        return ", ".join(str(fact[1]) for fact in facts) or "none"
    cells: dict[Cell, set[str]] = {}
    for _, row, column, *side in facts:
        cells.setdefault((int(row), int(column)), set()).update(map(str, side))
    if kind != "sides":
        return write_cells(cells)
    letters = {cell: "".join(x for x, side in LETTERS.items() if side in cells[cell]) for cell in sorted(cells)}
    return ", ".join(f"({row},{column}) {sides}" for (row, column), sides in letters.items()) or "none"


def facts_to_json(facts: Iterable[Fact]) -> dict[str, list[list[str | int]]]:
    """Facts as plain JSON values: for each name, sorted, what else the facts of this name hold, sorted too."""
    rows: dict[str, list[list[str | int]]] = {}
    for name, *arguments in sorted(facts, key=lambda fact: [(isinstance(part, str), part) for part in fact]):
        rows.setdefault(str(name), []).append(arguments)
    return rows


def facts_from_json(data: object) -> frozenset[Fact]:
    """Inverse of :func:`facts_to_json`, for data of any origin.

    Raises:
        ValueError: the data is not of that form.
    """
    facts: set[Fact] = set()
    for name, rows in data.items() if isinstance(data, dict) else [("", None)]:
        for row in rows if isinstance(rows, list) else [None]:
            if not isinstance(row, list) or any(type(part) not in (int, str) for part in row):
                raise ValueError(f"a state is facts by name, such as size: [[4]], not {data!r:.200}")
            facts.add((str(name), *row))
    return frozenset(facts)


def asked(text: str, questions: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each line of a state's text with the question that it answers."""
    return tuple(zip(questions, text.splitlines(), strict=True))


class FactSheet:
    """Facts sorted by name, for rebuilding a state from them.

    Raises:
        ValueError: on construction, if there is not exactly one size from 1 to 32.
    """

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._rows: dict[str, list[tuple[str | int, ...]]] = {}
        for name, *arguments in facts:
            self._rows.setdefault(str(name), []).append(tuple(arguments))
        match self._rows.get("size"):
            case [(int(size),)] if 1 <= size <= MAX_LEVEL:
                self.size = size
            case other:
                raise ValueError(f"one size from 1 to {MAX_LEVEL} is needed, got {other or 'none'}")

    def cells(self, name: str) -> frozenset[Cell]:
        """The cells of every fact ``(name, row, column)``.

        Raises:
            ValueError: one lies outside the grid.
        """
        cells = set()
        for row in self._rows.get(name, ()):
            match row:
                case (int(r), int(c)) if inside(self.size, (r, c)):
                    cells.add((r, c))
                case _:
                    raise ValueError(f"{(name, *row)} lies outside the {self.size}x{self.size} grid")
        return frozenset(cells)

    def cell(self, name: str) -> Cell:
        """The cell of the only fact ``(name, row, column)``.

        Raises:
            ValueError: there is none or more than one, or it lies outside the grid.
        """
        cells = self.cells(name)
        if len(cells) != 1:
            raise ValueError(f"one {name} is needed, got {len(cells)}")
        return next(iter(cells))

    def labelled(self, name: str) -> list[tuple[Cell, str]]:
        """Cell and label of every fact ``(name, row, column, label)``.

        Raises:
            ValueError: one lies outside the grid or has no label.
        """
        labelled = []
        for row in self._rows.get(name, ()):
            match row:
                case (int(r), int(c), str(label)) if inside(self.size, (r, c)):
                    labelled.append(((r, c), label))
                case _:
                    raise ValueError(f"{(name, *row)} lies outside the {self.size}x{self.size} grid")
        return labelled
