"""Worlds of MiniGrid and BabyAI, seen whole: states, what missions demand, and the dynamics as a pure function.

The rules are those of ``MiniGridEnv.step``; a property test holds them to it. Where an action of MiniGrid's would do
nothing, or end the episode in failure, it is illegal here. Nothing in this module imports MiniGrid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from mgsd_envs.task import Illegal
from mgsd_envs.types import Cell, Cursor

COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
"""MiniGrid's colours, by their index there."""

KINDS = ("key", "ball", "box")
"""Things that can be carried."""

DOORS = ("open", "closed", "locked")
"""States of a door, by their index in MiniGrid."""

FACINGS = ("right", "down", "left", "up")
"""Where the agent looks, by its index in MiniGrid."""

STEPS: tuple[Cell, ...] = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""What a step in each facing adds to (row, column)."""

ACTIONS = ("turn_left", "turn_right", "forward", "pickup", "drop", "toggle")
"""The actions, by their index in MiniGrid."""

THINGS = tuple(f"{colour} {kind}" for kind in KINDS for colour in COLOURS)
"""Labels of what can be carried, such as ``red key``."""

OBJECTS = (*THINGS, *(f"{colour} door {state}" for state in DOORS for colour in COLOURS))
"""Labels of objects; a door's ends with its state."""

ROW, COLUMN, FACING, CARRIED, DONE, REST = range(6)
"""Places in a cursor; behind ``REST`` come the states of the doors, then the cell numbers of the things."""

FLOOR, WALL, LAVA, GOAL = range(4)
_NOWHERE = -1

GROUNDS = 4 + len(OBJECTS)
"""How many things a cell can show without the agent: floor, wall, lava, goal, and the objects."""

BURDENS = 1 + len(THINGS)
"""How many things an agent can carry, nothing included."""


@dataclass(frozen=True, slots=True)
class RoomState:
    """A walled room in which an agent turns, walks, carries things and opens doors.

    Attributes:
        size: cells a side of the board, n.
        height: rows of the room, which fills the board's upper rows; what lies below is floor out of reach. The
            outermost cells of the room are walls, or doors.
        agent: where the agent stands.
        facing: where it looks, one of :data:`FACINGS`.
        carrying: what it carries, one of :data:`THINGS`; empty for nothing.
        goal: the goal square, if there is one.
        walls: walls other than the room's outermost cells.
        lava: cells that must not be entered.
        objects: cells and labels of things and doors (:data:`OBJECTS`).
        mission: what is to be done, in MiniGrid's words.
    """

    size: int
    height: int
    agent: Cell
    facing: str
    carrying: str
    goal: Cell | None
    walls: frozenset[Cell]
    lava: frozenset[Cell]
    objects: frozenset[tuple[Cell, str]]
    mission: str


@dataclass(frozen=True, slots=True)
class Demand:
    """What a mission asks for.

    Attributes:
        kind: ``reach`` (the goal square), ``face`` (stand before it, looking at it), ``hold`` (carry it), ``fetch``
            (carry it, and pick up nothing else), ``open`` (a door), ``red_blue`` (the red door, then the blue one),
            ``near`` (put it down in one of the eight cells around, and pick up nothing else) or ``next`` (put it down
            in one of the four cells beside).
        what: words that what it is about must have, such as ``{"red", "ball"}``; none for any object.
        where: likewise for what it has to be put near or next to.
    """

    kind: str
    what: frozenset[str] = frozenset()
    where: frozenset[str] = frozenset()


_MISSIONS = (
    (re.compile(r"go to (?:the|a) (.+)"), "face"),
    (re.compile(r"pick up (?:the|a) (.+)"), "hold"),
    (re.compile(r"(?:you must )?(?:go )?(?:get|fetch) a (.+)"), "fetch"),
    (re.compile(r"open the red door then the blue door"), "red_blue"),
    (re.compile(r"open the (.+)"), "open"),
    (re.compile(r"put (?:the|a) (.+) near (?:the|a) (.+)"), "near"),
    (re.compile(r"put (?:the|a) (.+) next to (?:the|a) (.+)"), "next"),
    (re.compile(r".*\bgoal\b.*"), "reach"),
)


@lru_cache(maxsize=4096)
def read_mission(mission: str) -> Demand:
    """What a mission asks for.

    Raises:
        ValueError: it is none of those that are known here.
    """
    for pattern, kind in _MISSIONS:
        if found := pattern.fullmatch(mission):
            groups = (frozenset(words.split()) - {"object"} for words in found.groups())
            return Demand(kind, *groups)
    raise ValueError(f"{mission!r:.100} is no mission that is known")


class World:
    """A state made ready for acting in it.

    Attributes:
        size: cells a side.
        demand: what is to be done.
        terrain: what each cell is, by its number: ``FLOOR``, ``WALL``, ``LAVA`` or ``GOAL``.
        doors: the number of the door in a cell, by the cell's number.
        door_colours: of each door.
        things: labels of the things, those that are carried too.
        first_thing: the place in a cursor of the first thing's cell number.
        is_what: of each thing, whether the mission is about it.
        is_where: of each thing, whether the mission wants something put near or next to it.
        what_doors: numbers of the doors that the mission is about.
        start: the cursor before the first action.
    """

    def __init__(self, state: RoomState) -> None:
        n = self.size = state.size
        self.state = state
        self.demand = read_mission(state.mission)
        self.terrain = bytearray(n * n)
        for row in range(state.height):
            for column in (0, n - 1):
                self.terrain[row * n + column] = WALL
        for row in (0, state.height - 1):
            self.terrain[row * n : row * n + n] = bytes([WALL]) * n
        for cells, kind in ((state.walls, WALL), (state.lava, LAVA), ((state.goal,) if state.goal else (), GOAL)):
            for row, column in cells:
                self.terrain[row * n + column] = kind
        self.doors: dict[int, int] = {}
        self.door_colours: list[str] = []
        states: list[int] = []
        things: list[tuple[str, int]] = []
        for (row, column), label in sorted(state.objects):
            words = label.split()
            if words[1] == "door":
                self.doors[row * n + column] = len(states)
                self.door_colours.append(words[0])
                states.append(DOORS.index(words[2]))
            else:
                things.append((label, row * n + column))
        carried = _NOWHERE
        if state.carrying:
            carried = len(things)
            things.append((state.carrying, _NOWHERE))
        self.things = [label for label, _ in things]
        self.first_thing = REST + len(states)
        of_things = [frozenset(label.split()) for label in self.things]
        about_things = self.demand.kind not in ("reach", "red_blue")
        self.is_what = [about_things and self.demand.what <= one for one in of_things]
        self.is_where = [self.demand.where <= one for one in of_things]
        of_doors = [frozenset((colour, "door")) for colour in self.door_colours]
        self.what_doors = [i for i, one in enumerate(of_doors) if self.demand.what <= one]
        facing = FACINGS.index(state.facing)
        self.start: Cursor = (*state.agent, facing, carried, 0, *states, *(cell for _, cell in things))

    def front(self, cursor: Cursor) -> int:
        """The number of the cell before the agent; -1 off the board."""
        row, column = STEPS[cursor[FACING]]
        row, column = row + cursor[ROW], column + cursor[COLUMN]
        return row * self.size + column if 0 <= row < self.size and 0 <= column < self.size else _NOWHERE

    def thing_at(self, cursor: Cursor, cell: int) -> int:
        """The number of the thing in a cell; -1 for none."""
        for i in range(self.first_thing, len(cursor)):
            if cursor[i] == cell:
                return i - self.first_thing
        return _NOWHERE

    def solved(self, cursor: Cursor) -> bool:
        """Whether the mission is accomplished."""
        match self.demand.kind:
            case "reach":
                return self.terrain[cursor[ROW] * self.size + cursor[COLUMN]] == GOAL
            case "face":
                cell = self.front(cursor)
                if cell < 0:
                    return False
                if cell in self.doors:
                    return self.doors[cell] in self.what_doors
                thing = self.thing_at(cursor, cell)
                return thing >= 0 and self.is_what[thing]
            case "hold" | "fetch":
                return cursor[CARRIED] >= 0 and self.is_what[cursor[CARRIED]]
            case "open":
                return any(cursor[REST + door] == 0 for door in self.what_doors)
            case "red_blue":
                return self.is_open(cursor, "red") and self.is_open(cursor, "blue")
        return bool(cursor[DONE])

    def step(self, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Carry out one action."""
        if action == "turn_left":
            return *cursor[:FACING], (cursor[FACING] + 3) % 4, *cursor[CARRIED:]
        if action == "turn_right":
            return *cursor[:FACING], (cursor[FACING] + 1) % 4, *cursor[CARRIED:]
        cell = self.front(cursor)
        thing = self.thing_at(cursor, cell) if cell >= 0 else _NOWHERE
        door = self.doors.get(cell, _NOWHERE)
        if action == "forward":
            return self._forward(cursor, cell, thing, door)
        if action == "pickup":
            return self._pick_up(cursor, thing)
        if action == "drop":
            return self._drop(cursor, cell, empty=thing < 0 and door < 0)
        return self._toggle(cursor, thing, door)

    def _forward(self, cursor: Cursor, cell: int, thing: int, door: int) -> Cursor | Illegal:
        if thing >= 0:
            return Illegal("object")
        if door >= 0:
            if cursor[REST + door]:
                return Illegal("closed_door")
        elif cell < 0 or self.terrain[cell] == WALL:
            return Illegal("wall")
        elif self.terrain[cell] == LAVA:
            return Illegal("lava")
        return *divmod(cell, self.size), *cursor[FACING:]

    def _pick_up(self, cursor: Cursor, thing: int) -> Cursor | Illegal:
        if thing < 0:
            return Illegal("nothing_to_pick_up")
        if cursor[CARRIED] >= 0:
            return Illegal("hands_full")
        if self.demand.kind in ("fetch", "near") and not self.is_what[thing]:
            return Illegal("wrong_object")
        place = self.first_thing + thing
        return *cursor[:CARRIED], thing, *cursor[DONE:place], _NOWHERE, *cursor[place + 1 :]

    def _drop(self, cursor: Cursor, cell: int, *, empty: bool) -> Cursor | Illegal:
        thing = cursor[CARRIED]
        if thing < 0:
            return Illegal("nothing_to_drop")
        if cell < 0 or not empty or self.terrain[cell] != FLOOR:
            return Illegal("no_room")
        done = self._put(cursor, thing, cell)
        if self.demand.kind == "near" and not done:
            return Illegal("wrong_place")
        place = self.first_thing + thing
        return *cursor[:CARRIED], _NOWHERE, done, *cursor[REST:place], cell, *cursor[place + 1 :]

    def _put(self, cursor: Cursor, thing: int, cell: int) -> int:
        """1 if putting a thing down in a cell is what the mission asks for, else what the cursor says so far."""
        if self.demand.kind in ("near", "next") and self.is_what[thing]:
            row, column = divmod(cell, self.size)
            # MiniGrid's PutNear looks at where its target was at first, which the agent may only open up
            now = self.start if self.demand.kind == "near" else cursor
            for i, place in enumerate(now[self.first_thing :]):
                if place >= 0 and i != thing and self.is_where[i]:
                    down, across = abs(place // self.size - row), abs(place % self.size - column)
                    if (max(down, across) if self.demand.kind == "near" else down + across) == 1:
                        return 1
        return cursor[DONE]

    def _toggle(self, cursor: Cursor, thing: int, door: int) -> Cursor | Illegal:
        if thing >= 0 and self.things[thing].endswith("box"):  # a box opens up, and is gone
            place = self.first_thing + thing
            return *cursor[:place], _NOWHERE, *cursor[place + 1 :]
        if door < 0 or thing >= 0:
            return Illegal("nothing_to_toggle")
        colour, place = self.door_colours[door], REST + door
        if cursor[place] == DOORS.index("locked"):
            carried = cursor[CARRIED]
            if carried < 0 or self.things[carried] != f"{colour} key":
                return Illegal("locked")
        opens = cursor[place] != 0
        if self.demand.kind == "red_blue" and opens and colour == "blue" and not self.is_open(cursor, "red"):
            return Illegal("wrong_door")
        return *cursor[:place], 0 if opens else 1, *cursor[place + 1 :]

    def is_open(self, cursor: Cursor, colour: str) -> bool:
        """Whether a door of a colour is open."""
        return any(cursor[REST + i] == 0 for i, other in enumerate(self.door_colours) if other == colour)

    def state_at(self, cursor: Cursor) -> RoomState:
        """The state as it is at a cursor."""
        objects: set[tuple[Cell, str]] = set()
        for cell, door in self.doors.items():
            label = f"{self.door_colours[door]} door {DOORS[cursor[REST + door]]}"
            objects.add((divmod(cell, self.size), label))
        for label, cell in zip(self.things, cursor[self.first_thing :], strict=True):
            if cell >= 0:
                objects.add((divmod(cell, self.size), label))
        carried = cursor[CARRIED]
        return replace(
            self.state,
            agent=(cursor[ROW], cursor[COLUMN]),
            facing=FACINGS[cursor[FACING]],
            carrying=self.things[carried] if carried >= 0 else "",
            objects=frozenset(objects),
        )


world = lru_cache(maxsize=4096)(World)
"""The world of a state, kept for the next action in it."""


def tile_ids(state: RoomState) -> list[list[int]]:
    """What each cell shows: terrain or 4 + the number of an object; where the agent is, with its facing and burden.

    The agent's cell adds ``GROUNDS * (1 + BURDENS * facing + burden)``; the burden is 0 for nothing, else one more than
    the thing's number.
    """
    here, n = world(state), state.size
    shown = list(here.terrain)
    for (row, column), label in sorted(state.objects):
        shown[row * n + column] = GOAL + 1 + OBJECTS.index(label)
    burden = 1 + THINGS.index(state.carrying) if state.carrying else 0
    agent = state.agent[0] * n + state.agent[1]
    shown[agent] += GROUNDS * (1 + BURDENS * FACINGS.index(state.facing) + burden)
    return [shown[row * n : row * n + n] for row in range(n)]
