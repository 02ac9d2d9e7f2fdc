"""Sokoban: push every box onto a goal. Boxes cannot be pulled, so that a wrong push may never be made good.

Rules (Sokoban, Hiroyuki Imabayashi, 1982): moves are absolute; a move onto a box pushes it one cell on, if a free cell
lies behind it. Plans count moves, of which pushes are some.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations
from random import Random
from typing import ClassVar

import numpy as np

from mgsd_envs import grid, sokoban_search, sokoban_tables, statements
from mgsd_envs.grid import MOVES
from mgsd_envs.rendering import Atlas, check_look
from mgsd_envs.search import ShortestPlans
from mgsd_envs.sokoban_search import Room, room_of
from mgsd_envs.sokoban_tiles import BOX, GOAL, PLAYER, WALL, tiles
from mgsd_envs.statements import Field
from mgsd_envs.symmetry import Symmetry, least_symmetries, moved_cells
from mgsd_envs.task import Illegal, Task
from mgsd_envs.types import Cell, Cursor, Fact, Plan

_FIELDS = (
    statements.SIZE,
    Field("player", "cell", "player", question="Which cell is the player on?"),
    Field("goals", "cells", "goal", ("goal", "targets", "target"), "Which cells are goals?"),
    Field("boxes", "cells", "box", ("box", "crates", "crate"), "Which cells have a box on them?"),
    Field("walls", "cells", "wall", ("wall", "inner walls", "walls inside"), "Which cells inside the rim are walls?"),
)


@dataclass(frozen=True, slots=True)
class SokobanState:
    """A room of floor with a rim of walls around it.

    Attributes:
        size: cells a side, n, with the rim.
        player: where the player stands.
        goals: where boxes belong, as many as there are boxes.
        boxes: where the boxes are.
        walls: walls inside; the cells of the rim are walls as well, and not among them. Only in a world that a model
            believes in may there be something on a wall, or another number of goals than of boxes.
    """

    size: int
    player: Cell
    goals: frozenset[Cell]
    boxes: frozenset[Cell]
    walls: frozenset[Cell]


class Sokoban(Task[SokobanState]):
    """Push every box onto a goal.

    - Observation: the whole :class:`SokobanState`, as a picture, uint8 (size, size, 3), or as text.
    - Actions: ``left``, ``down``, ``right``, ``up``, one cell each, absolute; a move onto a box pushes it one cell on.
    - Cursor: (row, column, boxes), the boxes a set of cells: bit ``row * n + column`` stands for a cell.
    - Illegal: a step into a wall (``wall``); a push of a box against a wall or another box (``box_blocked``).
    - End: solved when every box is on a goal. A rollout also ends at its first illegal action, unsolved. There is no
      reward and no limit of steps. Much that is legal makes success impossible: :meth:`hopeless`.
    - Levels: n x n cells with the rim of walls, 6 to 8, up to 10 possible; one to three boxes where drawn.
    """

    name = "sokoban"
    levels = range(6, 9)
    min_level = 6
    max_level = 10
    actions: Plan = tuple(MOVES)
    themes = ("classic", "plain")
    fields = _FIELDS
    rules: ClassVar[dict[str, str]] = {
        "wall": "a step into a wall",
        "box_blocked": "a push of a box against a wall or another box",
    }

    def sample(
        self,
        level: int,
        rng: np.random.Generator,
        *,
        length: range | None = None,
        density: float | None = None,
    ) -> SokobanState | None:
        """Pick one of the level's rooms, and in it a situation at a distance drawn evenly from the possible ones.

        Boxes may stand on goals from the first. ``density`` has no meaning here: the rooms are given.
        """
        grid.check_level(self.name, level, self.min_level, self.max_level)
        which, far, place = rng.random(3).tolist()
        table = sokoban_tables.pooled(level, int(which * sokoban_tables.ROOMS))
        distances = range(1, table.longest + 1)
        if length is not None:
            distances = range(max(1, length.start), min(table.longest + 1, length.stop))
        if not distances:
            return None
        player, boxes = table.situation(distances[int(far * len(distances))], place)
        cells = _cells(level)
        goals = frozenset(cells[i] for i in grid.bits(table.room.goals))
        return SokobanState(
            level, cells[player], goals, frozenset(cells[box] for box in boxes), _walls(level, table.room.floor)
        )

    def bands(self, level: int) -> tuple[range, range, range]:
        """Easy up to n + 2 moves, medium below 2n, hard from there on."""
        return range(1, level + 3), range(level + 3, 2 * level), range(2 * level, sokoban_tables.DEAD)

    def shortest_plans(self, state: SokobanState) -> ShortestPlans | None:
        """All shortest plans: looked up where the room was drawn from and its table is at hand, else searched for."""
        room, player, boxes = self._situation(state)
        table = sokoban_tables.at_hand(state.size, room.floor, room.goals, boxes.bit_count())
        if table is None or (player | boxes) & ~room.floor or player & boxes:
            return sokoban_search.shortest_plans(room, player, boxes)
        return table.plans(player, boxes)

    def hopeless(self, state: SokobanState, cursor: Cursor) -> bool:
        """Whether no plan brings every box to a goal any more.

        Exact, by search over pushes: for rooms of up to 8 x 8 and three boxes always within the limit.

        Raises:
            SearchError: the state is too large to be searched.
        """
        room = self._situation(state)[0]
        return not sokoban_search.solvable(room, grid.bit(state.size, (cursor[0], cursor[1])), cursor[2])

    def to_go(self, state: SokobanState, cursor: Cursor) -> int | None:
        """Fewest moves to success; None in a dead end. Looked up in the room's table, searched for where it has none.

        Raises:
            SearchError: the state is too large to be searched.
        """
        room, boxes = _room(state.size, state.walls, state.goals), cursor[2]
        table = sokoban_tables.whole(room, boxes.bit_count())
        if table is None:
            return sokoban_search.to_go(room, grid.bit(state.size, (cursor[0], cursor[1])), boxes)
        return table.to_go(cursor[0] * state.size + cursor[1], boxes)

    def straight(self, state: SokobanState) -> Plan:
        """Each box to its goal by vertical pushes, then horizontal ones, by one who sees no walls inside.

        Goals are given to boxes so that the boxes have the shortest ways in sum. Between pushes the player walks around
        the boxes. The plan ends where a box is in the way of another.
        """
        empty = _room(state.size, frozenset(), state.goals)
        cursor = self.start(state)
        plan: list[str] = []
        for box, goal in _matched(state):
            for push in grid.straight_plan(box, goal):
                down, right = MOVES[push]
                walk = _walk(empty, cursor, (box[0] - down, box[1] - right))
                pushed = walk is not None and _moved(empty, (box[0] - down, box[1] - right, cursor[2]), push)
                if walk is None or not pushed or isinstance(pushed, Illegal):
                    return tuple(plan)
                plan += [*walk, push]
                cursor, box = pushed, (box[0] + down, box[1] + right)
        return tuple(plan)

    def obstacle_free_length(self, state: SokobanState) -> int:
        """Pushes that bring the boxes to goals with nothing in the way, and the walk to the first of them.

        No plan is shorter. What it takes to walk around boxes between pushes is not among it.
        """
        ways = [(box, goal) for box, goal in _matched(state) if box != goal]
        walk = min((grid.manhattan(state.player, box) - 1 for box, _ in ways), default=0)
        return max(walk, 0) + sum(grid.manhattan(box, goal) for box, goal in ways)

    def level_of(self, state: SokobanState) -> int:
        """Cells a side, with the rim."""
        return state.size

    def start(self, state: SokobanState) -> Cursor:
        """The player's cell, and the boxes as they are."""
        return (*state.player, grid.bit_set(state.size, state.boxes))

    def step(self, state: SokobanState, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Move by one cell, and a box with it."""
        return _moved(_room(state.size, state.walls, state.goals), cursor, action)

    def solved(self, state: SokobanState, cursor: Cursor) -> bool:
        """Whether every box is on a goal."""
        return not cursor[2] & ~_room(state.size, state.walls, state.goals).goals

    def state_at(self, state: SokobanState, cursor: Cursor) -> SokobanState:
        """Player and boxes at the cursor."""
        row, column, boxes = cursor
        return replace(state, player=(row, column), boxes=frozenset(grid.cells_of(state.size, boxes)))

    def transform(self, state: SokobanState, symmetry: Symmetry) -> SokobanState:
        """The room in a mirror, or turned."""
        moved = moved_cells(state.size, symmetry)
        goals, boxes, walls = (
            frozenset(map(moved.__getitem__, cells)) for cells in (state.goals, state.boxes, state.walls)
        )
        return SokobanState(state.size, moved[state.player], goals, boxes, walls)

    def orbit_key(self, state: SokobanState) -> str:
        """The least key of all images; most of them are ruled out by the player alone."""
        least = least_symmetries(state.size, state.player)
        return min(self.key(self.transform(state, symmetry)) for symmetry in least)

    def facts(self, state: SokobanState) -> frozenset[Fact]:
        """``("size", n)``, ``("player", r, c)`` and a ``("goal", r, c)``, ``("box", r, c)``, ``("wall", r, c)`` each.

        A box on a goal is both facts; the walls of the rim are none.
        """
        facts: set[Fact] = {("size", state.size), ("player", *state.player)}
        for name, cells in (("goal", state.goals), ("box", state.boxes), ("wall", state.walls)):
            facts.update((name, *cell) for cell in cells)
        return frozenset(facts)

    def from_facts(self, facts: Iterable[Fact]) -> SokobanState:
        """The room that the facts describe; walls of the rim may be among them.

        Raises:
            ValueError: also for a room without a box, or without a goal.
        """
        sheet = statements.FactSheet(facts)
        goals, boxes = sheet.cells("goal"), sheet.cells("box")
        if not goals or not boxes:
            raise ValueError(f"a box and a goal are needed, got {len(boxes)} and {len(goals)}")
        inner = frozenset(cell for cell in sheet.cells("wall") if not _on_rim(sheet.size, *cell))
        return SokobanState(sheet.size, sheet.cell("player"), goals, boxes, inner)

    def check_start(self, state: SokobanState) -> None:
        """Refuse a solved state, things in walls, a player on a box, and other than as many goals as boxes."""
        super().check_start(state)
        cells = [state.player, *state.boxes, *state.goals]
        if any(cell in state.walls or _on_rim(state.size, *cell) for cell in cells) or state.player in state.boxes:
            raise ValueError(
                "player, boxes and goals must be on the floor, the player and each box on cells of its own"
            )
        if len(state.goals) != len(state.boxes):
            raise ValueError(f"there must be as many goals as boxes, not {len(state.goals)} and {len(state.boxes)}")

    def parse(self, text: str) -> frozenset[Fact]:
        """The facts that a text states; walls of the rim, which is there in any case, are left out."""
        facts = super().parse(text)
        size = max((int(fact[1]) for fact in facts if fact[0] == "size"), default=0)
        return frozenset(fact for fact in facts if fact[0] != "wall" or not _on_rim(size, int(fact[1]), int(fact[2])))

    def false_fact(self, state: SokobanState, fact: Fact, rng: Random) -> Fact | None:
        """The same of another cell inside the rim."""
        return (fact[0], rng.randrange(1, state.size - 1), rng.randrange(1, state.size - 1))

    def tile_ids(self, state: SokobanState) -> list[list[int]]:
        """The sum of what is on a cell: 1 a wall, 2 a goal, 4 a box, 8 the player; 0 is bare floor."""
        n = state.size
        rim = [WALL] * n
        ids = [rim.copy(), *([WALL, *[0] * (n - 2), WALL] for _ in range(n - 2)), rim.copy()][:n]
        for kind, cells in ((WALL, state.walls), (GOAL, state.goals), (BOX, state.boxes), (PLAYER, (state.player,))):
            for row, column in cells:
                ids[row][column] |= kind
        return ids

    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """Tiles for the ids 0 to 15: bricks, a ring for a goal, a crate for a box, a figure for the player.

        What shares a cell is told by its shape: a crate on a goal has the ring on it, a player stands within it.
        """
        check_look(self.name, theme, self.themes, level, size)
        return tiles(theme, level, size)

    def key(self, state: SokobanState) -> str:
        """``sokoban:n:player:goals:boxes:walls``, the player's cell a number, the others hexadecimal bit sets."""
        n = state.size
        sets = ":".join(f"{grid.bit_set(n, cells):x}" for cells in (state.goals, state.boxes, state.walls))
        return f"sokoban:{n}:{state.player[0] * n + state.player[1]}:{sets}"

    @staticmethod
    def _situation(state: SokobanState) -> tuple[Room, int, int]:
        """The room, the player as a set of one cell, and the boxes as a set."""
        n = state.size
        return _room(n, state.walls, state.goals), grid.bit(n, state.player), grid.bit_set(n, state.boxes)


def _moved(room: Room, cursor: Cursor, action: str) -> Cursor | Illegal:
    down, right = MOVES[action]
    row, column, boxes = cursor[0] + down, cursor[1] + right, cursor[2]
    n = room.size
    if not (0 < row < n - 1 and 0 < column < n - 1 and room.floor >> (row * n + column) & 1):
        return Illegal("wall")
    here = 1 << (row * n + column)
    if boxes & here:
        target = 1 << ((row + down) * n + column + right)
        if not target & room.floor & ~boxes:
            return Illegal("box_blocked")
        boxes ^= here | target
    return row, column, boxes


def _on_rim(size: int, row: int, column: int) -> bool:
    return row in (0, size - 1) or column in (0, size - 1)


@lru_cache(maxsize=32)
def _cells(size: int) -> tuple[Cell, ...]:
    return tuple(divmod(i, size) for i in range(size * size))


@lru_cache(maxsize=32)
def _interior(size: int) -> int:
    return grid.bit_set(size, (cell for cell in _cells(size) if not _on_rim(size, *cell)))


@lru_cache(maxsize=2048)
def _walls(size: int, floor: int) -> frozenset[Cell]:
    return frozenset(grid.cells_of(size, _interior(size) & ~floor))


@lru_cache(maxsize=2048)
def _room(size: int, walls: frozenset[Cell], goals: frozenset[Cell]) -> Room:
    return room_of(size, _interior(size) & ~grid.bit_set(size, walls), grid.bit_set(size, goals))


def _matched(state: SokobanState) -> list[tuple[Cell, Cell]]:
    """Each box with the goal that it is given: with up to three goals so that the ways are shortest in sum.

    Else each in turn, in reading order, with the nearest one left.
    """
    boxes, goals = sorted(state.boxes), sorted(state.goals)
    if len(boxes) <= len(goals) <= 3:
        lengths = {(box, goal): grid.manhattan(box, goal) for box in boxes for goal in goals}
        ways = (list(zip(boxes, chosen, strict=True)) for chosen in permutations(goals, len(boxes)))
        return min(ways, key=lambda way: sum(map(lengths.__getitem__, way)))
    pairs = []
    for box in boxes[: len(goals)]:
        nearest = min((grid.manhattan(box, goal), goal) for goal in goals)[1]
        goals.remove(nearest)
        pairs.append((box, nearest))
    return pairs


def _walk(room: Room, cursor: Cursor, target: Cell) -> Plan | None:
    """The walk to a cell around the boxes: straight if that is possible; None where there is no walk."""
    n, free = room.size, room.floor & ~cursor[2]
    goal = grid.bit(n, target)
    if not goal & free:
        return None
    straight = grid.straight_plan((cursor[0], cursor[1]), target)
    for plan in (straight, straight[::-1]):
        cell = cursor[0] * n + cursor[1]
        for action in plan:
            cell += MOVES[action][0] * n + MOVES[action][1]
            if not free >> cell & 1:
                break
        else:
            return plan
    found = grid.shortest(grid.Graph(grid.walks(n, free)), grid.bit(n, (cursor[0], cursor[1])), goal)
    return found and found[0]
