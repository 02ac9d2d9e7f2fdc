"""What is shown of an episode in one turn of the closed loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgsd_envs import get_task
from mgsd_envs.views import View, picture, tell

if TYPE_CHECKING:
    from mgsd_envs import Episode
    from mgsd_envs.rendering import Picture, Pixels
    from mgsd_envs.types import Cursor


def shown_in_turn(
    episode: Episode, condition: str, view: View, trail: Sequence[Cursor], turn: int, size: int | None = None
) -> Picture | Pixels | str | None:
    """The picture of a turn, or the state as text; None where there is neither.

    Args:
        episode: the episode.
        condition: one of the closed loop.
        view: how much of the board is shown.
        trail: the cursors so far, the present one last.
        turn: number of the turn, from 0.
        size: side of the picture in pixels; that of the episode if None.

    Raises:
        ValueError: the task has no such view.
    """
    if condition == "act-symbolic":
        return tell(get_task(episode.task), episode.state, trail, view)
    if condition == "act-blind" and turn:
        return None
    return picture(episode, trail_in_picture(condition, trail), view, size)


def trail_in_picture(condition: str, trail: Sequence[Cursor]) -> tuple[Cursor, ...]:
    """The trail whose end a turn's picture shows: under ``act-stale`` the start, whatever has been done."""
    return tuple(trail[:1] if condition == "act-stale" else trail)
