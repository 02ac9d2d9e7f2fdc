"""Looks: how a state is shown, as opposed to what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mgsd_envs.symmetry import TURNED

MARK = "@"
"""What parts an episode's id from the look in which it is asked once more."""


@dataclass(frozen=True, slots=True)
class Look:
    """A theme and at most one perturbation, written ``classic`` or ``classic+blur-3``.

    A look changes the picture and nothing else: an episode in two looks is one state, so looks are compared in pairs.

    Attributes:
        theme: the set of tiles.
        perturbation: what is done to the theme's picture, one of :data:`mgsd_envs.perturbations.PERTURBATIONS`.
        severity: how much of it, from 1; 0 where nothing is done.
    """

    theme: str
    perturbation: str | None = None
    severity: int = 0

    def __post_init__(self) -> None:
        if self.perturbation is not None:
            from mgsd_envs.perturbations import check_perturbation

            check_perturbation(self.perturbation, self.severity)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The look that is written so.

        Raises:
            ValueError: there is no such perturbation, or it has no such severity.
        """
        theme, plus, rest = text.partition("+")
        if not plus:
            return cls(theme)
        name, _, severity = rest.rpartition("-")
        if not severity.isascii() or not severity.isdigit():
            raise ValueError(f"{text!r:.60} is no look; write a theme and a perturbation, for example classic+blur-3")
        return cls(theme, name, int(severity))

    def __str__(self) -> str:
        return self.theme + ("" if self.perturbation is None else f"+{self.change}")

    @property
    def change(self) -> str:
        """The perturbation and its severity, such as ``blur-3``; empty where there is none."""
        return "" if self.perturbation is None else f"{self.perturbation}-{self.severity}"


def id_in_look(episode_id: str, look: Look, first: Look) -> str:
    """The id of an episode that is asked in several looks: without addition in the first, else behind an ``@``."""
    if look == first:
        return episode_id
    return episode_id + MARK + (look.change if look.theme == first.theme and look.change else str(look))


def id_without_look(episode_id: str) -> str:
    """The id that an episode has in every look: what looks are paired by."""
    return episode_id.partition(MARK)[0]


def is_turned(episode_id: str) -> bool:
    """Whether an episode is another state than that of the same id without look."""
    return episode_id.partition(MARK)[2].startswith(f"{TURNED}-")


def look_of_id(episode_id: str, first: str) -> str:
    """The look that an episode's id says, written out, where ``first`` is the theme of those without addition."""
    _, mark, look = episode_id.partition(MARK)
    if not mark:
        return first
    name, _, severity = look.rpartition("-")
    changes_first = bool(name) and severity.isdigit() and "+" not in name
    return f"{first}+{look}" if changes_first else look
