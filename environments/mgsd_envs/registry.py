"""The installed tasks: entry points of the group ``mgsd_envs.tasks``, each loaded when it is asked for.

A task that cannot be loaded is named in one line when it is used; the others are not hurt by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mgsd_envs.errors import TaskError
from mgsd_envs.task import NAME, Task

GROUP = "mgsd_envs.tasks"
_NEEDED = ("name", "levels", "min_level", "actions", "rules", "fields")


@cache
def _points() -> dict[str, list[EntryPoint]]:
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        points.setdefault(point.name, []).append(point)
    return points


def task_names() -> tuple[str, ...]:
    """Names of the installed tasks, in order of registration; none is loaded."""
    return tuple(_points())


def loadable_tasks(of: Iterable[str] | None = None) -> tuple[tuple[str, ...], tuple[TaskError, ...]]:
    """Names of the installed tasks that can be used, in order of registration, and what is wrong with the others.

    Args:
        of: only these of the installed tasks.
    """
    names, errors = [], []
    for name in task_names() if of is None else of:
        try:
            names.append(get_task(name).name)
        except TaskError as error:
            errors.append(error)
    return tuple(names), tuple(errors)


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
    if problem := _problem(task, name):
        raise TaskError(f"task {name}: {point.value} of {_package(point)} {problem}; mend or uninstall it")
    return task  # type: ignore[no-any-return]


def _problem(task: Any, name: str) -> str | None:
    """What is wrong with a task at first sight; :func:`mgsd_envs.testing.check_task` looks closer."""
    if not isinstance(task, Task):
        return "is no mgsd_envs.Task"
    if lacks := [need for need in _NEEDED if not hasattr(task, need)]:
        return f"has no {', '.join(lacks)}"
    if task.name != name:
        return f"calls itself {task.name!r:.50}"
    return None if NAME.fullmatch(name) else "has a name that is not all small letters, digits, '_' and '-'"


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
