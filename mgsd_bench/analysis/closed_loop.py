"""The diagnosis of a model that acts step by step, as a typed result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from mgsd_bench.analysis.metrics import ACTING, HEADLINE
from mgsd_bench.analysis.results import MACRO, Place, Results, scope_of
from mgsd_bench.prompts import CLOSED_LOOP
from mgsd_bench.records import Stored
from mgsd_bench.statistics.intervals import Estimate

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("useful", "neutral", "harmful", "blocked", "fatal", "done")
"""Kinds of steps, each step being of one; ``done`` where the state is too large to know more."""

UNREADABLE = "unreadable"
"""Beside the kinds of steps, a turn in which none could be read."""


class Way(NamedTuple):
    """A way of asking: condition and view."""

    condition: str
    view: str

    @classmethod
    def of(cls, condition: str, view: str) -> Self:
        """A condition in the view of its run, which is ``full`` for plans that are said at once."""
        return cls(condition, view if condition in CLOSED_LOOP else "full")

    @property
    def name(self) -> str:
        """Condition, and view if it is not the full one."""
        return self.condition if self.view == "full" else f"{self.condition}, {self.view}"


@dataclass(frozen=True, slots=True)
class ActingScope:
    """The episodes of one level, one task, or (as equal-weight means) of several tasks. Shares are from 0 to 1.

    Attributes:
        n: episodes.
        solved: share of the episodes that are solved.
        figures: the figures of :data:`mgsd_bench.analysis.metrics.ACTING` by name; what there is nothing to count of is
            left out.
        outcomes: number of episodes by outcome, repeats counted.
        steps: number of steps by kind (:data:`KINDS`), and of the harmful ones those that are ``irreversible``.
        shares: the same as shares of all steps; empty where no step was taken.
        faults: where the state is stated each turn, by kind of faulty step (harmful, blocked, fatal) and by cause
            (seeing, planning, both, unstated) their number; empty else.
        causes: the causes as shares of all faulty steps; empty where there is none, or no state is stated.
    """

    n: int
    solved: Estimate
    figures: Mapping[str, Estimate]
    outcomes: Mapping[str, int]
    steps: Mapping[str, int]
    shares: Mapping[str, Estimate]
    faults: Mapping[str, Mapping[str, int]]
    causes: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class TurnShares:
    """What happened in the n-th turn of the episodes that had not ended before.

    Attributes:
        turn: its number, from 1.
        n: episodes.
        shares: by kind of step, and ``unreadable``, its share of all steps and unreadable turns; those are left out
            that occur in no turn.
    """

    turn: int
    n: int
    shares: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingTask(ActingScope):
    """The episodes of one task.

    Attributes:
        levels: its levels.
        curve: what happened in each turn.
    """

    levels: Mapping[int, ActingScope]
    curve: tuple[TurnShares, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """A condition and a view.

    Attributes:
        condition: how episodes were put.
        view: how much of the board was shown.
        macro: the equal-weight means of the tasks.
        tasks: the tasks by name.
        curve: what happened in each turn, all tasks together.
    """

    condition: str
    view: str
    macro: ActingScope
    tasks: Mapping[str, ActingTask]
    curve: tuple[TurnShares, ...]

    @property
    def name(self) -> str:
        """Condition, and view if it is not the full one."""
        return Way(self.condition, self.view).name

    def scopes(self) -> dict[Place, ActingScope]:
        """The figures of every level and task, and the macro average last."""
        found: dict[Place, ActingScope] = {}
        for name, task in self.tasks.items():
            found |= {(name, level): scope for level, scope in task.levels.items()}
            found[name, None] = task
        return {**found, MACRO: self.macro}


@dataclass(frozen=True, slots=True)
class GapRow:
    """A difference in one task, or on average over the tasks.

    Attributes:
        n: episodes.
        before: what it is measured from.
        after: what it is measured to.
        difference: after minus before on the same episodes, from -1 to 1.
        only_before: episodes with the higher value before.
        only_after: episodes with the higher value after.
        mid_p: two-sided p-value of no difference; of a single task McNemar's mid-p.
        holm_p: the same adjusted (Holm 1979): of a task over the tasks, of the macro average over the differences; None
            of one that is only beside another.
    """

    n: int
    before: Estimate
    after: Estimate
    difference: Estimate
    only_before: int
    only_after: int
    mid_p: float
    holm_p: float | None


@dataclass(frozen=True, slots=True)
class ActingGap:
    """A difference between two ways of asking the same episodes.

    Attributes:
        name: what it is called.
        before: what it is measured from: condition, view, figure.
        after: what it is measured to.
        about: what it says, in a sentence.
        macro: the equal-weight mean of the tasks.
        tasks: by name.
    """

    name: str
    before: str
    after: str
    about: str
    macro: GapRow
    tasks: Mapping[str, GapRow]


@dataclass(frozen=True, slots=True)
class LoopDiagnosis(Stored):
    """Everything that is reported of a model that acts step by step: the content of ``closed_loop.json``.

    Attributes:
        model: name of the model.
        suite: name of the suite.
        digest: digest of the episodes.
        arms: conditions and views in which it acted.
        gaps: differences between them, and to plans said at once.
        notes: what was let through although the runs differ in it, a line each.
        format: version of the JSON form.
    """

    model: str
    suite: str
    digest: str
    arms: tuple[Arm, ...]
    gaps: tuple[ActingGap, ...]
    notes: tuple[str, ...] = ()
    format: int = 1

    def arm(self, condition: str, view: str = "full") -> Arm | None:
        """A condition in a view; None where the model did not act so."""
        return next((arm for arm in self.arms if (arm.condition, arm.view) == (condition, view)), None)

    def results(self, metrics: Iterable[str], view: str | None = None) -> Results:
        """The figures by place, of these metrics, as tables take them.

        Args:
            metrics: names of :data:`mgsd_bench.analysis.metrics.METRICS`.
            view: of the arms; that of the first one if None.
        """
        shown = [arm for arm in self.arms if arm.view == (view or self.arms[0].view)]
        places: dict[Place, dict[str, Estimate]] = {}
        counts: dict[Place, int] = {}
        names = list(metrics)
        for arm in shown:
            for place, scope in arm.scopes().items():
                figures = _figures(arm.condition, scope)
                places.setdefault(place, {}).update({name: figures[name] for name in names if name in figures})
                counts[place] = scope.n
        tasks = {place: figures for place, figures in places.items() if place != MACRO}
        return Results(self.model, self.suite, {**tasks, MACRO: places.get(MACRO, {})}, counts, notes=self.notes)

    def to_pandas(self) -> pd.DataFrame:
        """One row an arm, place and figure: condition, view, metric, scope, task, level, value, low, high, n."""
        import pandas as pd

        rows = [
            (arm.condition, arm.view, name, scope_of(place), *place, e.value, e.low, e.high, e.n)
            for arm in self.arms
            for place, scope in arm.scopes().items()
            for name, e in {"solved": scope.solved, **scope.figures}.items()
        ]
        columns = ["condition", "view", "metric", "scope", "task", "level", "value", "low", "high", "n"]
        return pd.DataFrame(rows, columns=columns).astype({"level": "Int64"})


def _figures(condition: str, scope: ActingScope) -> dict[str, Estimate]:
    """The figures of a condition by the registry's names; it has those beside the headline for ``act`` alone."""
    headline = {metric: scope.solved for name, metric in HEADLINE.items() if name == condition}
    if condition != "act":
        return headline
    return headline | {ACTING[name].name: figure for name, figure in scope.figures.items()}
