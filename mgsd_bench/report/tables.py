"""Tables of results, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

Json = dict[str, Any]

OTHER_OUTCOMES = {"wrong": "wrong", "illegal": "illegal", "no_answer": "none", "truncated": "cut", "error": "error"}
LEGEND = (
    "\nacc.: solved, % of all questions asked; 95 %: its Wilson interval (for the macro average and for repeats, a "
    "bootstrap); opt.: solved with as few actions as possible; wrong: ends short of the goal; none: no answer; "
    "cut: ran out of tokens"
)


def results_table(condition: str, metrics: Json, model: str) -> Table:
    """Task by level: n, accuracy with its 95 % interval, optimal accuracy, and what became of the rest.

    Args:
        condition: name of the condition.
        metrics: the condition's part of :func:`mgsd_bench.metrics.summarise`.
        model: name of the model, for the title.
    """
    table = Table(
        title=f"{model} · {condition}",
        caption=LEGEND,
        title_justify="left",
        caption_justify="left",
        header_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("task", no_wrap=True)
    for name in ("level", "n", "acc.", "95 %", "opt.", *OTHER_OUTCOMES.values()):
        table.add_column(name, justify="right", no_wrap=True)
    for total in metrics["tasks"]:
        for row in metrics["levels"]:
            if row["task"] == total["task"]:
                table.add_row(row["task"], str(row["level"]), *_cells(row))
        table.add_row(total["task"], "all", *_cells(total), style="bold")
        table.add_row()
    macro = metrics["macro"]
    n = str(macro["accuracy"]["n"])
    table.add_row("macro", "", n, *_estimate(macro["accuracy"]), _percent(macro["optimal_accuracy"]), style="bold")
    return table


def comparison(runs: Sequence[tuple[str, Json]], condition: str) -> list[list[str]]:
    """One row a run: its accuracy in each task and on average, with 95 % intervals; the first row is the heading.

    Args:
        runs: name of the model and metrics of each run.
        condition: the condition to show.
    """
    tasks = [row["task"] for row in runs[0][1]["conditions"][condition]["tasks"]]
    rows = [["model", "n", *tasks, "macro"]]
    for name, metrics in runs:
        of_condition = metrics["conditions"][condition]
        by_task = {row["task"]: row["accuracy"] for row in of_condition["tasks"]}
        macro = of_condition["macro"]["accuracy"]
        rows.append([name, str(macro["n"]), *(_brief(by_task[task]) for task in tasks), _brief(macro)])
    return rows


def as_terminal(rows: Sequence[Sequence[str]]) -> Table:
    """Rows, the first a heading, as a table for the terminal."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if i else "left", no_wrap=i > 0)
    for row in rows[1:]:
        table.add_row(*row)
    return table


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the first a heading, as a Markdown table."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def _cells(row: Json) -> list[str]:
    shares = [row["outcomes"][name] / row["samples"] for name in OTHER_OUTCOMES]
    return [
        str(row["n"]),
        *_estimate(row["accuracy"]),
        _percent(row["optimal_accuracy"]),
        *(f"{100 * share:.0f}" if share else "·" for share in shares),
    ]


def _brief(estimate: Json) -> str:
    return f"{_percent(estimate)} ({100 * estimate['low']:.0f}–{100 * estimate['high']:.0f})"


def _estimate(estimate: Json) -> tuple[str, str]:
    return _percent(estimate), f"{100 * estimate['low']:.1f}–{100 * estimate['high']:.1f}"


def _percent(estimate: Json) -> str:
    return f"{100 * estimate['value']:.1f}"
