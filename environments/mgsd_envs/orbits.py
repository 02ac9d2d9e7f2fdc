"""Orbits: a state together with its mirror images and quarter turns, and the split that they share.

A model that was trained on a state has, up to a symmetry, seen all of its orbit. ``split_by`` says what a split keeps
apart: ``state``, each state by itself, or ``orbit``, whole orbits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from mgsd_envs.splits import SplitBy
from mgsd_envs.symmetry import SYMMETRIES
from mgsd_envs.task import Symmetric

if TYPE_CHECKING:
    from mgsd_envs.task import Task

S = TypeVar("S")


def images(task: Task[S], state: S) -> Iterator[S]:
    """The state under each of the eight symmetries, itself first; itself alone where the task names no symmetries."""
    yield state
    if isinstance(task, Symmetric):
        for symmetry in SYMMETRIES[1:]:
            yield task.transform(state, symmetry)


def orbit_key(task: Task[S], state: S) -> str:
    """A canonical name of the state's orbit, stable across versions: the least of the keys of its images.

    For a task without symmetries it is the state's own key.
    """
    faster = getattr(task, "orbit_key", None)
    key: str = min(map(task.key, images(task, state))) if faster is None else faster(state)
    return key


def split_key(task: Task[S], state: S, split_by: SplitBy) -> str:
    """The name that decides the state's split: its own or its orbit's."""
    return orbit_key(task, state) if split_by == "orbit" else task.key(state)
