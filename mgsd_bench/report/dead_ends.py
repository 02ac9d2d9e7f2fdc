"""Errors that nothing makes good, for tasks that have them: a table for the terminal, and its rows for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from mgsd_bench.report.cells import plain_table
from mgsd_bench.report.text import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from mgsd_bench.analysis.diagnosis import DeadEnds, Diagnosis

COLUMNS = ("failed", "dead end", "step", "failed, text", "dead end, text", "step, text")
NOTE = (
    "Of tasks with legal actions after which success is out of reach. failed: plans that were read and failed; dead "
    "end: those of them with such an action, in % with the 95 % interval; step: number of the first such action, from "
    "1, on average. From the picture, and from the state as text"
)


def rows(diagnosis: Diagnosis) -> dict[str, list[str]]:
    """A row of :data:`COLUMNS` for each task that has dead ends."""
    return {
        name: [*_cells(scope.dead_ends), *_cells(scope.dead_ends_on_gt)]
        for name, scope in diagnosis.tasks.items()
        if scope.dead_ends is not None
    }


def dead_ends_table(diagnosis: Diagnosis) -> Table | None:
    """How many failed plans could not be saved any more, and since when; None where no task has dead ends."""
    by_task = rows(diagnosis)
    if not by_task:
        return None
    title = f"{diagnosis.model} · errors that nothing makes good"
    table = plain_table(title, f"\n{NOTE}", ("task", *COLUMNS))
    for name, cells in by_task.items():
        table.add_row(Text(one_line(name)), *cells)
    return table


def _cells(found: DeadEnds | None) -> list[str]:
    if found is None:
        return ["–"] * 3
    share, step = found.share, found.mean_step
    return [
        f"{found.failed:,}",
        f"{100 * share.value:.1f} ({100 * share.low:.0f}–{100 * share.high:.0f})" if share else "–",
        "–" if step is None else f"{step:.1f}",
    ]
