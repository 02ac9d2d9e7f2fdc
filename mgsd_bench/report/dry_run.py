"""What `eval --dry-run` says, as a table for the terminal and a few sentences."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from mgsd_bench.evaluation.dry_run import Expected, Forecast, Span
from mgsd_bench.report.cells import plain_table
from mgsd_bench.report.text import one_line

_CAPTION = (
    "\nrequests: one a question, or a turn in the closed loop, from the shortest plan to the limit of steps\n"
    "answers: from the shortest ones that are right to the most tokens that they may have"
)


def forecast_table(found: Forecast) -> Table:
    """A row a condition and task, and one of all."""
    columns = ("condition", "task", "questions", "left", "requests", "prompt tokens, about", "answer tokens")
    table = plain_table("what would be asked", _CAPTION, columns)
    rows = found.rows if len(found.rows) == 1 else (*found.rows, found.total)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Expected) -> tuple[str | Text, ...]:
    return (
        row.condition,
        Text(one_line(row.task)),
        f"{row.questions:,}",
        f"{row.left:,}",
        _span(row.requests),
        _span(row.prompt_tokens),
        _span(row.answer_tokens),
    )


def _span(span: Span) -> str:
    low, high = f"{span.low:,.0f}", f"{span.high:,.0f}"
    return low if low == high else f"{low} to {high}"


def sentences(found: Forecast) -> list[str]:
    """How tokens are counted, and the price."""
    lines = [
        f"texts: {found.counted_with}; pictures: a token for 32 x 32 pixels within the limits of their area, as "
        "Qwen3-VL takes them, other models differ; what a chat template adds is not counted",
    ]
    if found.cost is not None:
        lines.append(
            f"price: {found.cost.low:,.2f} if every answer is as short as a right one, {found.cost.high:,.2f} if every "
            f"answer has {found.max_tokens:,} tokens; requests that fail and are tried again come on top"
        )
    lines.append(f"no model was asked and nothing was written; the run would be in {found.out}")
    return lines
