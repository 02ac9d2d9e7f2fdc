"""What changed between two runs, as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from mgsd_bench.report.cells import plain_table

if TYPE_CHECKING:
    from mgsd_bench.analysis.comparison import Comparison

CAPTION = (
    "\nacc.: solved, %; change: b minus a in points with its paired 95 % interval; only a, only b: episodes that only "
    "one of them solved; p: McNemar's mid-p, over the tasks adjusted by Holm; macro: sign-flip test"
)


def comparison_table(comparison: Comparison) -> Table:
    """A row a task and one for the macro average."""
    title = f"a: {comparison.a}   b: {comparison.b}   {comparison.condition}"
    columns = ("task", "n", "a acc.", "b acc.", "change", "95 %", "only a", "only b", "p")
    table = plain_table(title, "; ".join([CAPTION, *comparison.notes]), columns)
    for row in (*comparison.tasks, comparison.macro):
        change = row.difference
        table.add_row(
            row.task,
            str(row.n),
            f"{100 * row.a.value:.1f}",
            f"{100 * row.b.value:.1f}",
            f"{100 * change.value:+.1f}",
            f"{100 * change.low:+.1f} to {100 * change.high:+.1f}",
            str(row.only_a),
            str(row.only_b),
            f"{row.mid_p if row.holm_p is None else row.holm_p:.3f}",
            style="bold" if row.task == "macro" else None,
        )
    return table
