"""Pictures that models were shown, as the page holds them: cut into cells, of which each different one is kept once.

The pictures of an episode differ in a few cells, and those of a task are made of a few tiles. Cut up they are a
hundredth as large, pixel for pixel the same, whatever the look.
"""

from __future__ import annotations

from collections.abc import Hashable
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgsd_bench.report.page import MosaicData, ShownData, pack
from mgsd_bench.report.worlds import data_uri

if TYPE_CHECKING:
    from mgsd_envs.rendering import Picture, Pixels

_COLUMNS = 32
_MOST_TILES = _COLUMNS * _COLUMNS


class _Sheet:
    """Different tiles of one size."""

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self._tiles: dict[bytes, int] = {}

    @property
    def size(self) -> int:
        """How many tiles there are."""
        return len(self._tiles)

    def numbers(self, cells: list[bytes]) -> list[int] | None:
        """The tile of every cell; None if the sheet has no room for new ones."""
        if self._tiles and len(self._tiles) + len(set(cells) - self._tiles.keys()) > _MOST_TILES:
            return None
        return [self._tiles.setdefault(cell, len(self._tiles)) for cell in cells]

    def data(self) -> MosaicData:
        side = self.pixels
        columns = min(_COLUMNS, len(self._tiles))
        rows = -(-len(self._tiles) // columns)
        image = np.zeros((rows, side, columns, side, 3), np.uint8)
        for number, tile in enumerate(self._tiles):
            image[number // columns, :, number % columns] = np.frombuffer(tile, np.uint8).reshape(side, side, 3)
        file = BytesIO()
        Image.fromarray(image.reshape(rows * side, columns * side, 3)).save(file, "PNG", optimize=True)
        return MosaicData(side, columns, data_uri("image/png", file.getvalue()))


class Mosaics:
    """Everything that transcripts show, each different thing once.

    Attributes:
        shown: what was shown, by its number.
        pixels: how many pixels all tiles together have.
    """

    def __init__(self) -> None:
        self.shown: list[ShownData] = []
        self.pixels = 0
        self._known: dict[Hashable, int] = {}
        self._sheets: list[_Sheet] = []
        self._open: dict[int, int] = {}

    @property
    def sheets(self) -> tuple[MosaicData, ...]:
        """The sheets of tiles, by their numbers."""
        return tuple(sheet.data() for sheet in self._sheets)

    def add(self, shown: Picture | Pixels | str, side: int) -> int:
        """The number of a text, or of a square picture that is cut into so many cells a side."""
        if isinstance(shown, str):
            return self._number(ShownData(0, 0, "", shown))
        pixels = shown.rgb()
        cells = _cells(pixels, side)
        wide = pixels.shape[0] // side
        sheet = self._open.get(wide)
        numbers = None if sheet is None else self._take(sheet, cells)
        if sheet is None or numbers is None:
            sheet = self._open[wide] = len(self._sheets)
            self._sheets.append(_Sheet(wide))
            numbers = self._take(sheet, cells) or []
        return self._number(ShownData(sheet, side, pack(numbers), None))

    def _take(self, sheet: int, cells: list[bytes]) -> list[int] | None:
        before = self._sheets[sheet].size
        numbers = self._sheets[sheet].numbers(cells)
        self.pixels += (self._sheets[sheet].size - before) * self._sheets[sheet].pixels ** 2
        return numbers

    def _number(self, data: ShownData) -> int:
        number = self._known.setdefault(data, len(self.shown))
        if number == len(self.shown):
            self.shown.append(data)
        return number


def _cells(pixels: NDArray[np.uint8], side: int) -> list[bytes]:
    """The pixels of every cell, in reading order."""
    wide = pixels.shape[0] // side
    parts = pixels.reshape(side, wide, side, wide, 3).swapaxes(1, 2)
    return [parts[row, column].tobytes() for row in range(side) for column in range(side)]
