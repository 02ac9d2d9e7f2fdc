"""The eight symmetries of the square: what a board looks like in a mirror, or turned by quarters.

Moves are absolute and no rule of a board knows up from left, so a plan that solves a state solves the mirrored state
when it is mirrored with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import itemgetter

from mgsd_envs.grid import MOVES
from mgsd_envs.types import Cell

TURNED = "turned"
"""The look that shows a state under one of the symmetries: another state, and as hard a one."""

_TRANSPOSED = {"left": "up", "down": "right", "right": "down", "up": "left"}


@dataclass(frozen=True, slots=True)
class Symmetry:
    """One symmetry of the square: rows may change places with columns, and then each may be counted backwards.

    Attributes:
        transposed: whether rows become columns, first of all.
        rows: whether rows are then counted from the bottom.
        columns: whether columns are then counted from the right.
    """

    transposed: bool = False
    rows: bool = False
    columns: bool = False

    def cell(self, size: int, cell: Cell) -> Cell:
        """Where a cell of a board with ``size`` cells a side comes to lie."""
        row, column = reversed(cell) if self.transposed else cell
        return size - 1 - row if self.rows else row, size - 1 - column if self.columns else column

    def side(self, name: str) -> str:
        """What a move or a side of a cell becomes; any other word, such as ``pick``, stays as it is."""
        if name not in MOVES:
            return name
        if self.transposed:
            name = _TRANSPOSED[name]
        flipped = self.rows if name in ("up", "down") else self.columns
        return _OPPOSITE[name] if flipped else name

    def then(self, after: Symmetry) -> Symmetry:
        """The symmetry that does what this one does and then what ``after`` does."""
        rows, columns = (self.columns, self.rows) if after.transposed else (self.rows, self.columns)
        return Symmetry(self.transposed != after.transposed, rows != after.rows, columns != after.columns)

    @property
    def inverse(self) -> Symmetry:
        """The symmetry that undoes this one."""
        rows, columns = (self.columns, self.rows) if self.transposed else (self.rows, self.columns)
        return Symmetry(self.transposed, rows, columns)


SYMMETRIES: tuple[Symmetry, ...] = tuple(Symmetry(*flags) for flags in product((False, True), repeat=3))
"""All eight; the first leaves everything as it is."""

_OPPOSITE = {name: other for name, (r, c) in MOVES.items() for other, move in MOVES.items() if move == (-r, -c)}


@lru_cache(maxsize=1024)
def moved_cells(size: int, symmetry: Symmetry) -> Mapping[Cell, Cell]:
    """Where each cell of a board comes to lie, in reading order of the cells."""
    return {(row, column): symmetry.cell(size, (row, column)) for row in range(size) for column in range(size)}


@lru_cache(maxsize=2**14)
def least_symmetries(size: int, *cells: Cell) -> tuple[Symmetry, ...]:
    """The symmetries under which the numbers of these cells, as keys write them, come first: mostly one.

    The least key of an orbit is that of an image under one of them, if keys begin with these cells.
    """
    written = [("".join(map(numbers.__getitem__, cells)), symmetry) for symmetry, numbers in _written_numbers(size)]
    least = min(written, key=itemgetter(0))[0]
    return tuple(symmetry for text, symmetry in written if text == least)


@lru_cache(maxsize=64)
def _written_numbers(size: int) -> tuple[tuple[Symmetry, Mapping[Cell, str]], ...]:
    """For each symmetry the number that each cell then has, as keys write it."""
    return tuple(
        (symmetry, {cell: f"{row * size + column}:" for cell, (row, column) in moved_cells(size, symmetry).items()})
        for symmetry in SYMMETRIES
    )
