"""What `suites check` says of a suite, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from mgsd_bench.report.cells import plain_table
from mgsd_bench.report.text import one_line
from mgsd_bench.suites.check import RANDOM_PLANS, Cost, LevelCheck

_LEVELS = (
    "\nstates: of the split, of any length; blind: solved by the plan of one who sees no obstacles; random: by random "
    f"plans, {RANDOM_PLANS} an episode; seen: the state, or a mirror image or turn of it, may be trained on\n"
)
_COSTS = "\ntokens: four characters each, and 64 a picture; those of the answers come on top"


def levels_table(levels: Iterable[LevelCheck], title: str) -> Table:
    """A row a task and level."""
    columns = ("task", "level", "episodes", "states", "shortest plan", "blind %", "random %", "seen %")
    table = plain_table(title, _LEVELS, columns)
    for each in levels:
        table.add_row(
            Text(one_line(each.task)),
            str(each.level),
            f"{each.episodes:,}",
            "many" if each.states is None else f"{each.states:,}",
            "{} to {}".format(*each.shortest),
            f"{100 * each.straight:.0f}",
            f"{100 * each.random:.1f}",
            f"{100 * each.leaked:.0f}",
        )
    return table


def costs_table(costs: Iterable[Cost]) -> Table:
    """A row a condition."""
    table = plain_table("what is asked", _COSTS, ("condition", "questions", "tokens asked, about"))
    for cost in costs:
        table.add_row(cost.condition, f"{cost.questions:,}", f"{cost.tokens:,}")
    return table
