"""Themes drawn by one kit for every task: shapes with names, in three styles.

A task says which shapes stand in a cell, by the part they play (``player``, ``goal``, ``hole``, ...), and gets tiles
for every theme of :data:`STYLES`. Shape alone tells one thing from another in each of them, never colour, so that the
words for a look stay true whatever is done to the picture's colours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mgsd_envs import glyphs
from mgsd_envs.glyphs import Brush, Glyph
from mgsd_envs.rendering import Atlas, Colour, edges

FLAGS = {"left": 1, "down": 2, "right": 4, "up": 8}
_FINE = 4  # shapes are drawn this many times larger, and reduced, for smooth rims
_SHADES = 12


@dataclass(frozen=True)
class Style:
    """One theme.

    Attributes:
        floor: what is under everything.
        line: the thin lines between cells.
        ink: players, goals and things to carry.
        mass: obstacles.
        wall: the walls between cells.
        shapes: the shape of every part that a thing may play.
    """

    floor: Colour
    line: Colour
    ink: Colour
    mass: Colour
    wall: Colour
    shapes: dict[str, Glyph]


STYLES: dict[str, Style] = {
    "blueprint": Style(
        floor=(28, 68, 136),
        line=(72, 112, 176),
        ink=(255, 255, 255),
        mass=(196, 214, 240),
        wall=(196, 214, 240),
        shapes={
            "player": glyphs.ring,
            "goal": glyphs.flag,
            "hole": glyphs.cross,
            "table": glyphs.hatched,
            "printer": glyphs.printer,
            "installed": glyphs.installed,
            "carrier": glyphs.loaded(glyphs.ring),
        },
    ),
    "parchment": Style(
        floor=(238, 224, 190),
        line=(206, 188, 148),
        ink=(72, 34, 16),
        mass=(120, 72, 40),
        wall=(120, 72, 40),
        shapes={
            "player": glyphs.pawn,
            "goal": glyphs.star,
            "hole": glyphs.nested_squares,
            "table": glyphs.bricks,
            "printer": glyphs.printer,
            "installed": glyphs.installed,
            "carrier": glyphs.loaded(glyphs.pawn),
        },
    ),
    "night": Style(
        floor=(26, 26, 52),
        line=(62, 62, 98),
        ink=(250, 240, 200),
        mass=(150, 160, 200),
        wall=(150, 160, 200),
        shapes={
            "player": glyphs.diamond,
            "goal": glyphs.house,
            "hole": glyphs.disc,
            "table": glyphs.stripes,
            "printer": glyphs.printer,
            "installed": glyphs.installed,
            "carrier": glyphs.loaded(glyphs.diamond),
        },
    ),
}
"""The themes by name."""

Parts = Callable[[int], tuple[int | None, tuple[str, ...]]]
"""What a tile id shows: the sum of its open sides (None where there are no walls between cells), and the parts of
:attr:`Style.shapes` to draw, the lowest first."""


def sprite_atlas(theme: str, level: int, size: int, parts: Parts) -> Atlas:
    """The tiles of a theme of :data:`STYLES`.

    A tile's pixels depend on its cell's height and width alone, so that few have to be drawn even for large grids.
    """
    lines = edges(level, size)
    style = STYLES[theme]

    @cache
    def tile(tile_id: int, height: int, width: int) -> NDArray[np.uint8]:
        return _drawn(style, *parts(tile_id), height, width)

    def paint(tile_id: int, row: int, column: int) -> NDArray[np.uint8]:
        return tile(tile_id, lines[row + 1] - lines[row], lines[column + 1] - lines[column])

    return Atlas(_palette(style_colours(style)), level, size, paint)


def style_colours(style: Style) -> tuple[Colour, ...]:
    """The colours that a style draws with, each once."""
    return tuple(dict.fromkeys((style.floor, style.line, style.ink, style.mass, style.wall)))


@lru_cache(maxsize=16)
def _palette(colours: tuple[Colour, ...]) -> NDArray[np.uint8]:
    """The colours and what lies between each two of them, in even steps: at most 256 rows."""
    base = np.array(colours, np.float64)
    steps = np.arange(1, _SHADES)[:, None] / _SHADES
    between = [a + steps * (b - a) for a, b in combinations(base, 2)]
    palette: NDArray[np.uint8] = np.rint(np.concatenate([base, *between])).astype(np.uint8)
    return palette


def _drawn(style: Style, sides: int | None, parts: tuple[str, ...], height: int, width: int) -> NDArray[np.uint8]:
    image = Image.new("RGB", (_FINE * width, _FINE * height), style.floor)
    brush = Brush(ImageDraw.Draw(image), _FINE * width, _FINE * height)
    if sides is None:
        _frame(brush, style)
    else:
        _walls(brush, style, sides)
    for part in parts:
        colour = style.mass if part in ("hole", "table") else style.ink
        style.shapes[part](brush, colour, style.floor)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BOX), np.int32)
    palette = _palette(style_colours(style)).astype(np.int32)
    distances = ((pixels[:, :, None, :] - palette) ** 2).sum(axis=3)
    nearest: NDArray[np.uint8] = distances.argmin(axis=2).astype(np.uint8)
    return nearest


def _frame(brush: Brush, style: Style) -> None:
    """Half of a thin line on each side."""
    for box in ((0, 0, 1, 0.02), (0, 0.98, 1, 1), (0, 0, 0.02, 1), (0.98, 0, 1, 1)):
        brush.box(*box, colour=style.line)


def _walls(brush: Brush, style: Style, sides: int) -> None:
    """Half of a wall on each closed side and at each corner, half of a thin line on each open side."""
    half = 0.125
    brush.box(0, 0, 1, 1, colour=style.wall)
    brush.box(half, half, 1 - half, 1 - half, colour=style.floor)
    ways = {
        "left": ((0, half, half, 1 - half), (0, half, 0.02, 1 - half)),
        "right": ((1 - half, half, 1, 1 - half), (0.98, half, 1, 1 - half)),
        "up": ((half, 0, 1 - half, half), (half, 0, 1 - half, 0.02)),
        "down": ((half, 1 - half, 1 - half, 1), (half, 0.98, 1 - half, 1)),
    }
    for side, (way, line) in ways.items():
        if sides & FLAGS[side]:
            brush.box(*way, colour=style.floor)
            brush.box(*line, colour=style.line)
