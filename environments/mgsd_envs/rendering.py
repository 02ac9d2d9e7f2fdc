"""Pictures as mosaics of cached tiles, kept as palette indices until somebody needs RGB or PNG.

A tile has an id for what it shows *and* a place on the grid, so it keeps the exact pixels that the paper's renderers
give that place, also where the picture's size is no multiple of the grid's.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
MIN_CELL_PIXELS = 4
_SETTLED = 2000  # the palette is good enough when fewer pixels than this still change colour


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a state as a palette image; :meth:`rgb` gives its pixels, :meth:`png` a file.

    Attributes:
        indices: uint8 (height, width), positions in the palette; row 0 is at the top.
        palette: uint8 (colours, 3), RGB, at most 256 colours.
        compress_level: how hard :meth:`png` tries, 0 to 9.
    """

    indices: NDArray[np.uint8]
    palette: NDArray[np.uint8]
    compress_level: int = 1

    def rgb(self) -> NDArray[np.uint8]:
        """The pixels, uint8 (height, width, 3)."""
        return self.palette.take(self.indices, axis=0)  # 4 times as fast as indexing

    def content(self) -> bytes:
        """The bytes that tell the picture from others, for digests."""
        return self.indices.tobytes() + self.palette.tobytes()

    def png(self) -> bytes:
        """The picture as a palette PNG: 4 bits a pixel for up to 16 colours and even widths, else 8.

        Written here rather than by Pillow because the encoder is what limits the episodes a second: this is 3 times
        faster on flat pictures.
        """
        height, width = self.indices.shape
        bits = 4 if len(self.palette) <= 16 and width % 2 == 0 else 8
        pixels = self.indices if bits == 8 else _in_pairs(self.indices)
        rows = np.zeros((height, 1 + pixels.shape[1]), np.uint8)  # each row behind its filter type, 0 for none
        rows[:, 1:] = pixels
        header = struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0)
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", header),
                _chunk(b"PLTE", self.palette.tobytes()),
                _chunk(b"IDAT", zlib.compress(rows.tobytes(), self.compress_level)),
                _chunk(b"IEND", b""),
            )
        )


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture with any number of colours; what is left of a :class:`Picture` after a perturbation.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
    """

    pixels: NDArray[np.uint8]

    def rgb(self) -> NDArray[np.uint8]:
        """The pixels, uint8 (height, width, 3)."""
        return self.pixels

    def content(self) -> bytes:
        """The bytes that tell the picture from others, for digests."""
        return self.pixels.tobytes()

    def png(self) -> bytes:
        """The picture as an RGB PNG."""
        file = BytesIO()
        Image.fromarray(self.pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()


def _in_pairs(indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two 4-bit pixels a byte, the left one in the upper half."""
    pairs = np.ascontiguousarray(indices).view("<u2")
    return (pairs << 4 | pairs >> 8).astype(np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


Paint = Callable[[int, int, int], "NDArray[np.uint8]"]
"""Paints the tile of (tile_id, row, column) as palette indices."""


class Atlas:
    """The tiles of one theme at one grid size, each painted once.

    A tile is what one cell looks like: it has an id, whose meaning is the task's (:meth:`mgsd_envs.Task.tile_ids`), and
    the place of its cell. Rows and columns are 0-based from the top left; a tile of row r and column c has the pixels
    from ``r * size // level`` to ``(r + 1) * size // level`` of the picture's height, and likewise of its width.

    Args:
        palette: the colours that the tiles index, RGB from 0 to 255, at most 256.
        level: cells a side.
        size: pixels a side.
        paint: makes a tile, uint8 palette indices of exactly the pixels that its cell covers.
        compress_level: see :class:`Picture`.
    """

    def __init__(
        self,
        palette: Sequence[Colour] | NDArray[np.uint8],
        level: int,
        size: int,
        paint: Paint,
        compress_level: int = 1,
    ) -> None:
        self._palette = np.asarray(palette, np.uint8)
        self._paint = cache(paint)
        self._size = size
        spans = [slice(*span) for span in pairwise(edges(level, size))]
        self._slots = [[(rows, columns) for columns in spans] for rows in spans]
        self._compress_level = compress_level

    def tile(self, tile_id: int, row: int, column: int) -> Picture:
        """The picture of one cell, if it showed this tile."""
        return Picture(self._paint(tile_id, row, column), self._palette, self._compress_level)

    def compose(self, tile_ids: Sequence[Sequence[int]]) -> Picture:
        """The picture, ``size`` pixels square, of a grid whose cell (r, c) shows tile ``tile_ids[r][c]``.

        Raises:
            ValueError: ``tile_ids`` does not have ``level`` rows of ``level`` ids.
        """
        paint = self._paint
        indices = np.empty((self._size, self._size), np.uint8)
        for r, (row, slots) in enumerate(zip(tile_ids, self._slots, strict=True)):
            for c, (tile_id, slot) in enumerate(zip(row, slots, strict=True)):
                indices[slot] = paint(tile_id, r, c)
        return Picture(indices, self._palette, self._compress_level)


def edges(level: int, size: int) -> list[int]:
    """First pixel of each row (and column) of cells, and ``size`` at the end."""
    return [i * size // level for i in range(level + 1)]


class Pen:
    """Draws on the tile of one cell in whole-picture coordinates; what lies outside the cell is cut off.

    Coordinates are truncated to whole pixels, as the paper's renderers do.
    """

    def __init__(self, level: int, size: int, row: int, column: int) -> None:
        lines = edges(level, size)
        self._left, self._top = lines[column], lines[row]
        shape = (lines[column + 1] - self._left, lines[row + 1] - self._top)
        self._image = Image.new("L", shape, 0)
        self._draw = ImageDraw.Draw(self._image)

    def _points(self, coordinates: Sequence[float]) -> list[int]:
        return [int(v) - (self._top if i % 2 else self._left) for i, v in enumerate(coordinates)]

    def rectangle(self, *box: float, colour: int, radius: float = 0) -> None:
        """Fill the box (left, top, right, bottom), last pixels included."""
        self._draw.rounded_rectangle(self._points(box), radius, fill=colour)

    def disc(self, x: float, y: float, radius: float, *, colour: int) -> None:
        """Fill a disc."""
        self._draw.ellipse(self._points((x - radius, y - radius, x + radius, y + radius)), fill=colour)

    def polygon(self, *points: float, colour: int) -> None:
        """Fill a polygon given as x0, y0, x1, y1, ..."""
        self._draw.polygon(self._points(points), fill=colour)

    def line(self, *points: float, colour: int, width: int = 1) -> None:
        """Draw a line through x0, y0, x1, y1, ..."""
        self._draw.line(self._points(points), fill=colour, width=width)

    def tile(self) -> NDArray[np.uint8]:
        """What was drawn, as palette indices."""
        return np.array(self._image, np.uint8)


def quantized_atlas(boards: Sequence[Image.Image], level: int) -> Atlas:
    """An atlas cut from RGB pictures of a grid full of each tile, brought to the 256 colours that fit them all.

    Deflate is left out of the PNGs of a texture that it shrinks by less than two thirds: it would take most of the
    time that a whole episode needs.
    """
    size = boards[0].width
    strip = Image.new("RGB", (size, size * len(boards)))
    for i, board in enumerate(boards):
        strip.paste(board, (0, i * size))
    reduced = strip.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=_SETTLED, dither=Image.Dither.NONE)
    indices = np.array(reduced, np.uint8)
    lines = edges(level, size)

    def paint(tile_id: int, row: int, column: int) -> NDArray[np.uint8]:
        board = indices[tile_id * size : (tile_id + 1) * size]
        return board[lines[row] : lines[row + 1], lines[column] : lines[column + 1]]

    palette = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)
    shrinks = 3 * len(zlib.compress(indices.tobytes(), 1)) < indices.size
    return Atlas(palette, level, size, paint, compress_level=int(shrinks))


def check_look(task: str, theme: str, themes: Sequence[str], level: int, size: int) -> None:
    """Refuse a theme or picture size that cannot be drawn.

    Raises:
        ValueError: unknown theme, or fewer than 4 pixels a cell.
    """
    if theme not in themes:
        raise ValueError(f"{task} has themes {', '.join(themes)}, not {theme}")
    if size < MIN_CELL_PIXELS * level:
        raise ValueError(f"a {level}x{level} grid needs at least {MIN_CELL_PIXELS * level} pixels, not {size}")
