"""Why one answer failed: pure functions of an episode and what was said about it.

A model sees, plans and says. The facts that it states are a world that can be acted in like the true one, so a plan can
be tried in both: a plan that works in the world the model believed in was planned well and seen badly.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_envs import Episode, Fact, Task, get_task, rollout


class Counts(NamedTuple):
    """Facts stated and true (``tp``), stated but false (``fp``), true but not stated (``fn``)."""

    tp: int
    fp: int
    fn: int

    @property
    def exact(self) -> bool:
        """Whether every true fact was stated and no other."""
        return self.fp == self.fn == 0


class Attribution(StrEnum):
    """What a visual answer failed at; a closed set."""

    SOLVED = "solved"
    PERCEPTION = "perception"
    PLANNING = "planning"
    BOTH = "both"
    UNSTATED = "unstated"
    FORMAT = "format"


def stated_facts(sample: Sample) -> frozenset[Fact]:
    """The facts that an answer states."""
    return frozenset(tuple(fact) for fact in sample.facts)


def count_facts(true: frozenset[Fact], stated: frozenset[Fact]) -> Counts:
    """Compare two sets of facts. A contradiction is two stated facts, of which at most one is true."""
    tp = len(true & stated)
    return Counts(tp, len(stated) - tp, len(true) - tp)


def count_by_kind(true: frozenset[Fact], stated: frozenset[Fact]) -> dict[str, Counts]:
    """:func:`count_facts` for each kind of fact, a fact's kind being its name."""
    kinds = sorted({str(fact[0]) for fact in true | stated})
    return {
        kind: count_facts(*(frozenset(f for f in facts if f[0] == kind) for facts in (true, stated))) for kind in kinds
    }


def misread_cells(true: frozenset[Fact], stated: frozenset[Fact], size: int) -> list[tuple[int, int]]:
    """The cell of every fact that was misread, a cell as often as facts about it were; outside the grid left out."""
    cells = ((int(fact[1]), int(fact[2])) for fact in true ^ stated if len(fact) > 2)
    return [(row, column) for row, column in cells if row < size and column < size]


def believed_state(task: Task[Any], facts: Iterable[Fact]) -> Any | None:
    """The world that the facts describe; None where they describe none."""
    try:
        return task.from_facts(facts)
    except ValueError:
        return None


def attribute(episode: Episode, sample: Sample) -> Attribution:
    """What a visual answer failed at.

    - ``format``: there is no plan to be read.
    - ``planning``: the stated state is just the true one, and yet the plan fails.
    - ``perception``: the plan works in the world that was stated, or no plan would (no way leads to the goal there, or
      none is needed).
    - ``both``: the stated state is not the true one, and the plan fails in it too.
    - ``unstated``: no complete state was stated, so that the two cannot be told apart.
    """
    if sample.outcome == Outcome.SOLVED:
        return Attribution.SOLVED
    if sample.plan is None:
        return Attribution.FORMAT
    task = get_task(episode.task)
    stated = stated_facts(sample)
    if stated == task.facts(episode.state):
        return Attribution.PLANNING
    believed = believed_state(task, stated)
    if believed is None:
        return Attribution.UNSTATED
    if rollout(task, believed, sample.plan).outcome == "solved" or not task.solve(believed):
        return Attribution.PERCEPTION
    return Attribution.BOTH


def misplanned(episode: Episode, sample: Sample) -> bool | None:
    """Whether the plan fails in the world that was stated; None without a plan, such a world, or a way in it."""
    task = get_task(episode.task)
    believed = believed_state(task, stated_facts(sample))
    if sample.plan is None or believed is None or not task.solve(believed):
        return None
    return rollout(task, believed, sample.plan).outcome != "solved"


def solved_if_planned_well(episode: Episode, sample: Sample) -> bool:
    """Whether a shortest plan for the world that was stated works in the true one."""
    task = get_task(episode.task)
    believed = believed_state(task, stated_facts(sample))
    plan = None if believed is None else task.solve(believed)
    return bool(plan) and rollout(task, episode.state, plan or ()).outcome == "solved"
