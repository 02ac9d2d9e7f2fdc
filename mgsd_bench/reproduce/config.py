"""Configurations of reports: which tables there are, which rows they have, and how those are asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mgsd_bench.analysis.metrics import GATED
from mgsd_bench.backends import Sampling
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import Condition

LAYOUTS = ("levels", "tasks", "measures", "summary")
"""A table a measure, with a column for each level or task; or one of all measures, with a row for each task or not."""

SHOWN = (*GATED, "gap")
"""What tables can show of a model."""


@dataclass(frozen=True, slots=True)
class RowConfig:
    """One row of a table: a model and how it is asked, or where its answers are.

    Attributes:
        name: its name in the configuration, and of its run folder.
        label: its name in the table.
        backend: who runs the model; empty where nothing is asked.
        model: as ``--model``.
        prompts: as ``--prompts``.
        prompts_of: arXiv number of the paper whose own prompts these are, if they are any.
        conditions: how episodes are put to it.
        repeats: how often each question is asked.
        sampling: decoding parameters.
        pixels: smallest and largest image area.
        engine: the backend's own arguments.
        text_of: name of the row whose answers to the state as text are shown, as an upper bound.
        finished: pattern of finished run folders; of several the mean is shown.
        made_by: command that makes the checkpoint or the runs.
        published: the model's name in the published figures.
        differs: why it is another model than the published one of this name.
    """

    name: str
    label: str
    backend: str
    model: str
    prompts: str
    prompts_of: str | None
    conditions: tuple[Condition, ...]
    repeats: int
    sampling: Sampling
    pixels: tuple[int, int]
    engine: Mapping[str, Any]
    text_of: str | None
    finished: str | None
    made_by: str | None
    published: str | None
    differs: str | None


@dataclass(frozen=True, slots=True)
class TableConfig:
    """One table.

    Attributes:
        name: its name in the configuration, and part of the names of its files.
        title: its heading.
        about: what to know of it, a paragraph each.
        suite: the suite that its rows are asked; None where all are finished.
        external: the suite that takes its place where a folder with others' test sets is given.
        image: as ``--image``, for the external suite.
        tasks: only these; all if empty.
        levels: only these; all if empty.
        limit: episodes a level; all if None.
        rows: in the order shown.
        layout: one of :data:`LAYOUTS`.
        measures: of :data:`SHOWN`, in the order shown.
    """

    name: str
    title: str
    about: tuple[str, ...]
    suite: str | None
    external: str | None
    image: str
    tasks: tuple[str, ...]
    levels: tuple[int, ...]
    limit: int | None
    rows: tuple[RowConfig, ...]
    layout: str
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """A whole report.

    Attributes:
        name: stem of the configuration's file.
        title: its heading.
        about: what to know of it, a paragraph each.
        runs: folder of the run folders.
        figures: whether figures are drawn.
        html: whether the answers can be looked at in an HTML file.
        tables: in the order shown.
    """

    name: str
    title: str
    about: tuple[str, ...]
    runs: Path
    figures: bool
    html: bool
    tables: tuple[TableConfig, ...]


def narrow(report: ReportConfig, names: Collection[str], limit: int | None) -> ReportConfig:
    """The report with these rows alone, those whose answers they show included, and so many episodes a level.

    Args:
        report: what to narrow.
        names: of rows; all if empty.
        limit: episodes a level; those of the tables if None.

    Raises:
        UserError: the report has no such row.
    """
    known = {row.name for table in report.tables for row in table.rows}
    for name in names:
        if name not in known:
            raise UserError(f"{option('rows', name)}: no row of {report.name}; it has {', '.join(sorted(known))}")
    tables = []
    for table in report.tables:
        wanted = {name for row in table.rows if row.name in names for name in (row.name, row.text_of)}
        rows = tuple(row for row in table.rows if row.name in wanted) if names else table.rows
        if rows:
            tables.append(replace(table, rows=rows, limit=table.limit if limit is None else limit))
    return replace(report, tables=tuple(tables))
