"""Is the state still in a perturbed picture? A decoder that finds, for every cell, the tile that looks most like it.

What the decoder reads right is there to be seen, so a model's loss on such pictures is not the picture's fault. It
knows what a careful viewer may know: theme, grid size, the set of tiles, and what kind of thing was done to the picture
and how much, but not which way (to the left or right, brighter or darker, where to), and nothing about the state. A
board counts only if every tile of it is read right; tiles tell states apart, so that then every fact is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mgsd_envs import perturbed_boards as boards
from mgsd_envs import perturbed_overlays as overlays
from mgsd_envs.perturbations import PERTURBATIONS, brighter, other_hue, perturb, steps
from mgsd_envs.rendering import Atlas, edges
from mgsd_envs.task import Task

Array = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a picture may have been before something was done to it.

    Attributes:
        seen: the pixels, the board filling them, (size, size, 3).
        lit: what was added to the V of the tiles' colours.
        blur: standard deviation, in cells, of the blur that the tiles have.
        coarse: pixels a cell that the tiles were reduced to and brought back from; 0 if they were not.
        covered: whether something lies over single pixels, which then count for no more than :data:`_MOST` each.
    """

    seen: NDArray[np.floating] | Array
    lit: float = 0.0
    blur: float = 0.0
    coarse: int = 0
    covered: bool = False


_MOST = 60.0
"""Of 255: how far a pixel's value that something may lie over is at most taken to be from a tile's."""


def read_tiles(
    pixels: Array, task: Task[Any], theme: str, level: int, tiles: Sequence[int], done: Iterable[tuple[str, int]] = ()
) -> list[list[int]]:
    """The tile ids that a picture shows.

    Args:
        pixels: uint8 (size, size, 3), RGB.
        task: the task.
        theme: the theme.
        level: cells a side.
        tiles: the ids that a cell may have.
        done: the perturbations that were applied, each an axis and a severity, in their order.
    """
    size = len(pixels)
    readings = [Reading(pixels)]
    for name, severity in reversed(list(done)):
        undo = _UNDO.get(name)
        if undo is not None:
            value = PERTURBATIONS[name].values[severity - 1]
            readings = [after for before in readings for after in undo(before, level, value)]
    matches = [
        _nearest(one, level, _tiles(task, theme, level, size, tuple(tiles), one.lit, one.blur, one.coarse))
        for one in readings
    ]
    places, _ = min(matches, key=lambda match: match[1])
    return [[tiles[place] for place in row] for row in places.tolist()]


def tile_set(task: Task[Any], states: Iterable[Any]) -> list[int]:
    """Every tile id that one of the states shows, sorted."""
    return sorted({tile_id for state in states for row in task.tile_ids(state) for tile_id in row})


def is_read(task: Task[Any], state: Any, look: tuple[str, str, int], tiles: Sequence[int], size: int = 256) -> bool:
    """Whether every tile of a perturbed picture of the state is read right.

    Args:
        task: the task.
        state: the state.
        look: theme, perturbation and severity.
        tiles: the ids that a cell may have.
        size: pixels a side.
    """
    theme, name, severity = look
    key, level = task.key(state), task.level_of(state)
    pixels = perturb(task.draw(state, theme, size).rgb(), level, name, severity, key)
    return read_tiles(pixels, task, theme, level, tiles, steps(name, severity, key)) == task.tile_ids(state)


def _nearest(reading: Reading, level: int, tiles: list[tuple[Floats, Floats]]) -> tuple[Any, float]:
    """For each cell the position of the tile at the least distance, and the sum of these distances."""
    spans = [slice(*span) for span in pairwise(edges(level, len(reading.seen)))]
    best = np.empty((level, level), np.int64)
    total = 0.0
    board = reading.seen.astype(np.float32)
    for row, rows in enumerate(spans):
        for column, columns in enumerate(spans):
            cell = board[rows, columns].ravel()
            templates, squares = tiles[row * level + column]
            if reading.covered:
                distances = np.minimum(np.abs(templates - cell), _MOST).sum(axis=1)
            else:
                distances = squares - 2 * (templates @ cell) + cell @ cell
            best[row, column] = nearest = int(distances.argmin())
            total += float(distances[nearest])
    return best, total


@lru_cache(maxsize=24)
def _tiles(
    task: Task[Any], theme: str, level: int, size: int, tiles: tuple[int, ...], lit: float, blur: float, coarse: int
) -> list[tuple[Floats, Floats]]:
    """For each cell its possible looks, float32 (tiles, values), and their squared lengths."""
    atlas: Atlas = task.atlas(theme, level, size)
    found = []
    for row in range(level):
        for column in range(level):
            plain = (atlas.tile(tile_id, row, column).rgb() for tile_id in tiles)
            looks = [_coarse(_blurred(brighter(tile, lit), blur * size / level), coarse).ravel() for tile in plain]
            templates = np.array(looks, np.float32)
            found.append((templates, (templates**2).sum(axis=1)))
    return found


def _blurred(tile: Array, sigma: float) -> Array:
    return np.asarray(Image.fromarray(tile).filter(ImageFilter.GaussianBlur(sigma))) if sigma else tile


def _coarse(tile: Array, pixels: int) -> Array:
    height, width = tile.shape[:2]
    if not 0 < pixels < min(height, width):
        return tile
    small = Image.fromarray(tile).resize((pixels, pixels), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


Undo = Callable[[Reading, int, float], Iterator[Reading]]
"""What a picture may have been before a perturbation, of (reading, cells a side, the severity's value)."""


def _lighter_or_darker(reading: Reading, level: int, change: float) -> Iterator[Reading]:
    yield replace(reading, lit=reading.lit + change)
    yield replace(reading, lit=reading.lit - change)


def _hue_back(reading: Reading, level: int, degrees: float) -> Iterator[Reading]:
    for turn in (degrees, -degrees):
        yield replace(reading, seen=other_hue(_whole(reading.seen), turn))


def _more_blur(reading: Reading, level: int, sigma: float) -> Iterator[Reading]:
    yield replace(reading, blur=reading.blur + sigma)


def _reduced(reading: Reading, level: int, pixels: float) -> Iterator[Reading]:
    yield replace(reading, coarse=int(pixels))


def _covered(reading: Reading, level: int, share: float) -> Iterator[Reading]:
    yield replace(reading, covered=True)


def _more_contrast(reading: Reading, level: int, factor: float) -> Iterator[Reading]:
    mean = reading.seen.mean(axis=(0, 1))
    yield replace(reading, seen=(reading.seen - mean) / factor + mean)


def _less_texture(reading: Reading, level: int, opacity: float) -> Iterator[Reading]:
    yield replace(reading, seen=(reading.seen - 127.5 * opacity) / (1 - opacity))


def _turned_back(reading: Reading, level: int, degrees: float) -> Iterator[Reading]:
    for angle in (degrees, -degrees):
        yield replace(reading, seen=boards.turned_back(_whole(reading.seen), angle))


def _found(reading: Reading, level: int, margin: float) -> Iterator[Reading]:
    """The board in the window that is least like what surrounds a board."""
    side = boards.shrunk_side(len(reading.seen), margin)
    unlike = np.abs(reading.seen.astype(np.float32) - boards.SURROUND).sum(axis=2)
    x, y = (_best_window(unlike.sum(axis=axis), side) for axis in (0, 1))
    yield replace(reading, seen=_cut(reading.seen, side, x, y))


def _best_window(profile: Floats, side: int) -> int:
    sums = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)])
    return int((sums[side:] - sums[:-side]).argmax())


def _without_margin(reading: Reading, level: int, number: float) -> Iterator[Reading]:
    side = boards.shrunk_side(len(reading.seen), overlays.MARGIN)
    first = (len(reading.seen) - side) // 2
    yield replace(reading, seen=_cut(reading.seen, side, first, first))


def _without_labels(reading: Reading, level: int, where: float) -> Iterator[Reading]:
    side = boards.shrunk_side(len(reading.seen), overlays.LABEL_MARGIN)
    room = len(reading.seen) - side
    yield replace(reading, seen=_cut(reading.seen, side, room, room)) if where == 1 else reading


def _cut(seen: NDArray[np.floating] | Array, side: int, x: int, y: int) -> Array:
    """The square of ``side`` pixels at (x, y), made as large as the picture."""
    board = Image.fromarray(_whole(seen)[y : y + side, x : x + side])
    return np.asarray(board.resize((len(seen), len(seen)), Image.Resampling.BICUBIC))


def _whole(seen: NDArray[np.floating] | Array) -> Array:
    return overlays.clipped(seen.astype(np.float32))


_UNDO: dict[str, Undo] = {
    "brightness": _lighter_or_darker,
    "blur": _more_blur,
    "contrast": _more_contrast,
    "texture": _less_texture,
    "rotation": _turned_back,
    "offset": _found,
    "distractors": _without_margin,
    "labels": _without_labels,
    "hue": _hue_back,
    "resample": _reduced,
    "scratches": _covered,
}
"""What the decoder makes of the axes that change more than single pixels; the others it takes as they are."""
