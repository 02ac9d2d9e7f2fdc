"""States and plans as the page draws them: pictures as tiles, plans as routes.

The page knows no task. A picture is a list of tile numbers and a sheet with the tiles; a step of a plan is the tiles
that it changes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np

from mgsd_bench.report.page import Route, SheetData, World, pack
from mgsd_envs import Picture, Task, trace
from mgsd_envs.grid import MOVES

_TILE, _BOARD = 64, 1024  # pixels of a tile; tiles of grids that would be larger than the board shrink


class _Sheet:
    """The distinct tiles that occur in one look of a task at one grid size."""

    def __init__(self, task: Task[Any], theme: str, size: int) -> None:
        self._pixels = min(_TILE, _BOARD // size)
        self._atlas = task.atlas(theme, size, size * self._pixels)
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._tiles: dict[bytes, tuple[int, Picture]] = {}

    def cells(self, kinds: Sequence[Sequence[int]]) -> list[int]:
        """The tile of every cell, in reading order."""
        numbers = self._numbers
        found = []
        for r, row in enumerate(kinds):
            for c, kind in enumerate(row):
                number = numbers.get((kind, r, c))
                found.append(self._add(kind, r, c) if number is None else number)
        return found

    def _add(self, kind: int, row: int, column: int) -> int:
        tile = self._atlas.tile(kind, row, column)
        number, _ = self._tiles.setdefault(tile.indices.tobytes(), (len(self._tiles), tile))
        self._numbers[kind, row, column] = number
        return number

    def data(self) -> SheetData:
        """Pixels of a tile and a PNG of all tiles, one below another."""
        tiles = [tile for _, tile in self._tiles.values()]
        strip = Picture(np.vstack([tile.indices for tile in tiles]), tiles[0].palette, compress_level=9)
        return SheetData(self._pixels, data_uri("image/png", strip.png()))


class Worlds:
    """Draws states; keeps the sheets of tiles that it needed for them."""

    def __init__(self) -> None:
        self._sheets: dict[tuple[str, str, int], tuple[int, _Sheet]] = {}

    @property
    def sheets(self) -> tuple[SheetData, ...]:
        """The sheets, by their numbers."""
        return tuple(sheet.data() for _, sheet in self._sheets.values())

    def world(self, task: Task[Any], theme: str, state: Any, plan: Sequence[str]) -> World:
        """A state's picture, and what a plan does in it."""
        kinds = task.tile_ids(state)
        size = len(kinds)
        key = (task.name, theme, size)
        if key not in self._sheets:
            self._sheets[key] = (len(self._sheets), _Sheet(task, theme, size))
        number, sheet = self._sheets[key]
        cells = sheet.cells(kinds)
        return World(size, number, pack(cells), _route(task, state, plan, sheet, cells, size))


def data_uri(media_type: str, data: bytes) -> str:
    """A file as an address that holds it."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def _route(task: Task[Any], state: Any, plan: Sequence[str], sheet: _Sheet, cells: list[int], size: int) -> Route:
    """Where a plan leads."""
    cursors, illegal = trace(task, state, plan)
    changes = []
    for cursor in cursors[1:]:
        after = sheet.cells(task.tile_ids(task.state_at(state, cursor)))
        changes.append(pack(v for i, (a, b) in enumerate(zip(cells, after, strict=True)) if a != b for v in (i, b)))
        cells = after
    return Route(
        path=pack(row * size + column for row, column in (task.place(state, cursor) for cursor in cursors)),
        changes=" ".join(changes),
        illegal=illegal,
        bump=MOVES.get(plan[len(cursors) - 1], (0, 0)) if illegal else None,
        solved=len(cursors) > 1 and task.solved(state, cursors[-1]),
    )
