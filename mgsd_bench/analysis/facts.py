"""Which facts are missed and which are invented: by kind, and cell by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mgsd_bench.analysis.attribution import Counts, count_by_kind, fact_cells
from mgsd_bench.analysis.diagnosis import FactCounts, Grid
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
    """What is counted at one level: answers, facts by episode and kind, and facts by cell."""

    answers: int = 0
    counts: dict[str, dict[str, Counts]] = field(default_factory=dict)
    missed: Counter[tuple[int, int]] = field(default_factory=Counter)
    invented: Counter[tuple[int, int]] = field(default_factory=Counter)


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
        of_episode = level.counts.setdefault(episode.id, {})
        for kind, counts in count_by_kind(true, stated).items():
            before = of_episode.get(kind, Counts(0, 0, 0))
            of_episode[kind] = Counts(*map(sum, zip(before, counts, strict=True)))
    return {task: _task(dict(sorted(of_task.items()))) for task, of_task in levels.items()}


def _task(levels: Mapping[int, _Level]) -> TaskFacts:
    kinds = sorted({kind for level in levels.values() for of_episode in level.counts.values() for kind in of_episode})
    return TaskFacts(
        {kind: _kind(kind, levels.values()) for kind in kinds},
        {size: _grid(level.missed + level.invented, size, level.answers) for size, level in levels.items()},
        {size: _grid(level.missed, size, level.answers) for size, level in levels.items()},
        {size: _grid(level.invented, size, level.answers) for size, level in levels.items()},
    )


def _kind(kind: str, levels: Iterable[_Level]) -> FactCounts:
    """One kind of fact; an episode that has none of it neither true nor stated counts as one without any."""
    none = Counts(0, 0, 0)
    values = [np.array([counts.get(kind, none) for counts in level.counts.values()]) for level in levels]
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
