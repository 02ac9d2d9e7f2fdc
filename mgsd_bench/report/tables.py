"""Tables for the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

Json = dict[str, Any]

OTHER_OUTCOMES = {"wrong": "wrong", "illegal": "illegal", "no_answer": "none", "truncated": "cut", "error": "error"}
LEGEND = (
    "\nacc.: solved, % of all questions asked; 95 %: its Wilson interval (for the macro average and for repeats, a "
    "bootstrap); opt.: solved with as few actions as possible; wrong: ends short of the goal; none: no answer; cut: ran "
    "out of tokens"
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


def _cells(row: Json) -> list[str]:
    shares = [row["outcomes"][name] / row["samples"] for name in OTHER_OUTCOMES]
    return [
        str(row["n"]),
        *_estimate(row["accuracy"]),
        _percent(row["optimal_accuracy"]),
        *(f"{100 * share:.0f}" if share else "·" for share in shares),
    ]


def _estimate(estimate: Json) -> tuple[str, str]:
    return _percent(estimate), f"{100 * estimate['low']:.1f}–{100 * estimate['high']:.1f}"


def _percent(estimate: Json) -> str:
    return f"{100 * estimate['value']:.1f}"
