"""The diagnosis of a model as a typed result: what it sees, how it plans, and why it fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.analysis.overlap import Bounds
from mgsd_bench.analysis.results import Place, Results
from mgsd_bench.records import OMIT_NONE, Stored
from mgsd_bench.statistics.intervals import Estimate, proportion

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class StateScores:
    """How well stated facts agree with the true ones; see :func:`mgsd_bench.statistics.intervals.f1`.

    Attributes:
        precision: share of the stated facts that are true.
        recall: share of the true facts that are stated.
        f1: harmonic mean of the two.
        exact: share of answers that state just the true facts.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate
    exact: Estimate


@dataclass(frozen=True, slots=True)
class Gap:
    """The modality gap: symbolic minus visual accuracy on the same episodes (MGSD, arXiv 2606.06076).

    Attributes:
        difference: the gap, from -1 to 1.
        only_visual: episodes that are solved more often from the picture than from the state as text.
        only_symbolic: episodes that are solved more often from the text.
        mid_p: two-sided p-value of no gap; of a single task McNemar's mid-p.
    """

    difference: Estimate
    only_visual: int
    only_symbolic: int
    mid_p: float


@dataclass(frozen=True, slots=True)
class ByPath:
    """Solved from the picture where the plan that sees no obstacle works, and where not; None without such episodes."""

    straight: Estimate | None
    blocked: Estimate | None


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often the model misses or invents a fact, misplans in the world that it believes in, and says no plan.

    Attributes:
        misread: share of true facts (the size left out) that are not stated: what was missed.
        misplanned: share of plans that fail in the world that was stated, among those that have a way there; None where
            some task has no such plan.
        unreadable: share of answers without a plan.
        invented: share of stated facts (the size left out) that are false, which a wholly right list with holes added
            to it has too; None where in some task nothing is stated.
    """

    misread: Estimate
    misplanned: Estimate | None
    unreadable: Estimate
    invented: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Joint:
    """State exact, Plan-on-GT and E2E together.

    Attributes:
        counts: answers by the three, in this order, as text of 1 and 0: ``110`` is seen and planned, but not solved.
        observed: share solved from the picture.
        independent: what it would be if seeing and planning had nothing to do with each other.
    """

    counts: Mapping[str, int]
    observed: float
    independent: float


@dataclass(frozen=True, slots=True)
class Repeats:
    """Reliability: for k = 1, 2, ... tries, the share of episodes solved at least once (pass@k) and every time.

    With c of n tries solved, k drawn without replacement hold at least one success with probability
    1 - C(n - c, k) / C(n, k), and k successes with C(c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374).

    Attributes:
        tries: how often each question was asked.
        at_least_once: an estimate for each k.
        every_time: an estimate for each k.
    """

    tries: int
    at_least_once: tuple[Estimate, ...]
    every_time: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class DeadEnds:
    """Plans that failed, and how many of them made an error that nothing makes good; of tasks that have such errors.

    Attributes:
        failed: plans that were read and failed.
        count: those with a legal action after which success was out of reach.
        share: ``count`` of ``failed``; None where no plan failed.
        mean_step: number, from 1, of the first such action, on average; None where there is none.
    """

    failed: int
    count: int
    share: Estimate | None
    mean_step: float | None


@dataclass(frozen=True, slots=True)
class Scope:
    """The figures of one level, one task, or (as equal-weight means) of several tasks. Shares are from 0 to 1.

    Attributes:
        n: episodes.
        e2e: solved from the picture.
        e2e_asked: the same, by answers in the form that was asked for alone.
        optimal: solved from the picture with as few actions as possible.
        straight: solved by the plan that sees no obstacles.
        random: solved by random plans.
        by_path: ``e2e`` where the straight plan works, and where it does not.
        state: facts stated along with the plan.
        perceive: facts stated when asked for the state alone; None, as what follows, where that was not asked.
        plan_on_gt: solved from the true state as text.
        plan_on_gt_asked: the same, by answers in the form that was asked for alone.
        direct: solved from the picture without stating the state first.
        gap: the modality gap.
        faults: how often what goes wrong.
        attribution: answers from the picture by what they failed at.
        if_planned_well: solved if planning alone were put right, wherever it went wrong; an upper bound of ``e2e``. See
            :func:`mgsd_bench.analysis.attribution.planned_well`.
        joint: seen, planned and solved together.
        repeats: reliability; None where each question was asked once, or not all equally often.
        attribution_bounds: for ``perception``, ``planning`` and ``both`` the share of answers that each accounts for
            alone, as far as it can be known; see :mod:`mgsd_bench.analysis.overlap`. Empty in files of release 0.1.
        dead_ends: plans from the picture that could not be saved any more; None, and not written, for tasks without
            dead ends, as those of the paper are.
        dead_ends_on_gt: likewise, plans from the true state as text; None as well where that was not asked.
    """

    n: int
    e2e: Estimate
    e2e_asked: Estimate
    optimal: Estimate
    straight: Estimate
    random: Estimate
    by_path: ByPath
    state: StateScores
    perceive: StateScores | None
    plan_on_gt: Estimate | None
    plan_on_gt_asked: Estimate | None
    direct: Estimate | None
    gap: Gap | None
    faults: FaultRates
    attribution: Mapping[str, int]
    if_planned_well: Estimate
    joint: Joint | None
    repeats: Repeats | None
    attribution_bounds: Mapping[str, Bounds] = field(default_factory=dict, kw_only=True)
    dead_ends: DeadEnds | None = field(default=None, kw_only=True, metadata=OMIT_NONE)
    dead_ends_on_gt: DeadEnds | None = field(default=None, kw_only=True, metadata=OMIT_NONE)

    @property
    def failures(self) -> dict[str, Estimate]:
        """``attribution`` as shares of all answers; intervals rest on the episodes, however often each was asked."""
        total = sum(self.attribution.values())
        return {kind: _share(count, total, self.n) for kind, count in self.attribution.items()}

    def estimate(self, metric: str) -> Estimate | None:
        """One figure by the name of its metric, or ``random`` or ``gap``; None where it was not measured."""
        match metric:
            case "state_f1":
                return self.state.f1
            case "perceive_f1":
                return self.perceive.f1 if self.perceive else None
            case "gap":
                return self.gap.difference if self.gap else None
            case _:
                found: Estimate | None = getattr(self, metric, None)
                return found


@dataclass(frozen=True, slots=True)
class Level(Scope):
    """The figures of one level of a task.

    Attributes:
        level: grid size.
    """

    level: int


@dataclass(frozen=True, slots=True)
class FactCounts:
    """Facts of one kind.

    Attributes:
        tp: stated and true.
        fp: stated but false: invented.
        fn: true but not stated: missed.
        f1: 2 tp / (2 tp + fp + fn).
        missed: share of the true facts that are not stated; None where there is none.
        invented: share of the stated facts that are false; None where none is stated.
    """

    tp: int
    fp: int
    fn: int
    f1: float
    missed: Estimate | None = None
    invented: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Length:
    """The episodes whose shortest plan has one length.

    Attributes:
        shortest: actions in the shortest plan.
        n: episodes.
        e2e: solved from the picture.
        plan_on_gt: solved from the state as text; None where that was not asked.
    """

    shortest: int
    n: int
    e2e: Estimate
    plan_on_gt: Estimate | None

    def estimate(self, metric: str) -> Estimate | None:
        """``e2e`` or ``plan_on_gt``; None for others."""
        return {"e2e": self.e2e, "plan_on_gt": self.plan_on_gt}.get(metric)


Grid = tuple[tuple[float, ...], ...]
"""A number for each cell, row by row."""


@dataclass(frozen=True, slots=True)
class TaskDiagnosis(Scope):
    """The figures of one task.

    Attributes:
        facts: stated facts by kind, over all answers from the picture.
        levels: its levels, smallest first.
        lengths: its episodes by the length of the shortest plan.
        misread: by level, misread facts an answer by the cell that they are about: missed and invented ones.
        missed: likewise, true facts that are not stated.
        invented: likewise, stated facts that are false; those outside the grid are left out.
    """

    facts: Mapping[str, FactCounts]
    levels: tuple[Level, ...]
    lengths: tuple[Length, ...]
    misread: Mapping[int, Grid]
    missed: Mapping[int, Grid] = field(default_factory=dict)
    invented: Mapping[int, Grid] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis(Stored):
    """Everything that is reported of how a model fails: the content of ``diagnosis.json``; see docs/diagnosis.md.

    Attributes:
        model: name of the model.
        suite: name of the suite.
        digest: digest of the episodes.
        conditions: the conditions that there are answers of, sorted.
        macro: the equal-weight means of the tasks.
        tasks: the tasks by name.
        notes: what was let through although the runs differ in it, a line each.
        format: version of the JSON form.
    """

    model: str
    suite: str
    digest: str
    conditions: tuple[str, ...]
    macro: Scope
    tasks: Mapping[str, TaskDiagnosis]
    notes: tuple[str, ...] = ()
    format: int = 1

    def scopes(self) -> dict[Place, Scope]:
        """The figures of every level and task, and the macro average last."""
        found: dict[Place, Scope] = {}
        for name, task in self.tasks.items():
            found |= {(name, level.level): level for level in task.levels}
            found[name, None] = task
        return {**found, (None, None): self.macro}

    def results(self, metrics: Iterable[str]) -> Results:
        """The figures by place, of these metrics, as tables take them."""
        names = list(metrics)
        scopes = self.scopes()
        figures = {
            place: {name: found for name in names if (found := scope.estimate(name))} for place, scope in scopes.items()
        }
        counts = {place: scope.n for place, scope in scopes.items()}
        return Results(self.model, self.suite, figures, counts, notes=self.notes)

    def renamed(self, model: str) -> Diagnosis:
        """The same figures under another name."""
        return replace(self, model=model)

    def to_pandas(self) -> pd.DataFrame:
        """One row a place and metric; see :meth:`mgsd_bench.analysis.results.Results.to_pandas`."""
        return self.results(SHOWN).to_pandas()


SHOWN = (*METRICS, "random", "gap")
"""What :meth:`Diagnosis.to_pandas` shows of each place."""


def _share(count: int, samples: int, n: int) -> Estimate:
    """A share of answers; its interval rests on the episodes, however often each was asked."""
    share = count / samples
    interval = proportion(round(share * n), n)
    return Estimate(share, interval.low, interval.high, n)
