"""Our boards seen with MiniGrid's eyes: its object encoding and its tiles.

The dynamics stay ours: absolute moves, edge walls, no turning. What MiniGrid's users and agents get is its observation
format, fully observed, and its look::

    import gymnasium
    from mgsd_envs.minigrid_bridge import MiniGridView

    env = MiniGridView(gymnasium.make("mgsd_envs.gym:MGSD/FrozenLake-v0", render_mode="rgb_array"))

MiniGrid's wrappers that read the observation alone work on top (``ImgObsWrapper``, ``FlatObsWrapper``,
``DictObservationSpaceWrapper``); those that reach into a ``MiniGridEnv`` do not.

Importing this module imports MiniGrid and with it pygame, so nothing else here does. Needs the extra ``gym``.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import WorldObj
from numpy.typing import NDArray

from mgsd_envs.gym import BoardEnv
from mgsd_envs.registry import get_task, task_names
from mgsd_envs.types import Cell, Fact

_DIRECTIONS = {"right": 0, "down": 1, "left": 2, "up": 3}


def to_grid(task_name: str, state: Any) -> Grid:
    """A state as a MiniGrid grid, without the agent.

    A cell's things are those that the task names in :attr:`mgsd_envs.Task.minigrid`, in an (n + 2) x (n + 2) grid with
    walls around it: ``Lava`` for FrozenLake's holes, a yellow ``Wall`` for every cell of MiniBehaviour's table and a
    blue ``Box`` for the printer, which lies in the agent's cell while it is carried. MiniGrid has no walls between
    cells: those of Maze get cells of their own in a (2n + 1) x (2n + 1) grid, and one move of ours goes two cells far.
    :func:`position` tells which cell is which.

    Raises:
        ValueError: the task has no MiniGrid form.
    """
    form = get_task(task_name).minigrid if task_name in task_names() else None
    if form is None:
        raise ValueError(f"{task_name} has no MiniGrid form")
    task = get_task(task_name)
    facts, size = task.facts(state), task.level_of(state)
    sides = _sides(task_name)
    grid = _room(size) if sides is None else _blocks(size, {fact[1:] for fact in facts if fact[0] == sides})
    for name, (kind, colour) in form.objects.items():
        for fact in facts:
            if fact[0] == name:
                thing = WorldObj.decode(OBJECT_TO_IDX[kind], COLOR_TO_IDX[colour], 0)
                grid.set(*position(task_name, (int(fact[1]), int(fact[2]))), thing)
    return grid


def position(task_name: str, cell: Cell) -> tuple[int, int]:
    """The (x, y) in MiniGrid's grid of one of our (row, column)."""
    row, column = cell
    return (column + 1, row + 1) if _sides(task_name) is None else (2 * column + 1, 2 * row + 1)


def _said(mission: str) -> str:
    return mission


def _sides(task_name: str) -> str | None:
    """The facts that say which sides of cells are open, where a task has walls between cells."""
    return next((one.fact for one in get_task(task_name).fields if one.kind == "sides"), None)


class MiniGridView(gymnasium.Wrapper, RecordConstructorArgs):  # type: ignore[misc]  # gymnasium's types are not followed
    """MiniGrid's observation and picture of one of our environments.

    Observation: ``image``, uint8 (width, height, 3), each cell's (object, colour, state) as in MiniGrid's
    ``FullyObsWrapper``, indexed [x, y]; ``direction``, that of the last move, 0 (right) at first; ``mission``, a
    sentence. The agent's cell reads (agent, red, direction), or (agent, colour, direction) while it carries something
    of that colour, such as MiniBehaviour's printer.

    Actions, rewards and when an episode ends are the wrapped environment's: absolute moves by one of our cells, not
    MiniGrid's turns.

    ``render()`` in mode ``"rgb_array"`` gives MiniGrid's tiles; other modes are the wrapped environment's.

    Args:
        env: an environment made from one of our ids, wrapped or not.
        tile_size: pixels of a rendered cell.

    Raises:
        ValueError: not one of our environments, or its task has no MiniGrid form.
    """

    def __init__(self, env: gymnasium.Env[Any, int], tile_size: int = 32) -> None:
        RecordConstructorArgs.__init__(self, tile_size=tile_size)
        gymnasium.Wrapper.__init__(self, env)
        board = env.unwrapped
        form = board.task.minigrid if isinstance(board, BoardEnv) else None
        if form is None:
            raise ValueError(f"{board} has no MiniGrid form")
        self._board = board
        self._tile_size = tile_size
        self._direction = 0
        self.mission = form.mission
        edge = sum(position(board.task.name, (board.level - 1, 0))) + 1
        self.observation_space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (edge, edge, 3), np.uint8),
                "direction": spaces.Discrete(4),
                "mission": MissionSpace(_said, ordered_placeholders=[[form.mission]]),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As in the wrapped environment."""
        _, info = self.env.reset(seed=seed, options=options)
        self._direction = 0
        return self._observe(), info

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """As in the wrapped environment."""
        _, reward, terminated, truncated, info = self.env.step(action)
        self._direction = _DIRECTIONS.get(self._board.task.actions[action], self._direction)
        return self._observe(), reward, terminated, truncated, info

    def render(self) -> Any:
        """The board in MiniGrid's tiles, uint8 (height, width, 3), if the render mode is ``"rgb_array"``."""
        if self.render_mode != "rgb_array":
            return self.env.render()
        grid, agent = self._look()
        return grid.render(self._tile_size, agent, self._direction)

    def _look(self) -> tuple[Grid, tuple[int, int]]:
        task, state = self._board.task, self._board.state
        return to_grid(task.name, state), position(task.name, task.place(state, task.start(state)))

    def _observe(self) -> dict[str, Any]:
        grid, agent = self._look()
        image: NDArray[np.uint8] = grid.encode()
        thing = grid.get(*agent)
        colour = thing.color if thing is not None and thing.can_pickup() else "red"
        image[agent] = (OBJECT_TO_IDX["agent"], COLOR_TO_IDX[colour], self._direction)
        return {"image": image, "direction": self._direction, "mission": self.mission}


def _room(size: int) -> Grid:
    grid = Grid(size + 2, size + 2)
    grid.wall_rect(0, 0, size + 2, size + 2)
    return grid


def _blocks(size: int, opened: set[Fact]) -> Grid:
    """A grid with cells for the walls between cells, of which ``(row, column, side)`` are open."""
    edge = 2 * size + 1
    grid = Grid(edge, edge)
    for x in range(edge):
        grid.vert_wall(x, 0)
    for row in range(size):
        for column in range(size):
            x, y = 2 * column + 1, 2 * row + 1
            grid.set(x, y, None)
            if (row, column, "right") in opened:
                grid.set(x + 1, y, None)
            if (row, column, "down") in opened:
                grid.set(x, y + 1, None)
    return grid
