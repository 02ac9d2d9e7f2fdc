"""Columns of the table of samples for episodes that were acted in step by step."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mgsd_bench.analysis.columns import Column, Values
from mgsd_bench.runs.loop_score import LoopScore
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_envs import Irreversible, TaskError, get_task

LOOP: dict[str, Column] = {
    "view": Column("category", "", "how much of the board was shown: full, fog:R or window:R"),
    "turns": Column("Int64", "turns", "answers that came; missing, as all that follows, where a plan was asked for"),
    "unread": Column("Int64", "turns", "those in which no action could be read, cut ones included"),
    "cut": Column("Int64", "turns", "those of them that ran out of tokens"),
    "actions": Column("Int64", "actions", "actions tried, blocked and fatal ones included"),
    "blocked": Column("Int64", "actions", "those that were not possible and changed nothing"),
    "fatal": Column("Int64", "actions", "those that ended the episode in failure, 0 or 1"),
    "useful": Column("Int64", "actions", "those after which there is less to go; missing in a state too large to know"),
    "neutral": Column("Int64", "actions", "those done after which there is as much to go"),
    "harmful": Column("Int64", "actions", "those done after which there is more to go, or no way any more"),
    "visits": Column("Int64", "states", "states met: the first one, and that after each action done"),
    "revisits": Column("Int64", "states", "those that had been met before"),
    "looped": Column("boolean", "", "whether an action was tried three times or more in one state"),
    "after_blocked": Column("Int64", "actions", "actions right after a blocked one"),
    "repeated": Column("Int64", "actions", "those of them that are the blocked one again"),
    "lost": Column("boolean", "", "whether an action done put success out of reach; missing for tasks where none can"),
    "wasted": Column("Int64", "actions", "actions after that one; missing where there is none"),
    "progress": Column("float64", "share", "of the distance to success that was covered, 0 where lost"),
    "strict": Column("boolean", "", "solved without a blocked action"),
    "within_1": Column("boolean", "", "solved in no more actions than the shortest plan has"),
    "within_1_5": Column("boolean", "", "solved in at most 1.5 times as many actions"),
    "within_2": Column("boolean", "", "solved in at most twice as many actions"),
    "within_3": Column("boolean", "", "solved in at most three times as many actions"),
    "spl": Column("float64", "share", "shortest / max(shortest, actions) where solved, else 0"),
    "explorer": Column("Int64", "actions", "those that the scripted explorer needs; missing under the view full"),
    "explorer_ratio": Column("float64", "share", "explorer / max(explorer, actions) where solved, else 0"),
    "seen": Column("Int64", "cells", "cells ever seen, of those that can be reached; missing under the view full"),
    "reachable": Column("Int64", "cells", "cells that can be reached"),
    "attributed_steps": Column(
        "Int64", "actions", "harmful, blocked and fatal ones in turns that state what is seen; missing where none is"
    ),
    "misread_steps": Column("Int64", "actions", "those of them that are right in the state that was stated"),
    "misplanned_steps": Column("Int64", "actions", "those of them in turns that state just the true state"),
    "both_steps": Column("Int64", "actions", "those that are wrong in the true state and in a false one"),
    "unstated_steps": Column("Int64", "actions", "those in turns that state no complete state"),
}
"""The columns that a table has besides where a sample is of an episode that was acted in step by step."""

_Read = Callable[[Sample, LoopScore], Any]


def _within(times: float) -> _Read:
    return lambda sample, loop: _solved(sample) and loop.actions <= times * sample.shortest


def _causes(letter: str) -> _Read:
    return lambda sample, loop: None if loop.causes is None else loop.causes.count(letter)


def _solved(sample: Sample) -> bool:
    return sample.outcome == Outcome.SOLVED


def _ratio(sample: Sample, fewest: int | None, loop: LoopScore) -> float | None:
    """S n / max(n, actions), n the fewest actions of some kind; None where these are not known."""
    if fewest is None:
        return None
    return fewest / max(fewest, loop.actions) if _solved(sample) else 0.0


def _lost(sample: Sample, loop: LoopScore) -> bool | None:
    if sample.dead_end is not None:
        return True
    return False if loop.useful is not None and has_dead_ends(sample.task) else None


@lru_cache(maxsize=1_024)
def has_dead_ends(task: str) -> bool:
    """Whether success can get out of reach in a task; not known, and so no, of one that is not installed."""
    try:
        return isinstance(get_task(task), Irreversible)
    except (KeyError, TaskError):
        return False


_READERS: dict[str, _Read] = {
    "fatal": lambda sample, loop: int(sample.outcome == Outcome.FATAL),
    "revisits": lambda sample, loop: loop.visits - loop.distinct,
    "lost": _lost,
    "wasted": lambda sample, loop: None if sample.dead_end is None else loop.actions - sample.dead_end,
    "strict": lambda sample, loop: _solved(sample) and not loop.blocked,
    "within_1": _within(1),
    "within_1_5": _within(1.5),
    "within_2": _within(2),
    "within_3": _within(3),
    "spl": lambda sample, loop: _ratio(sample, sample.shortest, loop),
    "explorer_ratio": lambda sample, loop: _ratio(sample, loop.explorer, loop),
    "attributed_steps": lambda sample, loop: None if loop.causes is None else len(loop.causes),
    "misread_steps": _causes("s"),
    "misplanned_steps": _causes("p"),
    "both_steps": _causes("b"),
    "unstated_steps": _causes("u"),
}


def _field(name: str) -> _Read:
    return lambda sample, loop: getattr(loop, name)


class LoopValues:
    """The values of :data:`LOOP`, of samples that come one after another; nothing is kept before the first closed loop.

    The samples are not kept.

    Args:
        view: how much of the board is shown.
    """

    def __init__(self, view: str) -> None:
        self._view, self._rows = view, 0
        self._values: dict[str, Values] = {}
        self._readers: dict[str, _Read] = {name: _READERS.get(name) or _field(name) for name in LOOP}
        self._readers["view"] = lambda sample, loop: self._view

    def append(self, sample: Sample) -> None:
        """Add one row."""
        loop = sample.loop
        if loop is not None and not self._values:
            self._values = {name: column.values() for name, column in LOOP.items()}
            for values in self._values.values():
                for _ in range(self._rows):
                    values.append(None)
        self._rows += 1
        for name, values in self._values.items():
            values.append(None if loop is None else self._readers[name](sample, loop))

    def columns(self) -> dict[str, Values]:
        """The values by column, in the order of :data:`LOOP`; none where no sample is of a closed loop."""
        return self._values
