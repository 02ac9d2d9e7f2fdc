"""Visual planning tasks as pure data: states, exact plans, dynamics, symbolic text and pictures.

Nothing here knows models or torch. Start with :mod:`mgsd_envs.task` (what a task is), then
read one task, for example :mod:`mgsd_envs.frozenlake`, from top to bottom.
"""

from mgsd_envs.episodes import Episode, Mix, TooFewStatesError, episode_from_json, generate, make_episode
from mgsd_envs.errors import TaskError
from mgsd_envs.looks import Look
from mgsd_envs.orbits import orbit_key
from mgsd_envs.registry import get_task, loadable_tasks, task_names
from mgsd_envs.rendering import Picture
from mgsd_envs.rollouts import Rollout, dead_end, random_plan, rollout, trace
from mgsd_envs.task import Illegal, Irreversible, Task
from mgsd_envs.types import Cell, Cursor, Fact, Plan

__all__ = [
    "Cell",
    "Cursor",
    "Episode",
    "Fact",
    "Illegal",
    "Irreversible",
    "Look",
    "Mix",
    "Picture",
    "Plan",
    "Rollout",
    "Task",
    "TaskError",
    "TooFewStatesError",
    "dead_end",
    "episode_from_json",
    "generate",
    "get_task",
    "loadable_tasks",
    "make_episode",
    "orbit_key",
    "random_plan",
    "rollout",
    "task_names",
    "trace",
]
