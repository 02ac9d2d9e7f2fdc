"""What was found in an external test set, as a table and as notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from mgsd_bench.external_sets import Loaded, Row
    from mgsd_bench.suites import Suite

MOST_NOTES = 10
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
    for of in loaded:
        for finding in of.findings:
            yield f"{_KINDS[finding.kind]}: {finding.source}: {finding.why}"
        if of.others:
            yield f"passed over: {of.others} records of {of.of.name} at levels that the published set does not have"


def notes(suite: Suite, loaded: Sequence[Loaded]) -> list[str]:
    """What a user should know before the answers come: what is missing, damaged, there twice or trained on."""
    lines = [_counts(of) for of in loaded]
    bad = [finding for of in loaded for finding in of.findings if finding.kind == "bad"]
    lines += [f"left out: {finding.source}: {finding.why}" for finding in bad[:MOST_NOTES]]
    if len(bad) > MOST_NOTES:
        lines.append(f"left out: {len(bad) - MOST_NOTES} more; see them with `mgsd-bench suites verify`")
    for kind, what in (("duplicate", "states come twice"), ("length", "records disagree with the shortest plan")):
        if n := sum(finding.kind == kind for of in loaded for finding in of.findings):
            lines.append(f"{n} {what}; kept, see `mgsd-bench suites verify`")
    if train := sum(episode.split == "train" for of in loaded for episode in of.episodes):
        lines.append(
            f"{train} of these states are in our train split: a model that was trained on it may have seen them"
        )
    drawn = [of.of.name for of in loaded if of.episodes and not of.of.has_pictures]
    if suite.origin and suite.origin["image"] == "original" and drawn:
        lines.append(f"drawn in the classic look: {', '.join(drawn)} (no pictures are published)")
    return lines


def _counts(of: Loaded) -> str:
    rows = [row for row in of.rows() if row.level is not None]
    found, full = sum(row.loaded for row in rows), sum(row.published for row in rows)
    by_level = ", ".join(f"{row.level}: {row.loaded}/{row.published}" for row in rows)
    return f"{of.of.name}: {found} of {full} published episodes (by level {by_level})"
