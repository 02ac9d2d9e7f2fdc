"""Rooms with boxes as bit sets: exact shortest plans, what they cost at least, and whether there is any.

A set of cells is an int, bit ``row * size + column`` standing for a cell. No floor touches the rim of the board, so
that shifting a set of floor cells by a move leads to no cell that is not beside them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations

from mgsd_envs.errors import SearchError
from mgsd_envs.grid import MOVES, bits
from mgsd_envs.search import Moves, ShortestPlans
from mgsd_envs.types import Cursor

Layer = dict[int, int]
"""Player cells by set of boxes."""

MOST_SWEEPS = 400_000
"""How often a search may move the players of one set of boxes before it gives up; some seconds."""
_FAR = 10_000
_MOST_MATCHINGS = 24


class Room:
    """The walls and goals of a board, and what follows from them.

    Attributes:
        size: cells a side, with the rim.
        floor: cells that are no wall; none of them on the rim.
        goals: cells where boxes belong.
        live: cells from which a box alone can be pushed to some goal.
        shifts: the actions and how far each moves a cell's bit to the left.
    """

    def __init__(self, size: int, floor: int, goals: int) -> None:
        self.size, self.floor, self.goals = size, floor, goals
        self.shifts = tuple((action, row * size + column) for action, (row, column) in MOVES.items())
        self._pushes = [self._distances(goal) for goal in bits(goals)]
        self.live = 0
        for distances in self._pushes:
            for cell in distances:
                self.live |= 1 << cell

    def _distances(self, goal: int) -> dict[int, int]:
        """How many pushes take a box that is alone in the room from a cell to a goal."""
        distances, front = {goal: 0}, [goal]
        for cell in front:  # it grows
            for _, shift in self.shifts:
                box, player = cell - shift, cell - 2 * shift
                if (
                    box not in distances
                    and self.floor >> cell & 1
                    and self.floor >> box & 1
                    and player >= 0
                    and self.floor >> player & 1
                ):
                    distances[box] = distances[cell] + 1
                    front.append(box)
        return distances

    def bound(self, boxes: int) -> int | None:
        """A number of pushes that is never more than are needed; None where it is clear that nothing helps.

        It never falls by more than one a push, so that searches in its order are exact. It is None for a box from where
        no push leads to a goal, for boxes off their goals that block each other for good, and where two boxes need the
        same goal.
        """
        if boxes & ~self.live or self._frozen(boxes) & ~self.goals:
            return None
        rows = [[distances.get(box, _FAR) for distances in self._pushes] for box in bits(boxes)]
        if len(rows) > len(self._pushes):
            return None
        if len(matchings := _matchings(len(rows), len(self._pushes))) == 0:
            return sum(map(min, rows))
        least = min(sum(row[i] for row, i in zip(rows, matching, strict=True)) for matching in matchings)
        return least if least < _FAR else None

    def _frozen(self, boxes: int) -> int:
        """The boxes that no push moves any more, or only to where they are lost, whatever is done with the others."""
        dead, size = ~self.live, self.size
        lost_across = (dead << 1) & (dead >> 1)
        lost_down = (dead << size) & (dead >> size)
        frozen = boxes
        while True:
            hard = ~self.floor | frozen
            across = frozen & (hard << 1 | hard >> 1 | lost_across)
            both = across & (hard << size | hard >> size | lost_down)
            if both == frozen:
                return frozen
            frozen = both

    def reach(self, player: int, boxes: int) -> int:
        """Where the player can walk to, the cell itself included, without a push."""
        free, reached, size = self.floor & ~boxes, player, self.size
        while True:
            more = (reached | reached << 1 | reached >> 1 | reached << size | reached >> size) & free | player
            if more == reached:
                return reached
            reached = more

    def pushes(self, players: int, boxes: int) -> Iterator[tuple[int, int]]:
        """What one push can do from any of these player cells: the box's old cell and the new set of boxes."""
        free = self.floor & ~boxes
        for _, shift in self.shifts:
            pushed = _shifted(players, shift) & self.floor & boxes
            while pushed:
                box = pushed & -pushed
                pushed ^= box
                if (target := _shifted(box, shift)) & free:
                    yield box, boxes ^ box ^ target


@lru_cache(maxsize=512)
def room_of(size: int, floor: int, goals: int) -> Room:
    """The room with this floor and these goals."""
    return Room(size, floor, goals)


@lru_cache(maxsize=256)
def _matchings(boxes: int, goals: int) -> tuple[tuple[int, ...], ...]:
    """Every way to give each box a goal of its own; none where there are too many to go through."""
    count = 1
    for i in range(boxes):
        count *= goals - i
    return tuple(permutations(range(goals), boxes)) if count <= _MOST_MATCHINGS else ()


def _shifted(cells: int, shift: int) -> int:
    return cells << shift if shift > 0 else cells >> -shift


def solvable(room: Room, player: int, boxes: int, most: int = MOST_SWEEPS) -> bool:
    """Whether some plan brings every box to a goal.

    Args:
        room: the room.
        player: the player's cell, as a set of one.
        boxes: the boxes' cells.
        most: how many situations to look at, those that differ by a walk alone counting once.

    Raises:
        SearchError: neither a plan nor its absence was found among them.
    """
    bounds: dict[int, int | None] = {boxes: room.bound(boxes)}
    if (first := bounds[boxes]) is None:
        return False
    queue = [(first, 0, boxes, room.reach(player, boxes))]
    seen = {(boxes, queue[0][3])}
    while queue:
        _, _, boxes, players = heapq.heappop(queue)
        if boxes & ~room.goals == 0:
            return True
        if len(seen) > most:
            raise SearchError(f"no plan among {most:,} situations; the state is too large to be searched")
        for box, after in room.pushes(players, boxes):
            if after not in bounds:
                bounds[after] = room.bound(after)
            if (least := bounds[after]) is not None and (key := (after, room.reach(box, after))) not in seen:
                seen.add(key)
                heapq.heappush(queue, (least, len(seen), *key))
    return False


def shortest_plans(room: Room, player: int, boxes: int, most: int = MOST_SWEEPS) -> ShortestPlans | None:
    """All shortest plans, in moves; nodes are cursors (row, column, boxes).

    A* over moves with :meth:`Room.bound`, all player cells of one set of boxes at once.

    Args:
        room: the room.
        player: the player's cell, as a set of one.
        boxes: the boxes' cells.
        most: how often to move the players of one set of boxes.

    Raises:
        SearchError: that was not enough.
    """
    layers = _search(room, player, boxes, most)
    if layers is None:
        return None
    ends = {found: players for found, players in layers[-1].items() if found & ~room.goals == 0}
    moves: list[dict[Cursor, dict[str, Cursor]]] = []
    for layer in reversed(layers[:-1]):
        ends, row = _before(room, layer, ends)
        moves.append(row)
    order = [action for action, _ in room.shifts]
    sorted_moves: list[dict[object, Moves]] = [
        {node: tuple((action, found[action]) for action in order if action in found) for node, found in row.items()}
        for row in reversed(moves)
    ]
    return ShortestPlans(_cursor(room.size, player, boxes), tuple(sorted_moves))


@lru_cache(maxsize=65_536)
def to_go(room: Room, player: int, boxes: int) -> int | None:
    """Moves from a situation to success, in a room that has no table; None where none help.

    Raises:
        SearchError: the state is too large to be searched.
    """
    layers = _search(room, player, boxes, MOST_SWEEPS)
    return None if layers is None else len(layers) - 1


def _search(room: Room, player: int, boxes: int, most: int) -> list[Layer] | None:
    """By moves made, every situation that takes no fewer and may lie on a shortest plan; the last holds solved ones."""
    bounds: dict[int, int | None] = {boxes: room.bound(boxes)}
    if (first := bounds[boxes]) is None:
        return None
    queue: dict[int, dict[int, Layer]] = {first: {0: {boxes: player}}}  # by moves made and bound together, by moves
    settled: Layer = {}
    layers: list[Layer] = []
    sweeps = 0
    while queue:
        total = min(queue)
        by_moves = queue.pop(total)
        while by_moves:
            made = min(by_moves)
            front = by_moves.pop(made)
            while len(layers) <= made:
                layers.append({})
            for boxes, players in front.items():
                if not (players := players & ~settled.get(boxes, 0)):
                    continue
                settled[boxes] = settled.get(boxes, 0) | players
                layers[made][boxes] = layers[made].get(boxes, 0) | players
                sweeps += 1
                walked = _walked(room, players) & ~boxes & ~settled[boxes]
                if walked:
                    _add(queue, total + 1, made + 1, boxes, walked)
                for box, after in room.pushes(players, boxes):
                    if after not in bounds:
                        bounds[after] = room.bound(after)
                    if (left := bounds[after]) is not None:
                        bucket = by_moves if made + 1 + left == total else queue.setdefault(made + 1 + left, {})
                        there = bucket.setdefault(made + 1, {})
                        there[after] = there.get(after, 0) | box
            if sweeps > most:
                raise SearchError(f"no plan within {most:,} steps of search; the state is too large to be searched")
            if any(found & ~room.goals == 0 for found in layers[made]):
                return layers[: made + 1]
    return None


def _add(queue: dict[int, dict[int, Layer]], total: int, made: int, boxes: int, players: int) -> None:
    there = queue.setdefault(total, {}).setdefault(made, {})
    there[boxes] = there.get(boxes, 0) | players


def _walked(room: Room, players: int) -> int:
    size = room.size
    return (players << 1 | players >> 1 | players << size | players >> size) & room.floor


def _before(room: Room, layer: Layer, ends: Layer) -> tuple[Layer, dict[Cursor, dict[str, Cursor]]]:
    """Of a layer the situations from which one move leads into ``ends``, and those moves."""
    kept: Layer = {}
    moves: dict[Cursor, dict[str, Cursor]] = {}
    for boxes, players in ends.items():
        for action, shift in room.shifts:
            sources = _shifted(players, -shift)
            for source in bits(sources & layer.get(boxes, 0)):
                _link(room, kept, moves, (1 << source, boxes), action, (_shifted(1 << source, shift), boxes))
            for source in bits(sources):
                was = _shifted(1 << source, shift)
                if (box := _shifted(was, shift)) & boxes:
                    before = boxes ^ box ^ was
                    if layer.get(before, 0) >> source & 1:
                        _link(room, kept, moves, (1 << source, before), action, (was, boxes))
    return kept, moves


def _link(
    room: Room,
    kept: Layer,
    moves: dict[Cursor, dict[str, Cursor]],
    source: tuple[int, int],
    action: str,
    target: tuple[int, int],
) -> None:
    player, boxes = source
    kept[boxes] = kept.get(boxes, 0) | player
    moves.setdefault(_cursor(room.size, player, boxes), {})[action] = _cursor(room.size, *target)


def _cursor(size: int, player: int, boxes: int) -> Cursor:
    return (*divmod(player.bit_length() - 1, size), boxes)
