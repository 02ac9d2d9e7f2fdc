"""Maze: walk through the openings between cells from the player to the goal.

Rules (Visual Planning, arXiv 2505.11409, as evaluated by MGSD, arXiv 2606.06076): moves are absolute; crossing a wall
or the border is illegal; reaching the goal ends the episode. Every maze has exactly one way between two cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgsd_envs import grid, statements
from mgsd_envs.grid import LETTERS, MOVES, Graph
from mgsd_envs.rendering import Atlas, Colour, Pen, Picture, check_look
from mgsd_envs.task import Cell, Cursor, Fact, Illegal, Plan

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}
BLACK, WHITE, GREY, YELLOW, BLUE = range(5)
_LETTER_OF = {action: letter for letter, action in LETTERS.items()}
_FLAGS = {"left": 1, "down": 2, "right": 4, "up": 8}
_PLAYER, _GOAL = 16, 32

Opening = tuple[int, int, str]
"""A side of a cell without a wall: row, column and ``left``, ``down``, ``right`` or ``up``."""


@dataclass(frozen=True, slots=True)
class MazeState:
    """A maze of ``size`` x ``size`` cells; ``open`` holds every opening twice, once from each side."""

    size: int
    player: Cell
    goal: Cell
    open: frozenset[Opening]


class Maze:
    """The Maze task."""

    name = "maze"
    levels = range(3, 7)
    min_level = 2
    actions: Plan = tuple(MOVES)
    themes = ("classic", "plain")

    def sample(
        self, level: int, rng: np.random.Generator, *, length: range | None = None, density: float | None = None
    ) -> MazeState | None:
        """Carve by random depth-first search, then pick a goal at a distance drawn evenly from the possible ones.

        ``density`` has no meaning here: every maze is a spanning tree.
        """
        grid.check_level(self.name, level, self.min_level)
        cells = level * level
        draws: list[float] = rng.random(2 * cells + 4).tolist()
        passages = _carve(level, draws)
        player = int(draws[-1] * cells)
        layers = grid.flood(_graph(level, passages), 1 << player)
        distances = [d for d in (length or range(1, len(layers))) if 0 < d < len(layers)]
        if not distances:
            return None
        goals = list(grid.bits(layers[distances[int(draws[-2] * len(distances))]]))
        goal = goals[int(draws[-3] * len(goals))]
        return MazeState(level, divmod(player, level), divmod(goal, level), _openings(level, passages))

    def states(self, level: int) -> Iterator[MazeState] | None:
        """All 6,336 mazes of 3x3 that depth-first search can carve, and those of 2x2; 4x4 has 916,800."""
        if level > 3:
            return None
        return self._states(level)

    def _states(self, level: int) -> Iterator[MazeState]:
        cells = level * level
        edges = [(i, i + 1) for i in range(cells) if (i + 1) % level] + [
            (i, i + level) for i in range(cells - level)
        ]
        for chosen in combinations(edges, cells - 1):
            if not _is_search_tree(cells, chosen, set(edges) - set(chosen)):
                continue
            opening = _openings(level, list(chosen))
            for player in range(cells):
                for goal in range(cells):
                    if player != goal:
                        yield MazeState(level, divmod(player, level), divmod(goal, level), opening)

    def bands(self, level: int) -> tuple[range, range, range]:
        """Easy up to n - 1 moves (n = 2: 1), medium below 2n - 1, hard from there on."""
        middle = max(2, level)
        upper = max(middle + 1, 2 * level - 1)
        return range(1, middle), range(middle, upper), range(upper, level * level)

    def graph(self, state: MazeState) -> tuple[Graph, int, int]:
        """Walks through the openings."""
        n = state.size
        masks = dict.fromkeys(MOVES, 0)
        for row, column, side in state.open:
            masks[side] |= 1 << (row * n + column)
        shifts = {"left": -1, "down": n, "right": 1, "up": -n}
        moves = tuple((action, masks[action], shifts[action]) for action in MOVES)
        return Graph(moves), grid.bit(n, state.player), grid.bit(n, state.goal)

    def solve(self, state: MazeState) -> Plan | None:
        """One shortest plan."""
        found = grid.shortest(*self.graph(state))
        return found and found[0]

    def straight(self, state: MazeState) -> Plan:
        """Vertical moves, then horizontal ones, through every wall."""
        return grid.beeline(state.player, state.goal)

    def free_length(self, state: MazeState) -> int:
        """Manhattan distance from player to goal."""
        return grid.manhattan(state.player, state.goal)

    def start(self, state: MazeState) -> Cursor:
        """The player's cell."""
        return state.player

    def step(self, state: MazeState, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Move by one cell."""
        move = MOVES.get(action)
        if move is None:
            return Illegal.UNKNOWN_ACTION
        row, column = cursor[0] + move[0], cursor[1] + move[1]
        if not (0 <= row < state.size and 0 <= column < state.size):
            return Illegal.OFF_GRID
        if (cursor[0], cursor[1], action) not in state.open:
            return Illegal.WALL
        return row, column

    def solved(self, state: MazeState, cursor: Cursor) -> bool:
        """Whether the player stands on the goal."""
        return cursor == state.goal

    def facts(self, state: MazeState) -> frozenset[Fact]:
        """``("size", n)``, ``("player", r, c)``, ``("goal", r, c)`` and an ``("open", r, c, side)`` for each open side."""
        sides: set[Fact] = {("open", *opening) for opening in state.open}
        return frozenset({("size", state.size), ("player", *state.player), ("goal", *state.goal)} | sides)

    def from_facts(self, facts: Iterable[Fact]) -> MazeState:
        """The maze that the facts describe; an opening may be stated from one side only, as a model may believe."""
        sheet = statements.FactSheet(facts)
        opening = frozenset((*cell, side) for cell, side in sheet.labelled("open"))
        return MazeState(sheet.size, sheet.cell("player"), sheet.cell("goal"), opening)

    def describe(self, state: MazeState) -> str:
        """Size, player, goal, and the open sides of every cell as letters."""
        sides: dict[Cell, str] = {}
        for row, column, side in sorted(state.open, key=lambda o: (o[0], o[1], "LDRU".index(_LETTER_OF[o[2]]))):
            sides[row, column] = sides.get((row, column), "") + _LETTER_OF[side]
        opening = ", ".join(f"({row},{column}) {letters}" for (row, column), letters in sides.items())
        return (
            f"size: {state.size}\nplayer: {statements.write_cells([state.player])}\n"
            f"goal: {statements.write_cells([state.goal])}\nopen: {opening or 'none'}"
        )

    def parse(self, text: str) -> frozenset[Fact]:
        """Facts stated as ``size``, ``player``, ``goal`` and ``open``, sides as letters or words."""
        facts, fields = statements.read_facts(
            text, single={"player": "player", "goal": "goal"}, other=("open",)
        )
        for cell, label in statements.read_labelled_cells(fields.get("open", "")):
            for side in statements.read_sides(label):
                facts.add(("open", *cell, side))
        return frozenset(facts)

    def draw(self, state: MazeState, theme: str = "classic", size: int = 256) -> Picture:
        """A picture of the maze: black walls, a yellow disc for the player, a blue one for the goal."""
        n = state.size
        check_look(self.name, theme, self.themes, n, size)
        kinds = [[0] * n for _ in range(n)]
        for row, column, side in state.open:
            kinds[row][column] |= _FLAGS[side]
        kinds[state.goal[0]][state.goal[1]] |= _GOAL
        kinds[state.player[0]][state.player[1]] |= _PLAYER
        return _atlas(theme, n, size).compose(kinds)

    def to_json(self, state: MazeState) -> dict[str, Any]:
        """Size, player, goal and, row by row, the letters of each cell's open sides."""
        n = state.size
        letters = [[""] * n for _ in range(n)]
        for action in MOVES:
            for row in range(n):
                for column in range(n):
                    if (row, column, action) in state.open:
                        letters[row][column] += _LETTER_OF[action]
        return {"size": n, "player": list(state.player), "goal": list(state.goal), "open": letters}

    def from_json(self, data: dict[str, Any]) -> MazeState:
        """A maze whose openings agree from both sides and lead nowhere off the grid."""
        match data:
            case {"size": int(n), "player": player, "goal": goal, "open": [*rows]}:
                grid.check_level(self.name, n, self.min_level)
                state = MazeState(n, grid.cell_from(player, n), grid.cell_from(goal, n), _read_rows(rows, n))
                if state.player == state.goal:
                    raise ValueError("player and goal must be two different cells")
                return state
        raise ValueError(f"a Maze state needs size, player, goal and open, got {sorted(data)}")

    def key(self, state: MazeState) -> str:
        """``maze:n:player:goal:`` and a hexadecimal digit a cell for its open sides (left 1, down 2, right 4, up 8)."""
        n = state.size
        digits = [0] * (n * n)
        for row, column, side in state.open:
            digits[row * n + column] |= _FLAGS[side]
        player, goal = (cell[0] * n + cell[1] for cell in (state.player, state.goal))
        return f"maze:{n}:{player}:{goal}:{''.join(map('0123456789abcdef'.__getitem__, digits))}"


def _carve(size: int, draws: list[float]) -> list[tuple[int, int]]:
    """Passages of a maze as pairs of cell numbers, by depth-first search; one draw for the start and one a step."""
    around = _neighbours(size)
    current = int(draws[0] * size * size)
    seen = bytearray(size * size)
    seen[current] = 1
    path, passages = [current], []
    k = 1
    while path:
        fresh = [cell for cell in around[path[-1]] if not seen[cell]]
        if not fresh:
            path.pop()
            continue
        step = fresh[int(draws[k] * len(fresh))] if len(fresh) > 1 else fresh[0]
        k += 1
        passages.append((path[-1], step))
        seen[step] = 1
        path.append(step)
    return passages


@lru_cache(maxsize=64)
def _neighbours(size: int) -> list[list[int]]:
    cells = [(r, c) for r in range(size) for c in range(size)]
    moves = MOVES.values()
    return [
        [(r + dr) * size + c + dc for dr, dc in moves if grid.inside(size, (r + dr, c + dc))] for r, c in cells
    ]


def _graph(size: int, passages: list[tuple[int, int]]) -> Graph:
    right = down = 0
    for a, b in passages:
        low = 1 << min(a, b)
        if abs(a - b) == 1:
            right |= low
        else:
            down |= low
    return Graph(
        (("left", right << 1, -1), ("down", down, size), ("right", right, 1), ("up", down << size, -size))
    )


def _openings(size: int, passages: list[tuple[int, int]]) -> frozenset[Opening]:
    opening = set()
    for a, b in passages:
        side = {-1: "left", size: "down", 1: "right", -size: "up"}[b - a]
        opening.add((*divmod(a, size), side))
        opening.add((*divmod(b, size), OPPOSITE[side]))
    return frozenset(opening)


def _is_search_tree(cells: int, tree: Iterable[tuple[int, int]], rest: Iterable[tuple[int, int]]) -> bool:
    """Whether depth-first search from some cell can carve the tree: no edge left out may join two branches."""
    around: list[list[int]] = [[] for _ in range(cells)]
    for a, b in tree:
        around[a].append(b)
        around[b].append(a)
    for root in range(cells):
        above: dict[int, frozenset[int]] = {root: frozenset()}
        stack = [root]
        while stack:
            cell = stack.pop()
            for other in around[cell]:
                if other not in above:
                    above[other] = above[cell] | {cell}
                    stack.append(other)
        if len(above) < cells:
            return False
        if all(a in above[b] or b in above[a] for a, b in rest):
            return True
    return False


def _read_rows(rows: list[Any], n: int) -> frozenset[Opening]:
    if len(rows) != n or any(not isinstance(row, list) or len(row) != n for row in rows):
        raise ValueError(f"open must have {n} rows of {n} cells")
    opening = set()
    for row, letters_of_row in enumerate(rows):
        for column, letters in enumerate(letters_of_row):
            for letter in letters:
                if letter not in LETTERS:
                    raise ValueError(f"open sides are letters of LDRU, not {letter!r}")
                opening.add((row, column, LETTERS[letter]))
    for row, column, side in opening:
        down, right = MOVES[side]
        if (row + down, column + right, OPPOSITE[side]) not in opening:
            raise ValueError(f"({row},{column}) is open to the {side} but not from the other side")
    return frozenset(opening)


@lru_cache(maxsize=64)
def _atlas(theme: str, level: int, size: int) -> Atlas:
    classic: tuple[Colour, ...] = ((0, 0, 0), (255, 255, 255), (224, 224, 224), (255, 255, 0), (0, 0, 255))
    plain: tuple[Colour, ...] = ((60, 70, 85), (240, 236, 226), (222, 216, 202), (210, 50, 40), (40, 150, 70))
    return Atlas(classic if theme == "classic" else plain, level, size, partial(_tile, level, size))


def _tile(level: int, size: int, kind: int, row: int, column: int) -> NDArray[np.uint8]:
    """A floor inset by half a wall, a bridge over each opening, a thin line on the border of each opening."""
    pen = Pen(level, size, row, column)
    cell = size / level
    wall = max(2, int(cell / 4))
    half = wall / 2
    left, top, right, bottom = column * cell, row * cell, (column + 1) * cell, (row + 1) * cell
    pen.rectangle(left + half, top + half, right - half, bottom - half, colour=WHITE)
    thin = max(1, int(cell / 16))
    for side, x in (("left", left), ("right", right)):
        if kind & _FLAGS[side]:
            pen.rectangle(x - half, top + half, x + half, bottom - half, colour=WHITE)
            pen.line(x, top + half, x, bottom - half, colour=GREY, width=thin)
    for side, y in (("up", top), ("down", bottom)):
        if kind & _FLAGS[side]:
            pen.rectangle(left + half, y - half, right - half, y + half, colour=WHITE)
            pen.line(left + half, y, right - half, y, colour=GREY, width=thin)
    radius = max(3, int((cell - wall) * 0.25))
    if kind >= _PLAYER:
        x, y = (column + 0.5) * cell, (row + 0.5) * cell
        pen.disc(x, y, radius, colour=YELLOW if kind & _PLAYER else BLUE)
    return pen.tile()
