"""FrozenLake: walk over the ice from the player to the goal, and into no hole.

Rules (VSP, arXiv 2407.01863, as evaluated by MGSD, arXiv 2606.06076): moves are absolute and never slip; stepping into
a hole or off the grid is illegal; reaching the goal ends the episode.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mgsd_envs import grid, statements
from mgsd_envs.boards import BoardTask
from mgsd_envs.grid import MOVES, Graph
from mgsd_envs.rendering import Atlas, Pen, check_look, quantized_atlas
from mgsd_envs.sprites import STYLES, sprite_atlas
from mgsd_envs.statements import Field
from mgsd_envs.symmetry import Symmetry, least_symmetries, moved_cells
from mgsd_envs.task import Illegal, MiniGridForm
from mgsd_envs.types import Cell, Cursor, Fact, Plan

ICE, HOLE, GOAL, PLAYER = range(4)
_PARTS: tuple[tuple[str, ...], ...] = ((), ("hole",), ("goal",), ("player",))
_FIELDS = (
    statements.SIZE,
    Field("player", "cell", "player", question="Which cell is the player on?"),
    Field("goal", "cell", "goal", question="Which cell is the goal on?"),
    Field("holes", "cells", "hole", ("hole",), question="Which cells are holes?"),
)


@dataclass(frozen=True, slots=True)
class LakeState:
    """A lake; every cell that is not a hole is ice.

    Attributes:
        size: cells a side, n.
        player: where the player stands.
        goal: where to go; another cell than the player's, except in the middle of a rollout.
        holes: cells that may not be entered. Player and goal stand on ice; only in a world that a model believes in
            may they not.
    """

    size: int
    player: Cell
    goal: Cell
    holes: frozenset[Cell]


class FrozenLake(BoardTask[LakeState]):
    """Walk over the ice to the goal, and into no hole.

    - Observation: the whole :class:`LakeState`, as a picture, uint8 (size, size, 3), or as text.
    - Actions: ``left``, ``down``, ``right``, ``up``, one cell each. They are absolute and never slip.
    - Cursor: (row, column) of the player.
    - Illegal: a step off the grid (``off_grid``) or into a hole (``hole``).
    - End: solved when the player reaches the goal. A rollout also ends at its first illegal action, unsolved. There is
      no reward and no limit of steps.
    - Levels: n x n cells, 3 to 8 in the paper, 2 to 32 possible.
    """

    name = "frozenlake"
    levels = range(3, 9)
    min_level = 2
    actions: Plan = tuple(MOVES)
    themes = ("classic", "plain", *STYLES)
    fields = _FIELDS
    landmarks: ClassVar[tuple[str, ...]] = ("goal",)
    minigrid = MiniGridForm(
        "avoid the lava and get to the green goal square", {"hole": ("lava", "red"), "goal": ("goal", "green")}
    )
    rules: ClassVar[dict[str, str]] = {
        "off_grid": "a step off the grid",
        "hole": "a step into a hole",
    }
    fatal: ClassVar[frozenset[str]] = frozenset({"hole"})

    def sample(
        self,
        level: int,
        rng: np.random.Generator,
        *,
        length: range | None = None,
        density: float | None = None,
    ) -> LakeState | None:
        """Scatter holes, stand on a free cell and pick a goal at a distance drawn evenly from the possible ones.

        Without ``density`` the share of holes is itself drawn evenly from 0.1 to 0.45, so that both open lakes and
        winding ways occur.
        """
        grid.check_level(self.name, level, self.min_level)
        draws = rng.random(level * level + 4)
        share = 0.1 + 0.35 * draws[-1] if density is None else density
        holes = int.from_bytes(np.packbits(draws[:-4] < share, bitorder="little").tobytes(), "little")
        free = ~holes & ((1 << level * level) - 1)
        if not free:
            return None
        player = _pick(free, draws[-2])
        layers = grid.bfs_layers(Graph(grid.walks(level, free)), player)
        distances = [d for d in range(1, len(layers)) if not length or d in length]
        if not distances:
            return None
        goal = _pick(layers[distances[int(draws[-3] * len(distances))]], draws[-4])
        return LakeState(level, grid.cell_at(level, player), grid.cell_at(level, goal), _holes(level, holes))

    def states(self, level: int) -> Iterator[LakeState] | None:
        """All 6,792 solvable lakes of 3x3 and the few of 2x2; larger grids have millions."""
        if level > 3:
            return None
        return self._states(level)

    def _states(self, level: int) -> Iterator[LakeState]:
        everything = (1 << level * level) - 1
        for holes in range(everything):
            hole_cells = _holes(level, holes)
            graph = Graph(grid.walks(level, everything & ~holes))
            for player in grid.cells_of(level, everything & ~holes):
                reached = sum(grid.bfs_layers(graph, grid.bit(level, player))[1:])
                for goal in grid.cells_of(level, reached):
                    yield LakeState(level, player, goal, hole_cells)

    def bands(self, level: int) -> tuple[range, range, range]:
        """Easy up to n - 1 moves (n = 2: 1), medium below 3n/2, hard from there on (n = 2: none)."""
        middle = max(2, level)
        upper = max(middle + 1, 3 * level // 2)
        return range(1, middle), range(middle, upper), range(upper, level * level - 1)

    def graph(self, state: LakeState) -> tuple[Graph, int, int]:
        """Walks over the ice."""
        n = state.size
        free = ~grid.bit_set(n, state.holes) & ((1 << n * n) - 1)
        return Graph(grid.walks(n, free)), grid.bit(n, state.player), grid.bit(n, state.goal)

    def straight(self, state: LakeState) -> Plan:
        """Vertical moves, then horizontal ones, through whatever is there."""
        return grid.straight_plan(state.player, state.goal)

    def obstacle_free_length(self, state: LakeState) -> int:
        """Manhattan distance from player to goal."""
        return grid.manhattan(state.player, state.goal)

    def level_of(self, state: LakeState) -> int:
        """Cells a side."""
        return state.size

    def start(self, state: LakeState) -> Cursor:
        """The player's cell."""
        return state.player

    def step(self, state: LakeState, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Move by one cell."""
        move = MOVES[action]
        row, column = cursor[0] + move[0], cursor[1] + move[1]
        if not (0 <= row < state.size and 0 <= column < state.size):
            return Illegal("off_grid")
        if (row, column) in state.holes:
            return Illegal("hole")
        return row, column

    def solved(self, state: LakeState, cursor: Cursor) -> bool:
        """Whether the player stands on the goal."""
        return cursor == state.goal

    def state_at(self, state: LakeState, cursor: Cursor) -> LakeState:
        """The player at the cursor."""
        return replace(state, player=(cursor[0], cursor[1]))

    def optimistic(self, state: LakeState, cursor: Cursor, seen: frozenset[Cell], known: Collection[str]) -> LakeState:
        """Ice where nothing was seen; a goal that was not seen lies in the nearest cell that was not."""
        n = state.size
        holes = state.holes if "hole" in known else state.holes & seen
        goal = state.goal
        if goal not in seen and "goal" not in known:
            everything = (1 << n * n) - 1
            free, hidden = everything & ~grid.bit_set(n, holes), everything & ~grid.bit_set(n, seen)
            goal = grid.nearest(n, free, (cursor[0], cursor[1]), hidden)
        return LakeState(n, state.player, goal, holes)

    def transform(self, state: LakeState, symmetry: Symmetry) -> LakeState:
        """The lake in a mirror, or turned."""
        moved = moved_cells(state.size, symmetry)
        holes = frozenset(map(moved.__getitem__, state.holes))
        return LakeState(state.size, moved[state.player], moved[state.goal], holes)

    def orbit_key(self, state: LakeState) -> str:
        """The least key of all images; most of them are ruled out by player and goal alone."""
        least = least_symmetries(state.size, state.player, state.goal)
        return min(self.key(self.transform(state, symmetry)) for symmetry in least)

    def facts(self, state: LakeState) -> frozenset[Fact]:
        """``("size", n)``, ``("player", r, c)``, ``("goal", r, c)`` and a ``("hole", r, c)`` for each hole."""
        holes: set[Fact] = {("hole", *cell) for cell in state.holes}
        return frozenset({("size", state.size), ("player", *state.player), ("goal", *state.goal)} | holes)

    def from_facts(self, facts: Iterable[Fact]) -> LakeState:
        """The lake that the facts describe; player or goal may be in a hole, as a model may believe."""
        sheet = statements.FactSheet(facts)
        return LakeState(sheet.size, sheet.cell("player"), sheet.cell("goal"), sheet.cells("hole"))

    def describe(self, state: LakeState) -> str:
        """Size, player, goal and holes, one a line."""
        return (
            f"size: {state.size}\nplayer: {statements.write_cells([state.player])}\n"
            f"goal: {statements.write_cells([state.goal])}\nholes: {statements.write_cells(state.holes)}"
        )

    def tile_ids(self, state: LakeState) -> list[list[int]]:
        """0 for ice, 1 for a hole, 2 for the goal, 3 for the player, who covers the goal."""
        ids = [[ICE] * state.size for _ in range(state.size)]
        for row, column in state.holes:
            ids[row][column] = HOLE
        ids[state.goal[0]][state.goal[1]] = GOAL
        ids[state.player[0]][state.player[1]] = PLAYER
        return ids

    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """Tiles for ice, hole, goal and player, 0 to 3; ``classic`` is gymnasium's art as the paper shows it."""
        check_look(self.name, theme, self.themes, level, size)
        return _atlas(theme, level, size)

    def to_json(self, state: LakeState) -> dict[str, Any]:
        """Size, player, goal and the sorted holes."""
        return {
            "size": state.size,
            "player": list(state.player),
            "goal": list(state.goal),
            "holes": [list(cell) for cell in sorted(state.holes)],
        }

    def from_json(self, data: dict[str, Any]) -> LakeState:
        """A lake whose player and goal are two different cells of ice."""
        match data:
            case {"size": int(n), "player": player, "goal": goal, "holes": [*holes]}:
                grid.check_level(self.name, n, self.min_level)
                state = LakeState(
                    n,
                    grid.cell_from(player, n),
                    grid.cell_from(goal, n),
                    frozenset(grid.cell_from(hole, n) for hole in holes),
                )
                if state.player == state.goal or {state.player, state.goal} & state.holes:
                    raise ValueError("player and goal must be two different cells of ice")
                return state
        raise ValueError(f"a FrozenLake state needs size, player, goal and holes, got {data!r:.200}")

    def key(self, state: LakeState) -> str:
        """``frozenlake:n:player:goal:holes``, cells numbered in reading order, the holes a hexadecimal bit set."""
        n = state.size
        player, goal = (cell[0] * n + cell[1] for cell in (state.player, state.goal))
        return f"frozenlake:{n}:{player}:{goal}:{grid.bit_set(n, state.holes):x}"


def _holes(level: int, mask: int) -> frozenset[Cell]:
    return frozenset(grid.cells_of(level, mask))


def _pick(nodes: int, draw: float) -> int:
    """The node of a set that a draw from [0, 1) falls on, as a one-node set."""
    for _ in range(int(draw * nodes.bit_count())):
        nodes &= nodes - 1
    return nodes & -nodes


@lru_cache(maxsize=64)
def _atlas(theme: str, level: int, size: int) -> Atlas:
    if theme == "classic":
        return quantized_atlas([_classic_board(tile_id, level, size) for tile_id in range(4)], level)
    if theme in STYLES:
        return sprite_atlas(theme, level, size, lambda tile_id: (None, _PARTS[tile_id]))
    palette = ((235, 243, 250), (150, 170, 190), (30, 60, 110), (40, 150, 70), (210, 50, 40))
    return Atlas(palette, level, size, partial(_plain_tile, level, size))


def _classic_board(tile_id: int, level: int, size: int) -> Image.Image:
    """Tiles of min(64, 512 // n) pixels with a one-pixel outline a cell, scaled to ``size`` with Lanczos."""
    edge = min(64, 512 // level)
    tile = _art("ice", edge)
    if tile_id != ICE:
        for name in {HOLE: ("hole",), GOAL: ("goal",), PLAYER: ("stool", "elf_down")}[tile_id]:
            tile.alpha_composite(_art(name, edge))
    ImageDraw.Draw(tile).rectangle((0, 0, edge - 1, edge - 1), outline=(180, 200, 230, 255))
    board = Image.new("RGB", (edge * level, edge * level))
    for row in range(level):
        for column in range(level):
            board.paste(tile.convert("RGB"), (column * edge, row * edge))
    return board.resize((size, size), Image.Resampling.LANCZOS)


def _art(name: str, edge: int) -> Image.Image:
    """One of gymnasium's tiles (MIT, see ``tiles/LICENSE``), scaled as the paper's renderer scales it."""
    with Image.open(Path(__file__).parent / "tiles" / f"{name}.png") as image:
        return image.convert("RGBA").resize((edge, edge), Image.Resampling.LANCZOS)


def _plain_tile(level: int, size: int, tile_id: int, row: int, column: int) -> NDArray[np.uint8]:
    """Flat colours: dark discs for holes, a green square for the goal, a red disc for the player."""
    pen = Pen(level, size, row, column)
    cell = size / level
    x, y = column * cell, row * cell
    pen.line(x, y + cell, x, y, x + cell, y, colour=1)
    if tile_id == GOAL:
        pen.rectangle(x + 0.2 * cell, y + 0.2 * cell, x + 0.8 * cell, y + 0.8 * cell, colour=3)
    elif tile_id != ICE:
        pen.disc(x + cell / 2, y + cell / 2, 0.3 * cell, colour=2 if tile_id == HOLE else 4)
    return pen.tile()
