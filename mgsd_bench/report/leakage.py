"""How much of a test is in the training, as a table and as notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mgsd_bench.report.cells import plain_table
from mgsd_bench.report.text import one_line

if TYPE_CHECKING:
    from mgsd_bench.suites.leakage import Leak

_COLUMNS = ("task", "level", "test", "orbits", "exact", "up to symmetry")
_LEGEND = (
    "\ntest: episodes of the test; orbits: those that differ by more than a mirror or a quarter turn; exact: whose "
    "state is trained on; up to symmetry: whose state or an image of it is"
)


def leak_table(leaks: Sequence[Leak], title: str) -> Table:
    """A line for each task and level: its test episodes, and how many of them are in the training."""
    table = plain_table(title, _LEGEND, _COLUMNS)
    for leak in leaks:
        shares = (f"{n} ({100 * n / leak.episodes:.0f} %)" for n in (leak.exact, leak.symmetric))
        table.add_row(Text(one_line(leak.task)), str(leak.level), str(leak.episodes), str(leak.orbits), *shares)
    return table


def leak_notes(leaks: Sequence[Leak]) -> Iterator[str]:
    """What must be known to read the table, one line each."""
    for task in dict.fromkeys(leak.task for leak in leaks if not leak.symmetries):
        yield f"{task} does not say what its states look like in a mirror: each is taken by itself."
    if sum(leak.exact for leak in leaks):
        yield (
            "Some test states are training states: test on a suite that is split as the training is (split_by), or "
            "leave them out of the training (exclude)."
        )
    elif sum(leak.symmetric for leak in leaks):
        yield "Images of test states are training states; split_by: orbit keeps them apart (suite mgsd-v2)."
