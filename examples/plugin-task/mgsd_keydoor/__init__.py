"""KeyDoor: fetch the key, go through the locked door, and reach the goal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from mgsd_envs import Cell, Cursor, Fact, Illegal, Plan, Task
from mgsd_envs.grid import MOVES, check_level, inside, manhattan
from mgsd_envs.rendering import Atlas, Pen, check_look
from mgsd_envs.statements import SIZE, FactSheet, Field
from mgsd_envs.task import MiniGridForm

FLOOR, WALL, DOOR, GOAL, KEY, PLAYER, HOLDER = range(7)
COLOURS = ((245, 245, 240), (90, 90, 90), (150, 90, 40), (60, 160, 80), (230, 180, 20), (200, 50, 50))


@dataclass(frozen=True, slots=True)
class Room:
    """Two rooms of floor with a wall between them; a taken key is in its holder's cell."""

    size: int
    player: Cell
    key: Cell
    door: Cell
    goal: Cell
    walls: frozenset[Cell]


class KeyDoor(Task[Room]):
    """Fetch the key, go through the door, reach the goal.

    - Actions: the four moves, one cell each, and ``take``, with the key on one of the player's four sides.
    - Cursor: (row, column, 1 if the player has the key else 0).
    - End: solved on the goal. The wall has one opening, the door; player and key start on the other side of it.
    """

    name = "keydoor"
    levels = range(4, 7)
    min_level = 3
    actions: Plan = (*MOVES, "take")
    action_words = {"take": ("grab", "take_key")}
    rules = {
        "off_grid": "a step off the grid",
        "wall": "a step into the wall",
        "key": "a step onto the key before it is taken",
        "locked": "a step into the door without the key",
        "no_key": "a take with no key on any of the four sides",
    }
    minigrid = MiniGridForm(
        "use the key to open the door and then get to the goal",
        {"wall": ("wall", "grey"), "door": ("door", "yellow"), "goal": ("goal", "green"), "key": ("key", "yellow")},
    )
    fields = (
        SIZE,
        Field("player", "cell", "player", question="Which cell is the player in?"),
        Field("key", "cell", "key", question="Which cell is the key in?"),
        Field("door", "cell", "door", question="Which cell is the door in?"),
        Field("goal", "cell", "goal", question="Which cell is the goal in?"),
        Field("walls", "cells", "wall", ("wall",), question="Which cells are walls?"),
    )

    def sample(
        self, level: int, rng: np.random.Generator, *, length: range | None = None, density: float | None = None
    ) -> Room | None:
        """A wall across the grid with a door in it, and the rest where there is room; ``density`` has no meaning."""
        check_level(self.name, level, self.min_level)
        wall, door, right = (int(rng.integers(low, high)) for low, high in ((1, level - 1), (0, level), (0, 2)))
        near, far = [(0, wall), (wall + 1, level)][:: -1 if right else 1]
        here, there = ([(row, column) for row in range(level) for column in range(*side)] for side in (near, far))
        player, key = (here[i] for i in rng.choice(len(here), 2, replace=False))
        walls = frozenset((row, wall) for row in range(level) if row != door)
        state = Room(level, player, key, (door, wall), there[rng.integers(len(there))], walls)
        return state if length is None or len(self.solve(state) or ()) in length else None

    def start(self, state: Room) -> Cursor:
        """The player's cell, without the key."""
        return (*state.player, 0)

    def step(self, state: Room, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Move by one cell, or take the key."""
        row, column, has_key = cursor
        if action == "take":
            near = not has_key and manhattan((row, column), state.key) == 1
            return (row, column, 1) if near else Illegal("no_key")
        cell = row + MOVES[action][0], column + MOVES[action][1]
        if not inside(state.size, cell):
            return Illegal("off_grid")
        if cell in state.walls:
            return Illegal("wall")
        if not has_key and cell in (state.key, state.door):
            return Illegal("key" if cell == state.key else "locked")
        return (*cell, has_key)

    def solved(self, state: Room, cursor: Cursor) -> bool:
        """Whether the player stands on the goal."""
        return cursor[:2] == state.goal

    def state_at(self, state: Room, cursor: Cursor) -> Room:
        """The player at the cursor, with the key if it was taken."""
        player = cursor[0], cursor[1]
        return replace(state, player=player, key=player if cursor[2] else state.key)

    def facts(self, state: Room) -> frozenset[Fact]:
        """The size, and a cell each for player, key, door, goal and every piece of wall."""
        things = [(name, *getattr(state, name)) for name in ("player", "key", "door", "goal")]
        return frozenset({("size", state.size), *things, *(("wall", *cell) for cell in state.walls)})

    def from_facts(self, facts: Iterable[Fact]) -> Room:
        """The room that the facts describe."""
        sheet = FactSheet(facts)
        player, key, door, goal = map(sheet.cell, ("player", "key", "door", "goal"))
        return Room(sheet.size, player, key, door, goal, sheet.cells("wall"))

    def check_start(self, state: Room) -> None:
        """No two things share a cell."""
        if len({state.player, state.key, state.door, state.goal, *state.walls}) < 4 + len(state.walls):
            raise ValueError("player, key, door, goal and walls must be in cells of their own")

    def tile_ids(self, state: Room) -> list[list[int]]:
        """What each cell shows; the player covers door and goal."""
        shown = dict.fromkeys(state.walls, WALL) | {state.door: DOOR, state.goal: GOAL, state.key: KEY}
        shown[state.player] = HOLDER if state.player == state.key else PLAYER
        return [[shown.get((row, column), FLOOR) for column in range(state.size)] for row in range(state.size)]

    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """Tiles for the ids of :meth:`tile_ids`."""
        check_look(self.name, theme, self.themes, level, size)
        return _atlas(level, size)


@lru_cache(maxsize=16)
def _atlas(level: int, size: int) -> Atlas:
    return Atlas(COLOURS, level, size, partial(_tile, level, size))


def _tile(level: int, size: int, tile_id: int, row: int, column: int) -> np.ndarray:
    pen = Pen(level, size, row, column)
    cell = size / level
    x, y = column * cell, row * cell
    if tile_id in (WALL, DOOR, GOAL):
        pen.rectangle(x, y, x + cell, y + cell, colour=tile_id)
    if tile_id in (PLAYER, HOLDER):
        pen.disc(x + cell / 2, y + cell / 2, 0.4 * cell, colour=PLAYER)
    if tile_id in (KEY, HOLDER):
        pen.rectangle(x + 0.3 * cell, y + 0.4 * cell, x + 0.7 * cell, y + 0.6 * cell, colour=KEY)
    return pen.tile()
