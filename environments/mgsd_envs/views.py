"""Views: what is shown of a board to one who acts in it step by step, as a picture and as text.

Partial views are made from :meth:`Explorable.optimistic` alone, a state that knows no more than what was seen: nothing
that is hidden can show in a picture or a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mgsd_envs.exploring import FULL, Explorable, View, believed, check_view, known, seen
from mgsd_envs.grid import inside
from mgsd_envs.looks import id_without_look
from mgsd_envs.perturbations import perturbed
from mgsd_envs.perturbed_boards import SURROUND
from mgsd_envs.registry import get_task
from mgsd_envs.rendering import Colour, Picture, Pixels, edges
from mgsd_envs.statements import write_facts
from mgsd_envs.task import Task
from mgsd_envs.types import Cell, Cursor

if TYPE_CHECKING:
    from mgsd_envs.episodes import Episode

__all__ = ["FOG", "FULL", "VOID", "Explorable", "View", "check_view", "picture", "seen", "tell"]

S = TypeVar("S")

FOG: Colour = (165, 65, 185)
"""The colour of cells under fog, a purple that no look has."""

VOID: Colour = SURROUND
"""The colour of what is not on the board: the grey around boards that do not fill their picture."""

_RIM = 0.13
"""How much fog is left on each side of a landmark, in cells: more than half a wall."""


def tell(task: Task[S], state: S, trail: Sequence[Cursor], view: View) -> str:
    """What is shown after a trail as text, in the form of :meth:`mgsd_envs.Task.describe`.

    In a partial view facts about cells that are not shown are left out, and a last line says which cells are.

    Args:
        task: the task.
        state: the state before the first action.
        trail: the cursors so far, the present one last.
        view: the view.

    Raises:
        ValueError: the task has no such view.
    """
    now = task.state_at(believed(task, state, trail, view), trail[-1])
    if not view.partial:
        return task.describe(now)
    cells, through = seen(task, state, trail, view), known(task, view)
    facts = (one for one in task.facts(now) if len(one) < 3 or (one[1], one[2]) in cells or one[0] in through)
    lines = write_facts(facts, task.fields).splitlines()
    for i, field in enumerate(task.fields):
        if field.kind == "cell" and lines[i] == f"{field.name}: none":
            lines[i] = f"{field.name}: not seen"
    return "\n".join([*lines, f"seen: {_written(cells, task.level_of(state))}"])


def picture(episode: Episode, trail: Sequence[Cursor], view: View, size: int | None = None) -> Picture | Pixels:
    """The board after a trail in the episode's look, as a view shows it; never a picture from elsewhere.

    Fog is :data:`FOG`, with the landmarks shown through it. A window is a board of ``2 * radius + 1`` cells a side
    around the place of who acts, with :data:`VOID` where there is no board. A perturbation's random stream is one
    and the same in all pictures of an episode, so that the board stays where it is; in partial views it follows from
    the episode's id alone.

    Args:
        episode: the episode.
        trail: the cursors so far, the present one last.
        view: the view.
        size: pixels a side; the episode's own if None.

    Raises:
        ValueError: the task has no such view, or there are fewer than 4 pixels a cell.
    """
    task, state = get_task(episode.task), episode.state
    size = size or episode.pixels
    check_view(task, view, episode.perturbation)
    now = task.state_at(believed(task, state, trail, view), trail[-1])
    level = 2 * view.radius + 1 if view.kind == "window" else episode.level
    shown: Picture | Pixels
    if not view.partial:
        shown = task.draw(now, episode.theme, size)
    elif view.kind == "fog":
        shown = _fogged(task, now, episode.theme, size, seen(task, state, trail, view), known(task, view))
    else:
        shown = _window(task, now, episode.theme, size, task.place(state, trail[-1]), view.radius)
    if episode.perturbation is None:
        return shown
    key = id_without_look(episode.id) if view.partial else task.key(state)  # no part of a state that may be hidden
    return perturbed(shown, level, episode.perturbation, episode.severity, key)


def _fogged(
    task: Task[Any], state: Any, theme: str, size: int, cells: frozenset[Cell], through: tuple[str, ...]
) -> Pixels:
    """The whole board with fog over all but some cells, and facts of some names shown through it."""
    level = task.level_of(state)
    board = task.draw(state, theme, size).rgb()
    pixels = np.full_like(board, FOG)
    lines = edges(level, size)
    for row, column in cells:
        slot = slice(lines[row], lines[row + 1]), slice(lines[column], lines[column + 1])
        pixels[slot] = board[slot]
    for fact in task.facts(state):
        match fact:
            case (str(name), int(row), int(column), *_) if name in through and (row, column) not in cells:
                slot = _inner(lines, row), _inner(lines, column)
                pixels[slot] = board[slot]
    return Pixels(pixels)


def _inner(lines: list[int], index: int) -> slice:
    """The pixels of a row or column of cells without a rim."""
    rim = round(_RIM * (lines[index + 1] - lines[index]))
    return slice(lines[index] + rim, lines[index + 1] - rim)


def _window(task: Task[Any], state: Any, theme: str, size: int, place: Cell, radius: int) -> Pixels:
    """The cells within a radius, drawn as a board of their own."""
    level, side = task.level_of(state), 2 * radius + 1
    ids = task.tile_ids(state)
    cells = [[(place[0] - radius + r, place[1] - radius + c) for c in range(side)] for r in range(side)]
    here = ids[place[0]][place[1]]  # stands in for what is off the board until that is painted over
    shown = [[ids[r][c] if inside(level, (r, c)) else here for r, c in row] for row in cells]
    pixels: NDArray[np.uint8] = task.atlas(theme, side, size).compose(shown).rgb()
    lines = edges(side, size)
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            if not inside(level, cell):
                pixels[lines[i] : lines[i + 1], lines[j] : lines[j + 1]] = VOID
    return Pixels(pixels)


def _written(cells: frozenset[Cell], size: int) -> str:
    """Cells by their rows and columns, neighbouring rows of the same columns together."""
    if len(cells) == size * size:
        return "all"
    columns = [(row, _ranges(column for column in range(size) if (row, column) in cells)) for row in range(size)]
    blocks = [(shown, [row for row, _ in rows]) for shown, rows in groupby(columns, key=lambda row: row[1])]
    return "; ".join(f"rows {_ranges(rows)} columns {shown}" for shown, rows in blocks if shown)


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in rising order, such as ``0-2, 5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
