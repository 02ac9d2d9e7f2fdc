"""Exact shortest plans in MiniGrid's worlds: breadth-first search, bounded by what a plan takes at the least.

The bound is the way in an easier world: a door or a thing in the way costs one action at most, a locked door opens to
whoever has been to a key of any locked door's colour, and what is carried can be put down anywhere. No cost is counted
twice, so the bound never exceeds the truth and no shortest plan is lost.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from functools import lru_cache
from math import inf
from typing import Any

from mgsd_envs.errors import SearchError
from mgsd_envs.minigrid_world import (
    ACTIONS,
    CARRIED,
    COLUMN,
    DONE,
    FACING,
    GOAL,
    LAVA,
    REST,
    ROW,
    STEPS,
    WALL,
    RoomState,
    World,
    world,
)
from mgsd_envs.search import ShortestPlans, search
from mgsd_envs.task import Illegal
from mgsd_envs.types import Cursor

MOST_NODES = 100_000
"""How many situations a search looks at before it gives up; about two seconds."""

_LOCKED, _CLOSED = 2, 1
_Costs = list[float]
"""Actions to go from each pose; a pose is ``4 * cell + facing``."""


@lru_cache(maxsize=4096)
def shortest_plans(state: RoomState) -> ShortestPlans | None:
    """All shortest plans of a state.

    Raises:
        SearchError: there are more than :data:`MOST_NODES` situations to look at.
    """
    return _plans(world(state), world(state).start)


def to_go(state: RoomState, cursor: Cursor) -> int | None:
    """Fewest actions from a cursor of a state to success; None where success is out of reach.

    Raises:
        SearchError: there are more than :data:`MOST_NODES` situations to look at.
    """
    known = _known_distances(state)
    if cursor not in known:
        known[cursor] = _distance(state, cursor, known)
    distance = known[cursor]
    if distance is not None and distance < 0:
        raise SearchError(f"no plan among {MOST_NODES:,} situations; the state is too large to be searched")
    return distance


@lru_cache(maxsize=1024)
def _known_distances(state: RoomState) -> dict[Cursor, int | None]:
    """Distances that were found so far; -1 where the state is too large, so that this too is found out once."""
    return {}


def _distance(state: RoomState, cursor: Cursor, known: dict[Cursor, int | None]) -> int | None:
    """The distance of a cursor, which is -1 where the state is too large; those on its shortest plans become known."""
    here = world(state)
    if here.solved(cursor):
        return 0
    try:
        plans = shortest_plans(state) if cursor == here.start else _plans(here, cursor)
    except SearchError:
        return -1
    if plans is None:
        return None
    length = len(plans.layers)
    for made, layer in enumerate(plans.layers):
        known.update(dict.fromkeys(layer, length - made))  # type: ignore[arg-type]
    return length


def _plans(here: World, start: Cursor) -> ShortestPlans | None:
    bound = _Bound(here)

    def moves(cursor: Any) -> Iterator[tuple[str, Cursor]]:
        for action in ACTIONS:
            if action == "toggle":  # to close a door never shortens a plan
                door = here.doors.get(here.front(cursor))
                if door is not None and cursor[REST + door] == 0:
                    continue
            if not isinstance(after := here.step(cursor, action), Illegal):
                yield action, after

    def solved(cursor: Any) -> bool:
        return here.solved(cursor)

    return search(start, moves, solved, MOST_NODES, bound)


class _Bound:
    """What a plan takes at the least, by cursor."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.known: dict[Cursor, _Costs] = {}

    def __call__(self, node: Hashable) -> float:
        cursor: Cursor = node  # type: ignore[assignment]
        others = cursor[CARRIED:]
        costs = self.known.get(others)
        if costs is None:
            costs = self.known[others] = self.costs(cursor)
        return costs[4 * (cursor[ROW] * self.here.size + cursor[COLUMN]) + cursor[FACING]]

    def costs(self, cursor: Cursor) -> _Costs:
        """For all poses, with everything else as at the cursor."""
        here = self.here
        locked = [i for i in range(len(here.door_colours)) if cursor[REST + i] == _LOCKED]
        direct = self.to_end(cursor, unlock=False)
        if not locked:
            return direct
        keys = {f"{here.door_colours[door]} key" for door in locked}
        carried = cursor[CARRIED]
        by_key = self.to_end(cursor, unlock=True)
        if carried < 0 or here.things[carried] not in keys:
            ends = []
            for thing, label in enumerate(here.things):
                if label in keys and (cell := cursor[here.first_thing + thing]) >= 0:
                    ends += [(pose, by_key[pose] + 1 + (carried >= 0)) for pose in self.before(cell)]
            by_key = self.spread(cursor, ends, unlock=True, charge=False)
        return [min(pair) for pair in zip(direct, by_key, strict=True)]

    def to_end(self, cursor: Cursor, *, unlock: bool) -> _Costs:
        """Costs to accomplish the mission; ``unlock`` for one who holds a key that opens every locked door."""
        here, carried = self.here, cursor[CARRIED]
        kind = here.demand.kind
        hands = int(carried >= 0 or unlock)  # what has to be put down first
        places = [(thing, cell) for thing, cell in enumerate(cursor[here.first_thing :]) if cell >= 0]
        charge = True
        ends: list[tuple[int, float]] = []
        if cursor[DONE]:
            return [0.0] * (4 * here.size**2)
        if kind == "reach":
            cells = [cell for cell, terrain in enumerate(here.terrain) if terrain == GOAL]
            ends = [(4 * cell + facing, 0) for cell in cells for facing in range(4)]
        elif kind == "face":
            cells = [cell for thing, cell in places if here.is_what[thing]]
            cells += [cell for cell, door in here.doors.items() if door in here.what_doors]
            ends = [(pose, 0) for cell in cells for pose in self.before(cell)]
        elif kind in ("hold", "fetch"):
            if carried >= 0 and here.is_what[carried]:
                return [0.0] * (4 * here.size**2)
            cells = [cell for thing, cell in places if here.is_what[thing]]
            ends = [(pose, 1 + hands) for cell in cells for pose in self.before(cell)]
        elif kind == "open":
            for cell, door in here.doors.items():
                if door in here.what_doors and (unlock or cursor[REST + door] != _LOCKED):
                    ends += [(pose, float(cursor[REST + door] != 0)) for pose in self.before(cell)]
        elif kind == "red_blue":
            charge = False
            ends = self.doors_to_open(cursor, "blue")
            if not here.is_open(cursor, "red"):
                costs = self.spread(cursor, ends, unlock=unlock, charge=False)
                ends = [(pose, cost + costs[pose]) for pose, cost in self.doors_to_open(cursor, "red")]
        else:
            charge = carried >= 0 and here.is_what[carried]
            ends = self.to_put(cursor)
            if not charge:
                costs = self.spread(cursor, ends, unlock=unlock, charge=False)
                cells = [cell for thing, cell in places if here.is_what[thing]]
                ends = [(pose, costs[pose] + 1 + (carried >= 0)) for cell in cells for pose in self.before(cell)]
        direct = self.spread(cursor, ends, unlock=unlock, charge=charge)
        if kind != "next":
            return direct
        moved = self.to_move(cursor, unlock=unlock)
        return [min(pair) for pair in zip(direct, moved, strict=True)]

    def to_move(self, cursor: Cursor, *, unlock: bool) -> _Costs:
        """Costs to put a thing next to one that is moved first, which is put down before the thing is picked up."""
        here, carried = self.here, cursor[CARRIED]
        places = [(thing, cell) for thing, cell in enumerate(cursor[here.first_thing :]) if cell >= 0]
        what = [pose for thing, cell in places if here.is_what[thing] for pose in self.before(cell)]
        where = [pose for thing, cell in places if here.is_where[thing] for pose in self.before(cell)]

        def through(ends: list[tuple[int, float]]) -> _Costs:
            return self.spread(cursor, ends, unlock=unlock, charge=False)

        last = through([(pose, 2.0) for pose in what])  # up and down
        if carried >= 0 and here.is_where[carried]:
            return [1 + cost for cost in last]
        hands = int(carried >= 0)
        holds_what = carried >= 0 and here.is_what[carried]
        costs = through([(pose, hands + 2 + (2 if holds_what else last[pose])) for pose in where])
        onward = through([(pose, 4.0) for pose in where])
        moved_both = through([(pose, hands + 2 + onward[pose]) for pose in what])
        return [min(pair) for pair in zip(costs, moved_both, strict=True)]

    def doors_to_open(self, cursor: Cursor, colour: str) -> list[tuple[int, float]]:
        """Poses before the doors of a colour, with what it costs to open them from there."""
        here = self.here
        return [
            (pose, float(cursor[REST + door] != 0))
            for cell, door in here.doors.items()
            if here.door_colours[door] == colour
            for pose in self.before(cell)
        ]

    def to_put(self, cursor: Cursor) -> list[tuple[int, float]]:
        """Poses from which putting down what the mission is about ends it."""
        here, n = self.here, self.here.size
        near = here.demand.kind == "near"
        now = here.start if near else cursor
        ends = []
        for thing, place in enumerate(now[here.first_thing :]):
            if place >= 0 and here.is_where[thing]:
                row, column = divmod(place, n)
                for r in range(max(row - 1, 0), min(row + 2, n)):
                    for c in range(max(column - 1, 0), min(column + 2, n)):
                        if (near or r == row or c == column) and (r, c) != (row, column):
                            ends += [(pose, 1.0) for pose in self.before(r * n + c)]
        return ends

    def before(self, cell: int) -> list[int]:
        """The poses that look at a cell from beside it."""
        n = self.here.size
        row, column = divmod(cell, n)
        poses = []
        for facing, (down, across) in enumerate(STEPS):
            r, c = row - down, column - across
            if 0 <= r < n and 0 <= c < n:
                poses.append(4 * (r * n + c) + facing)
        return poses

    def spread(self, cursor: Cursor, ends: Iterable[tuple[int, float]], *, unlock: bool, charge: bool) -> _Costs:
        """Costs to go from every pose to the cheapest of some ends with a cost of their own.

        Args:
            cursor: where doors and things are.
            ends: poses with their costs.
            unlock: whether locked doors can be opened.
            charge: whether it costs an action to open a door or to move a thing on the way.
        """
        here, n = self.here, self.here.size
        entering: list[float] = [inf if kind in (WALL, LAVA) else 1 for kind in here.terrain]
        for cell, door in here.doors.items():
            state = cursor[REST + door]
            entering[cell] = inf if state == _LOCKED and not unlock else 1 + (charge and state != 0)
        for thing, cell in enumerate(cursor[here.first_thing :]):
            if cell < 0 or here.is_what[thing]:
                continue
            label = here.things[thing]
            if here.demand.kind in ("fetch", "near") and not label.endswith("box"):
                entering[cell] = inf  # it may not be picked up
            elif charge and not (here.doors and label.endswith("key")):
                # hands that are needed afterwards have to put it down again
                again = (unlock or here.demand.kind == "hold") and not label.endswith("box")
                entering[cell] = 3 if again else 2
        costs: _Costs = [inf] * (4 * n * n)
        waiting: dict[float, list[int]] = {}
        for pose, cost in ends:
            waiting.setdefault(cost, []).append(pose)
        while waiting:
            cost = min(waiting)
            for pose in waiting.pop(cost):
                if costs[pose] <= cost or cost == inf:
                    continue
                costs[pose] = cost
                cell, facing = divmod(pose, 4)
                waiting.setdefault(cost + 1, []).extend((4 * cell + (facing + 1) % 4, 4 * cell + (facing + 3) % 4))
                down, across = STEPS[facing]
                row, column = cell // n - down, cell % n - across
                if entering[cell] < inf and 0 <= row < n and 0 <= column < n:
                    waiting.setdefault(cost + entering[cell], []).append(pose - 4 * (down * n + across))
        return costs
