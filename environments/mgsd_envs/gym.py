"""The tasks as gymnasium environments.

Each installed task has an id made of its class name, ``MGSD/FrozenLake-v0`` for example. Importing this module
registers the ids; gymnasium has imported no plugins by itself since 1.0::

    import gymnasium
    import mgsd_envs.gym

    gymnasium.register_envs(mgsd_envs.gym)  # does nothing, keeps linters from dropping the import
    env = gymnasium.make("MGSD/FrozenLake-v0", level=4, render_mode="rgb_array")
    observation, info = env.reset(seed=7)

or, in one line, ``gymnasium.make("mgsd_envs.gym:MGSD/FrozenLake-v0")``. Needs the extra ``gym``
(``pip install "mgsd-bench[gym]"``).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgsd_envs.episodes import Episode, Mix, generate, make_episode
from mgsd_envs.grid import MOVES, check_level
from mgsd_envs.registry import GROUP, get_task
from mgsd_envs.rendering import check_look
from mgsd_envs.splits import SPLIT_BY, SPLITS, Split, SplitBy
from mgsd_envs.task import Illegal, Task
from mgsd_envs.types import Cursor

MAX_EPISODE_STEPS = 200
"""Step limit of the registered ids: 5 times the longest shortest plan at the paper's levels. ``gymnasium.make`` takes
another one as ``max_episode_steps``, which levels above 16 need."""


RENDER_MODES = ("rgb_array", "ansi")


class TaskEnv(gymnasium.Env[NDArray[np.uint8], Any]):  # type: ignore[misc]  # gymnasium's types are not followed
    """What environments of one task have in common: the episodes that they start, and how they are rendered.

    Args:
        task: registry name of the task.
        level: grid size; the smallest of ``task.levels`` if None.
        split: the split that start states are drawn from.
        split_by: ``"state"`` or ``"orbit"``.
        theme: look of the pictures.
        size: pixels a side of the pictures.
        render_mode: ``"rgb_array"``, ``"ansi"`` or None.

    Raises:
        KeyError: no such task.
        ValueError: no such level, split, theme or render mode, or too few pixels.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        task: str,
        level: int | None,
        split: Split,
        split_by: SplitBy,
        theme: str,
        size: int,
        render_mode: str | None,
    ) -> None:
        self.task: Task[Any] = get_task(task)
        self.level = min(self.task.levels) if level is None else level
        check_level(task, self.level, self.task.min_level, self.task.max_level)
        check_look(task, theme, self.task.themes, self.level, size)
        check_choice("split", split, SPLITS)
        check_choice("split_by", split_by, SPLIT_BY)
        check_choice("render_mode", render_mode, (None, *RENDER_MODES))
        self.split: Split = split
        self.split_by: SplitBy = split_by
        self.theme = theme
        self.size = size
        self.render_mode = render_mode
        self._episode: Episode | None = None

    @property
    def episode(self) -> Episode:
        """The episode under way.

        Raises:
            gymnasium.error.ResetNeeded: there is none yet.
        """
        if self._episode is None:
            raise gymnasium.error.ResetNeeded("call reset() first")
        return self._episode

    def render(self) -> NDArray[np.uint8] | str | None:
        """What is to be seen now: pixels, or a text in mode ``"ansi"``; nothing without a render mode."""
        if self.render_mode == "rgb_array":
            return self._picture()
        if self.render_mode == "ansi":
            return self._text()
        gymnasium.logger.warn('render() needs a render mode: gymnasium.make(..., render_mode="rgb_array")')
        return None

    def _draw(self) -> Episode:
        """An episode of the wanted split, of a band of plan lengths that is drawn evenly."""
        bands = [band for band in self.task.bands(self.level) if band]
        band = bands[self.np_random.integers(len(bands))]
        mix = Mix(length=band, straight=float(self.np_random.random() < Mix().straight))
        stream = f"gym/{self.np_random.integers(2**63)}"
        episodes = generate(
            self.task, self.level, 1, split=self.split, stream=stream, split_by=self.split_by, theme=self.theme, mix=mix
        )
        return next(episodes)

    def _read(self, given: Any) -> Episode:
        """An episode that starts from a given state, or from its JSON."""
        state = self.task.from_json(given if isinstance(given, dict) else self.task.to_json(given))
        if ("size", self.level) not in self.task.facts(state):
            raise ValueError(f"the state given to reset() is not of level {self.level}")
        name = "the state given to reset()"
        return make_episode(self.task, self.level, name, state, self.theme, split_by=self.split_by)

    def _start_info(self) -> dict[str, Any]:
        """What ``info`` of ``reset`` holds of the episode."""
        episode = self.episode
        return {
            "state": self.task.to_json(episode.state),
            "shortest": episode.shortest,
            "split": episode.split,
        }

    @abstractmethod
    def _picture(self) -> NDArray[np.uint8]:
        """What is to be seen now, uint8 (size, size, 3)."""

    @abstractmethod
    def _text(self) -> str:
        """The same as text."""


class BoardEnv(TaskEnv):
    """One task as an environment, with the dynamics of its pure ``step``.

    Action space: ``Discrete(4)``, in MiniBehaviour ``Discrete(6)``; action i is ``task.actions[i]`` (left, down, right,
    up[, pick, drop]). Moves are absolute, by one cell. MiniGrid's tasks have MiniGrid's first six actions.

    Observation space, all that there is to see, fixed in size:

    - ``"image"``: ``Box(0, 255, (size, size, 3), uint8)``, the picture in the chosen theme.
    - ``"symbolic"``: ``Box(0, 1, (level, level, planes), uint8)``, for each kind of fact the cells where it holds; all
      cells for one that is about no cell, such as where an agent looks. :attr:`planes` names the kinds, ``("player",)``
      or ``("open", "left")`` for example. In MiniBehaviour the printer shares the agent's cell while it is carried.

    The state as text is in ``info["symbolic"]`` and is what render mode ``"ansi"`` gives.

    Reward: 1.0 for the action that solves the task, else 0.0. An episode terminates at success and at the first illegal
    action, whose rule is in ``info["illegal"]``; the board then stays as it was. It is never truncated here; the
    registered ids truncate after :data:`MAX_EPISODE_STEPS` actions.

    Episode start: a state of the wanted split, easy, medium and hard ones in equal parts, three in ten of which the
    plan that sees no obstacles may solve. ``reset(options={"state": ...})`` starts from a given state, or from its
    JSON, of whatever split. ``info`` of ``reset`` holds ``symbolic`` (text), ``state`` (JSON), ``shortest`` (length of
    the shortest plan) and ``split``.

    Args:
        task: registry name of the task.
        level: grid size; the smallest of ``task.levels`` if None.
        split: the split that start states are drawn from. Which split a state belongs to depends on the state alone,
            so an agent trained on ``"train"`` never meets a test state.
        split_by: ``"state"``, or ``"orbit"`` so that it never meets the mirror image of one either.
        theme: look of the pictures.
        size: pixels a side of the pictures.
        observation: ``"image"`` or ``"symbolic"``.
        render_mode: ``"rgb_array"``, ``"ansi"`` or None.

    Raises:
        KeyError: no such task.
        ValueError: no such level, split, theme, observation or render mode, or too few pixels.
    """

    def __init__(
        self,
        task: str,
        *,
        level: int | None = None,
        split: Split = "train",
        split_by: SplitBy = "state",
        theme: str = "classic",
        size: int = 256,
        observation: Literal["image", "symbolic"] = "image",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(task, level, split, split_by, theme, size, render_mode)
        check_choice("observation", observation, ("image", "symbolic"))
        self.observation = observation
        self.planes = _planes(self.task)
        self.action_space = spaces.Discrete(len(self.task.actions))
        if observation == "image":
            self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        else:
            self.observation_space = spaces.Box(0, 1, (self.level, self.level, len(self.planes)), np.uint8)
        self._cursor: Cursor = ()
        self._over = True

    @property
    def state(self) -> Any:
        """The task's state as it is now."""
        return self.task.state_at(self.episode.state, self._cursor)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: starts a new random stream; without it the stream goes on, so that each episode is another one.
            options: ``{"state": ...}``, a state of the task or its JSON, instead of a drawn one.

        Raises:
            ValueError: the given state is not one of this task and level, or cannot be solved.
            TooFewStatesError: the level has no state of this split.
        """
        super().reset(seed=seed)
        given = (options or {}).get("state")
        self._episode = self._draw() if given is None else self._read(given)
        self._cursor = self.task.start(self._episode.state)
        self._over = False
        return self._observe(), {"symbolic": self.task.describe(self._episode.state), **self._start_info()}

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Carry out one action.

        Raises:
            gymnasium.error.InvalidAction: the action is not in the action space.
            gymnasium.error.ResetNeeded: the episode is over.
        """
        if not self.action_space.contains(action):
            raise gymnasium.error.InvalidAction(f"actions are 0 to {self.action_space.n - 1}, not {action!r}")
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode is over, call reset()")
        result = self.task.step(self.episode.state, self._cursor, self.task.actions[action])
        info: dict[str, Any] = {}
        solved = False
        if isinstance(result, Illegal):
            info["illegal"] = str(result)
        else:
            self._cursor = result
            solved = self.task.solved(self.episode.state, result)
        self._over = solved or "illegal" in info
        info["symbolic"] = self.task.describe(self.state)
        return self._observe(), float(solved), self._over, False, info

    def _observe(self) -> NDArray[np.uint8]:
        if self.observation == "image":
            return self._picture()
        board = np.zeros(self.observation_space.shape, np.uint8)
        index = {kind: i for i, kind in enumerate(self.planes)}
        for name, *arguments in self.task.seen(self.task.facts(self.state)):
            if len(arguments) >= 2:
                row, column, *labels = arguments
                board[int(row), int(column), index[(name, *labels)]] = 1
            elif isinstance(arguments[0], str):
                board[:, :, index[name, arguments[0]]] = 1
        return board

    def _picture(self) -> NDArray[np.uint8]:
        return self.task.draw(self.state, self.theme, self.size).rgb()

    def _text(self) -> str:
        return self.task.describe(self.state)


def register(kind: str = "", entry_point: str = "mgsd_envs.gym:BoardEnv", most: int | None = MAX_EPISODE_STEPS) -> None:
    """Register an id for every installed task that has none yet; importing this module does it.

    Args:
        kind: what the environment's name has between the task's and its version.
        entry_point: the environment, which takes the task's name as ``task``.
        most: actions after which gymnasium truncates an episode; None for an environment that sees to it itself.
    """
    for point in entry_points(group=GROUP):
        for short in (point.attr, point.name):  # the task's own name where two classes are called alike
            name = f"MGSD/{short}{kind}-v0"
            if name not in gymnasium.registry and re.fullmatch(r"[\w.-]+", short):
                gymnasium.register(name, entry_point, max_episode_steps=most, kwargs={"task": point.name})
            if name in gymnasium.registry and gymnasium.registry[name].kwargs["task"] == point.name:
                break


def check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse an argument that is none of the allowed values.

    Raises:
        ValueError: it is none of them.
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, not {value}")


@cache
def _planes(task: Task[Any]) -> tuple[tuple[str | int, ...], ...]:
    """The kinds of facts that a board can show, as (name, labels...)."""
    planes: set[tuple[str, ...]] = set()
    for one in task.fields:
        if one.kind in ("cell", "cells"):
            planes.add((one.fact,))
        elif one.kind != "number" and not one.given:
            planes |= {(one.fact, label) for label in (one.labels or MOVES)}
    return tuple(sorted(planes))


register()
