"""An episode with its plan drawn over it, as an image or for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from rich.color import Color
from rich.style import Style
from rich.text import Text

from mgsd_envs import get_task, trace
from mgsd_envs.exploring import FULL, believed, known, seen
from mgsd_envs.grid import MOVES

if TYPE_CHECKING:
    from mgsd_envs import Cursor, Episode, Plan, Task
    from mgsd_envs.views import View

LINE = (220, 0, 120)
HALO = (255, 255, 255)
_MORE = "0123456789*"


def draw_plan(episode: Episode, plan: Plan, size: int = 512) -> Image.Image:
    """The episode's picture with a plan as a line from cell to cell; rings mark actions other than moves.

    The line ends where the plan ends or at its first illegal action, which is marked by a cross.
    """
    image = Image.fromarray(episode.draw(size).rgb())
    pen = ImageDraw.Draw(image)
    cell = size / episode.level
    task = get_task(episode.task)
    cursors, broken = trace(task, episode.state, plan)
    points = [((c + 0.5) * cell, (r + 0.5) * cell) for r, c in (task.place(episode.state, at) for at in cursors)]
    width = max(2, round(cell / 12))
    for colour, extra in ((HALO, 2), (LINE, 0)):
        if len(points) > 1:
            pen.line(points, fill=colour, width=width + extra, joint="curve")
        for before, at in pairwise(points):
            if at == before:
                pen.circle(at, 0.3 * cell + extra / 2, outline=colour, width=width + extra)
        pen.circle(points[-1], 0.13 * cell + extra / 2, fill=colour)
    if broken:
        x, y = points[-1]
        arm = 0.3 * cell
        pen.line((x - arm, y - arm, x + arm, y + arm), fill=LINE, width=width)
        pen.line((x - arm, y + arm, x + arm, y - arm), fill=LINE, width=width)
    return image


def to_text(episode: Episode) -> str:
    """The episode's state as a map of letters, row 0 at the top, and what they stand for in a line below it.

    It is made of the state's facts: a thing in a cell is a letter, of its label if it has one, and where a task states
    which sides of cells are open, all others are walls.
    """
    task = get_task(episode.task)
    return "\n".join(board_text(task, episode.state, (task.start(episode.state),), FULL)) + "\n"


def board_text(task: Task[Any], state: Any, trail: Sequence[Cursor], view: View) -> list[str]:
    """The lines of such a map as a view shows it after a trail, with a ``?`` in cells that are not shown.

    Args:
        task: the task.
        state: the state before the first action.
        trail: the cursors so far, the present one last.
        view: the view.
    """
    facts = task.facts(task.state_at(believed(task, state, trail, view), trail[-1]))
    n = range(task.level_of(state))
    hidden = {(row, column) for row in n for column in n} - seen(task, state, trail, view)
    through = known(task, view)
    cells: dict[tuple[int, int], str] = {}
    letters: dict[str, str] = {}
    sides: set[tuple[int, int, str]] = set()
    for name, *place in sorted(facts, key=str):
        match place:
            case [int(row), int(column), *_] if (row, column) in hidden and name not in through:
                pass
            case [int(row), int(column), str(side)] if side in MOVES:
                sides.add((row, column, side))
            case [int(row), int(column), *label]:
                what = str(label[0] if label else name)
                taken = letters.values()
                letter = letters.setdefault(what, next(c for c in f"{what}{_MORE}".upper() if c not in {*taken, " "}))
                cells[row, column] = cells.get((row, column), "") + letter
    cells = {**dict.fromkeys(hidden, "?"), **cells}
    wide = max(map(len, cells.values()), default=1)
    shown = [[cells.get((row, column), ".").center(wide) for column in n] for row in n]
    lines = _walled(shown, sides) if sides else [" ".join(row) for row in shown]
    return [*lines, ", ".join(f"{letter} {name}" for name, letter in letters.items())]


def _walled(cells: list[list[str]], sides: set[tuple[int, int, str]]) -> list[str]:
    """Rows of cells with a wall on every side that is not open."""
    bar, gap = "-" * (len(cells[0][0]) + 2), " " * (len(cells[0][0]) + 2)
    lines = []
    for r, row in enumerate(cells):
        lines.append("+" + "".join(f"{gap if (r, c, 'up') in sides else bar}+" for c in range(len(row))))
        walls = [" " if (r, c, "right") in sides else "|" for c in range(len(row))]
        lines.append("|" + "".join(f" {cell} {wall}" for cell, wall in zip(row, walls, strict=True)))
    return [*lines, "+" + f"{bar}+" * len(cells)]


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
