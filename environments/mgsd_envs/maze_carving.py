"""Mazes as spanning trees of a grid: carved by depth-first search, or put together from their openings.

A maze is one byte a cell in reading order, the sum of its open sides as :data:`mgsd_envs.sprites.FLAGS` has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from mgsd_envs import grid
from mgsd_envs.grid import MOVES
from mgsd_envs.sprites import FLAGS

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}


def carve(size: int, draws: list[float]) -> bytes:
    """A maze made by depth-first search: one draw for the first cell, one for each new cell."""
    around = _neighbours(size)
    sides = bytearray(size * size)
    path = [int(draws[0] * size * size)]
    k = 0
    while path:
        cell = path[-1]
        fresh = [step for step in around[cell] if not sides[step[0]]]
        if not fresh:
            path.pop()
            continue
        k += 1
        step, way, back = fresh[int(draws[k] * len(fresh))]
        sides[cell] |= way
        sides[step] |= back
        path.append(step)
    return bytes(sides)


@lru_cache(maxsize=64)
def _neighbours(size: int) -> list[list[tuple[int, int, int]]]:
    """For each cell its neighbours as (cell, flag of the way there, flag of the way back)."""
    return [
        [
            ((row + down) * size + column + right, FLAGS[side], FLAGS[OPPOSITE[side]])
            for side, (down, right) in MOVES.items()
            if grid.inside(size, (row + down, column + right))
        ]
        for row in range(size)
        for column in range(size)
    ]


def join(size: int, passages: Iterable[tuple[int, int]]) -> bytes:
    """A maze with these openings, each given as two cell numbers, the lower first."""
    sides = bytearray(size * size)
    for a, b in passages:
        way = "right" if b - a == 1 else "down"
        sides[a] |= FLAGS[way]
        sides[b] |= FLAGS[OPPOSITE[way]]
    return bytes(sides)


def with_openings(sides: bytes, size: int, hidden: int) -> bytes:
    """A maze with an opening between every two neighbours of a set of cells; whatever else opens to them stays.

    What a hidden cell's own byte says is not looked at.
    """
    opened = bytearray(sides)
    around = _neighbours(size)
    for cell in grid.bits(hidden):
        opened[cell] = 0
        for other, way, back in around[cell]:
            if hidden >> other & 1 or sides[other] & back:
                opened[cell] |= way
    return bytes(opened)


def is_search_tree(cells: int, tree: Iterable[tuple[int, int]], rest: Iterable[tuple[int, int]]) -> bool:
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
