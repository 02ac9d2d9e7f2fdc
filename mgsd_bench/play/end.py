"""What the page shows when everything is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.prompts import in_order

if TYPE_CHECKING:
    from mgsd_bench.analysis.summary import Macro, Row, Summary


def end_of(summary: Summary, out: Path) -> dict[str, Any]:
    """Where the run is, and its scores with their intervals, as plain JSON values."""
    return {"run": str(out), "answers": summary.samples, "rows": list(_rows(summary))}


def _rows(summary: Summary) -> Iterator[dict[str, Any]]:
    """By condition a row a task and, of several tasks, their average."""
    for condition in in_order(summary.conditions):
        found = summary.conditions[condition]
        for row in found.tasks:
            yield _row(condition, row.task, row)
        if len(found.tasks) > 1:
            yield _row(condition, "macro average", found.macro)


def _row(condition: str, name: str, of: Row | Macro) -> dict[str, Any]:
    shares = {"solved": of.accuracy, "optimal": of.optimal_accuracy}
    ends = {key: [share.value, share.low, share.high] for key, share in shares.items()}
    return {"condition": condition, "name": name, "n": of.accuracy.n, **ends}
