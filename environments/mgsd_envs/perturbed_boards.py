"""Perturbations that show the board in another place: turned, or smaller and off the middle."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.uint8]
SURROUND = (127, 127, 127)
"""What is around a board that does not fill the canvas."""


def turned(pixels: Array, level: int, degrees: float, rng: np.random.Generator) -> Array:
    """The board turned by ``degrees`` to the left or right, just so small that all of it stays on the canvas."""
    return turned_by(pixels, degrees if rng.random() < 0.5 else -degrees)


def turned_by(pixels: Array, degrees: float) -> Array:
    """The board turned to the left around its middle; see :func:`turned`."""
    return _rotated(pixels, degrees, _room(degrees))


def turned_back(pixels: Array, degrees: float) -> Array:
    """What was turned to the left by :func:`turned_by`, upright and in its first size."""
    return _rotated(pixels, -degrees, 1 / _room(degrees))


def _room(degrees: float) -> float:
    """Side of the least upright square around a turned square of side 1."""
    angle = math.radians(abs(degrees))
    return math.sin(angle) + math.cos(angle)


def _rotated(pixels: Array, degrees: float, shrink: float) -> Array:
    """The picture turned to the left around its middle, and ``shrink`` times as small."""
    size = len(pixels)
    across = shrink * math.cos(math.radians(degrees))
    down = shrink * math.sin(math.radians(degrees))
    middle = size / 2
    frame = Image.new("RGB", (size + 2, size + 2), SURROUND)  # so that the board's rim is smoothed as well
    frame.paste(Image.fromarray(pixels), (1, 1))
    matrix = (
        *(across, -down, middle + 1 - across * middle + down * middle),
        *(down, across, middle + 1 - down * middle - across * middle),
    )
    bicubic = Image.Resampling.BICUBIC
    return np.asarray(frame.transform((size, size), Image.Transform.AFFINE, matrix, bicubic, fillcolor=SURROUND))


def moved(pixels: Array, level: int, margin: float, rng: np.random.Generator) -> Array:
    """The board smaller by ``margin`` of the canvas, anywhere on it."""
    size = len(pixels)
    left = size - shrunk_side(size, margin)
    x, y = rng.integers(0, left, 2, endpoint=True).tolist()
    return placed(pixels, size - left, x, y)


def shrunk_side(size: int, margin: float) -> int:
    """Side in pixels of a board that leaves ``margin`` of the canvas free."""
    return round(size * (1 - margin))


def placed(pixels: Array, side: int, x: int, y: int) -> Array:
    """The board with ``side`` pixels a side, its top left corner at (x, y) of the canvas."""
    canvas = Image.new("RGB", (len(pixels), len(pixels)), SURROUND)
    canvas.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS), (x, y))
    return np.asarray(canvas)
