"""Suites whose episodes are asked in several looks, to see what each look costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgsd_bench.errors import UserError
from mgsd_bench.prompts import WITH_IMAGE
from mgsd_bench.suites.packed import Packed
from mgsd_envs import Episode, Look, get_task
from mgsd_envs.looks import id_without_look, is_turned
from mgsd_envs.perturbations import ORDERED, PERTURBATIONS


def in_looks(episodes: Sequence[Episode], looks: Sequence[str]) -> Packed:
    """Every episode in every look, look by look; ids of all but the first look say which (``maze/4/0007@blur-3``).

    Args:
        episodes: the episodes, in any one look.
        looks: looks as text (:class:`mgsd_envs.Look`), none twice; the first is what the others are compared with.

    Raises:
        UserError: a look is none, stands twice, or is not one of a task's.
    """
    read = [_read(look) for look in looks]
    for look in read:
        if read.count(look) > 1:
            raise UserError(f"looks: {look} stands there twice")
    for task in dict.fromkeys(episode.task for episode in episodes):
        for look in read:
            if look.theme not in (themes := get_task(task).themes):
                raise UserError(f"looks: {look}: {task} has the themes {', '.join(themes)}")
    try:
        return Packed(episode.in_look(look, read[0]) for look in read for episode in episodes)
    except ValueError as error:
        raise UserError(f"looks: {error}") from error


def themed(looks: Sequence[str], theme: str) -> tuple[str, ...]:
    """The looks with another theme in place of the first one's."""
    read = [_read(look) for look in looks]
    return tuple(str(replace(look, theme=theme) if look.theme == read[0].theme else look) for look in read)


def perturbed(theme: str, severities: Sequence[int] = (1, 2, 3, 4, 5)) -> tuple[str, ...]:
    """The looks of a robustness suite.

    A theme without perturbation, once more for what changes by itself, every ordered axis at the severities that it
    has of these, and two axes at once.
    """
    cells = (f"{name}-{severity}" for name in ORDERED for severity in severities if severity in _severities(name))
    return (theme, *(f"{theme}+{change}" for change in ("copy-1", *cells, "pair-2")))


def is_asked(episode: str, condition: str) -> bool:
    """Whether a condition is asked of an episode: one that shows no picture once a state, however many looks."""
    return condition in WITH_IMAGE or id_without_look(episode) == episode or is_turned(episode)


def _severities(name: str) -> range:
    return range(1, len(PERTURBATIONS[name].values) + 1)


def _read(text: str) -> Look:
    try:
        return Look.parse(text)
    except ValueError as error:
        raise UserError(f"looks: {error}") from error
