"""What the teacher of self-distillation is told: the state and a plan, less of them, or something false.

The false tellings are controls. If the student learns as much from a teacher that is told another episode
(``shuffle``) or a misread one (``noise``), then it was not the told state that it learned from.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.errors import UserError
from mgsd_envs import Episode, get_task
from mgsd_envs.faults import misread

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Teacher


def tell(episodes: Sequence[Episode], teacher: Teacher, seed: int = 0) -> list[tuple[str | None, str | None]]:
    """What the teacher is told about each episode.

    Args:
        episodes: the episodes of the rows, in their order.
        teacher: context and corruption.
        seed: decides the corruption, together with the episodes' states.

    Returns:
        State and plan as text for each episode, None for what the context leaves out.

    Raises:
        UserError: as :func:`shuffled`.
    """
    shown = shuffled(episodes, seed) if teacher.shuffle else episodes
    return [told(episode, teacher, seed) for episode in shown]


def told(episode: Episode, teacher: Teacher, seed: int = 0) -> tuple[str | None, str | None]:
    """State and plan of one episode as text, with noise where the teacher has it; shuffling is not done here.

    With noise every fact of the state but its size is misread with the given probability, by the seed and the state,
    and the plan is a shortest one in the misread world: a plan of the true world would tell what the noise hides.
    Where no way leads to the misread goal it is the plan that sees no obstacles there, and where none is needed no
    plan is told.
    """
    task = get_task(episode.task)
    state, plan = episode.state, episode.plan
    if teacher.noise:
        state = misread(task, state, random.Random(f"{seed}/{task.key(state)}"), teacher.noise)
        found = task.solve(state)
        plan = task.straight(state) if found is None else found
    parts = teacher.context.split("+")
    return (
        task.describe(state) if "state" in parts else None,
        write_plan(plan) if "plan" in parts and plan else None,
    )


def shuffled(episodes: Sequence[Episode], seed: int) -> list[Episode]:
    """For each episode one with another state, of the same task and level.

    The states of a task and level are put in a circle by the seed, and each episode gets the next. Every state is
    used once, and episodes with the same state get the same other one, whatever the order of the list.

    Raises:
        UserError: a task and level has a single state.
    """
    groups: dict[tuple[str, int], dict[str, Episode]] = {}
    keys = [get_task(episode.task).key(episode.state) for episode in episodes]
    for key, episode in zip(keys, episodes, strict=True):
        groups.setdefault((episode.task, episode.level), {}).setdefault(key, episode)
    following: dict[tuple[str, str], Episode] = {}
    for (task, level), states in groups.items():
        if len(states) < 2:
            raise UserError(f"corruption: shuffle: {task} level {level} has a single episode; raise count in data")
        circle = sorted(states)
        random.Random(f"{seed}/{task}/{level}").shuffle(circle)
        for key, other in zip(circle, [*circle[1:], circle[0]], strict=True):
            following[task, key] = states[other]
    return [following[episode.task, key] for key, episode in zip(keys, episodes, strict=True)]
