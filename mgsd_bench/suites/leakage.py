"""How much of a test is in the training: the same states, and the same states up to a symmetry of the square."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mgsd_envs import get_task, orbit_key
from mgsd_envs.orbits import images, split_key
from mgsd_envs.splits import SplitBy, split_of
from mgsd_envs.task import Symmetric

if TYPE_CHECKING:
    from mgsd_envs import Episode, Task


@dataclass(frozen=True, slots=True)
class Leak:
    """How many test episodes of a task and level are in the training.

    Attributes:
        task: registry name.
        level: grid size.
        episodes: test episodes.
        exact: those whose state is a training state.
        symmetric: those whose state, or a mirror image or turn of it, is a training state.
        orbits: how many test states there are up to a symmetry.
        symmetries: whether the task says what its states look like in a mirror; if not, ``symmetric`` is ``exact``.
    """

    task: str
    level: int
    episodes: int
    exact: int
    symmetric: int
    orbits: int
    symmetries: bool


def leaks(test: Iterable[Episode], trained: Iterable[Episode]) -> list[Leak]:
    """The test episodes whose states are among those that were trained on, level by level in order of appearance."""
    states, orbits = set(), set()
    for episode in trained:
        task = get_task(episode.task)
        states.add(task.key(episode.state))
        orbits.add(orbit_key(task, episode.state))
    return [
        _leak(
            task,
            level,
            of_level,
            [task.key(episode.state) in states for episode in of_level],
            [orbit_key(task, episode.state) in orbits for episode in of_level],
        )
        for task, level, of_level in _levels(test)
    ]


def possible_leaks(test: Iterable[Episode]) -> list[Leak]:
    """The test episodes whose states may be trained on: those of the train split, as the episodes are split.

    It is what :func:`leaks` comes to for a training on the whole train split. Where a level can be listed, only states
    that are drawn count; elsewhere all images do, also rooms that no draw gives, since their table stands upright.
    """
    found = []
    for task, level, of_level in _levels(test):
        drawn = _drawn(task, level)
        exact = [_in_training(task, episode.state, episode.split_by) for episode in of_level]
        symmetric = [
            any(
                _in_training(task, image, episode.split_by)
                for image in images(task, episode.state)
                if not drawn or task.key(image) in drawn
            )
            for episode in of_level
        ]
        found.append(_leak(task, level, of_level, exact, [a or b for a, b in zip(exact, symmetric, strict=True)]))
    return found


def _in_training(task: Task[Any], state: Any, split_by: SplitBy) -> bool:
    return split_of(split_key(task, state, split_by)) == "train"


def _leak(
    task: Task[Any], level: int, episodes: Collection[Episode], exact: Iterable[bool], symmetric: Iterable[bool]
) -> Leak:
    return Leak(
        task=task.name,
        level=level,
        episodes=len(episodes),
        exact=sum(exact),
        symmetric=sum(symmetric),
        orbits=len({orbit_key(task, episode.state) for episode in episodes}),
        symmetries=isinstance(task, Symmetric),
    )


def _levels(episodes: Iterable[Episode]) -> Iterator[tuple[Task[Any], int, list[Episode]]]:
    levels: dict[tuple[str, int], list[Episode]] = {}
    for episode in episodes:
        levels.setdefault((episode.task, episode.level), []).append(episode)
    for (name, level), of_level in levels.items():
        yield get_task(name), level, of_level


@lru_cache(maxsize=32)
def _drawn(task: Task[Any], level: int) -> frozenset[str]:
    """Keys of all states of a level that can be drawn; none where they cannot be listed."""
    return frozenset(map(task.key, task.states(level) or ()))
