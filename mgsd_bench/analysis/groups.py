"""The one grouping: repeats to episodes, episodes to levels, levels to tasks, tasks to the macro average."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mgsd_bench.analysis.metrics import Measure, Metric
from mgsd_bench.statistics.intervals import Estimate, fact_values, macro, mean, paired_difference
from mgsd_bench.statistics.paired import Change, change, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stratum:
    """The episodes of one level of a task.

    Attributes:
        task: name of the task.
        level: grid size.
        episodes: (n,) ids, sorted.
        values: (n,) one value an episode, the mean over its repeats; of facts (n, 3) their numbers tp, fp, fn, added up
            over repeats.
    """

    task: str
    level: int
    episodes: NDArray[np.object_]
    values: Floats


@dataclass(frozen=True)
class Groups:
    """One metric of one run: a value an episode, by task and level.

    Attributes:
        strata: in order of task and level; none is empty.
        measure: of facts, which ratio; None of a share.
    """

    strata: tuple[Stratum, ...]
    measure: Measure | None = None

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return list(dict.fromkeys(stratum.task for stratum in self.strata))

    @property
    def n(self) -> int:
        """How many episodes there are."""
        return sum(len(stratum.episodes) for stratum in self.strata)

    def at(self, task: str | None = None, level: int | None = None) -> Groups:
        """The part of one task, or of one level of it; all of it without a task."""
        kept = tuple(s for s in self.strata if task in (None, s.task) and level in (None, s.level))
        return Groups(kept, self.measure)

    def places(self) -> Iterator[tuple[str | None, int | None]]:
        """Every level and then the whole of each task, and the macro average last."""
        for task in self.tasks:
            yield from ((task, stratum.level) for stratum in self.at(task).strata)
            yield task, None
        yield None, None

    def values(self) -> list[list[Floats]]:
        """Task by task and level by level one value an episode; facts as linearised values over this part."""
        by_task = [[s.values for s in self.strata if s.task == task] for task in self.tasks]
        return by_task if self.measure is None else fact_values(by_task, self.measure)

    @property
    def counts_something(self) -> bool:
        """Whether there is a value, and of counts whether anything is counted in each task."""
        return bool(self.strata) and (
            self.measure is None or all(any(s.values.any() for s in self.at(task).strata) for task in self.tasks)
        )

    def estimate(self) -> Estimate:
        """The macro average of these tasks, or the mean of this task or level, with its interval.

        Raises:
            ValueError: there is no episode.
        """
        return mean(self.values()) if self.measure is None else macro(self.values())

    def paired(self, other: Groups) -> Pairs:
        """This run (before) and another (after) on the same episodes.

        Raises:
            ValueError: the two do not have the same episodes.
        """
        return Pairs(self, other)


@dataclass(frozen=True)
class Pairs:
    """A metric of two runs on the same episodes.

    Attributes:
        before: one run.
        after: the other.

    Raises:
        ValueError: the two do not have the same episodes.
    """

    before: Groups
    after: Groups

    def __post_init__(self) -> None:
        keys = [[(s.task, s.level, tuple(s.episodes)) for s in groups.strata] for groups in (self.before, self.after)]
        if keys[0] != keys[1]:
            raise ValueError("the two runs do not have the same episodes")

    def at(self, task: str | None = None, level: int | None = None) -> Pairs:
        """The part of one task, or of one level of it."""
        return Pairs(self.before.at(task, level), self.after.at(task, level))

    def difference(self) -> Estimate:
        """After minus before, with its interval."""
        return paired_difference(self.before.values(), self.after.values())

    def change(self) -> Change:
        """The change episode by episode, as the gate's tests take it."""
        return change(self.before.values(), self.after.values())

    def p(self) -> float:
        """Two-sided p-value of "nothing changed"."""
        return two_sided_p(self.before.values(), self.after.values())

    def only(self) -> tuple[int, int]:
        """How many episodes have the higher value before, and how many after."""
        values = self.change().values
        return int((values < -_TIE).sum()), int((values > _TIE).sum())

    def lower_after(self) -> list[str]:
        """Ids of the episodes whose value is lower after than before."""
        found: list[str] = []
        for before, after in zip(self.before.strata, self.after.strata, strict=True):
            found.extend(before.episodes[after.values < before.values - _TIE])
        return found


_TIE = 1e-9


def group(frame: pd.DataFrame, metric: Metric) -> Groups:
    """A metric's values in a table of samples."""
    return group_rows(frame[frame["condition"] == metric.condition], metric)


def group_rows(rows: pd.DataFrame, metric: Metric) -> Groups:
    """A metric's values in rows of one condition, be it another than the metric's own."""
    if metric.over is not None:
        return group_rate(rows, metric.column, metric.over)
    return group_column(rows, metric.column, metric.measure)


def group_rate(rows: pd.DataFrame, column: str, over: str) -> Groups:
    """A count as a share of another one, both added up over repeats and over the episodes of a task.

    It is the recall of as many facts. Where :attr:`Groups.counts_something` is false there is no such share.

    Args:
        rows: of a table of samples; those in which one of the two is missing are left out.
        column: the count.
        over: what it is a share of.
    """
    part = rows[["task", "level", "episode", column, over]].dropna(subset=[column, over])
    counts = part.assign(rate_tp=part[column], rate_fp=0, rate_fn=part[over] - part[column])
    return group_column(counts, "rate", "recall")


def group_column(frame: pd.DataFrame, column: str, measure: Measure | None = None) -> Groups:
    """The values of one column, all of its rows being of one condition.

    Args:
        frame: a table of samples.
        column: of numbers or truth values; rows in which it is missing are left out. Of facts the columns with
            ``_tp``, ``_fp`` and ``_fn`` added to it are read.
        measure: of facts, which ratio.
    """
    columns = [column] if measure is None else [f"{column}_{part}" for part in ("tp", "fp", "fn")]
    part = frame[["task", "level", "episode", *columns]].dropna(subset=columns)
    if part.empty:
        return Groups((), measure)
    by_episode = part.groupby(["task", "level", "episode"], observed=True, sort=True)[columns]
    found = by_episode.mean() if measure is None else by_episode.sum()
    strata = []
    values = found.to_numpy(float)
    if measure is None:
        values = values[:, 0]
    tasks, levels, episodes = (found.index.get_level_values(i).to_numpy() for i in range(3))
    starts = np.flatnonzero(np.r_[True, (tasks[1:] != tasks[:-1]) | (levels[1:] != levels[:-1])])
    for start, end in zip(starts, [*starts[1:], len(tasks)], strict=True):
        names = np.asarray(episodes[start:end], dtype=object)
        strata.append(Stratum(str(tasks[start]), int(levels[start]), names, values[start:end]))
    return Groups(tuple(strata), measure)
