"""The installed tasks: entry points of the group ``mgsd_envs.tasks``, each loaded when it is asked for.

A task that cannot be loaded is named in one line when it is used; the others are not hurt by it.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mgsd_envs.errors import TaskError
from mgsd_envs.task import Task

GROUP = "mgsd_envs.tasks"


@cache
def _points() -> dict[str, list[EntryPoint]]:
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        points.setdefault(point.name, []).append(point)
    return points


def task_names() -> tuple[str, ...]:
    """Names of the installed tasks, in order of registration; none is loaded."""
    return tuple(_points())


@cache
def get_task(name: str) -> Task[Any]:
    """The installed task called ``name``.

    Raises:
        KeyError: there is none.
        TaskError: it cannot be loaded, or is no :class:`mgsd_envs.task.Task` of this name; a task that lacks something
            says so itself.
    """
    points = {point.value: point for point in _points()[name]}
    if len(points) > 1:
        packages = " and ".join(sorted(map(_package, points.values())))
        raise TaskError(f"task {name}: given by {packages}; uninstall one of them")
    (point,) = points.values()
    try:
        task = point.load()()
    except TaskError:
        raise
    except (Exception, SystemExit) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise TaskError(
            f"task {name}: {point.value} of {_package(point)} cannot be loaded ({said:.200}); mend or uninstall it"
        ) from error
    if not isinstance(task, Task):
        raise TaskError(f"task {name}: {point.value} of {_package(point)} is no mgsd_envs.Task")
    if task.name != name:
        raise TaskError(f"task {name}: {point.value} of {_package(point)} calls itself {task.name!r:.50}")
    return task


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
