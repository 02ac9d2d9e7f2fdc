"""Families of MiniGrid's and BabyAI's rooms as tasks, one class each.

Left out are families whose rooms cannot be seen whole or told (Memory and ObstructedMaze hide things, MultiRoom has no
room around its rooms), whose success is an action that we do not have (``done`` in GoToDoor and GoToObject), whose
rooms move by themselves (Dynamic-Obstacles), and BabyAI's mazes of rooms, whose situations are too many to be searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from mgsd_envs.minigrid_task import MiniGridTask
from mgsd_envs.minigrid_world import COLOURS, KINDS, THINGS

_MAX_STEPS = 10_000  # no episode of ours is cut off
_LAVA = "avoid the lava and get to the green goal square"
_GOAL = "get to the green goal square"


class Empty(MiniGridTask):
    """``MiniGrid-Empty-Random``: walk to the goal square in an empty room."""

    name = "minigrid-empty"
    levels = (8, 12, 16)
    min_level = 5
    missions = (_GOAL,)
    open_room = True
    cuts = (0.65, 1.0)

    def room(self, level: int, variant: int) -> Any:
        """An empty room."""
        from minigrid.envs import EmptyEnv

        return EmptyEnv(size=level, agent_start_pos=None, max_steps=_MAX_STEPS)


class FourRooms(MiniGridTask):
    """``MiniGrid-FourRooms``: walk to the goal square through four rooms with a gap to each side."""

    name = "minigrid-fourrooms"
    levels = (9, 13, 19)
    min_level = 7
    missions = ("reach the goal",)
    cuts = (0.7, 0.95)

    def room(self, level: int, variant: int) -> Any:
        """Four rooms; MiniGrid's generator makes them for any odd size, its constructor for 19 alone."""
        from minigrid.core.mission import MissionSpace
        from minigrid.envs import FourRoomsEnv
        from minigrid.minigrid_env import MiniGridEnv

        class Sized(FourRoomsEnv):  # type: ignore[misc]  # MiniGrid's types are not followed
            def __init__(self, size: int) -> None:
                self._agent_default_pos = self._goal_default_pos = None
                space = MissionSpace(mission_func=self._gen_mission)
                MiniGridEnv.__init__(self, mission_space=space, grid_size=size, max_steps=_MAX_STEPS)

        return Sized(level - (level + 1) % 2)


class LavaGap(MiniGridTask):
    """``MiniGrid-LavaGap``: get to the goal square through the gap in a wall of lava."""

    name = "minigrid-lavagap"
    levels = (7, 9, 11)
    min_level = 5
    missions = (_LAVA,)
    scatter = True
    cuts = (0.55, 1.05)

    def room(self, level: int, variant: int) -> Any:
        """A room with a wall of lava."""
        from minigrid.envs import LavaGapEnv

        return LavaGapEnv(size=level, max_steps=_MAX_STEPS)


class Crossing(MiniGridTask):
    """``MiniGrid-SimpleCrossing``: get to the goal square through the openings of one to three walls or more."""

    name = "minigrid-crossing"
    levels = (7, 9, 11)
    min_level = 5
    missions = ("find the opening and get to the green goal square",)
    scatter = True
    cuts = (0.8, 1.3)
    obstacle = "wall"

    def variants(self, level: int) -> int:
        """One more wall for every two cells."""
        return max(1, (level - 3) // 2)

    def room(self, level: int, variant: int) -> Any:
        """A room crossed by ``variant`` + 1 walls, or rivers of lava."""
        from minigrid.envs import CrossingEnv

        size = level - (level + 1) % 2
        return CrossingEnv(
            size, num_crossings=variant + 1, obstacle_type=_obstacle(self.obstacle), max_steps=_MAX_STEPS
        )


class LavaCrossing(Crossing):
    """``MiniGrid-LavaCrossing``: get to the goal square over the crossings of rivers of lava."""

    name = "minigrid-lavacrossing"
    missions = (_LAVA,)
    obstacle = "lava"


class DistShift(MiniGridTask):
    """``MiniGrid-DistShift``: get to the goal square past two strips of lava."""

    name = "minigrid-distshift"
    levels = (9, 11, 13)
    min_level = 7
    missions = (_GOAL,)
    cuts = (0.75, 1.1)

    def variants(self, level: int) -> int:
        """Rows in which the second strip may lie."""
        return level - 5

    def room(self, level: int, variant: int) -> Any:
        """A room two rows lower than it is wide."""
        from minigrid.envs import DistShiftEnv

        return DistShiftEnv(
            width=level, height=level - 2, agent_start_pos=None, strip2_row=variant + 2, max_steps=_MAX_STEPS
        )


class DoorKey(MiniGridTask):
    """``MiniGrid-DoorKey``: fetch the key, open the door, get to the goal square."""

    name = "minigrid-doorkey"
    levels = (6, 8, 10)
    min_level = 5
    max_level = 16
    missions = ("use the key to open the door and then get to the goal",)
    cuts = (1.85, 2.15)

    def room(self, level: int, variant: int) -> Any:
        """Two rooms with a locked door between them."""
        from minigrid.envs import DoorKeyEnv

        return DoorKeyEnv(size=level, max_steps=_MAX_STEPS)


class _TwoRooms(MiniGridTask):
    """Two square rooms side by side, in a board twice as wide as they are high."""

    levels: Sequence[int] = (7, 9, 11)
    min_level = 7
    max_level = 15

    def room(self, level: int, variant: int) -> Any:
        """MiniGrid's generator makes rooms of any size, its constructors those for level 11 alone."""
        from minigrid import envs
        from minigrid.core.mission import MissionSpace
        from minigrid.core.roomgrid import RoomGrid

        base = getattr(envs, f"{type(self).__name__}Env")

        class Sized(base):  # type: ignore[misc,valid-type]
            def __init__(self, room_size: int) -> None:
                space = MissionSpace(mission_func=lambda: "")
                RoomGrid.__init__(self, room_size, 1, 2, mission_space=space, max_steps=_MAX_STEPS)

        return Sized((level + 1) // 2)


class Unlock(_TwoRooms):
    """``MiniGrid-Unlock``: fetch the key and open the door."""

    name = "minigrid-unlock"
    missions = ("open the door",)
    cuts = (0.8, 0.97)


class UnlockPickup(_TwoRooms):
    """``MiniGrid-UnlockPickup``: fetch the key, open the door, put the key down and pick up the box."""

    name = "minigrid-unlockpickup"
    missions = tuple(f"pick up the {colour} box" for colour in COLOURS)
    cuts = (1.45, 1.62)


class BlockedUnlockPickup(_TwoRooms):
    """``MiniGrid-BlockedUnlockPickup``: as UnlockPickup, with a ball before the door."""

    name = "minigrid-blockedunlockpickup"
    levels = (9, 11)
    min_level = 9
    missions = tuple(f"pick up the {colour} box" for colour in COLOURS)
    cuts = (2.05, 2.3)


class KeyCorridor(MiniGridTask):
    """``MiniGrid-KeyCorridor``: find the key, unlock the room and pick up the ball in it."""

    name = "minigrid-keycorridor"
    levels = (7, 10)
    min_level = 7
    max_level = 13
    missions = tuple(f"pick up the {colour} ball" for colour in COLOURS)
    cuts = (2.6, 3.0)

    def room(self, level: int, variant: int) -> Any:
        """Three rows of rooms on both sides of a corridor."""
        from minigrid.envs import KeyCorridorEnv

        return KeyCorridorEnv(num_rows=3, room_size=(level - 1) // 3 + 1, max_steps=_MAX_STEPS)


class Fetch(MiniGridTask):
    """``MiniGrid-Fetch``: pick up the right thing, and nothing else."""

    name = "minigrid-fetch"
    levels = (5, 6, 8)
    min_level = 5
    missions = tuple(
        f"{verb} {colour} {kind}"
        for verb in ("get a", "go get a", "fetch a", "go fetch a", "you must fetch a")
        for colour, kind in product(COLOURS, ("key", "ball"))
    )
    open_room = True
    cuts = (0.45, 0.75)

    def room(self, level: int, variant: int) -> Any:
        """A room with two things, or three from level 8 on."""
        from minigrid.envs import FetchEnv

        return FetchEnv(size=level, numObjs=2 if level < 8 else 3, max_steps=_MAX_STEPS)


class PutNear(MiniGridTask):
    """``MiniGrid-PutNear``: put one thing near another."""

    name = "minigrid-putnear"
    levels = (6, 8)
    min_level = 6
    missions = tuple(f"put the {what} near the {where}" for what, where in product(THINGS, THINGS) if what != where)
    cuts = (0.95, 1.15)

    def room(self, level: int, variant: int) -> Any:
        """A room with two things, or three from level 8 on."""
        from minigrid.envs import PutNearEnv

        return PutNearEnv(size=level, numObjs=2 if level < 8 else 3, max_steps=_MAX_STEPS)


class RedBlueDoors(MiniGridTask):
    """``MiniGrid-RedBlueDoors``: open the red door, then the blue one."""

    name = "minigrid-redbluedoors"
    levels = (12, 16, 20)
    min_level = 8
    max_level = 24
    missions = ("open the red door then the blue door",)
    cuts = (0.92, 1.1)

    def room(self, level: int, variant: int) -> Any:
        """A square room with a narrower one on each side, in a board twice as wide as it is high."""
        from minigrid.envs import RedBlueDoorEnv

        return RedBlueDoorEnv(size=level // 2, max_steps=_MAX_STEPS)


class GoToObj(MiniGridTask):
    """``BabyAI-GoToObj``: go to the only thing in the room."""

    name = "minigrid-gotoobj"
    levels = (5, 6, 8)
    min_level = 5
    missions = tuple(f"go to the {thing}" for thing in THINGS)
    open_room = True
    cuts = (0.45, 0.65)

    def room(self, level: int, variant: int) -> Any:
        """A room with one thing."""
        from minigrid.envs.babyai.goto import GoToObj as Room

        return Room(room_size=level, max_steps=_MAX_STEPS)


class GoToRedBall(MiniGridTask):
    """``BabyAI-GoToRedBall``: go to the red ball among other things."""

    name = "minigrid-gotoredball"
    levels = (5, 6, 8)
    min_level = 5
    missions = ("go to the red ball", "go to a red ball")
    open_room = True
    cuts = (0.4, 0.6)

    def room(self, level: int, variant: int) -> Any:
        """A room with one other thing at level 5, up to seven from level 8 on."""
        from minigrid.envs.babyai.goto import GoToRedBall as Room

        return Room(room_size=level, num_dists=min(7, 2 * level - 9), max_steps=_MAX_STEPS)


class GoToLocal(MiniGridTask):
    """``BabyAI-GoToLocal``: go to one of several things."""

    name = "minigrid-gotolocal"
    levels = (5, 6, 8)
    min_level = 5
    missions = tuple(f"go to {article} {thing}" for article in ("the", "a") for thing in THINGS)
    open_room = True
    cuts = (0.5, 0.7)

    def room(self, level: int, variant: int) -> Any:
        """A room with two things at level 5, up to eight."""
        from minigrid.envs.babyai.goto import GoToLocal as Room

        return Room(room_size=level, num_dists=min(8, level - 3), max_steps=_MAX_STEPS)


class PickupDist(MiniGridTask):
    """``BabyAI-PickupDist``: pick up one of several things, called by its colour, its kind or both."""

    name = "minigrid-pickupdist"
    levels = (6, 7, 8)
    min_level = 6
    missions = tuple(
        f"pick up {article} {thing}"
        for article in ("the", "a")
        for thing in (*THINGS, *KINDS, *(f"{colour} object" for colour in COLOURS))
    )
    open_room = True
    cuts = (0.5, 0.85)

    def room(self, level: int, variant: int) -> Any:
        """A room with five things; BabyAI's constructor makes those of level 7 alone."""
        from minigrid.envs.babyai.core.roomgrid_level import RoomGridLevel
        from minigrid.envs.babyai.pickup import PickupDist as Room

        class Sized(Room):  # type: ignore[misc]
            def __init__(self, room_size: int) -> None:
                self.debug = False
                RoomGridLevel.__init__(self, room_size, num_rows=1, num_cols=1, max_steps=_MAX_STEPS)

        return Sized(level)


class PutNext(MiniGridTask):
    """``BabyAI-PutNextLocal``: put one thing next to another."""

    name = "minigrid-putnext"
    levels = (5, 6, 8)
    min_level = 5
    max_level = 16
    missions = tuple(f"put the {what} next to the {where}" for what, where in product(THINGS, THINGS) if what != where)
    cuts = (1.2, 1.45)

    def room(self, level: int, variant: int) -> Any:
        """A room with three things at level 5, four at 6, six at 7 and eight from level 8 on."""
        from minigrid.envs.babyai.putnext import PutNextLocal as Room

        return Room(room_size=level, num_objs={5: 3, 6: 4, 7: 6}.get(level, 8), max_steps=_MAX_STEPS)


def _obstacle(name: str) -> Any:
    """What a room is crossed by."""
    from minigrid.core.world_object import Lava, Wall

    return {"wall": Wall, "lava": Lava}[name]
