"""MiniGrid's own rooms and tiles: its generators read into our states, our states as its grids, its renderer.

Importing this module imports MiniGrid and with it pygame, so the tasks do it only when they draw a state or a picture.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from functools import cache, lru_cache
from typing import Any

import numpy as np
from minigrid.core.grid import Grid
from minigrid.core.world_object import Ball, Box, Door, Goal, Key, Lava, Wall, WorldObj
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

from mgsd_envs.minigrid_world import BURDENS, DOORS, FACINGS, GOAL, GROUNDS, OBJECTS, THINGS, RoomState
from mgsd_envs.rendering import Atlas, Colour, edges
from mgsd_envs.types import Cell

_MOST_PIXELS = 32


def draw_room(env: MiniGridEnv, seed: int, size: int, *, scatter: bool) -> RoomState | None:
    """A room of MiniGrid's generator as a state; None where the generator finds no place for something.

    Args:
        env: the environment; what it was before makes no difference.
        seed: what to seed it with.
        size: cells a side of our board, see :func:`read_room`.
        scatter: whether the agent is placed anew by MiniGrid's ``place_agent``, where the generator has it always
            start in the same place.
    """
    env.gen_obs = dict  # what the agent sees from where it stands takes half of the time, and is not asked for
    try:
        with redirect_stdout(io.StringIO()):  # BabyAI prints what it rejects
            env.reset(seed=seed)
            if scatter:
                env.place_agent()
    except RecursionError:
        return None
    return read_room(env, size)


def read_room(env: MiniGridEnv, size: int) -> RoomState:
    """The state that an environment is in, on a board with ``size`` cells a side.

    A room that is smaller lies in the upper left corner; what the board has to its right is walls.
    """
    height = env.height
    goal: Cell | None = None
    walls: set[Cell] = set()
    lava: set[Cell] = set()
    objects: set[tuple[Cell, str]] = set()
    for row in range(height):
        for column in range(size):
            thing = env.grid.get(column, row) if column < env.width else Wall()
            cell = (row, column)
            if thing is None:
                continue
            if thing.type == "wall":
                if 0 < row < height - 1 and 0 < column < size - 1:
                    walls.add(cell)
            elif thing.type == "lava":
                lava.add(cell)
            elif thing.type == "goal":
                goal = cell
            elif thing.type == "door":
                objects.add((cell, f"{thing.color} door {DOORS[thing.encode()[2]]}"))
            else:
                objects.add((cell, f"{thing.color} {thing.type}"))
    column, row = (int(part) for part in env.agent_pos)
    carrying = f"{env.carrying.color} {env.carrying.type}" if env.carrying else ""
    return RoomState(
        size=size,
        height=height,
        agent=(row, column),
        facing=FACINGS[int(env.agent_dir)],
        carrying=carrying,
        goal=goal,
        walls=frozenset(walls),
        lava=frozenset(lava),
        objects=frozenset(objects),
        mission=env.mission,
    )


def ground(number: int) -> WorldObj | None:
    """What a tile shows without the agent, by its number in ``tile_ids``; None for floor."""
    match number:
        case 0:
            return None
        case 1:
            return Wall()
        case 2:
            return Lava()
        case 3:
            return Goal()
    return _object(OBJECTS[number - GOAL - 1])


def _object(label: str) -> WorldObj:
    colour, kind, *state = label.split()
    match kind:
        case "key":
            return Key(colour)
        case "ball":
            return Ball(colour)
        case "box":
            return Box(colour)
    return Door(colour, is_open=state == ["open"], is_locked=state == ["locked"])


class _Both(WorldObj):  # type: ignore[misc]  # MiniGrid's types are not followed
    """What is in the agent's cell, and over it what the agent carries, as MiniGrid's own observations show it."""

    def __init__(self, below: WorldObj, above: WorldObj) -> None:
        super().__init__(below.type, below.color)
        self.below, self.above = below, above

    def encode(self) -> tuple[int, ...]:
        """A key for MiniGrid's cache of tiles."""
        return (*self.below.encode(), *self.above.encode())

    def render(self, img: Any) -> None:
        """Draw both."""
        self.below.render(img)
        self.above.render(img)


@cache
def _tile(number: int, pixels: int) -> NDArray[np.uint8]:
    """A tile by MiniGrid's renderer, uint8 (pixels, pixels, 3)."""
    agent, below = divmod(number, GROUNDS)
    thing = ground(below)
    facing = None
    if agent:
        facing, burden = divmod(agent - 1, BURDENS)
        if burden:
            above = _object(THINGS[burden - 1])
            thing = above if thing is None else _Both(thing, above)
    rendered: NDArray[np.uint8] = Grid.render_tile(thing, facing, tile_size=pixels)
    return rendered


@lru_cache(maxsize=64)
def atlas(level: int, size: int) -> Atlas:
    """MiniGrid's tiles at a grid size.

    A cell of more than 32 pixels is a tile of MiniGrid's with every pixel doubled, or more: its renderer takes a second
    for a large one.
    """
    palette = _palette()
    lines = edges(level, size)
    pixels = -(-size // level)
    fold = -(-pixels // _MOST_PIXELS)

    def paint(number: int, row: int, column: int) -> NDArray[np.uint8]:
        tile = _tile(number, -(-pixels // fold)).repeat(fold, axis=0).repeat(fold, axis=1)
        height, width = lines[row + 1] - lines[row], lines[column + 1] - lines[column]
        return _indices(tile[:height, :width], palette)

    return Atlas(palette, level, size, paint)


def _indices(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each pixel as the number of the nearest colour of the palette."""
    colours, places = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    distances = np.abs(colours[:, None].astype(int) - palette[None]).sum(axis=2)
    nearest = distances.argmin(axis=1).astype(np.uint8)
    indices: NDArray[np.uint8] = nearest[places.reshape(-1)].reshape(pixels.shape[:2])
    return indices


@cache
def _palette() -> NDArray[np.uint8]:
    """MiniGrid's colours, and the ninths between those that touch: its renderer takes means of nine pixels."""
    from minigrid.core.constants import COLORS

    colours: list[Colour] = [tuple(int(part) for part in colour) for colour in COLORS.values()]  # type: ignore[misc]
    black, orange, red, green = (0, 0, 0), (255, 128, 0), (255, 0, 0), (0, 255, 0)
    dark = [tuple(int(0.45 * part) for part in colour) for colour in colours]
    pairs = [(black, colour) for colour in (*colours, orange)]
    pairs += list(zip(dark, colours, strict=True))  # type: ignore[arg-type]
    pairs += [(red, colour) for colour in (green, (0, 0, 255), (112, 39, 195), (255, 255, 0), (100, 100, 100))]
    blends = {
        tuple(int((a * k + b * (9 - k)) / 9) for a, b in zip(*pair, strict=True)) for pair in pairs for k in range(10)
    }
    return np.array(sorted(blends), np.uint8)
