"""Maze: walk through the openings between cells from the player to the goal.

Rules (Visual Planning, arXiv 2505.11409, as evaluated by MGSD, arXiv 2606.06076): moves are absolute; crossing a wall
or the border is illegal; reaching the goal ends the episode. Every maze has exactly one way between two cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from itertools import combinations
from operator import itemgetter
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mgsd_envs import grid, statements
from mgsd_envs.boards import BoardTask
from mgsd_envs.grid import LETTERS, MOVES, Graph
from mgsd_envs.maze_carving import OPPOSITE, carve, is_search_tree, join, with_openings
from mgsd_envs.rendering import Atlas, Colour, Pen, check_look
from mgsd_envs.sprites import FLAGS, STYLES, sprite_atlas
from mgsd_envs.statements import Field
from mgsd_envs.symmetry import Symmetry, least_symmetries, moved_cells
from mgsd_envs.task import Illegal, MiniGridForm
from mgsd_envs.types import Cell, Cursor, Fact, Plan

BLACK, WHITE, GREY, YELLOW, BLUE = range(5)
_DIGITS = {side: bytes(48 + bool(i & flag) for i in range(256)) for side, flag in FLAGS.items()}
_PLAYER, _GOAL = 16, 32
_FIELDS = (
    statements.SIZE,
    Field("player", "cell", "player", question="Which cell is the player in?"),
    Field("goal", "cell", "goal", question="Which cell is the goal in?"),
    Field(
        "open",
        "sides",
        "open",
        ("openings", "open sides", "open directions"),
        question="In which directions is each cell open?",
    ),
)


@dataclass(frozen=True, slots=True)
class MazeState:
    """A maze of ``size`` x ``size`` cells.

    Attributes:
        size: cells a side, n.
        player: where the player stands.
        goal: where to go.
        sides: one byte a cell in reading order, the sum of its open sides: left 1, down 2, right 4, up 8. An opening
            is seen from both of its cells; only in a world that a model believes in may the two disagree.
    """

    size: int
    player: Cell
    goal: Cell
    sides: bytes


class Maze(BoardTask[MazeState]):
    """Walk through the openings between cells to the goal.

    - Observation: the whole :class:`MazeState`, as a picture, uint8 (size, size, 3), or as text.
    - Actions: ``left``, ``down``, ``right``, ``up``, one cell each, absolute.
    - Cursor: (row, column) of the player.
    - Illegal: a step off the grid (``off_grid``) or through a wall (``wall``).
    - End: solved when the player reaches the goal. A rollout also ends at its first illegal action, unsolved. There is
      no reward and no limit of steps.
    - Levels: n x n cells, 3 to 6 in the paper, 2 to 32 possible. A drawn maze is a spanning tree: one way between any
      two cells, so there is one shortest plan.
    """

    name = "maze"
    levels = range(3, 7)
    min_level = 2
    actions: Plan = tuple(MOVES)
    themes = ("classic", "plain", *STYLES)
    fields = _FIELDS
    landmarks: ClassVar[tuple[str, ...]] = ("goal",)
    minigrid = MiniGridForm("get to the green goal square", {"goal": ("goal", "green")})
    rules: ClassVar[dict[str, str]] = {
        "off_grid": "a step off the grid",
        "wall": "a step through a wall",
    }

    def sample(
        self,
        level: int,
        rng: np.random.Generator,
        *,
        length: range | None = None,
        density: float | None = None,
    ) -> MazeState | None:
        """Carve by random depth-first search, then pick a goal at a distance drawn evenly from the possible ones.

        ``density`` has no meaning here: every maze is a spanning tree.
        """
        grid.check_level(self.name, level, self.min_level)
        cells = level * level
        draws: list[float] = rng.random(cells + 3).tolist()
        sides = carve(level, draws)
        player = int(draws[-1] * cells)
        layers = grid.bfs_layers(_walks(level, sides), 1 << player)
        distances = [d for d in range(1, len(layers)) if not length or d in length]
        if not distances:
            return None
        goals = list(grid.bits(layers[distances[int(draws[-2] * len(distances))]]))
        goal = goals[int(draws[-3] * len(goals))]
        return MazeState(level, divmod(player, level), divmod(goal, level), sides)

    def states(self, level: int) -> Iterator[MazeState] | None:
        """All 6,336 mazes of 3x3 that depth-first search can carve, and those of 2x2; 4x4 has 916,800."""
        if level > 3:
            return None
        return self._states(level)

    def _states(self, level: int) -> Iterator[MazeState]:
        cells = level * level
        edges = [(i, i + 1) for i in range(cells) if (i + 1) % level] + [(i, i + level) for i in range(cells - level)]
        for chosen in combinations(edges, cells - 1):
            if not is_search_tree(cells, chosen, set(edges) - set(chosen)):
                continue
            sides = join(level, chosen)
            for player in range(cells):
                for goal in range(cells):
                    if player != goal:
                        yield MazeState(level, divmod(player, level), divmod(goal, level), sides)

    def bands(self, level: int) -> tuple[range, range, range]:
        """Easy up to n - 1 moves (n = 2: 1), medium below 2n - 1, hard from there on."""
        middle = max(2, level)
        upper = max(middle + 1, 2 * level - 1)
        return range(1, middle), range(middle, upper), range(upper, level * level)

    def graph(self, state: MazeState) -> tuple[Graph, int, int]:
        """Walks through the openings."""
        n = state.size
        return _walks(n, state.sides), grid.bit(n, state.player), grid.bit(n, state.goal)

    def straight(self, state: MazeState) -> Plan:
        """Vertical moves, then horizontal ones, through every wall."""
        return grid.straight_plan(state.player, state.goal)

    def obstacle_free_length(self, state: MazeState) -> int:
        """Manhattan distance from player to goal."""
        return grid.manhattan(state.player, state.goal)

    def level_of(self, state: MazeState) -> int:
        """Cells a side."""
        return state.size

    def start(self, state: MazeState) -> Cursor:
        """The player's cell."""
        return state.player

    def step(self, state: MazeState, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Move by one cell."""
        move = MOVES[action]
        row, column = cursor[0] + move[0], cursor[1] + move[1]
        if not (0 <= row < state.size and 0 <= column < state.size):
            return Illegal("off_grid")
        if not state.sides[cursor[0] * state.size + cursor[1]] & FLAGS[action]:
            return Illegal("wall")
        return row, column

    def solved(self, state: MazeState, cursor: Cursor) -> bool:
        """Whether the player stands on the goal."""
        return cursor == state.goal

    def state_at(self, state: MazeState, cursor: Cursor) -> MazeState:
        """The player at the cursor."""
        return replace(state, player=(cursor[0], cursor[1]))

    def optimistic(self, state: MazeState, cursor: Cursor, seen: frozenset[Cell], known: Collection[str]) -> MazeState:
        """Open where neither cell was seen; a goal that was not seen lies in the nearest cell that was not."""
        n = state.size
        hidden = (1 << n * n) - 1 & ~grid.bit_set(n, seen)
        sides = with_openings(state.sides, n, hidden)
        goal = state.goal
        if goal not in seen and "goal" not in known:
            goal = grid.nearest_of(_walks(n, sides), n, (cursor[0], cursor[1]), hidden)
        return MazeState(n, state.player, goal, sides)

    def transform(self, state: MazeState, symmetry: Symmetry) -> MazeState:
        """The maze in a mirror, or turned."""
        moved = moved_cells(state.size, symmetry)
        sides = bytes(_moved_order(state.size, symmetry)(state.sides.translate(_moved_sides(symmetry))))
        return MazeState(state.size, moved[state.player], moved[state.goal], sides)

    def orbit_key(self, state: MazeState) -> str:
        """The least key of all images; most of them are ruled out by player and goal alone."""
        least = least_symmetries(state.size, state.player, state.goal)
        return min(self.key(self.transform(state, symmetry)) for symmetry in least)

    def facts(self, state: MazeState) -> frozenset[Fact]:
        """``("size", n)``, ``("player", r, c)``, ``("goal", r, c)`` and ``("open", r, c, side)`` for each open side."""
        facts: set[Fact] = {("size", state.size), ("player", *state.player), ("goal", *state.goal)}
        for i, flags in enumerate(state.sides):
            facts.update(("open", *divmod(i, state.size), side) for side in _names(flags))
        return frozenset(facts)

    def from_facts(self, facts: Iterable[Fact]) -> MazeState:
        """The maze that the facts describe; an opening may be stated from one side only, as a model may believe."""
        sheet = statements.FactSheet(facts)
        sides = bytearray(sheet.size**2)
        for (row, column), side in sheet.labelled("open"):
            if side not in FLAGS:
                raise ValueError(f"{side!r} is not a side of a cell")
            sides[row * sheet.size + column] |= FLAGS[side]
        return MazeState(sheet.size, sheet.cell("player"), sheet.cell("goal"), bytes(sides))

    def false_fact(self, state: MazeState, fact: Fact, rng: Random) -> Fact:
        """The same of another cell, and of any side of it."""
        cell = rng.randrange(state.size), rng.randrange(state.size)
        return (fact[0], *cell, rng.choice(tuple(MOVES))) if fact[0] == "open" else (fact[0], *cell)

    def describe(self, state: MazeState) -> str:
        """Size, player, goal, and the open sides of every cell as letters."""
        return (
            f"size: {state.size}\nplayer: {statements.write_cells([state.player])}\n"
            f"goal: {statements.write_cells([state.goal])}\nopen: {_openings(state.size, state.sides)}"
        )

    def questions(self, state: MazeState) -> tuple[tuple[str, str], ...]:
        """Size, player, goal, open sides and legal moves: the five questions of the paper's first stage."""
        moves = f"moves: {_letters(state.sides[state.player[0] * state.size + state.player[1]])}"
        return *super().questions(state), ("Which moves can the player make now?", moves)

    def tile_ids(self, state: MazeState) -> list[list[int]]:
        """The open sides as in :attr:`MazeState.sides`, plus 16 for the player and 32 for the goal."""
        n = state.size
        ids = [list(state.sides[i : i + n]) for i in range(0, n * n, n)]
        ids[state.goal[0]][state.goal[1]] |= _GOAL
        ids[state.player[0]][state.player[1]] |= _PLAYER
        return ids

    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """Tiles for the ids 0 to 63: black walls, a yellow disc for the player, a blue one for the goal."""
        check_look(self.name, theme, self.themes, level, size)
        return _atlas(theme, level, size)

    def to_json(self, state: MazeState) -> dict[str, Any]:
        """Size, player, goal and, row by row, the letters of each cell's open sides."""
        n = state.size
        letters = [_letters(flags) for flags in state.sides]
        rows = [letters[i : i + n] for i in range(0, n * n, n)]
        return {"size": n, "player": list(state.player), "goal": list(state.goal), "open": rows}

    def from_json(self, data: dict[str, Any]) -> MazeState:
        """A maze whose openings agree from both sides and lead nowhere off the grid."""
        match data:
            case {"size": int(n), "player": player, "goal": goal, "open": [*rows]}:
                grid.check_level(self.name, n, self.min_level)
                state = MazeState(n, grid.cell_from(player, n), grid.cell_from(goal, n), _read_rows(rows, n))
                if state.player == state.goal:
                    raise ValueError("player and goal must be two different cells")
                return state
        raise ValueError(f"a Maze state needs size, player, goal and open, got {data!r:.200}")

    def key(self, state: MazeState) -> str:
        """``maze:n:player:goal:`` and a hexadecimal digit a cell for its open sides (left 1, down 2, right 4, up 8)."""
        player, goal = (cell[0] * state.size + cell[1] for cell in (state.player, state.goal))
        return f"maze:{state.size}:{player}:{goal}:{state.sides.hex()[1::2]}"


@lru_cache(maxsize=8)
def _moved_sides(symmetry: Symmetry) -> bytes:
    """For each sum of open sides the sum of what the sides become; a table for ``bytes.translate``."""
    return bytes(sum(FLAGS[symmetry.side(side)] for side in _names(flags)) for flags in range(256))


@lru_cache(maxsize=256)
def _moved_order(size: int, symmetry: Symmetry) -> itemgetter[tuple[int, ...]]:
    """Picks the cells of a moved maze, in reading order, out of those of the maze."""
    came_from = moved_cells(size, symmetry.inverse).values()
    return itemgetter(*(row * size + column for row, column in came_from))


@lru_cache(maxsize=256)
def _names(flags: int) -> tuple[str, ...]:
    return tuple(side for side, flag in FLAGS.items() if flags & flag)


@lru_cache(maxsize=4096)  # who acts is told the same walls in every turn
def _openings(size: int, sides: bytes) -> str:
    """The open sides of every cell that has one, as text."""
    cells = ((*divmod(i, size), letters) for i, letters in enumerate(map(_letters, sides)) if letters)
    return ", ".join(f"({row},{column}) {letters}" for row, column, letters in cells) or "none"


@cache
def _letters(flags: int) -> str:
    return "".join(letter for letter, side in LETTERS.items() if flags & FLAGS[side])


def _walks(size: int, sides: bytes) -> Graph:
    """Moves through the open sides."""

    def cells(side: str) -> int:  # the bytes as binary digits, the last cell first
        return int(sides.translate(_DIGITS[side])[::-1], 2)

    return Graph(tuple((side, mask & cells(side), shift) for side, mask, shift in _board(size)))


@lru_cache(maxsize=64)
def _board(size: int) -> tuple[tuple[str, int, int], ...]:
    """Moves that stay on the board."""
    return grid.walks(size, (1 << size * size) - 1)


def _read_rows(rows: list[Any], n: int) -> bytes:
    """Open sides out of untrusted JSON."""
    if len(rows) != n or any(not isinstance(row, list) or len(row) != n for row in rows):
        raise ValueError(f"open must have {n} rows of {n} cells")
    sides = bytearray()
    for letters in (cell for row in rows for cell in row):
        if not isinstance(letters, str) or set(letters) - set(LETTERS):
            raise ValueError(f"open sides are letters of LDRU, not {letters!r}")
        sides.append(sum(FLAGS[LETTERS[letter]] for letter in set(letters)))
    for i, flags in enumerate(sides):
        for side in _names(flags):
            row, column = i // n + MOVES[side][0], i % n + MOVES[side][1]
            if not grid.inside(n, (row, column)) or not sides[row * n + column] & FLAGS[OPPOSITE[side]]:
                raise ValueError(f"({i // n},{i % n}) is open to the {side} but not from the other side")
    return bytes(sides)


@lru_cache(maxsize=64)
def _atlas(theme: str, level: int, size: int) -> Atlas:
    if theme in STYLES:
        return sprite_atlas(theme, level, size, _parts)
    classic: tuple[Colour, ...] = ((0, 0, 0), (255, 255, 255), (224, 224, 224), (255, 255, 0), (0, 0, 255))
    plain: tuple[Colour, ...] = ((60, 70, 85), (240, 236, 226), (222, 216, 202), (210, 50, 40), (40, 150, 70))
    return Atlas(classic if theme == "classic" else plain, level, size, partial(_tile, level, size))


def _parts(tile_id: int) -> tuple[int, tuple[str, ...]]:
    things = ("player",) if tile_id & _PLAYER else ("goal",) if tile_id & _GOAL else ()
    return tile_id & 15, things


def _tile(level: int, size: int, tile_id: int, row: int, column: int) -> NDArray[np.uint8]:
    """A floor inset by half a wall, a bridge over each opening, a thin line on the border of each opening."""
    pen = Pen(level, size, row, column)
    cell = size / level
    wall = max(2, int(cell / 4))
    half = wall / 2
    left, top, right, bottom = column * cell, row * cell, (column + 1) * cell, (row + 1) * cell
    pen.rectangle(left + half, top + half, right - half, bottom - half, colour=WHITE)
    thin = max(1, int(cell / 16))
    for side, x in (("left", left), ("right", right)):
        if tile_id & FLAGS[side]:
            pen.rectangle(x - half, top + half, x + half, bottom - half, colour=WHITE)
            pen.line(x, top + half, x, bottom - half, colour=GREY, width=thin)
    for side, y in (("up", top), ("down", bottom)):
        if tile_id & FLAGS[side]:
            pen.rectangle(left + half, y - half, right - half, y + half, colour=WHITE)
            pen.line(left + half, y, right - half, y, colour=GREY, width=thin)
    radius = max(3, int((cell - wall) * 0.25))
    if tile_id >= _PLAYER:
        x, y = (column + 0.5) * cell, (row + 0.5) * cell
        pen.disc(x, y, radius, colour=YELLOW if tile_id & _PLAYER else BLUE)
    return pen.tile()
