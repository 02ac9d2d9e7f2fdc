"""The common form in which states are written as text: one ``field: value`` a line.

The same form is what prompts ask for, what planners are given and what answers are read from::

    size: 4
    player: (0,1)
    goal: (2,3)
    holes: (1,2), (3,0)

Reading is forgiving about case, list marks, bold marks, ``=`` for ``:``, several fields on one line when ``;``
separates them, square brackets, and lists that go on after a line's end or a ``;`` with another cell. It takes one
pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from mgsd_envs.grid import LETTERS, MAX_LEVEL, MOVES, inside
from mgsd_envs.types import Cell, Fact

_SIDE_LETTERS = {letter.lower() for letter in LETTERS}
_WORD = re.compile(r"[a-z]+")
_NUMBER = re.compile(r"\d{1,4}")
_CELL = re.compile(r"[(\[]\s{0,4}(\d{1,4})\s{0,4},\s{0,4}(\d{1,4})\s{0,4}[)\]]")
_VALUE = re.compile(r"[^\n;]*(?:[\n;][ \t*•-]*[(\[]\d[^\n;]*)*")


@cache
def _field_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    mark = r"(?:^|;)[^\w\n;]*(?:\d{1,2}[.)][^\w\n;]*)?"
    return re.compile(rf"{mark}({'|'.join(names)})[^\w\n;(\[:=]*[:=]", re.IGNORECASE | re.MULTILINE)


def read_fields(text: str, names: tuple[str, ...]) -> dict[str, str]:
    """The value of each stated field by lower-case name; the last statement of a field counts."""
    fields: dict[str, str] = {}
    for match in _field_pattern(names).finditer(text):
        value = _VALUE.match(text, match.end())
        fields[match[1].lower()] = value[0] if value else ""
    return fields


def read_cells(value: str) -> list[Cell]:
    """Every cell written in a value, in order."""
    return [(int(row), int(column)) for row, column in _CELL.findall(value)]


def read_labelled_cells(value: str) -> list[tuple[Cell, str]]:
    """Every cell written in a value with the text behind it, up to the next cell."""
    marks = list(_CELL.finditer(value))
    ends = [mark.start() for mark in marks[1:]] + [len(value)]
    return [((int(mark[1]), int(mark[2])), value[mark.end() : end]) for mark, end in zip(marks, ends, strict=False)]


def read_sides(label: str) -> set[str]:
    """Directions named in a label, as words (``left down``) or as letters (``LD``, ``L/D``)."""
    sides: set[str] = set()
    for word in _WORD.findall(label.lower()):
        if word in MOVES:
            sides.add(word)
        elif set(word) <= _SIDE_LETTERS:
            sides.update(LETTERS[letter.upper()] for letter in word)
    return sides


def read_facts(
    text: str, *, single: dict[str, str], many: dict[str, str] | None = None, other: tuple[str, ...] = ()
) -> tuple[set[Fact], dict[str, str]]:
    """Facts stated as ``size``, as fields with one cell and as fields with many.

    Args:
        text: untrusted text.
        single: fact name by field name, for fields that hold one cell.
        many: fact name by field name, for fields that hold any number of cells.
        other: fields whose value the caller reads.

    Returns:
        The facts, and the raw value of every field.
    """
    many = many or {}
    fields = read_fields(text, ("size", *single, *many, *other))
    facts: set[Fact] = set()
    if number := _NUMBER.search(fields.get("size", "")):
        facts.add(("size", int(number[0])))
    for field, name in single.items():
        if cells := read_cells(fields.get(field, "")):
            facts.add((name, *cells[0]))
    for field, name in many.items():
        facts.update((name, *cell) for cell in read_cells(fields.get(field, "")))
    return facts, fields


def write_cells(cells: Iterable[Cell]) -> str:
    """A list of cells in reading order, ``none`` if empty."""
    return ", ".join(f"({row},{column})" for row, column in sorted(cells)) or "none"


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
