"""The figures of one run by themselves: what ``eval`` shows and ``metrics.json`` holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mgsd_bench.analysis.groups import Groups, group_column, group_rows
from mgsd_bench.analysis.metrics import ACTING
from mgsd_bench.records import OMIT_NONE, to_json
from mgsd_bench.runs.scoring import Outcome, outcomes_of
from mgsd_bench.statistics.intervals import Estimate, proportion

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Row:
    """The answers to one level of a task, or to all of its levels.

    Attributes:
        task: name of the task.
        level: grid size; None for all levels.
        n: episodes.
        samples: answers, repeats counted.
        accuracy: share of solved questions among all that were asked.
        accuracy_asked: the same, of answers in the form that was asked for alone.
        optimal_accuracy: share solved with as few actions as possible.
        accuracy_answered: share of solved ones among the answers with a plan; None without any.
        outcomes: number of answers by outcome.
        illegal_rules: number of answers by the rule that they broke; acting step by step only by a fatal one.
        acting: the figures of :data:`mgsd_bench.analysis.metrics.ACTING`, by name, where a model acts step by step;
            those are left out of which nothing is known. None, and not written, of answers given at once.
    """

    task: str
    level: int | None
    n: int
    samples: int
    accuracy: Estimate
    accuracy_asked: Estimate
    optimal_accuracy: Estimate
    accuracy_answered: Estimate | None
    outcomes: Mapping[str, int]
    illegal_rules: Mapping[str, int]
    acting: Mapping[str, Estimate] | None = field(default=None, metadata=OMIT_NONE)


@dataclass(frozen=True, slots=True)
class Macro:
    """The equal-weight mean of the tasks.

    Attributes:
        tasks: names of the tasks.
        accuracy: as of :class:`Row`.
        accuracy_asked: as of :class:`Row`.
        optimal_accuracy: as of :class:`Row`.
        acting: as of :class:`Row`; a figure that some task has none of, because there is nothing to count of, is left
            out, but for what only some tasks can have at all.
    """

    tasks: tuple[str, ...]
    accuracy: Estimate
    accuracy_asked: Estimate
    optimal_accuracy: Estimate
    acting: Mapping[str, Estimate] | None = field(default=None, metadata=OMIT_NONE)


@dataclass(frozen=True, slots=True)
class ConditionSummary:
    """The answers under one condition: a row a level, a row a task, and the macro average."""

    levels: tuple[Row, ...]
    tasks: tuple[Row, ...]
    macro: Macro


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run.

    Attributes:
        samples: answers to all questions.
        errors: requests that failed.
        conditions: the answers by condition.
    """

    samples: int
    errors: int
    conditions: Mapping[str, ConditionSummary]

    @property
    def unread(self) -> int:
        """Answers in which nothing was to be read, or that were cut off; of closed loops those that ended so."""
        rows = (row for condition in self.conditions.values() for row in condition.tasks)
        return sum(row.outcomes[kind] for row in rows for kind in (Outcome.NO_ANSWER, Outcome.TRUNCATED))

    def to_json(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        found: dict[str, Any] = to_json(self)
        for condition in found["conditions"].values():
            for row in condition["tasks"]:
                del row["level"]
        return found


def summarise(frame: pd.DataFrame) -> Summary:
    """The figures of a table of samples, which they depend on alone, not on the order of its rows.

    Accuracy is the share of solved questions among *all* that were asked, whatever became of the others; optimal
    accuracy the share solved with as few actions as possible (MGSD, arXiv 2606.06076, evaluation).
    """
    conditions = frame["condition"].astype(str)
    return Summary(
        samples=len(frame),
        errors=int((frame["outcome"] == Outcome.ERROR).sum()),
        conditions={name: _condition(frame[conditions == name]) for name in sorted(conditions.unique())},
    )


def _condition(frame: pd.DataFrame) -> ConditionSummary:
    shares = {name: group_column(frame, column) for name, column in _SHARES.items()}
    acting = {name: group_rows(frame, metric) for name, metric in ACTING.items()} if "turns" in frame else {}
    strata = shares["accuracy"].strata
    tasks = [_row(frame[frame["task"] == task], task, None, shares, acting) for task in shares["accuracy"].tasks]
    levels = [
        _row(frame[(frame["task"] == s.task) & (frame["level"] == s.level)], s.task, s.level, shares, acting)
        for s in strata
    ]
    macro = Macro(
        tuple(shares["accuracy"].tasks),
        **{name: of.estimate() for name, of in shares.items()},
        acting=estimates(acting, None, None) or None,
    )
    return ConditionSummary(tuple(levels), tuple(tasks), macro)


def estimates(groups: Mapping[str, Groups], task: str | None, level: int | None) -> dict[str, Estimate]:
    """The figures at a place; those are left out that there is nothing to count of."""
    parts = {name: of.at(task, level) for name, of in groups.items()}
    return {name: of.estimate() for name, of in parts.items() if of.strata and of.counts_something}


def _row(
    frame: pd.DataFrame, task: str, level: int | None, shares: Mapping[str, Groups], acting: Mapping[str, Groups]
) -> Row:
    counts = Counter(frame["outcome"].astype(str))
    answered = int(frame["plan"].notna().sum())
    rules = Counter(frame["illegal"].dropna().astype(str))
    return Row(
        task=task,
        level=level,
        n=shares["accuracy"].at(task, level).n,
        samples=len(frame),
        **{name: of.at(task, level).estimate() for name, of in shares.items()},
        accuracy_answered=proportion(counts[Outcome.SOLVED], answered) if answered else None,
        outcomes={outcome.value: counts[outcome] for outcome in outcomes_of(str(frame["condition"].iloc[0]))},
        illegal_rules=dict(sorted(rules.items())),
        acting=estimates(acting, task, level) or None,
    )


_SHARES = {"accuracy": "solved", "accuracy_asked": "solved_asked", "optimal_accuracy": "optimal"}
"""The shares of a row, and the columns that they are of."""
