"""Which facts are missed and which are invented: by kind, and cell by cell."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mgsd_bench.analysis.attribution import Counts, count_by_kind, fact_cells
from mgsd_bench.analysis.diagnosis import FactCounts, Grid
from mgsd_bench.digests import short_digest
from mgsd_bench.runs.sample import Sample
from mgsd_bench.statistics.intervals import complement, f1
from mgsd_envs import Episode, get_task


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The facts of one task, over all answers from the picture.

    Attributes:
        kinds: stated facts by kind.
        misread: by level, missed and invented facts an answer by the cell that they are about.
        missed: likewise, true facts that are not stated.
        invented: likewise, stated facts that are false.
    """

    kinds: Mapping[str, FactCounts]
    misread: Mapping[int, Grid]
    missed: Mapping[int, Grid]
    invented: Mapping[int, Grid]


@dataclass(slots=True)
class _Level:
    """What is counted at one level: answers, facts by episode and kind, and facts by cell.

    Attributes:
        answers: how many there are.
        rows: numbers of the episodes, from 0, by the digest of their ids.
        counts: by kind, for one episode after another, facts right, false and missing, up to the last that has any.
        missed: facts by the cell that they are about.
        invented: likewise.
    """

    answers: int = 0
    rows: dict[int, int] = field(default_factory=dict)
    counts: dict[str, array[int]] = field(default_factory=dict)
    missed: Counter[tuple[int, int]] = field(default_factory=Counter)
    invented: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, episode: str, found: Mapping[str, Counts]) -> None:
        """Count an answer's facts by kind."""
        row = 3 * self.rows.setdefault(short_digest(episode), len(self.rows))
        for kind, counts in found.items():
            column = self.counts.setdefault(kind, array("q"))
            column.extend([0] * (row + 3 - len(column)))
            for place, count in enumerate(counts, row):
                column[place] += count

    def values(self, kind: str) -> NDArray[np.int64]:
        """Facts of a kind, right, false and missing, a row an episode."""
        found = np.zeros((len(self.rows), 3), np.int64)
        column = self.counts.get(kind, ())
        found.reshape(-1)[: len(column)] = column
        return found


def read_facts(samples: Iterable[Sample], episodes: Mapping[str, Episode]) -> dict[str, TaskFacts]:
    """By task, what becomes of the facts of its episodes.

    Args:
        samples: answers from the picture, one a try.
        episodes: the episodes by id.
    """
    levels: dict[str, dict[int, _Level]] = {}
    for sample in samples:
        episode = episodes[sample.episode]
        task = get_task(episode.task)
        true, stated = task.seen(task.facts(episode.state)), task.seen(sample.stated)
        level = levels.setdefault(episode.task, {}).setdefault(episode.level, _Level())
        level.answers += 1
        level.missed.update(fact_cells(true - stated, episode.level))
        level.invented.update(fact_cells(stated - true, episode.level))
        level.add(episode.id, count_by_kind(true, stated))
    return {task: _task(dict(sorted(of_task.items()))) for task, of_task in levels.items()}


def _task(levels: Mapping[int, _Level]) -> TaskFacts:
    kinds = sorted({kind for level in levels.values() for kind in level.counts})
    return TaskFacts(
        {kind: _kind(kind, levels.values()) for kind in kinds},
        {size: _grid(level.missed + level.invented, size, level.answers) for size, level in levels.items()},
        {size: _grid(level.missed, size, level.answers) for size, level in levels.items()},
        {size: _grid(level.invented, size, level.answers) for size, level in levels.items()},
    )


def _kind(kind: str, levels: Iterable[_Level]) -> FactCounts:
    """One kind of fact; an episode that has none of it neither true nor stated counts as one without any."""
    values = [level.values(kind) for level in levels]
    tp, fp, fn = (int(count) for count in np.concatenate(values).sum(axis=0))
    return FactCounts(
        tp,
        fp,
        fn,
        2 * tp / (2 * tp + fp + fn),
        missed=complement(f1([values], "recall")) if tp + fn else None,
        invented=complement(f1([values], "precision")) if tp + fp else None,
    )


def _grid(counts: Counter[tuple[int, int]], size: int, answers: int) -> Grid:
    return tuple(tuple(counts[row, column] / answers for column in range(size)) for row in range(size))
