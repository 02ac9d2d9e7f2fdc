"""Square boards as bit sets, and exact shortest plans on them.

A set of nodes is a Python int: bit ``row * n + column`` stands for a cell, and tasks with phases stack one board a
phase. One sweep of breadth-first search is then a few shifts, whatever the size of the frontier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from mgsd_envs.types import Cell, Plan

MOVES: dict[str, Cell] = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}
"""The four moves and what they add to (row, column)."""

MAX_LEVEL = 32
"""Largest grid size that the tasks support."""

LETTERS = dict(zip("LDRU", MOVES, strict=True))
"""One letter a move, as plans are written."""


@dataclass(frozen=True, slots=True)
class Graph:
    """The legal transitions of a state, one row an action.

    Attributes:
        moves: rows of (action, nodes from which it is legal, how far it shifts the node's bit to the left).
    """

    moves: tuple[tuple[str, int, int], ...]

    def after(self, nodes: int) -> int:
        """Every node that one legal action leads to from ``nodes``."""
        reached = 0
        for _, mask, shift in self.moves:
            reached |= (nodes & mask) << shift if shift > 0 else (nodes & mask) >> -shift
        return reached

    def before(self, nodes: int) -> int:
        """Every node from which one legal action leads into ``nodes``."""
        sources = 0
        for _, mask, shift in self.moves:
            sources |= (nodes >> shift if shift > 0 else nodes << -shift) & mask
        return sources


def bfs_layers(graph: Graph, start: int, goal: int = 0) -> list[int]:
    """Nodes by distance from ``start``: item k is k actions away; the last is the first to meet ``goal``."""
    front = seen = start
    layers = [front]
    while not front & goal:
        front = graph.after(front) & ~seen
        if not front:
            break
        seen |= front
        layers.append(front)
    return layers


def nearest(size: int, free: int, start: Cell, targets: int) -> Cell:
    """The cell of ``targets`` that the fewest moves over ``free`` cells lead to, the first such in reading order.

    Where none can be reached it is the first of them all.

    Args:
        size: cells a side.
        free: the set of cells that may be entered.
        start: where to begin; it need not be free.
        targets: a set of cells, not empty.
    """
    return nearest_of(Graph(walks(size, free | bit(size, start))), size, start, targets)


def nearest_of(graph: Graph, size: int, start: Cell, targets: int) -> Cell:
    """:func:`nearest`, over the transitions of a graph."""
    reached = bfs_layers(graph, bit(size, start), targets)[-1] & targets or targets
    return divmod((reached & -reached).bit_length() - 1, size)


def shortest_layers(graph: Graph, start: int, goal: int) -> list[int] | None:
    """The nodes on shortest plans: item k holds those that k actions lead to; None where the goal is out of reach."""
    layers = bfs_layers(graph, start, goal)
    ends = layers[-1] & goal
    if not ends:
        return None
    for k in range(len(layers) - 1, 0, -1):
        layers[k] = ends
        ends = graph.before(ends) & layers[k - 1]
    return layers


def shortest(graph: Graph, start: int, goal: int) -> tuple[Plan, int] | None:
    """One shortest plan and the exact number of shortest plans; None where the goal is out of reach."""
    layers = shortest_layers(graph, start, goal)
    if layers is None:
        return None
    plan: list[str] = []
    node = start
    ways = {start: 1}
    for layer in layers[1:]:
        onward: dict[int, int] = {}
        moved = 0
        for action, mask, shift in graph.moves:
            for source, count in ways.items():
                if source & mask:
                    target = source << shift if shift > 0 else source >> -shift
                    if target & layer:
                        onward[target] = onward.get(target, 0) + count
                        if source == node and not moved:
                            plan.append(action)
                            moved = target
        ways, node = onward, moved
    return tuple(plan), sum(ways.values())


def bits(mask: int) -> Iterator[int]:
    """Positions of the set bits, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def bit(size: int, cell: Cell) -> int:
    """The one-cell set that holds ``cell``."""
    return 1 << (cell[0] * size + cell[1])


def bit_set(size: int, cells: Iterable[Cell]) -> int:
    """The set that holds ``cells``."""
    mask = 0
    for row, column in cells:
        mask |= 1 << (row * size + column)
    return mask


def cell_at(size: int, node: int) -> Cell:
    """The cell of a one-cell set."""
    return divmod(node.bit_length() - 1, size)


def cells_of(size: int, mask: int) -> list[Cell]:
    """The cells of a set, in reading order."""
    return [divmod(position, size) for position in bits(mask)]


@cache
def _not_in_column(size: int, column: int) -> int:
    return bit_set(size, ((r, c) for r in range(size) for c in range(size) if c != column))


def walks(size: int, free: int) -> tuple[tuple[str, int, int], ...]:
    """Moves between neighbouring cells of ``free``, as rows of a :class:`Graph`."""
    return (
        ("left", free & (free << 1) & _not_in_column(size, 0), -1),
        ("down", free & (free >> size), size),
        ("right", free & (free >> 1) & _not_in_column(size, size - 1), 1),
        ("up", free & (free << size), -size),
    )


def inside(size: int, cell: Cell) -> bool:
    """Whether the cell lies on the board."""
    return 0 <= cell[0] < size and 0 <= cell[1] < size


def neighbours(size: int, cells: int) -> int:
    """The cells that touch ``cells`` with a side."""
    everything = (1 << (size * size)) - 1
    return (
        (cells & _not_in_column(size, 0)) >> 1
        | (cells & _not_in_column(size, size - 1)) << 1
        | cells >> size
        | (cells << size & everything)
    ) & ~cells


def manhattan(a: Cell, b: Cell) -> int:
    """Moves from a to b on an empty board."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def straight_plan(a: Cell, b: Cell) -> Plan:
    """Straight from a to b: the vertical moves, then the horizontal ones."""
    down, right = b[0] - a[0], b[1] - a[1]
    vertical = ("down" if down > 0 else "up",) * abs(down)
    return vertical + ("right" if right > 0 else "left",) * abs(right)


def check_level(task: str, level: int, lowest: int, highest: int = MAX_LEVEL) -> None:
    """Refuse a grid size that the task does not have.

    Raises:
        ValueError: ``level`` is below ``lowest`` or above ``highest``.
    """
    if not lowest <= level <= highest:
        raise ValueError(f"{task} has levels {lowest} to {highest}, not {level}")


def cell_from(data: Any, size: int) -> Cell:
    """A cell out of untrusted JSON.

    Raises:
        ValueError: not a pair of integers on the board.
    """
    match data:
        case [int(row), int(column)] if inside(size, (row, column)) and bool not in (type(row), type(column)):
            return row, column
    raise ValueError(f"{data!r} is not a cell of a {size}x{size} grid")
