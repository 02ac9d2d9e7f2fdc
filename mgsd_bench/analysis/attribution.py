"""Why one answer failed: pure functions of an episode and what was said about it.

A model sees, plans and says. The facts that it states are a world that can be acted in like the true one, so a plan can
be tried in both: a plan that works in the world the model believed in was planned well and seen badly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, Self

from mgsd_bench.prompts import WITH_FACTS
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_envs import Episode, Fact, Plan, Task, get_task, rollout
from mgsd_envs.errors import SearchError
from mgsd_envs.transfer import transfer


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


def fact_cells(facts: Iterable[Fact], size: int) -> list[tuple[int, int]]:
    """The cell of every fact, a cell as often as there are facts about it; those outside the grid left out."""
    cells = ((int(fact[1]), int(fact[2])) for fact in facts if len(fact) > 2)
    return [(row, column) for row, column in cells if row < size and column < size]


def believed_state(task: Task[Any], facts: Iterable[Fact]) -> Any | None:
    """The world that the facts describe; None where they describe none."""
    try:
        return task.from_facts(facts)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Belief:
    """The world that an answer states.

    Attributes:
        state: the world; None where the facts describe none, or one too large to be searched.
        plan: a shortest plan in it; empty where there is no such world, no way leads to its goal, or none is needed.
    """

    state: Any | None
    plan: Plan

    @classmethod
    def of(cls, task: Task[Any], stated: Iterable[Fact]) -> Self:
        """What stated facts come to."""
        state = believed_state(task, stated)
        try:
            return cls(state, () if state is None else task.solve(state) or ())
        except SearchError:
            return cls(None, ())


def attribute(episode: Episode, sample: Sample) -> Attribution:
    """What a visual answer failed at.

    - ``format``: there is no plan to be read.
    - ``planning``: the stated state is just the true one, and yet the plan fails.
    - ``perception``: the plan works in the world that was stated, or no plan would (no way leads to the goal there, or
      none is needed).
    - ``both``: the stated state is not the true one, and the plan fails in it too. Two faults were made; whether both
      were needed for the failure is another question, see :mod:`mgsd_bench.analysis.overlap`.
    - ``unstated``: no complete state was stated, so that the two cannot be told apart.
    """
    task, stated = get_task(episode.task), sample.stated
    return _attribute(task, sample, stated == task.facts(episode.state), Belief.of(task, stated))


def _attribute(task: Task[Any], sample: Sample, exact: bool, belief: Belief) -> Attribution:
    if sample.outcome == Outcome.SOLVED:
        return Attribution.SOLVED
    if sample.plan is None:
        return Attribution.FORMAT
    if exact:
        return Attribution.PLANNING
    if belief.state is None:
        return Attribution.UNSTATED
    return Attribution.BOTH if _misplanned(task, sample, belief) else Attribution.PERCEPTION


def _misplanned(task: Task[Any], sample: Sample, belief: Belief) -> bool | None:
    """Whether the plan fails in the world that was stated; None without a plan, such a world, or a way in it."""
    if sample.plan is None or not belief.plan:
        return None
    return rollout(task, belief.state, sample.plan).outcome != "solved"


def planned_well(episode: Episode, sample: Sample, belief: Belief, misplanned: bool | None) -> float:
    """The chance that an answer would have solved its episode, had it been planned well in the world that it states.

    Planning alone is put right, and only where it went wrong:

    - A solved answer stays solved: 1.
    - A plan that works in the stated world and fails in the true one is no fault of planning: 0. So is whatever was
      answered where nothing complete is stated, no way leads to the stated goal, or none is needed.
    - A plan that fails in the stated world, or is missing, is replaced by a shortest plan of the stated world, drawn
      evenly from all of them: the exact share of those that solve the true world.

    The mean over answers is never below the share solved. In expectation over which shortest plan is taken it is never
    below the accuracy of the same model without faults of planning, nor above it by more than what plans that fail in
    the stated world solved in the true one by luck.

    Args:
        episode: what was asked.
        sample: the answer from the picture.
        belief: the world that it states.
        misplanned: whether its plan fails there; None where that cannot be said.
    """
    if sample.outcome == Outcome.SOLVED:
        return 1.0
    if misplanned is False or not belief.plan:
        return 0.0
    return _transfer(episode.task, belief.state, episode.state)


@lru_cache(maxsize=8_192)
def _transfer(task: str, believed: Any, true: Any) -> float:
    return transfer(get_task(task), believed, true)


@dataclass(frozen=True, slots=True)
class SampleDiagnosis:
    """What comes of comparing one answer with its episode; None where that was not asked for or cannot be said.

    Attributes:
        state_tp: facts stated and true; None, as the other counts, where no state was asked for.
        state_fp: facts stated but false.
        state_fn: facts true but not stated.
        misread_tp: as ``state_tp`` without the size; of answers from the picture.
        misread_fp: as ``state_fp`` without the size.
        misread_fn: as ``state_fn`` without the size.
        attribution: what an answer from the picture failed at.
        misplanned: whether the plan fails in the world that was stated; None without a plan, such a world, or a way in
            it; of answers from the picture.
        if_planned_well: the chance from 0 to 1 that the answer would solve its episode had it been planned well in the
            world that it states, see :func:`planned_well`; of answers from the picture.
    """

    state_tp: int | None = None
    state_fp: int | None = None
    state_fn: int | None = None
    misread_tp: int | None = None
    misread_fp: int | None = None
    misread_fn: int | None = None
    attribution: str | None = None
    misplanned: bool | None = None
    if_planned_well: float | None = None

    @property
    def state_precision(self) -> float | None:
        """Share of the stated facts that are true; None without any."""
        return _ratio(self.state_tp, self.state_tp, self.state_fp)

    @property
    def state_recall(self) -> float | None:
        """Share of the true facts that are stated."""
        return _ratio(self.state_tp, self.state_tp, self.state_fn)

    @property
    def state_f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn)."""
        twice = None if self.state_tp is None else 2 * self.state_tp
        return _ratio(twice, twice, self.state_fp, self.state_fn)

    @property
    def state_exact(self) -> bool | None:
        """Whether just the true facts are stated."""
        return None if self.state_fp is None else self.state_fp == self.state_fn == 0


def _ratio(top: int | None, *parts: int | None) -> float | None:
    whole = sum(part or 0 for part in parts)
    return top / whole if top is not None and whole else None


def diagnose_sample(episode: Episode, sample: Sample) -> SampleDiagnosis:
    """Compare what an answer states and plans with its episode."""
    if sample.condition not in WITH_FACTS:
        return SampleDiagnosis()
    task, stated = get_task(episode.task), sample.stated
    true = task.facts(episode.state)
    seen = [task.seen(facts) for facts in (true, stated)]
    tp, fp, fn = count_facts(*seen)
    if sample.condition != "visual":
        return SampleDiagnosis(tp, fp, fn)
    misread = count_facts(*(frozenset(fact for fact in facts if fact[0] != "size") for facts in seen))
    belief = Belief.of(task, stated)
    misplanned = _misplanned(task, sample, belief)
    return SampleDiagnosis(
        tp,
        fp,
        fn,
        *misread,
        attribution=_attribute(task, sample, stated == true, belief).value,
        misplanned=misplanned,
        if_planned_well=planned_well(episode, sample, belief, misplanned),
    )
