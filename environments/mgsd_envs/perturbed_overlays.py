"""Perturbations that put something on the picture: texture, scratches, icons around the board, lines, numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mgsd_envs.perturbed_boards import placed, shrunk_side
from mgsd_envs.rendering import edges

Array = NDArray[np.uint8]
MARGIN = 0.24
"""Share of the canvas that icons get, whatever their number."""
LABEL_MARGIN = 0.12
"""Share of the canvas that numbers in a margin get."""
_SCRATCH_WIDTH = 0.04
_FINE = 2  # lines and icons are drawn this many times larger, and reduced, for smooth rims


def textured(pixels: Array, level: int, opacity: float, rng: np.random.Generator) -> Array:
    """A cloudy texture over the whole board: grey spots of a third of a cell, and of three times that."""
    size = len(pixels)
    clouds = np.zeros((size, size), np.float32)
    for spots, weight in ((3 * level, 0.6), (level, 0.4)):
        coarse = rng.random((spots + 2, spots + 2), np.float32)
        grown = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        clouds += np.float32(weight) * np.asarray(grown, np.float32)
    low, high = float(clouds.min()), float(clouds.max())
    grey = (clouds - low) * np.float32(255 / (high - low))
    return clipped(pixels * np.float32(1 - opacity) + (grey * np.float32(opacity))[:, :, None])


def scratched(pixels: Array, level: int, share: float, rng: np.random.Generator) -> Array:
    """Straight grey lines of 1 to 3 cells at random, until their areas make up ``share`` of the picture."""
    size = len(pixels)
    cell = size / level
    width = _SCRATCH_WIDTH * cell
    canvas = Image.new("LA", (_FINE * size, _FINE * size), (0, 0))
    draw = ImageDraw.Draw(canvas)
    drawn = 0.0
    while drawn < share * size * size:
        x, y, angle, length, grey = rng.random(5).tolist()
        reach = (1 + 2 * length) * cell
        x0, y0 = x * size, y * size
        x1, y1 = x0 + reach * math.cos(2 * math.pi * angle), y0 + reach * math.sin(2 * math.pi * angle)
        inside = _share_inside(x0, y0, x1, y1, size)
        ends = tuple(_FINE * value for value in (x0, y0, x1, y1))
        draw.line(ends, fill=(int(256 * grey), 255), width=max(1, round(_FINE * width)))
        drawn += reach * width * inside
    lines = np.asarray(canvas.resize((size, size), Image.Resampling.BOX), np.float32)
    cover = lines[:, :, 1:] / 255
    return clipped(pixels * (1 - cover) + lines[:, :, :1] * cover)


def _share_inside(x0: float, y0: float, x1: float, y1: float, size: int) -> float:
    """How much of a line that starts on the canvas lies on it, from 0 to 1."""
    inside = 1.0
    for start, end in ((x0, x1), (y0, y1)):
        if end < 0:
            inside = min(inside, start / (start - end))
        elif end > size:
            inside = min(inside, (size - start) / (end - start))
    return inside


def decorated(pixels: Array, level: int, number: float, rng: np.random.Generator) -> Array:
    """The board in the middle of a margin in which ``number`` icons lie that no task uses."""
    size = len(pixels)
    side = shrunk_side(size, MARGIN)
    first = (size - side) // 2
    canvas = Image.fromarray(placed(pixels, side, first, first)).resize((_FINE * size,) * 2, Image.Resampling.BOX)
    draw = ImageDraw.Draw(canvas)
    room = _FINE * (size - side) / 2
    places = _places(_FINE * size, room)
    for place in rng.permutation(len(places))[: int(number)].tolist():
        x, y = places[place]
        icon, colour = rng.integers(0, (len(_ICONS), len(_COLOURS))).tolist()
        _ICONS[icon](draw, x, y, 0.32 * room, _COLOURS[colour])
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))


def _places(size: float, room: float) -> list[tuple[float, float]]:
    """Middles of the icons: as many as lie around the board without touching one another."""
    along = [room / 2 + i * (size - room) / 6 for i in range(7)]
    near, far = room / 2, size - room / 2
    return [(x, y) for x in along for y in (near, far)] + [(x, y) for x in (near, far) for y in along[1:-1]]


def _plus(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    draw.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=colour)
    draw.rectangle((x - r / 3, y - r, x + r / 3, y + r), fill=colour)


def _hexagon(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    draw.regular_polygon((x, y, r), 6, fill=colour)


def _bars(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    for down in (-0.8, -0.1, 0.6):
        draw.rectangle((x - r, y + down * r, x + r, y + (down + 0.3) * r), fill=colour)


def _drop(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    draw.pieslice((x - r, y - r, x + r, y + r), 20, 160, fill=colour)


_ICONS: tuple[Callable[[ImageDraw.ImageDraw, float, float, float, str], None], ...] = (_plus, _hexagon, _bars, _drop)
_COLOURS = ("#c03028", "#2870b8", "#309048", "#e0b020", "#7848a0", "#181818", "#f0f0f0")


def ruled(pixels: Array, level: int, width: float, rng: np.random.Generator) -> Array:
    """Grey lines ``width`` cells wide around all cells."""
    size = len(pixels)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    thick = max(1, round(width * size / level))
    for edge in edges(level, size):
        first = min(max(0, edge - thick // 2), size - thick)
        draw.rectangle((first, 0, first + thick - 1, size), fill=_GREY)
        draw.rectangle((0, first, size, first + thick - 1), fill=_GREY)
    return np.asarray(picture)


def labelled(pixels: Array, level: int, where: float, rng: np.random.Generator) -> Array:
    """Numbers of rows and columns, from 0: in a margin at the left and at the top, or ``r,c`` in each cell."""
    return _numbered_rim(pixels, level) if where == 1 else _numbered_cells(pixels, level)


def _numbered_rim(pixels: Array, level: int) -> Array:
    size = len(pixels)
    side = shrunk_side(size, LABEL_MARGIN)
    room = size - side
    picture = Image.fromarray(placed(pixels, side, room, room))
    draw = ImageDraw.Draw(picture)
    cell = side / level
    font = ImageFont.load_default(max(6.0, min(0.6 * room, 0.7 * cell)))
    for i in range(level):
        middle = room + (i + 0.5) * cell
        draw.text((middle, room / 2), str(i), fill="white", font=font, anchor="mm")
        draw.text((room / 2, middle), str(i), fill="white", font=font, anchor="mm")
    return np.asarray(picture)


def _numbered_cells(pixels: Array, level: int) -> Array:
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    cell = len(pixels) / level
    font = ImageFont.load_default(max(5.0, 0.22 * cell))
    for row in range(level):
        for column in range(level):
            place = ((column + 0.15) * cell, (row + 0.14) * cell)
            draw.text(place, f"{row},{column}", fill=_GREY, font=font, anchor="lt")
    return np.asarray(picture)


_GREY = (127, 127, 127)


def clipped(pixels: NDArray[np.floating]) -> Array:
    """Brought to whole numbers from 0 to 255."""
    whole: Array = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return whole
