"""Measured figures beside published ones: how far apart they are, and whether the two may be compared at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mgsd_bench.reproduce.results import RowResult, TableResult
from mgsd_bench.runs.runner import IMAGE_SIZE
from mgsd_bench.suites.external import EXTERNAL

if TYPE_CHECKING:
    from mgsd_bench.reproduce.published import Published
    from mgsd_bench.statistics.intervals import Estimate

METRICS_OF: dict[str | None, tuple[str, ...]] = {
    "accuracy": ("e2e",),
    "optimal accuracy": ("optimal",),
    "exact match": ("optimal",),
    "symbolic gap": ("gap",),
    None: ("e2e", "optimal"),  # the paper does not say which: both are shown
}


@dataclass(frozen=True, slots=True)
class PublishedComparison:
    """One published figure of one row.

    Attributes:
        label: the row's name in the table.
        figure: what was published.
        metric: what was measured for it.
        measured: the estimate, as a share of 1; None where there is none.
        difference: measured minus published, as a share of 1; its interval is that of the measured figure, the
            published one is taken as it stands.
        reasons: why the two were not obtained by the same protocol, or why nothing was measured; empty if they were.
    """

    label: str
    figure: Published
    metric: str
    measured: Estimate | None
    difference: Estimate | None
    reasons: tuple[str, ...]

    @property
    def same_protocol(self) -> bool:
        """Whether both figures answer the same questions, asked in the same way."""
        return self.measured is not None and not self.reasons


def compare_with_published(table: TableResult, published: Sequence[Published]) -> list[PublishedComparison]:
    """Every published figure of the models of a table, beside what was measured."""
    return [
        _compare(row, figure, metric)
        for row in table.rows
        for figure in published
        if figure.value is not None and figure.model == row.row.published
        for metric in METRICS_OF[figure.metric]
    ]


def _compare(row: RowResult, figure: Published, metric: str) -> PublishedComparison:
    label, value = row.row.label, (figure.value or 0.0) / 100
    if row.results is None:
        return PublishedComparison(label, figure, metric, None, None, (row.skipped or row.failed or "",))
    cell = row.results.estimate(metric, figure.task, figure.level)
    if cell is None:
        reason = f"its run has no {figure.scope} for this measure"
        return PublishedComparison(label, figure, metric, None, None, (reason,))
    difference = replace(cell, value=cell.value - value, low=cell.low - value, high=cell.high - value)
    n = row.results.counts[figure.task, figure.level]
    return PublishedComparison(label, figure, metric, cell, difference, tuple(differences(figure, row, n)))


def differences(figure: Published, row: RowResult, n: int) -> list[str]:
    """What is not the same, or not known to be, in how a published and a measured figure were obtained.

    Args:
        figure: what was published.
        row: a row with runs.
        n: episodes that the measured figure rests on.
    """
    identity, asked = row.runs[0].identity, row.row
    sampling = identity["sampling"]
    theme = identity.get("theme", "classic")
    known = {
        "temperature": (figure.temperature, sampling["temperature"]),
        "most new tokens": (figure.max_tokens, sampling["max_tokens"]),
        "picture size": (figure.images, IMAGE_SIZE),
    }
    reasons = [
        asked.differs,
        None if figure.metric else "the paper does not say which accuracy it is",
        _other_episodes(figure, identity["suite"], n),
        *(_unlike(name, theirs, ours) for name, (theirs, ours) in known.items()),
        None if theme == "classic" else f"pictures in the look {theme}",
        None if asked.prompts_of == figure.arxiv.partition("v")[0] else f"other prompts ({asked.prompts})",
        f"{row.errors} requests failed" if row.errors else None,
    ]
    return [reason for reason in reasons if reason]


def _unlike(name: str, theirs: float | None, ours: float) -> str | None:
    if theirs is None:
        return f"{name} of the published figure is not known"
    return None if theirs == ours else f"{name} {ours:g}, published with {theirs:g}"


def _other_episodes(figure: Published, suite: str, n: int) -> str | None:
    """Why the episodes are not those of the published figure; None if they are."""
    if figure.test_set is None:
        return "episodes of the published figure are not known"
    sets = {of.task: of for of in EXTERNAL.get(suite, ())}
    ours = suite if figure.task is None or figure.task not in sets else sets[figure.task].name
    if ours != figure.test_set:
        return f"other episodes ({ours}, published on {figure.test_set})"
    counts = [(of.task, level, count) for of in sets.values() for level, count in of.counts.items()]
    expected = sum(
        count for task, level, count in counts if figure.task in (None, task) and figure.level in (None, level)
    )
    return None if n == expected else f"{n} of {expected} episodes"
