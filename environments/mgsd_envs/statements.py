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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from mgsd_envs.grid import LETTERS, MAX_LEVEL, inside
from mgsd_envs.stated_fields import Labels, Statement, read_statements
from mgsd_envs.stated_text import is_plain, plain
from mgsd_envs.stated_values import Kind, Value
from mgsd_envs.types import Cell, Fact

_CELL = re.compile(r"\(([0-9]{1,4}),([0-9]{1,4})\)(?: ([LDRU]+))?")
_LABELLED = re.compile(r"\(([0-9]{1,4}),([0-9]{1,4})\) ([a-z ]+)")
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
        kind: what it holds: ``number``, ``cell``, ``cells``, ``sides`` (cells with their open sides), ``objects``
            (cells with a label each) or ``phrase`` (one label).
        fact: the name of the facts that it states: ``(fact, number)``, ``(fact, row, column)``,
            ``(fact, row, column, side)``, ``(fact, row, column, label)`` or ``(fact, label)``.
        aliases: other names that are read as well; a space in them may be left out or be ``_`` or ``-``.
        question: what to ask of a picture, so that the field's line is the answer; empty if no picture tells it.
        labels: for ``objects`` and ``phrase``, every label there is, in lower-case words; no two objects' of the same
            words.
        given: whether every question tells it, so that answers need not.
    """

    name: str
    kind: Kind
    fact: str
    aliases: tuple[str, ...] = ()
    question: str = ""
    labels: tuple[str, ...] = ()
    given: bool = False


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
        self.label_of = {one.name: {frozenset(label.split()): label for label in one.labels} for one in fields}
        lines = (f"\n{one.name}: ({_asked(one)})" for one in fields)
        asked_lines = (f"(?:{line})?" if one.given else line for one, line in zip(fields, lines, strict=True))
        self.asked = re.compile(r"\n*" + "".join(asked_lines).removeprefix("\n") + r"(?=\n*\Z|\nRoute:)")

    def read_asked(self, match: re.Match[str]) -> Iterator[Fact]:
        """Facts of a text in exactly the form that prompts ask for."""
        for one, value in zip(self.fields, match.groups(), strict=True):
            if value is None or one.labels:
                yield from self.read_labels(one, value or "none")
                continue
            if one.kind == "number":
                yield one.fact, int(value)
                continue
            for row, column, sides in _CELL.findall(value):
                if one.kind == "sides":
                    for letter in sides:
                        yield one.fact, int(row), int(column), LETTERS[letter]
                else:
                    yield one.fact, int(row), int(column)

    def read_labels(self, one: Field, value: str) -> Iterator[Fact]:
        """Facts of a value of labels in exactly the form that prompts ask for."""
        if one.kind == "objects":
            for row, column, label in _LABELLED.findall(value):
                yield one.fact, int(row), int(column), label
        elif value != "none":
            yield one.fact, value

    def read(self, text: str, *, positions: bool) -> Iterator[Fact]:
        """Facts of any plain text; ``positions`` as in :func:`_facts`."""
        last: dict[str, tuple[Statement, frozenset[Fact]]] = {}
        for statement in read_statements(text, self.labels, self.kinds):
            one = self.by_name[statement.name]
            if one.labels:
                facts = _labelled_facts(one, statement.value, self.label_of[one.name], positions=positions)
            else:
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


def _labelled_facts(
    one: Field, value: Value | None, label_of: Mapping[frozenset[str], str], *, positions: bool
) -> frozenset[Fact]:
    """The facts that a value of labels states; none where one of its labels is not known."""
    if value is None or (value.by_position and not positions):
        return frozenset()
    if one.kind == "phrase":
        return frozenset([(one.fact, value.phrase)] if value.phrase in one.labels else [])
    labels = [(cell, label_of.get(frozenset(words))) for cell, words in value.labelled]
    if any(label is None for _, label in labels):
        return frozenset()
    return frozenset((one.fact, *cell, str(label)) for cell, label in labels)


def write_cells(cells: Iterable[Cell]) -> str:
    """A list of cells in reading order, ``none`` if empty."""
    return ", ".join(f"({row},{column})" for row, column in sorted(cells)) or "none"


def write_facts(facts: Iterable[Fact], fields: tuple[Field, ...]) -> str:
    """Facts as text that :func:`read_facts` reads back: one ``field: value`` a line, in the order of the fields."""
    by_name: dict[str, list[Fact]] = {}
    for fact in facts:
        by_name.setdefault(str(fact[0]), []).append(fact)
    return "\n".join(f"{one.name}: {_write(one.kind, by_name.get(one.fact, []))}" for one in fields)


def _asked(one: Field) -> str:
    """The pattern of a field's value in the form that prompts ask for."""
    if not one.labels:
        return _ASKED[one.kind]
    label = "|".join(map(re.escape, one.labels))
    return f"none|{label}" if one.kind == "phrase" else f"none|{_ONE} (?:{label})(?:, {_ONE} (?:{label}))*"


def _write(kind: Kind, facts: list[Fact]) -> str:
    if kind in ("number", "phrase"):
        return ", ".join(str(fact[1]) for fact in facts) or "none"
    if kind == "objects":
        placed = sorted((int(row), int(column), str(label)) for _, row, column, label in facts)
        return ", ".join(f"({row},{column}) {label}" for row, column, label in placed) or "none"
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

    def phrase(self, name: str) -> str:
        """The text of the only fact ``(name, text)``; empty if there is none.

        Raises:
            ValueError: there is more than one.
        """
        match self._rows.get(name, []):
            case []:
                return ""
            case [(str(text),)]:
                return text
            case other:
                raise ValueError(f"one {name} is needed, got {len(other)}")

    def number(self, name: str) -> int:
        """The number of the only fact ``(name, number)``.

        Raises:
            ValueError: there is none, or more than one.
        """
        match self._rows.get(name, []):
            case [(int(number),)]:
                return number
            case other:
                raise ValueError(f"one {name} is needed, got {len(other)}")
