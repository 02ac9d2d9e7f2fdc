"""What all tasks of MiniGrid have in common; the families are in :mod:`mgsd_envs.minigrid_tasks`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from mgsd_envs import statements
from mgsd_envs.errors import SearchError, TaskError
from mgsd_envs.grid import check_level
from mgsd_envs.minigrid_search import shortest_plans, to_go
from mgsd_envs.minigrid_world import (
    ACTIONS,
    COLOURS,
    DOORS,
    FACINGS,
    GOAL,
    LAVA,
    OBJECTS,
    THINGS,
    WALL,
    RoomState,
    tile_ids,
    world,
)
from mgsd_envs.rendering import Atlas, check_look
from mgsd_envs.search import ShortestPlans
from mgsd_envs.statements import Field
from mgsd_envs.task import Illegal, Task
from mgsd_envs.types import Cell, Cursor, Fact, Plan

if TYPE_CHECKING:
    import numpy as np

_FIELDS = (
    statements.SIZE,
    Field(
        "height", "number", "height", ("room height", "rows of the room"), "How many rows does the walled room have?"
    ),
    Field("agent", "cell", "agent", question="Which cell is the agent in?"),
    Field("facing", "phrase", "facing", ("direction",), "Where does the agent look?", FACINGS),
    Field("carrying", "phrase", "carrying", question="What does the agent carry?", labels=THINGS),
    Field("goal", "cell", "goal", ("goal square",), "Which cell is the green goal square?"),
    Field("walls", "cells", "wall", ("wall",), "Which cells are walls, other than the room's outermost?"),
    Field("lava", "cells", "lava", question="Which cells are lava?"),
    Field("objects", "objects", "object", ("object",), "Which objects are where?", OBJECTS),
)
_FEWEST_ROWS = 3  # a room has a wall, floor and a wall


class MiniGridTask(Task[RoomState]):
    """One family of MiniGrid's rooms, seen whole.

    - Observation: the whole :class:`~mgsd_envs.minigrid_world.RoomState`, as a picture of MiniGrid's, uint8
      (size, size, 3), or as text, and the mission.
    - Actions: MiniGrid's ``turn_left``, ``turn_right``, ``forward``, ``pickup``, ``drop`` and ``toggle``.
    - Cursor: row, column, facing, what is carried, whether the mission is accomplished, then the doors' states and the
      things' cells.
    - Illegal: whatever would do nothing in MiniGrid, or end its episode in failure.
    - End: solved when MiniGrid's episode would end with a reward.
    - Levels: the board's cells a side, walls included. Where MiniGrid has no room of a size, its next smaller one lies
      in the upper left corner.

    Attributes:
        missions: every mission there is.
        scatter: whether the agent starts anywhere, as in MiniGrid's ``Empty-Random``, where MiniGrid has it start in
            one and the same place.
        open_room: whether nothing but a few things stands in the room, so that who sees none is nearly always right.
        cuts: up to how many actions, a cell of the board's side, plans are easy and medium.
    """

    missions: ClassVar[tuple[str, ...]] = ()
    scatter: ClassVar[bool] = False
    open_room: ClassVar[bool] = False
    cuts: ClassVar[tuple[float, float]] = (1.0, 1.6)
    actions: Plan = ACTIONS
    action_words: ClassVar[dict[str, tuple[str, ...]]] = {
        "turn_left": ("left", "l", "rotate_left"),
        "turn_right": ("right", "r", "rotate_right"),
        "forward": ("f", "move_forward", "go_forward", "step_forward"),
        "pickup": ("p", "pick", "pick_up"),
        "drop": ("d", "put_down"),
        "toggle": ("t", "open", "unlock"),
    }
    rules: ClassVar[dict[str, str]] = {
        "wall": "a step into a wall",
        "closed_door": "a step into a door that is closed or locked",
        "object": "a step into a key, a ball or a box",
        "lava": "a step into lava",
        "nothing_to_pick_up": "pickup with no key, ball or box in front",
        "hands_full": "pickup with something in hand",
        "nothing_to_drop": "drop with empty hands",
        "no_room": "drop with something in front",
        "nothing_to_toggle": "toggle with no door and no box in front",
        "locked": "toggle before a locked door without its key in hand",
        "wrong_object": "pickup of something that the mission does not ask for, where that ends it",
        "wrong_place": "drop away from where the mission wants it, where that ends it",
        "wrong_door": "the blue door opened before the red one, where that ends the mission",
    }
    fatal: ClassVar[frozenset[str]] = frozenset({"lava", "wrong_object", "wrong_place", "wrong_door"})

    def __init_subclass__(cls) -> None:
        cls.fields = (*_FIELDS, Field("mission", "phrase", "mission", labels=cls.missions, given=True))

    def __init__(self) -> None:
        if find_spec("minigrid") is None:
            raise TaskError(f'task {self.name} needs MiniGrid: pip install "mgsd-bench[gym]"')

    @abstractmethod
    def room(self, level: int, variant: int) -> Any:
        """MiniGrid's environment for a level; ``variant`` counts from 0."""

    def variants(self, level: int) -> int:
        """How many kinds of rooms a level has."""
        return 1

    @property
    def prompts(self) -> Path:
        """The same texts for all families."""
        return Path(__file__).with_name("prompts") / "minigrid"

    def sample(
        self,
        level: int,
        rng: np.random.Generator,
        *,
        length: range | None = None,
        density: float | None = None,
    ) -> RoomState | None:
        """A room of MiniGrid's generator; ``density`` makes no difference."""
        from mgsd_envs.minigrid_rooms import draw_room

        check_level(self.name, level, self.min_level, self.max_level)
        env = _environment(self, level, int(rng.integers(self.variants(level))))
        state = draw_room(env, int(rng.integers(2**31)), level, scatter=self.scatter)
        if state is None:
            return None
        try:
            plan = self.solve(state)
        except SearchError:
            return None
        return state if plan and (length is None or len(plan) in length) else None

    def bands(self, level: int) -> tuple[range, range, range]:
        """Bounds of about a third of the rooms each, at the usual levels."""
        easy, medium = (round(cut * level) + 1 for cut in self.cuts)
        return range(1, easy), range(easy, medium), range(medium, 8 * level)

    def shortest_plans(self, state: RoomState) -> ShortestPlans | None:
        """All shortest plans, by a search that knows how far it is at least."""
        return shortest_plans(state)

    def to_go(self, state: RoomState, cursor: Cursor) -> int | None:
        """Fewest actions to success, by the same search."""
        return to_go(state, cursor)

    def straight(self, state: RoomState) -> Plan:
        """The walk of one who sees no obstacles to what the mission is about, and what is to be done there.

        Empty for missions of two parts, and in open rooms, where it would be a shortest plan.
        """
        if self.open_room:
            return ()
        here = world(state)
        kind = here.demand.kind
        n = state.size
        if kind == "reach":
            cells = [i for i, terrain in enumerate(here.terrain) if terrain == GOAL]
        elif kind in ("face", "hold", "fetch", "open"):
            cells = [i for what, i in zip(here.is_what, here.start[here.first_thing :], strict=True) if what and i >= 0]
            cells += [i for i, door in here.doors.items() if door in here.what_doors]
        else:
            return ()
        act = {"hold": ("pickup",), "fetch": ("pickup",), "open": ("toggle",)}.get(kind, ())
        walks = [walk for i in cells for walk in _walks(state.agent, FACINGS.index(state.facing), divmod(i, n))]
        if not walks:
            return ()
        walk = min(walks, key=len)
        return (*(walk if kind == "reach" else walk[:-1]), *act)

    def obstacle_free_length(self, state: RoomState) -> int:
        """Length of the straight plan; of the shortest one where there is none."""
        return len(self.straight(state)) or super().obstacle_free_length(state)

    def level_of(self, state: RoomState) -> int:
        """Cells a side."""
        return state.size

    def start(self, state: RoomState) -> Cursor:
        """Where everything is at first."""
        return world(state).start

    def step(self, state: RoomState, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Turn, walk, pick up, put down or toggle."""
        return world(state).step(cursor, action)

    def solved(self, state: RoomState, cursor: Cursor) -> bool:
        """Whether the mission is accomplished."""
        return world(state).solved(cursor)

    def state_at(self, state: RoomState, cursor: Cursor) -> RoomState:
        """Agent, doors and things as at the cursor."""
        return world(state).state_at(cursor)

    def mission(self, state: RoomState) -> str:
        """The mission in MiniGrid's words."""
        return state.mission

    def facts(self, state: RoomState) -> frozenset[Fact]:
        """Size and height, the agent with its facing and burden, goal, walls, lava and objects, and the mission."""
        facts: set[Fact] = {
            ("size", state.size),
            ("height", state.height),
            ("agent", *state.agent),
            ("facing", state.facing),
            ("mission", state.mission),
        }
        if state.carrying:
            facts.add(("carrying", state.carrying))
        if state.goal:
            facts.add(("goal", *state.goal))
        facts |= {("wall", *cell) for cell in state.walls}
        facts |= {("lava", *cell) for cell in state.lava}
        facts |= {("object", *cell, label) for cell, label in state.objects}
        return frozenset(facts)

    def from_facts(self, facts: Iterable[Fact]) -> RoomState:
        """The room that the facts describe; things may lie in walls, and above each other, as a model may believe."""
        sheet = statements.FactSheet(facts)
        goals = sheet.cells("goal")
        state = RoomState(
            size=sheet.size,
            height=sheet.number("height"),
            agent=sheet.cell("agent"),
            facing=sheet.phrase("facing"),
            carrying=sheet.phrase("carrying"),
            goal=sheet.cell("goal") if goals else None,
            walls=sheet.cells("wall"),
            lava=sheet.cells("lava"),
            objects=frozenset(sheet.labelled("object")),
            mission=sheet.phrase("mission"),
        )
        if not _FEWEST_ROWS <= state.height <= state.size:
            raise ValueError(f"a room in a {state.size}x{state.size} grid has no height of {state.height}")
        if state.mission not in self.missions:
            raise ValueError(f"{self.name} has no mission {state.mission!r:.100}")
        if state.facing not in FACINGS:
            raise ValueError(f"an agent looks {', '.join(FACINGS)}, not {state.facing!r:.50}")
        wrong = {label for _, label in state.objects} - {*OBJECTS} or {state.carrying} - {"", *THINGS}
        if wrong:
            raise ValueError(f"{min(wrong)!r:.50} is no object of MiniGrid's")
        return state

    def check_start(self, state: RoomState) -> None:
        """Refuse a solved state, and one in which two things share a cell or lie outside the room."""
        super().check_start(state)
        here, n = world(state), state.size
        taken = [cell for cell, _ in state.objects] + [state.agent]
        alone = len(taken) == len({*taken}) and not {*taken} & (state.walls | state.lava | {state.goal})
        loose = [cell for cell, label in state.objects if "door" not in label] + [state.agent]
        if not alone or any(here.terrain[row * n + column] in (WALL, LAVA) for row, column in loose):
            raise ValueError("agent and objects must be in cells of their own, and none in a wall or in lava")
        if any(row >= state.height for row, _ in (*taken, *state.walls, *state.lava)):
            raise ValueError("something lies below the room")

    def false_fact(self, state: RoomState, fact: Fact, rng: Random) -> Fact | None:
        """Another cell of the room, another colour, another state of a door, another facing; missions are known."""
        match fact:
            case ("facing", _):
                return "facing", rng.choice(FACINGS)
            case ("carrying", _):
                return "carrying", rng.choice(THINGS)
            case ("height", _):
                return "height", rng.randint(_FEWEST_ROWS, state.size)
            case (str(name), int(row), int(column), *labels):
                label = [str(label) for label in labels]
                if label and rng.random() < 0.5:
                    return name, row, column, _other_label(label[0], rng)
                return name, rng.randrange(state.height), rng.randrange(state.size), *label
        return None

    def tile_ids(self, state: RoomState) -> list[list[int]]:
        """Numbers of :func:`mgsd_envs.minigrid_world.tile_ids`."""
        return tile_ids(state)

    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """MiniGrid's own tiles, whole and without highlights; a burden is drawn in the agent's cell."""
        from mgsd_envs.minigrid_rooms import atlas

        check_look(self.name, theme, self.themes, level, size)
        return atlas(level, size)


@lru_cache(maxsize=256)
def _environment(task: MiniGridTask, level: int, variant: int) -> Any:
    return task.room(level, variant)


def _other_label(label: str, rng: Random) -> str:
    """A label with another colour or, for a door, perhaps in another state."""
    _, kind, *state = label.split()
    if state and rng.random() < 0.5:
        return f"{label.rpartition(' ')[0]} {rng.choice(DOORS)}"
    return " ".join((rng.choice(COLOURS), kind, *state))


def _walks(agent: Cell, facing: int, target: Cell) -> list[Plan]:
    """The two ways with one corner to a cell, rows first and columns first."""
    down, across = target[0] - agent[0], target[1] - agent[1]
    legs = [(1 if down > 0 else 3, abs(down)), (0 if across > 0 else 2, abs(across))]
    walks = []
    for order in (legs, legs[::-1]):
        walk: list[str] = []
        looking = facing
        for wanted, steps in order:
            if steps:
                turns = (wanted - looking) % 4
                walk += ["turn_left"] if turns == 3 else ["turn_right"] * turns
                walk += ["forward"] * steps
                looking = wanted
        walks.append(tuple(walk))
    return walks
