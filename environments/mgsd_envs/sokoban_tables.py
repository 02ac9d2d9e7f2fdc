"""The rooms that Sokoban's states are drawn from, each with the exact distance to go of every situation in it.

A table is made backwards from success by pulls, all situations of a room at once: one number a set of boxes holds the
cells where the player may stand, so that a walk is four shifts of an array. What no pull reaches is a dead end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import accumulate, combinations
from math import comb
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from mgsd_envs import grid
from mgsd_envs.search import Moves, ShortestPlans
from mgsd_envs.sokoban_search import Room
from mgsd_envs.types import Cursor

ROOMS = 300
"""How many rooms there are of a level: a third of them with one box, with two and with three."""

DEAD = 255
"""Stands for the distance of a situation that no plan solves."""

MOST_BYTES = 128 * 2**20
"""What the tables that are kept may take together; those that were used last are kept."""

MOST_SETS = 150_000
"""How many sets of boxes a room's table may have: as four boxes on 44 cells; about a second."""

_WALLS = 0.05, 0.35  # least and largest share of walls inside
_SALT = "mgsd-sokoban-v1"


@dataclass(frozen=True, eq=False)
class Table:
    """Every situation of one room with one number of boxes.

    Attributes:
        room: the room.
        cells: (floor,) the cells of the floor, in reading order.
        boxes: (sets, boxes) for each set of boxes the positions of its cells in ``cells``, in the order of ranks.
        distance: uint8 (sets, floor), moves to go with the player on a floor cell, :data:`DEAD` where none help.
        order: the situations that can be solved, as positions in ``distance`` row by row, the nearest first.
        starts: where in ``order`` each distance begins, and the length of ``order`` at last.
    """

    room: Room
    cells: NDArray[np.int64]
    boxes: NDArray[np.int64]
    distance: NDArray[np.uint8]
    order: NDArray[np.int32]
    starts: tuple[int, ...]

    @property
    def longest(self) -> int:
        """The largest distance of a situation that can be solved; there are some of every distance up to it."""
        return len(self.starts) - 2

    def situation(self, distance: int, draw: float) -> tuple[int, list[int]]:
        """The cells of player and boxes in one of the situations of a distance, picked by a draw from [0, 1)."""
        first, end = self.starts[distance : distance + 2]
        row, player = divmod(int(self.order[first + int(draw * (end - first))]), len(self.cells))
        return int(self.cells[player]), self.cells[self.boxes[row]].tolist()

    @cached_property
    def _position(self) -> dict[int, int]:
        return {int(cell): i for i, cell in enumerate(self.cells)}

    @cached_property
    def _flat(self) -> memoryview:
        return self.distance.data.cast("B")

    @cached_property
    def _added(self) -> list[list[int]]:
        terms: list[list[int]] = (_terms(len(self.cells), self.boxes.shape[1]) * len(self.cells)).tolist()
        return terms

    def to_go(self, player: int, boxes: int) -> int | None:
        """Moves from a situation, given as a cell and a set of cells, to success; None where none help."""
        position = self._position
        row = 0
        for added, box in zip(self._added, grid.bits(boxes), strict=True):
            row += added[position[box]]
        distance = self._flat[row + position[player]]
        return None if distance == DEAD else distance

    def plans(self, player: int, boxes: int) -> ShortestPlans | None:
        """All shortest plans of a situation, given as sets of cells; nodes are cursors (row, column, boxes)."""
        position, flat, floor = self._position, self._flat, self.room.floor
        rows: dict[int, int] = {}

        def row(boxes: int) -> int:
            if (found := rows.get(boxes)) is None:
                found = rows[boxes] = sum(
                    added[position[box]] for added, box in zip(self._added, grid.bits(boxes), strict=True)
                )
            return found

        size = self.room.size
        here = player.bit_length() - 1
        start = (*divmod(here, size), boxes)
        togo = flat[row(boxes) + position[here]]
        if togo == DEAD:
            return None
        front: dict[Cursor, int] = {start: here}
        layers: list[dict[Hashable, Moves]] = []
        while togo:
            togo -= 1
            layer: dict[Hashable, Moves] = {}
            onward: dict[Cursor, int] = {}
            for node, here in front.items():
                boxes = node[2]
                moves: list[tuple[str, Hashable]] = []
                for action, shift in self.room.shifts:
                    there, after = here + shift, boxes
                    if not floor >> there & 1:
                        continue
                    if boxes >> there & 1:
                        if not (floor & ~boxes) >> (there + shift) & 1:
                            continue
                        after = boxes ^ (1 << there) ^ (1 << there + shift)
                    if flat[row(after) + position[there]] == togo:
                        target = (*divmod(there, size), after)
                        onward[target] = there
                        moves.append((action, target))
                layer[node] = tuple(moves)
            layers.append(layer)
            front = onward
        return ShortestPlans(start, tuple(layers))


def make_table(room: Room, count: int) -> Table | None:
    """The table of a room with ``count`` boxes; None where it has a distance that one byte does not hold.

    Raises:
        ValueError: there are other than ``count`` goals.
    """
    if room.goals.bit_count() != count:
        raise ValueError(f"{count} boxes need as many goals, not {room.goals.bit_count()}")
    cells = np.array(list(grid.bits(room.floor)), np.int64)
    inside = _inside(room.size, cells)
    boxes = _box_sets(len(cells), count)
    occupied = np.bitwise_or.reduce(np.uint64(1) << inside[boxes].astype(np.uint64), axis=1)
    free = np.bitwise_or.reduce(np.uint64(1) << inside.astype(np.uint64)) & ~occupied
    before, after = _push_edges(room, cells, boxes)
    distance = np.full((len(boxes), (room.size - 2) ** 2), DEAD, np.uint8)
    position = {int(cell): i for i, cell in enumerate(cells)}
    goals = sorted(position[goal] for goal in grid.bits(room.goals))
    front = np.zeros(len(boxes), np.uint64)
    solved = int(sum(_terms(len(cells), count)[i][goal] for i, goal in enumerate(goals)))
    front[solved] = free[solved]
    unseen = free.copy()
    counts: list[int] = []
    while front.any():
        if len(counts) == DEAD:
            return None
        unseen &= ~front
        rows = np.flatnonzero(front)
        bits = np.unpackbits(front[rows].view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        where, cell = np.nonzero(bits)
        distance[rows[where], cell] = len(counts)
        counts.append(len(where))
        pulled = np.flatnonzero(front[after[0]] & after[1])
        front = _walked(front, room.size - 2)
        np.bitwise_or.at(front, before[0][pulled], before[1][pulled])
        front &= unseen
    distance = np.ascontiguousarray(distance[:, inside])
    order = np.argsort(distance.ravel(), kind="stable")[: sum(counts)].astype(np.int32)
    return Table(room, cells, boxes, distance, order, (0, *accumulate(counts)))


def _push_edges(
    room: Room, cells: NDArray[np.int64], boxes: NDArray[np.int64]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.uint64]], tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """Every push: (number of the set of boxes, the player's cell as a bit) before it, and the same after it.

    A push onto another box is left out; one by a player who stands on a box never happens, and is harmless here.
    """
    place = np.full(room.size**2, -1, np.int64)
    place[cells] = np.arange(len(cells))
    bit = np.uint64(1) << _inside(room.size, cells).astype(np.uint64)
    terms = _terms(len(cells), boxes.shape[1])
    sources, players, targets, moved = [], [], [], []
    for _, shift in room.shifts:
        ahead, behind = place[cells + shift], place[cells - shift]
        for slot in range(boxes.shape[1]):
            box = boxes[:, slot]
            fits = (ahead[box] >= 0) & (behind[box] >= 0) & (boxes != ahead[box][:, None]).all(axis=1)
            fits &= (boxes != behind[box][:, None]).all(axis=1)
            row = np.flatnonzero(fits)
            pushed = boxes[row]
            pushed[:, slot] = ahead[box[row]]
            pushed.sort(axis=1)
            sources.append(row)
            players.append(bit[behind[box[row]]])
            targets.append(sum(terms[i][pushed[:, i]] for i in range(boxes.shape[1])))
            moved.append(bit[box[row]])
    before = np.concatenate(sources), np.concatenate(players)
    return before, (np.concatenate(targets), np.concatenate(moved))


def _inside(size: int, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of cells among those that are not on the rim: at most 64 of them, for boards of up to 10 x 10."""
    return (cells // size - 1) * (size - 2) + cells % size - 1


def _walked(players: NDArray[np.uint64], width: int) -> NDArray[np.uint64]:
    """One step in all four directions, on the board without its rim; steps into walls and boxes still among them."""
    one, row = np.uint64(1), np.uint64(width)
    left = sum(1 << (i * width) for i in range(width))
    everything = (1 << width * width) - 1
    not_left, not_right = np.uint64(everything & ~left), np.uint64(everything & ~(left << (width - 1)))
    moved: NDArray[np.uint64] = (players & not_left) >> one | (players & not_right) << one
    moved |= players >> row | players << row
    return moved


@lru_cache(maxsize=256)
def _box_sets(floor: int, count: int) -> NDArray[np.int64]:
    """All sets of ``count`` of ``floor`` positions, each in ascending order, sorted by rank."""
    sets = np.array(list(combinations(range(floor), count)), np.int64)
    ranks = sum(_terms(floor, count)[i][sets[:, i]] for i in range(count))
    return sets[np.argsort(ranks)]


@lru_cache(maxsize=256)
def _terms(floor: int, count: int) -> NDArray[np.int64]:
    """(count, floor), what the position of each box adds to the rank of a set: binomial(position, index + 1)."""
    terms = np.zeros((count, floor), np.int64)
    terms[0] = np.arange(floor)
    for i in range(1, count):
        terms[i, 1:] = np.cumsum(terms[i - 1])[:-1]
    return terms


_kept: OrderedDict[tuple[int, ...], Table] = OrderedDict()
_too_far: set[tuple[int, ...]] = set()
_by_room: WeakValueDictionary[tuple[int, int, int, int], Table] = WeakValueDictionary()


def pooled(level: int, number: int) -> Table:
    """The table of one of a level's :data:`ROOMS` rooms; the same in every process, and kept while there is space."""
    key = level, number
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    return _keep(key, next(_good_rooms(level, number)))


def _keep(key: tuple[int, ...], table: Table) -> Table:
    _kept[key] = table
    _by_room[table.room.size, table.room.floor, table.room.goals, table.boxes.shape[1]] = table
    while len(_kept) > 1 and sum(kept.distance.nbytes + kept.order.nbytes for kept in _kept.values()) > MOST_BYTES:
        _kept.popitem(last=False)
    return table


def at_hand(size: int, floor: int, goals: int, count: int) -> Table | None:
    """The table of a room with ``count`` boxes, if there is one by now."""
    return _by_room.get((size, floor, goals, count))


def whole(room: Room, count: int) -> Table | None:
    """The table of a room with ``count`` boxes, made if it is not at hand, and kept while there is space.

    None where it would be too large, or has a distance that one byte does not hold, or other than ``count`` goals.
    """
    key = room.size, room.floor, room.goals, count
    if (table := _by_room.get(key)) is not None:
        return table
    if key in _too_far or room.goals.bit_count() != count or comb(room.floor.bit_count(), count) > MOST_SETS:
        return None
    if (table := make_table(room, count)) is None:
        _too_far.add(key)
        return None
    return _keep(key, table)


def _good_rooms(level: int, number: int) -> Iterator[Table]:
    """Rooms in which some situation is ``2 * level`` moves or more from success, and none more than 254."""
    seed = int.from_bytes(sha256(f"{_SALT}/{level}/{number}".encode()).digest()[:16], "big")
    rng = np.random.Generator(np.random.PCG64(seed))
    count = 1 + number % 3
    width = level - 2
    while True:
        draws = rng.random(width * width + 1 + count).tolist()
        share = _WALLS[0] + (_WALLS[1] - _WALLS[0]) * draws.pop()
        picks = [draws.pop() for _ in range(count)]
        open_cells = (
            (r + 1) * level + c + 1 for r in range(width) for c in range(width) if draws[r * width + c] >= share
        )
        floor = _largest_part(level, grid.bit_set(level, (divmod(cell, level) for cell in open_cells)))
        cells = list(grid.bits(floor))
        if len(cells) < 2 * count + 3:
            continue
        goals = 0
        for pick in picks:
            goals |= 1 << cells.pop(int(pick * len(cells)))
        table = make_table(Room(level, floor, goals), count)
        if table is not None and table.longest >= 2 * level:
            yield table


def _largest_part(size: int, cells: int) -> int:
    """The most of the cells that can be walked to from one another."""
    largest = 0
    while cells:
        part = sum(grid.bfs_layers(grid.Graph(grid.walks(size, cells)), cells & -cells))
        cells &= ~part
        largest = max(largest, part, key=int.bit_count)
    return largest
