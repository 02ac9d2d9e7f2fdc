"""Pieces of HTML: text that is mere text, tables, and estimates in words and as drawings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgsd_bench.statistics.intervals import Estimate


def text(value: object) -> str:
    """A value as HTML text; what UTF-8 cannot hold becomes a question mark."""
    return escape(str(value).encode("utf-8", "replace").decode())


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table of HTML cells, the first of each row a heading.

    Args:
        heading: HTML of the columns' heads.
        rows: HTML of the cells.
        caption: what it shows, as HTML, for those who do not see it.
    """
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heading)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    about = f'<caption class="hidden">{caption}</caption>' if caption else ""
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{caption or "table"}"><table>{about}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def number(value: float) -> str:
    """One decimal, with a real minus sign."""
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def percent(cell: Estimate | None) -> str:
    """A share in % and its interval; a dash where it was not measured."""
    if cell is None:
        return "–"
    value, low, high = (number(100 * end) for end in (cell.value, cell.low, cell.high))
    return f"{value} <small>{low} to {high}</small>"


def whisker(value: float, low: float, high: float) -> str:
    """An estimate and its interval on a line from 0 to 100, or from -100 where one of them is negative."""
    left, width = (-100, 200) if low < 0 else (0, 100)
    at, start, end = (100 * (v - left) / width for v in (value, low, high))
    return (
        '<svg class="whisker" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="2"/>'
        f'<rect class="range" x="{start:.2f}" y="1" width="{max(end - start, 0.5):.2f}" height="4"/>'
        f'<rect class="value" x="{min(max(at - 0.5, 0), 99):.2f}" width="1" height="6"/></svg>'
    )


def stacked_bar(shares: Mapping[str, float]) -> str:
    """Shares in %, by the names that the style sheet has colours for, one after another."""
    parts, start = [], 0.0
    for name, width in shares.items():
        parts.append(f'<rect data-value="{name}" x="{start:.3f}" width="{width:.3f}" height="10"/>')
        start += width
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(parts)
        + "</svg>"
    )
