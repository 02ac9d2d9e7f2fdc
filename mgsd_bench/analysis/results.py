"""Figures by place: the levels of tasks, whole tasks and the macro average; what tables are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgsd_bench.statistics.intervals import Estimate, pooled

if TYPE_CHECKING:
    import pandas as pd

Place = tuple[str | None, int | None]
"""(task, level); level None is the whole task, task None the macro average over the tasks."""

MACRO: Place = (None, None)


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of one model on one suite.

    Attributes:
        model: name of the model.
        suite: name of the suite.
        places: for each place, in order of tasks and levels and the macro average last, its estimates by metric; what
            was not measured is left out.
        counts: episodes at each place.
        runs: how many runs the figures are the mean of.
        notes: what must be said beside every figure.
    """

    model: str
    suite: str
    places: Mapping[Place, Mapping[str, Estimate]]
    counts: Mapping[Place, int]
    runs: int = 1
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return list(dict.fromkeys(task for task, _ in self.places if task is not None))

    def estimate(self, metric: str, task: str | None = None, level: int | None = None) -> Estimate | None:
        """One figure; None where it was not measured."""
        return self.places.get((task, level), {}).get(metric)

    def to_pandas(self) -> pd.DataFrame:
        """One row a place and metric: model, suite, metric, scope, task, level, value, low, high, n, runs, spread."""
        import pandas as pd

        rows = [
            (self.model, self.suite, metric, scope_of(place), *place, e.value, e.low, e.high, e.n, self.runs, e.spread)
            for place, figures in self.places.items()
            for metric, e in figures.items()
        ]
        columns = ["model", "suite", "metric", "scope", "task", "level", "value", "low", "high", "n", "runs", "spread"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype({"level": "Int64", "spread": "float64"})


def scope_of(place: Place) -> str:
    """What a place is an average of: ``level``, ``task`` or ``macro``."""
    task, level = place
    return "macro" if task is None else "task" if level is None else "level"


def pool(results: Sequence[Results], metrics: Iterable[str]) -> Results:
    """The mean over several runs of the same questions, of the metrics that all of them have.

    The interval of each is that of :func:`mgsd_bench.statistics.intervals.pooled`.
    """
    first = results[0]
    if len(results) == 1:
        return first
    names = list(metrics)
    places: dict[Place, dict[str, Estimate]] = {}
    for place in first.places:
        figures = {name: [of_run.estimate(name, *place) for of_run in results] for name in names}
        places[place] = {
            name: pooled([e for e in of_name if e], lowest=-1.0 if name == "gap" else 0.0)
            for name, of_name in figures.items()
            if all(of_name)
        }
    notes = dict.fromkeys(note for of_run in results for note in of_run.notes)
    return Results(first.model, first.suite, places, first.counts, len(results), tuple(notes))
