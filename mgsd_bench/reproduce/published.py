"""What papers have published on these tasks, as rows of ``baselines/published/*.csv``.

One row is one figure. A cell is empty where nothing is known: a row without a value says that the figure exists, or
should, and is not known here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from mgsd_bench.errors import UserError
from mgsd_bench.package_data import shipped_folder
from mgsd_envs.files import read_bytes

METRICS = ("accuracy", "optimal accuracy", "exact match", "symbolic gap")
"""``exact match`` counts plans of the shortest length; ``symbolic gap`` is accuracy from the state as text minus
accuracy from the picture."""

TASKS = ("frozenlake", "maze", "minibehaviour")


@dataclass(frozen=True, slots=True)
class Published:
    """One published figure; None and empty texts are what is not known.

    Attributes:
        paper: short name of the paper.
        arxiv: its arXiv number, with the version where one was read.
        where: table or section of the paper, or who quotes it.
        model: name of the model there.
        task: None is the macro average over the tasks.
        level: None is the average of the task.
        metric: one of :data:`METRICS`; None where the paper does not say.
        value: in percent, or in points for ``symbolic gap``; None where the figure is not known.
        test_set: the external suite that holds its episodes, see ``mgsd-bench suites``.
        images: side of the pictures in pixels.
        temperature: 0 is greedy decoding.
        max_tokens: most new tokens of an answer.
        notes: what else is to be known of it.
        obtained: from the paper itself, or from somebody who quotes it; None without a value.
        uncertain: whether there is a reason to doubt the figure; the notes name it.
    """

    paper: str
    arxiv: str
    where: str
    model: str
    task: str | None
    level: int | None
    metric: str | None
    value: float | None
    test_set: str | None
    images: int | None
    temperature: float | None
    max_tokens: int | None
    notes: str
    obtained: Literal["first-hand", "second-hand"] | None
    uncertain: bool

    @property
    def scope(self) -> str:
        """What it is an average of, for people: ``frozenlake 3``, ``maze`` or ``macro``."""
        if self.task is None:
            return "macro"
        return self.task if self.level is None else f"{self.task} {self.level}"


COLUMNS = tuple(field.name for field in fields(Published))


def load_published(folder: Path | None = None) -> tuple[Published, ...]:
    """Every published figure, by file and line.

    Args:
        folder: where the CSV files lie; by default the shipped ones.

    Raises:
        UserError: a file cannot be read, lacks a column, or holds a row that cannot be right; with file and line.
    """
    found: list[Published] = []
    seen: dict[tuple[object, ...], str] = {}
    for path in sorted((folder or shipped_folder("published")).glob("*.csv")):
        for place, row in _rows(path):
            figure = _figure(place, row)
            key = (figure.arxiv, figure.model, figure.task, figure.level, figure.metric, figure.where)
            if key in seen:
                raise UserError(f"{place}: the same figure as {seen[key]}; remove one of them")
            seen[key] = place
            found.append(figure)
    if not found:
        raise UserError(f"{folder or shipped_folder('published')}: holds no published figures (*.csv)")
    return tuple(found)


def _rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Each row with the place to name in a message."""
    try:
        reader = csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8"), newline=""), strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f"{path}: the first line must be {','.join(COLUMNS)}")
        return [(f"{path}:{reader.line_num}", dict(row)) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV in UTF-8: {error}") from error


def _figure(place: str, row: Mapping[str, str]) -> Published:
    if None in row or None in row.values():
        raise UserError(f"{place}: has not {len(COLUMNS)} cells; quote a cell that holds a comma")
    for name in ("paper", "arxiv", "model"):
        if not row[name]:
            raise UserError(f"{place}: {name} is empty; name it")
    value, obtained = (
        _number(place, row, "value", 100.0),
        _one_of(place, row, "obtained", ("first-hand", "second-hand")),
    )
    if (value is None) != (obtained is None):
        raise UserError(f"{place}: value and obtained belong together; fill both or none")
    task, level = _one_of(place, row, "task", TASKS), _whole(place, row, "level")
    if task is None and level is not None:
        raise UserError(f"{place}: level {level} of no task; name the task")
    return Published(
        paper=row["paper"],
        arxiv=row["arxiv"],
        where=row["where"],
        model=row["model"],
        task=task,
        level=level,
        metric=_one_of(place, row, "metric", METRICS),
        value=value,
        test_set=row["test_set"] or None,
        images=_whole(place, row, "images"),
        temperature=_number(place, row, "temperature", 10.0),
        max_tokens=_whole(place, row, "max_tokens"),
        notes=row["notes"],
        obtained="first-hand" if obtained == "first-hand" else "second-hand" if obtained else None,
        uncertain=_one_of(place, row, "uncertain", ("yes",)) is not None,
    )


def _one_of(place: str, row: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    if row[name] and row[name] not in known:
        raise UserError(f"{place}: {name} {row[name]!r} is not known; leave it empty or write {' or '.join(known)}")
    return row[name] or None


def _number(place: str, row: Mapping[str, str], name: str, most: float) -> float | None:
    try:
        value = float(row[name]) if row[name] else None
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value <= most:
        raise UserError(f"{place}: {name} {row[name]!r} is no number from 0 to {most:g}; leave it empty if not known")
    return value


def _whole(place: str, row: Mapping[str, str], name: str) -> int | None:
    if row[name] and not (row[name].isascii() and row[name].isdigit() and int(row[name]) > 0):
        raise UserError(f"{place}: {name} {row[name]!r} is no whole number above 0; leave it empty if not known")
    return int(row[name]) if row[name] else None
