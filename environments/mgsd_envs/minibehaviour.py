"""MiniBehaviour: fetch the printer and set it down on the table.

Rules (Visual Planning, arXiv 2505.11409, as evaluated by MGSD, arXiv 2606.06076): moves are absolute; entering a table
cell, or the printer's cell before the pick, or leaving the grid is illegal. ``pick`` needs the printer on one of the
four sides of the agent and empty hands; from then on the printer's cell is free floor. ``drop`` needs the printer in
hand and a table cell on one of the four sides; it ends the episode with success.

This is a simplification of Mini-BEHAVIOR's InstallingAPrinter (no turning, no toggling, no wall ring), not that task.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from mgsd_envs import grid, statements
from mgsd_envs.boards import BoardTask
from mgsd_envs.grid import LETTERS, MOVES, Graph
from mgsd_envs.minibehaviour_tiles import (
    AGENT_TILE,
    CARRIER_TILE,
    FLOOR_TILE,
    INSTALLED_TILE,
    PRINTER_TILE,
    TABLE_TILE,
    tiles,
)
from mgsd_envs.rendering import Atlas, check_look
from mgsd_envs.sprites import STYLES
from mgsd_envs.statements import Field
from mgsd_envs.symmetry import Symmetry, least_symmetries, moved_cells
from mgsd_envs.task import Illegal, MiniGridForm
from mgsd_envs.types import Cell, Cursor, Fact, Plan

FETCHING, CARRYING, DONE = range(3)
TABLE_ROWS, TABLE_COLUMNS = 2, 3
_FIELDS = (
    statements.SIZE,
    Field("agent", "cell", "agent", question="Which cell is the agent in?"),
    Field("printer", "cell", "printer", question="Which cell is the printer in?"),
    Field("table", "cells", "table", question="Which cells does the table cover?"),
)


@dataclass(frozen=True, slots=True)
class OfficeState:
    """A room with one agent, one printer and a table; all other cells are floor.

    Attributes:
        size: cells a side, n.
        agent: where the agent stands.
        printer: where the printer stands: on the floor at first, in the agent's cell while it is carried, in the end
            on the table.
        table: the cells of the table, 2 x 3 in a drawn room, one or more of any shape in a given one.
    """

    size: int
    agent: Cell
    printer: Cell
    table: frozenset[Cell]


class MiniBehaviour(BoardTask[OfficeState]):
    """Fetch the printer and set it down on the table.

    - Observation: the whole :class:`OfficeState`, as a picture, uint8 (size, size, 3), or as text.
    - Actions: ``left``, ``down``, ``right``, ``up``, one cell each, absolute; ``pick`` and ``drop``, which need the
      printer or a table cell on one of the agent's four sides.
    - Cursor: (row, column, phase) of the agent, the phase being 0 (fetching), 1 (carrying) or 2 (done).
    - Illegal: a step off the grid (``off_grid``), onto the table (``table``) or, before the pick, into the printer
      (``printer``); a pick too far away (``pick_far``) or after the first (``pick_twice``); a drop with empty hands
      (``drop_empty``) or too far away (``drop_far``).
    - End: solved when the printer is dropped. A rollout also ends at its first illegal action, unsolved. There is no
      reward and no limit of steps.
    - Levels: n x n cells, 5 and 6 in the paper, 4 to 32 possible.
    """

    name = "minibehaviour"
    levels = range(5, 7)
    min_level = 4
    actions: Plan = (*MOVES, "pick", "drop")
    action_words: ClassVar[dict[str, tuple[str, ...]]] = {"pick": ("pick_up",)}
    themes = ("classic", "plain", *STYLES)
    fields = _FIELDS
    landmarks: ClassVar[tuple[str, ...]] = ("printer",)
    minigrid = MiniGridForm(
        "put the blue box near the yellow wall", {"table": ("wall", "yellow"), "printer": ("box", "blue")}
    )
    rules: ClassVar[dict[str, str]] = {
        "off_grid": "a step off the grid",
        "table": "a step onto the table",
        "printer": "a step into the printer before it is picked up",
        "pick_far": "a pick with the printer on none of the four sides",
        "pick_twice": "a pick after the first",
        "drop_empty": "a drop with empty hands",
        "drop_far": "a drop with no table cell on any of the four sides",
    }

    def sample(
        self,
        level: int,
        rng: np.random.Generator,
        *,
        length: range | None = None,
        density: float | None = None,
    ) -> OfficeState | None:
        """Put a table of 2x3 cells and a printer, then the agent at a distance drawn evenly from the possible ones.

        ``density`` has no meaning here: the table is the only obstacle.
        """
        grid.check_level(self.name, level, self.min_level)
        across, down, spot, distance, place = rng.random(5).tolist()
        corner = (int(down * (level - TABLE_ROWS + 1)), int(across * (level - TABLE_COLUMNS + 1)))
        table, free = _table(level, corner)
        printer = divmod(free[int(spot * len(free))], level)
        agents = _agents_by_length(OfficeState(level, (0, 0), printer, table))
        lengths = [d for d in agents if not length or d in length]
        if not lengths:
            return None
        cells = agents[lengths[int(distance * len(lengths))]]
        return OfficeState(level, cells[int(place * len(cells))], printer, table)

    def states(self, level: int) -> Iterator[OfficeState] | None:
        """All states up to 6x6 (4x4: 540, 5x5: 4,104, 6x6: 17,400)."""
        if level > 6:
            return None
        return self._states(level)

    def _states(self, level: int) -> Iterator[OfficeState]:
        for row in range(level - TABLE_ROWS + 1):
            for column in range(level - TABLE_COLUMNS + 1):
                table, free = _table(level, (row, column))
                for printer in free:
                    base = OfficeState(level, (0, 0), divmod(printer, level), table)
                    for cells in _agents_by_length(base).values():
                        for agent in cells:
                            yield OfficeState(level, agent, base.printer, table)

    def bands(self, level: int) -> tuple[range, range, range]:
        """Easy up to n - 1 actions, medium n to n + (n - 2) // 3, hard from there on."""
        upper = level + 1 + (level - 2) // 3
        return range(2, level), range(level, upper), range(upper, 4 * level)

    def graph(self, state: OfficeState) -> tuple[Graph, int, int]:
        """Three boards, one a phase: ``pick`` leads from the first to the second, ``drop`` on to the third."""
        n = state.size
        cells = n * n
        floor = ~grid.bit_set(n, state.table) & ((1 << cells) - 1)
        printer = grid.bit(n, state.printer)
        before, after = grid.walks(n, floor & ~printer), grid.walks(n, floor)
        moves = [
            (action, mask | carrying << cells, shift)
            for (action, mask, shift), (_, carrying, _) in zip(before, after, strict=True)
        ]
        pick = grid.neighbours(n, printer) & floor
        drop = grid.neighbours(n, grid.bit_set(n, state.table)) & floor
        everywhere = ((1 << cells) - 1) << (2 * cells)
        graph = Graph((*moves, ("pick", pick, cells), ("drop", drop << cells, cells)))
        return graph, grid.bit(n, state.agent), everywhere

    def straight(self, state: OfficeState) -> Plan:
        """Straight to the nearest cell beside the printer, then to the nearest cell beside the table."""
        pick = min(_pickups(state), key=lambda cell: (grid.manhattan(state.agent, cell), cell))
        drop = min(_beside(state, state.table), key=lambda cell: (grid.manhattan(pick, cell), cell))
        return (*grid.straight_plan(state.agent, pick), "pick", *grid.straight_plan(pick, drop), "drop")

    def obstacle_free_length(self, state: OfficeState) -> int:
        """Shortest plan if the agent could walk through table and printer."""
        drops = _beside(state, state.table)
        return 2 + min(
            grid.manhattan(state.agent, pick) + min(grid.manhattan(pick, drop) for drop in drops)
            for pick in _pickups(state)
        )

    def level_of(self, state: OfficeState) -> int:
        """Cells a side."""
        return state.size

    def start(self, state: OfficeState) -> Cursor:
        """The agent's cell, fetching."""
        return (*state.agent, FETCHING)

    def step(self, state: OfficeState, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Move by one cell, pick or drop."""
        row, column, phase = cursor
        if action == "pick":
            if phase != FETCHING:
                return Illegal("pick_twice")
            near = grid.manhattan((row, column), state.printer) == 1
            return (row, column, CARRYING) if near else Illegal("pick_far")
        if action == "drop":
            if phase != CARRYING:
                return Illegal("drop_empty")
            near = any((row + down, column + right) in state.table for down, right in MOVES.values())
            return (row, column, DONE) if near else Illegal("drop_far")
        move = MOVES[action]
        row, column = row + move[0], column + move[1]
        if not (0 <= row < state.size and 0 <= column < state.size):
            return Illegal("off_grid")
        if (row, column) in state.table:
            return Illegal("table")
        if phase == FETCHING and (row, column) == state.printer:
            return Illegal("printer")
        return row, column, phase

    def solved(self, state: OfficeState, cursor: Cursor) -> bool:
        """Whether the printer has been dropped."""
        return cursor[2] == DONE

    def state_at(self, state: OfficeState, cursor: Cursor) -> OfficeState:
        """The agent at the cursor; the printer, once picked, in the agent's cell, and once dropped, on the table."""
        row, column, phase = cursor
        agent = (row, column)
        if phase == CARRYING:
            return replace(state, agent=agent, printer=agent)
        if phase == DONE:
            return replace(state, agent=agent, printer=min(state.table, key=lambda c: (grid.manhattan(agent, c), c)))
        return replace(state, agent=agent)

    def optimistic(
        self, state: OfficeState, cursor: Cursor, seen: frozenset[Cell], known: Collection[str]
    ) -> OfficeState:
        """Floor where nothing was seen; printer, and table if none of it was seen, in the nearest cell not seen.

        That is nearest to the agent; for the table, while the printer is still to be fetched, nearest to the printer.
        """
        n, here = state.size, (cursor[0], cursor[1])
        table = state.table if "table" in known else state.table & seen
        hidden = (1 << n * n) - 1 & ~grid.bit_set(n, seen)
        floor = (1 << n * n) - 1 & ~grid.bit_set(n, table)
        printer = state.printer
        if printer not in seen and "printer" not in known:
            printer = here if cursor[2] != FETCHING else grid.nearest(n, floor, here, hidden)
        if not table:
            origin = printer if cursor[2] == FETCHING else here
            table = frozenset([grid.nearest(n, floor, origin, hidden & ~grid.bit(n, printer))])
        return OfficeState(n, state.agent, printer, table)

    def resume(self, state: OfficeState) -> Cursor:
        """The agent's cell; carrying where the printer is in it, done where the printer is on the table."""
        phase = CARRYING if state.printer == state.agent else DONE if state.printer in state.table else FETCHING
        return (*state.agent, phase)

    def transform(self, state: OfficeState, symmetry: Symmetry) -> OfficeState:
        """The room in a mirror, or turned: nobody faces anywhere in it, and ``pick`` and ``drop`` reach all four sides.

        Turned by a quarter, the table of a drawn room is 3 x 2, which no drawn room has but a given one may.
        """
        moved = moved_cells(state.size, symmetry)
        table = frozenset(map(moved.__getitem__, state.table))
        return OfficeState(state.size, moved[state.agent], moved[state.printer], table)

    def orbit_key(self, state: OfficeState) -> str:
        """The least key of all images; most of them are ruled out by agent and printer alone."""
        least = least_symmetries(state.size, state.agent, state.printer)
        return min(self.key(self.transform(state, symmetry)) for symmetry in least)

    def facts(self, state: OfficeState) -> frozenset[Fact]:
        """``("size", n)``, ``("agent", r, c)``, ``("printer", r, c)`` and a ``("table", r, c)`` for each table cell."""
        table: set[Fact] = {("table", *cell) for cell in state.table}
        return frozenset({("size", state.size), ("agent", *state.agent), ("printer", *state.printer)} | table)

    def from_facts(self, facts: Iterable[Fact]) -> OfficeState:
        """The room that the facts describe, whatever the table's shape."""
        sheet = statements.FactSheet(facts)
        return OfficeState(sheet.size, sheet.cell("agent"), sheet.cell("printer"), sheet.cells("table"))

    def describe(self, state: OfficeState) -> str:
        """Size, agent, printer and the cells of the table, one a line."""
        return (
            f"size: {state.size}\nagent: {statements.write_cells([state.agent])}\n"
            f"printer: {statements.write_cells([state.printer])}\ntable: {statements.write_cells(state.table)}"
        )

    def questions(self, state: OfficeState) -> tuple[tuple[str, str], ...]:
        """Size, agent, printer, table, the cells beside both, and legal moves: the paper's seven questions."""
        floor = {cell for cell in _beside(state, state.table) if cell != state.printer}
        start = self.start(state)
        legal = (key for key, move in LETTERS.items() if not isinstance(self.step(state, start, move), Illegal))
        return (
            *super().questions(state),
            (
                "Which floor cells touch the printer?",
                f"beside printer: {statements.write_cells(_beside(state, [state.printer]))}",
            ),
            ("Which floor cells touch the table?", f"beside table: {statements.write_cells(floor)}"),
            ("Which moves can the agent make now?", f"moves: {''.join(legal) or 'none'}"),
        )

    def tile_ids(self, state: OfficeState) -> list[list[int]]:
        """0 floor, 1 table, 2 agent, 3 printer, 4 agent that carries the printer, 5 printer on the table."""
        ids = [[FLOOR_TILE] * state.size for _ in range(state.size)]
        for row, column in state.table:
            ids[row][column] = TABLE_TILE
        ids[state.printer[0]][state.printer[1]] = INSTALLED_TILE if state.printer in state.table else PRINTER_TILE
        ids[state.agent[0]][state.agent[1]] = CARRIER_TILE if state.agent == state.printer else AGENT_TILE
        return ids

    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """Tiles for the ids of :meth:`tile_ids`, 0 to 5: brown table, white printer, the agent as a red triangle.

        A printer in the agent's cell is being carried: it is drawn small above the triangle.
        """
        check_look(self.name, theme, self.themes, level, size)
        return tiles(theme, level, size)

    def to_json(self, state: OfficeState) -> dict[str, Any]:
        """Size, agent, printer and the sorted table cells."""
        return {
            "size": state.size,
            "agent": list(state.agent),
            "printer": list(state.printer),
            "table": [list(cell) for cell in sorted(state.table)],
        }

    def from_json(self, data: dict[str, Any]) -> OfficeState:
        """A room with a table, and agent and printer on two different cells of the floor."""
        match data:
            case {"size": int(n), "agent": agent, "printer": printer, "table": [_, *_] as table}:
                grid.check_level(self.name, n, self.min_level)
                state = OfficeState(
                    n,
                    grid.cell_from(agent, n),
                    grid.cell_from(printer, n),
                    frozenset(grid.cell_from(cell, n) for cell in table),
                )
                if state.agent == state.printer or {state.agent, state.printer} & state.table:
                    raise ValueError("agent and printer must be two different cells off the table")
                return state
        raise ValueError(f"a MiniBehaviour state needs size, agent, printer and table, got {data!r:.200}")

    def key(self, state: OfficeState) -> str:
        """``minibehaviour:n:agent:printer:table``, cells numbered in reading order, the table a hexadecimal bit set."""
        n = state.size
        agent, printer = (cell[0] * n + cell[1] for cell in (state.agent, state.printer))
        return f"minibehaviour:{n}:{agent}:{printer}:{grid.bit_set(n, state.table):x}"


@lru_cache(maxsize=1024)
def _table(size: int, corner: Cell) -> tuple[frozenset[Cell], list[int]]:
    """The table with its top left cell at ``corner``, and the numbers of the cells that it leaves free."""
    table = frozenset((corner[0] + r, corner[1] + c) for r in range(TABLE_ROWS) for c in range(TABLE_COLUMNS))
    return table, [i for i in range(size * size) if divmod(i, size) not in table]


@lru_cache(maxsize=4096)
def _agents_by_length(state: OfficeState) -> dict[int, list[Cell]]:
    """Where the agent may stand, by the length of its shortest plan; the state's own agent does not matter.

    One sweep backwards from success serves every place at once.
    """
    n = state.size
    graph, _, goal = MiniBehaviour().graph(state)
    floor = (1 << n * n) - 1 & ~grid.bit(n, state.printer)
    backward = Graph(tuple((action, _shift(mask, shift), -shift) for action, mask, shift in graph.moves))
    by_length = {}
    for length, layer in enumerate(grid.bfs_layers(backward, goal)):
        if here := layer & floor:
            by_length[length] = grid.cells_of(n, here)
    return by_length


def _shift(mask: int, shift: int) -> int:
    return mask << shift if shift > 0 else mask >> -shift


def _beside(state: OfficeState, cells: Iterable[Cell]) -> list[Cell]:
    """Cells off the table that touch one of ``cells`` with a side."""
    n = state.size
    around = grid.neighbours(n, grid.bit_set(n, cells)) & ~grid.bit_set(n, state.table)
    return grid.cells_of(n, around)


def _pickups(state: OfficeState) -> list[Cell]:
    """Where the printer can be picked up; where it is boxed in, the table's cells beside it."""
    n = state.size
    return _beside(state, [state.printer]) or grid.cells_of(n, grid.neighbours(n, grid.bit(n, state.printer)))
