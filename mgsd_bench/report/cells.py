"""Cells of tables, and the one look of tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mgsd_bench.report.text import one_line

if TYPE_CHECKING:
    from mgsd_bench.statistics.intervals import Estimate


def plain_table(title: str, caption: str, columns: Sequence[str] = ()) -> Table:
    """A table in the project's look; its title is text, not markup."""
    table = Table(
        title=Text(one_line(title)),
        caption=caption,
        title_justify="left",
        caption_justify="left",
        header_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    return table


def macro_note(tasks: Iterable[str]) -> str:
    """What a macro average is over."""
    names = list(map(one_line, tasks))
    return f"macro: {'equal-weight mean of ' if len(names) > 1 else ''}{', '.join(names)}"


def stacked(cell: Estimate | None, n: int, *, signed: bool = False) -> str:
    """A figure, its interval below it, and its n where that is not the row's."""
    if cell is None:
        return "–"
    value = f"{100 * cell.value:+.1f}" if signed else percent(cell)
    between = f"{round(100 * cell.low):+d} to {round(100 * cell.high):+d}" if signed else span(cell)
    return f"{value}\n{between}" + (f"\nn {cell.n}" if cell.n != n else "")


def brief(cell: Estimate | None) -> str:
    """A figure with its interval in brackets."""
    return f"{percent(cell)} ({span(cell)})" if cell else "–"


def span(cell: Estimate, dash: str = "–") -> str:
    """An interval in whole percent."""
    return f"{100 * cell.low:.0f}{dash}{100 * cell.high:.0f}"


def value_and_span(cell: Estimate) -> tuple[str, str]:
    """A figure, and its interval, in tenths of a percent."""
    return percent(cell), f"{100 * cell.low:.1f}–{100 * cell.high:.1f}"


def percent(cell: Estimate) -> str:
    """A figure in tenths of a percent."""
    return f"{100 * cell.value:.1f}"


def points(cell: Estimate) -> str:
    """A difference in points with its interval in brackets, all with their signs."""
    return f"{100 * cell.value + 0.0:+.1f} ({100 * cell.low:+.1f} to {100 * cell.high:+.1f})"
