"""What was found in an external test set, as a table and as notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from mgsd_bench.suites.external_sets import Loaded, Row

_KINDS = {"bad": "left out", "duplicate": "twice", "length": "length"}
_LEGEND = (
    "full: records of the published set; bad: left out; twice: the same state as an earlier record, length: not the "
    "length of the shortest plan (both kept); train: states in our train split"
)


def audit_table(rows: Iterable[Row]) -> Table:
    """A line for each set and level: what is there beside what was published."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, caption=_LEGEND, caption_justify="left")
    for name in ("set", "level", "full", "records", "loaded", "bad", "twice", "length", "train"):
        table.add_column(name, justify="left" if name == "set" else "right", no_wrap=True)
    last = None
    for row in rows:
        counts = (row.records, row.loaded, row.bad, row.duplicates, row.lengths, row.train)
        level = "?" if row.level is None else str(row.level)
        table.add_row(row.set if row.set != last else "", level, str(row.published), *map(str, counts))
        last = row.set
    return table


def finding_lines(loaded: Iterable[Loaded]) -> Iterator[str]:
    """Every finding as a line."""
    for each in loaded:
        for finding in each.findings:
            yield f"{_KINDS[finding.kind]}: {finding.source}: {finding.why}"
        if each.others:
            name = each.test_set.name
            yield f"passed over: {each.others} records of {name} at levels that the published set does not have"
