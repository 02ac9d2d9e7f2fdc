"""What MiniBehaviour's cells look like."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from mgsd_envs.rendering import Atlas, Colour, Pen
from mgsd_envs.sprites import STYLES, sprite_atlas

BLACK, GRID, TABLE, RED, WHITE = range(5)
FLOOR_TILE, TABLE_TILE, AGENT_TILE, PRINTER_TILE, CARRIER_TILE, INSTALLED_TILE = range(6)
_PARTS: tuple[tuple[str, ...], ...] = ((), ("table",), ("player",), ("printer",), ("carrier",), ("table", "installed"))


@lru_cache(maxsize=64)
def tiles(theme: str, level: int, size: int) -> Atlas:
    """The atlas of a look; see :meth:`mgsd_envs.minibehaviour.MiniBehaviour.atlas`."""
    if theme in STYLES:
        return sprite_atlas(theme, level, size, lambda tile_id: (None, _PARTS[tile_id]))
    classic: tuple[Colour, ...] = (
        (0, 0, 0),
        (60, 60, 60),
        (181, 143, 96),
        (255, 24, 16),
        (255, 255, 255),
    )
    plain: tuple[Colour, ...] = (
        (240, 236, 226),
        (200, 194, 180),
        (60, 70, 85),
        (40, 90, 200),
        (210, 50, 40),
    )
    return Atlas(classic if theme == "classic" else plain, level, size, partial(_tile, level, size))


def _tile(level: int, size: int, tile_id: int, row: int, column: int) -> NDArray[np.uint8]:
    pen = Pen(level, size, row, column)
    cell = size / level
    x, y = column * cell, row * cell
    if tile_id in (TABLE_TILE, INSTALLED_TILE):
        pen.rectangle(x + 1, y + 1, (column + 1) * cell - 1, (row + 1) * cell - 1, colour=TABLE)
    if tile_id in (AGENT_TILE, CARRIER_TILE):
        base, top, bottom = x + 0.22 * cell, y + 0.20 * cell, y + 0.80 * cell
        pen.polygon(base, top, x + 0.78 * cell, y + 0.50 * cell, base, bottom, colour=RED)
    if tile_id in (PRINTER_TILE, INSTALLED_TILE):
        _printer(pen, x, y, cell)
    elif tile_id == CARRIER_TILE:
        _printer(pen, x + 0.45 * cell, y - 0.05 * cell, 0.6 * cell)
    pen.line(x, y + cell, x, y, x + cell, y, colour=GRID)
    return pen.tile()


def _printer(pen: Pen, x: float, y: float, cell: float) -> None:
    """Paper above and below a body 0.58 x 0.52 of the cell, with a slot in it."""
    pen.rectangle(x + 0.32 * cell, y + 0.24 * cell, x + 0.67 * cell, y + 0.40 * cell, colour=WHITE)
    body = (x + 0.22 * cell, y + 0.40 * cell, x + 0.80 * cell, y + 0.62 * cell)
    pen.rectangle(*body, colour=WHITE, radius=0.05 * cell)
    pen.rectangle(x + 0.32 * cell, y + 0.60 * cell, x + 0.69 * cell, y + 0.76 * cell, colour=WHITE)
    pen.disc(x + 0.33 * cell, y + 0.46 * cell, 0.05 * cell, colour=BLACK)
    pen.rectangle(x + 0.34 * cell, y + 0.49 * cell, x + 0.71 * cell, y + 0.54 * cell, colour=BLACK)
