"""An episode with its plan drawn over it, as an image or for the terminal."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from rich.color import Color
from rich.style import Style
from rich.text import Text

from mgsd_envs import get_task, trace

if TYPE_CHECKING:
    from mgsd_envs import Episode, Plan

LINE = (220, 0, 120)
HALO = (255, 255, 255)


def draw_plan(episode: Episode, plan: Plan, size: int = 512) -> Image.Image:
    """The episode's picture with a plan as a line from cell to cell; rings mark actions other than moves.

    The line ends where the plan ends or at its first illegal action, which is marked by a cross.
    """
    image = Image.fromarray(episode.draw(size).rgb())
    pen = ImageDraw.Draw(image)
    cell = size / episode.level
    cursors, broken = trace(get_task(episode.task), episode.state, plan)
    points = [((c[1] + 0.5) * cell, (c[0] + 0.5) * cell) for c in cursors]
    width = max(2, round(cell / 12))
    for colour, extra in ((HALO, 2), (LINE, 0)):
        if len(points) > 1:
            pen.line(points, fill=colour, width=width + extra, joint="curve")
        for (a, b), at in zip(pairwise(cursors), points[1:], strict=True):
            if a[:2] == b[:2]:
                pen.circle(at, 0.3 * cell + extra / 2, outline=colour, width=width + extra)
        pen.circle(points[-1], 0.13 * cell + extra / 2, fill=colour)
    if broken:
        x, y = points[-1]
        arm = 0.3 * cell
        pen.line((x - arm, y - arm, x + arm, y + arm), fill=LINE, width=width)
        pen.line((x - arm, y + arm, x + arm, y - arm), fill=LINE, width=width)
    return image


def to_terminal(image: Image.Image, columns: int = 64) -> Text:
    """An image as coloured half blocks, two pixels a character."""
    rows = 2 * round(columns * image.height / image.width / 2)
    pixels = np.asarray(image.resize((columns, rows), Image.Resampling.LANCZOS))
    text = Text()
    for y in range(0, rows, 2):
        for x in range(columns):
            upper, lower = (Color.from_rgb(*map(int, pixels[y + half, x])) for half in (0, 1))
            text.append("▀", style=Style(color=upper, bgcolor=lower))
        text.append("\n")
    return text
