"""Shapes that things have in the themes of :mod:`mgsd_envs.sprites`, in a cell that reaches from (0, 0) to (1, 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL.ImageDraw import ImageDraw

from mgsd_envs.rendering import Colour


@dataclass(frozen=True, slots=True)
class Brush:
    """Draws in the coordinates of a cell, or of a part of it.

    Attributes:
        draw: what is drawn on.
        width: pixels across.
        height: pixels down.
        left: where the coordinate 0 lies, in pixels.
        top: likewise.
    """

    draw: ImageDraw
    width: float
    height: float
    left: float = 0
    top: float = 0

    def inside(self, left: float, top: float, side: float) -> Brush:
        """A brush for the square with its corner at (left, top)."""
        return replace(
            self,
            width=side * self.width,
            height=side * self.height,
            left=self.left + left * self.width,
            top=self.top + top * self.height,
        )

    def box(self, left: float, top: float, right: float, bottom: float, *, colour: Colour) -> None:
        """Fill a box; its right and bottom edges are left to the next."""
        x0, y0, x1, y1 = self._pixels(left, top, right, bottom)
        self.draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), fill=colour)

    def disc(self, radius: float, *, colour: Colour, x: float = 0.5, y: float = 0.5) -> None:
        """Fill a disc."""
        self.draw.ellipse(self._pixels(x - radius, y - radius, x + radius, y + radius), fill=colour)

    def polygon(self, *points: float, colour: Colour) -> None:
        """Fill a polygon given as x0, y0, x1, y1, ..."""
        self.draw.polygon(self._pixels(*points), fill=colour)

    def line(self, *points: float, width: float, colour: Colour) -> None:
        """Draw a line ``width`` cells wide."""
        self.draw.line(self._pixels(*points), fill=colour, width=max(1, round(width * self.width)))

    def _pixels(self, *points: float) -> list[int]:
        origin, scale = (self.left, self.top), (self.width, self.height)
        return [round(origin[i % 2] + value * scale[i % 2]) for i, value in enumerate(points)]


Glyph = Callable[[Brush, Colour, Colour], None]
"""Draws a shape of (brush, colour of the shape, colour of the floor)."""


def ring(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A thick ring."""
    brush.disc(0.32, colour=colour)
    brush.disc(0.18, colour=floor)


def disc(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A full disc."""
    brush.disc(0.32, colour=colour)


def flag(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A pole with a triangular pennant at its top."""
    brush.box(0.24, 0.16, 0.34, 0.86, colour=colour)
    brush.polygon(0.30, 0.16, 0.82, 0.34, 0.30, 0.54, colour=colour)


def cross(brush: Brush, colour: Colour, floor: Colour) -> None:
    """Two thick diagonals."""
    brush.line(0.2, 0.2, 0.8, 0.8, width=0.13, colour=colour)
    brush.line(0.2, 0.8, 0.8, 0.2, width=0.13, colour=colour)


def pawn(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A head over a wide foot."""
    brush.disc(0.17, colour=colour, y=0.3)
    brush.polygon(0.42, 0.4, 0.58, 0.4, 0.78, 0.84, 0.22, 0.84, colour=colour)


def star(brush: Brush, colour: Colour, floor: Colour) -> None:
    """Five points."""
    corners: list[float] = []
    for i in range(10):
        reach, angle = (0.38, 0.17)[i % 2], math.pi * (i / 5 - 0.5)
        corners += [0.5 + reach * math.cos(angle), 0.53 + reach * math.sin(angle)]
    brush.polygon(*corners, colour=colour)


def nested_squares(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A square frame with a full square in it."""
    brush.box(0.16, 0.16, 0.84, 0.84, colour=colour)
    brush.box(0.27, 0.27, 0.73, 0.73, colour=floor)
    brush.box(0.38, 0.38, 0.62, 0.62, colour=colour)


def diamond(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A square on its corner, with a hole in it."""
    brush.polygon(0.5, 0.12, 0.88, 0.5, 0.5, 0.88, 0.12, 0.5, colour=colour)
    brush.polygon(0.5, 0.34, 0.66, 0.5, 0.5, 0.66, 0.34, 0.5, colour=floor)


def house(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A gable over walls with a door."""
    brush.polygon(0.5, 0.12, 0.88, 0.46, 0.12, 0.46, colour=colour)
    brush.box(0.22, 0.5, 0.78, 0.84, colour=colour)
    brush.box(0.42, 0.6, 0.58, 0.84, colour=floor)


def hatched(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A whole cell with slanting gaps."""
    brush.box(0.04, 0.04, 0.96, 0.96, colour=colour)
    for across in (-0.4, 0.0, 0.4):
        brush.line(0.1 + across, 0.9, 0.9 + across, 0.1, width=0.07, colour=floor)


def bricks(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A whole cell of bricks, in three courses."""
    brush.box(0.04, 0.04, 0.96, 0.96, colour=colour)
    for y in (0.32, 0.63):
        brush.box(0.04, y, 0.96, y + 0.06, colour=floor)
    for x, top, bottom in ((0.47, 0.04, 0.32), (0.22, 0.38, 0.63), (0.72, 0.38, 0.63), (0.47, 0.69, 0.96)):
        brush.box(x, top, x + 0.06, bottom, colour=floor)


def stripes(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A whole cell of four upright stripes."""
    for x in (0.05, 0.29, 0.53, 0.77):
        brush.box(x, 0.04, x + 0.18, 0.96, colour=colour)


def printer(brush: Brush, colour: Colour, floor: Colour) -> None:
    """Paper above and below a body with a slot."""
    brush.box(0.32, 0.16, 0.68, 0.4, colour=colour)
    brush.box(0.16, 0.4, 0.84, 0.68, colour=colour)
    brush.box(0.32, 0.6, 0.68, 0.86, colour=colour)
    brush.box(0.3, 0.5, 0.7, 0.58, colour=floor)


def loaded(carrier: Glyph) -> Glyph:
    """A carrier in the lower left with a printer at its upper right."""

    def draw(brush: Brush, colour: Colour, floor: Colour) -> None:
        carrier(brush.inside(0, 0.34, 0.66), colour, floor)
        printer(brush.inside(0.5, 0, 0.5), colour, floor)

    return draw


def installed(brush: Brush, colour: Colour, floor: Colour) -> None:
    """A printer on a patch of floor, to be seen on whatever it stands on."""
    brush.box(0.1, 0.1, 0.9, 0.9, colour=floor)
    printer(brush, colour, floor)
