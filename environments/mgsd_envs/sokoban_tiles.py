"""What Sokoban's cells look like."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from mgsd_envs.rendering import Atlas, Colour, Pen

WALL, GOAL, BOX, PLAYER = 1, 2, 4, 8
FLOOR_COLOUR, LINE, BRICK, MORTAR, RING, CRATE, PLANK, FIGURE, FACE = range(9)


@lru_cache(maxsize=64)
def tiles(theme: str, level: int, size: int) -> Atlas:
    """The atlas of a look; see :meth:`mgsd_envs.sokoban.Sokoban.atlas`."""
    # floor, line, wall, mortar, goal, crate, planks, player, face
    classic: tuple[Colour, ...] = (
        (222, 214, 196), (205, 196, 176), (140, 62, 48), (92, 38, 30), (28, 120, 88),
        (214, 150, 62), (110, 66, 18), (36, 78, 170), (255, 236, 214),
    )  # fmt: skip
    plain: tuple[Colour, ...] = (
        (248, 246, 240), (214, 210, 200), (60, 70, 85), (60, 70, 85), (40, 150, 70),
        (170, 178, 190), (60, 70, 85), (210, 50, 40), (210, 50, 40),
    )  # fmt: skip
    return Atlas(classic if theme == "classic" else plain, level, size, partial(_tile, level, size))


def _tile(level: int, size: int, tile_id: int, row: int, column: int) -> NDArray[np.uint8]:
    pen = Pen(level, size, row, column)
    cell = size / level
    x, y = column * cell, row * cell

    def box(left: float, top: float, right: float, bottom: float, colour: int) -> None:
        pen.rectangle(x + left * cell, y + top * cell, x + right * cell, y + bottom * cell, colour=colour)

    def ring(radius: float, colour: int, hole: int) -> None:
        pen.disc(x + cell / 2, y + cell / 2, radius * cell, colour=colour)
        if cell >= 8:
            pen.disc(x + cell / 2, y + cell / 2, 0.7 * radius * cell, colour=hole)

    pen.line(x, y + cell, x, y, x + cell, y, colour=LINE)
    if tile_id & WALL:
        box(0, 0, 1, 1, MORTAR)
        for top, joint in ((0.04, 0.5), (0.36, 0.25), (0.68, 0.5)):
            box(0.03, top, joint - 0.03, top + 0.26, BRICK)
            box(joint + 0.03, top, 0.97, top + 0.26, BRICK)
    if tile_id & GOAL:
        ring(0.4, RING, FLOOR_COLOUR)
    if tile_id & BOX:
        box(0.14, 0.14, 0.86, 0.86, PLANK)
        box(0.2, 0.2, 0.8, 0.8, CRATE)
        if tile_id & GOAL:
            ring(0.26, RING, CRATE)
        else:
            width = max(1, int(cell / 14))
            pen.line(x + 0.2 * cell, y + 0.2 * cell, x + 0.8 * cell, y + 0.8 * cell, colour=PLANK, width=width)
            pen.line(x + 0.8 * cell, y + 0.2 * cell, x + 0.2 * cell, y + 0.8 * cell, colour=PLANK, width=width)
    if tile_id & PLAYER:
        pen.polygon(
            *(x + 0.5 * cell, y + 0.3 * cell, x + 0.74 * cell, y + 0.78 * cell, x + 0.26 * cell, y + 0.78 * cell),
            colour=FIGURE,
        )
        pen.disc(x + 0.5 * cell, y + 0.32 * cell, 0.12 * cell, colour=FACE)
    return pen.tile()
