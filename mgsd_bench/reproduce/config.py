"""What a table's configuration says, read into frozen dataclasses.

A configuration holds tables, and a table rows by name. Rows are described under ``models``, mostly in the file that the
configuration ``extends``; what a row does not say comes from ``defaults``, and a table's ``settings`` go before both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.backends import NAMES as BACKENDS
from mgsd_bench.backends import Sampling
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import CONDITIONS, Condition
from mgsd_bench.report.tables import MEASURES

if TYPE_CHECKING:
    from mgsd_bench.config import Section

LAYOUTS = ("levels", "tasks", "measures", "summary")
"""A table a measure, with a column for each level or task; or one of all measures, with a row for each task or not."""

SHOWN = (*MEASURES, "gap")


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


def load_config(path_or_name: str, overrides: Sequence[str] = ()) -> ReportConfig:
    """Read and check a configuration.

    Args:
        path_or_name: a YAML file, or the name of a shipped one, of :data:`SHIPPED`.
        overrides: ``key.path=value`` with YAML values, applied in order.

    Raises:
        UserError: there is no such file, or something in it is wrong; one line with file, key and remedy.
    """
    from mgsd_bench.config import read_extended

    path = find_config(path_or_name)
    layers = read_extended(path, _below)
    for pair in overrides:
        layers = layers.assign(pair, known=pair.partition(".")[0] if pair.startswith(("models.", "tables.")) else "")
    top = layers.section()
    top.only({"title", "about", "defaults", "models", "runs", "figures", "html", "tables"})
    top.section("defaults").only(_SETTINGS)
    tables = top.section("tables")
    if not tables.values:
        raise top.error("tables", "is missing; name a table with its rows")
    return ReportConfig(
        name=path.stem,
        title=top.text("title", path.stem),
        about=_paragraphs(top),
        runs=Path(top.text("runs", f"runs/{path.stem}")),
        figures=top.flag("figures", True),
        html=top.flag("html", True),
        tables=tuple(_table(name, tables.section(name), top) for name in tables.values),
    )


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


def find_config(path_or_name: str) -> Path:
    """The file of a configuration: a path, or the name of a shipped one.

    Raises:
        UserError: there is none.
    """
    from mgsd_bench.config import suggest
    from mgsd_bench.package_data import shipped_folder

    if Path(path_or_name).suffix in (".yaml", ".yml"):
        if Path(path_or_name).is_file():
            return Path(path_or_name)
        raise UserError(f"{path_or_name}: no such file; name a YAML file, or one of {', '.join(SHIPPED)}")
    if path_or_name not in SHIPPED:
        raise UserError(f"{path_or_name}: no table that comes with the project; {suggest(path_or_name, SHIPPED)}")
    return shipped_folder("published").parent / f"{path_or_name}.yaml"


SHIPPED = ("table1", "diagnostics", "ablations", "tiny")
"""The configurations that come with the project."""

_SAMPLING = tuple(field.name for field in fields(Sampling))
_SETTINGS = (
    "backend", "conditions", "engine", "made_by", "pixels", "prompts", "prompts_of", "repeats", "sampling",
)  # fmt: skip
_ROW = (*_SETTINGS, "differs", "finished", "label", "model", "published", "text_of")
_TABLE = (
    "about", "external", "image", "layout", "levels", "limit", "measures", "rows", "settings", "suite", "tasks",
    "title",
)  # fmt: skip


def _below(name: str, folder: Path) -> Path:
    """The file that a configuration extends: one beside it, or a shipped one."""
    beside, shipped = folder / name, find_config(SHIPPED[0]).parent / name
    if not beside.is_file() and not shipped.is_file():
        raise UserError(f"{beside} is not there; name a file beside this one")
    return beside if beside.is_file() else shipped


def _paragraphs(section: Section) -> tuple[str, ...]:
    if isinstance(section.values.get("about"), str):
        return (section.text("about"),)
    return section.texts("about")


def _table(name: str, section: Section, top: Section) -> TableConfig:
    section.only(_TABLE)
    settings = section.section("settings")
    settings.only(_SETTINGS)
    names = section.texts("rows", choices=tuple(top.section("models").values))
    if not names or len(set(names)) < len(names):
        raise section.error("rows", "needs at least one row, and none twice")
    rows = tuple(_row(row, top.section("models").section(row), settings, top.section("defaults")) for row in names)
    measures = section.texts("measures", ("e2e",), choices=SHOWN)
    layout = section.text("layout", "levels", choices=LAYOUTS)
    if layout in ("levels", "tasks") and "gap" in measures:
        raise section.error("measures", "gap has no table of its own; use layout measures or summary")
    table = TableConfig(
        name=name,
        title=section.text("title", name),
        about=_paragraphs(section),
        suite=section.optional_text("suite"),
        external=section.optional_text("external"),
        image=section.text("image", "classic"),
        tasks=section.texts("tasks"),
        levels=section.wholes("levels", 1) if section.values.get("levels") else (),
        limit=section.whole("limit") if section.values.get("limit") else None,
        rows=rows,
        layout=layout,
        measures=measures,
    )
    _check(table, section)
    return table


def _check(table: TableConfig, section: Section) -> None:
    """What the rows of one table must have in common."""
    from mgsd_bench.suites.external import EXTERNAL
    from mgsd_bench.suites.suite import SUITES

    for key, value, known in (("suite", table.suite, SUITES), ("external", table.external, EXTERNAL)):
        if value is not None and value not in known:
            raise section.error(key, f"{value!r} is not known; choose from {', '.join(known)}")
    asked = {row.name: row for row in table.rows if row.backend}
    if asked and table.suite is None and table.external is None:
        raise section.error("suite", f"is missing, and row {next(iter(asked))} is to be asked; name a suite")
    if len({(row.prompts, row.prompts_of) for row in asked.values()}) > 1:
        raise section.error("rows", "are asked with different prompts; set prompts under the table's settings")
    for row in table.rows:
        if row.text_of and row.text_of not in asked:
            raise section.error("rows", f"{row.name} shows answers of {row.text_of}, which is no row of this table")
        if row.text_of and "symbolic" not in asked[row.text_of].conditions:
            raise section.error("rows", f"{row.name}: {row.text_of} is not asked under the condition symbolic; add it")


def _row(name: str, own: Section, settings: Section, defaults: Section) -> RowConfig:
    own.only(_ROW)
    kinds = [key for key in ("model", "text_of", "finished") if own.values.get(key) is not None]
    if len(kinds) != 1:
        raise own.error("", "needs one of model, text_of and finished")
    asked = kinds == ["model"]
    places = (settings, own, defaults)

    def place(key: str) -> Section:
        return next((section for section in places if section.values.get(key) is not None), own)

    sampling = {key: value for section in reversed(places) for key, value in _sampling(section).items()}
    pixels = place("pixels").wholes("pixels", 1) if place("pixels").values.get("pixels") else (65_536, 262_144)
    if len(pixels) != 2 or pixels[0] > pixels[1]:
        raise place("pixels").error("pixels", "needs the smallest and the largest area, in this order")
    conditions = place("conditions").texts("conditions", ("visual",), CONDITIONS)
    if "visual" not in conditions:
        raise place("conditions").error("conditions", "need visual; add it")
    return RowConfig(
        name=name,
        label=own.text("label", name),
        backend=place("backend").text("backend", choices=BACKENDS) if asked else "",
        model=own.text("model") if asked else "",
        prompts=place("prompts").text("prompts", "default"),
        prompts_of=place("prompts_of").optional_text("prompts_of"),
        conditions=tuple(condition for condition in CONDITIONS if condition in conditions),
        repeats=place("repeats").whole("repeats", 1),
        sampling=Sampling(**sampling),
        pixels=(pixels[0], pixels[1]),
        engine=dict(place("engine").section("engine").values),
        text_of=own.optional_text("text_of"),
        finished=own.optional_text("finished"),
        made_by=place("made_by").optional_text("made_by"),
        published=own.optional_text("published"),
        differs=own.optional_text("differs"),
    )


def _sampling(of: Section) -> dict[str, Any]:
    """The decoding parameters that one place sets."""
    section = of.section("sampling")
    section.only(_SAMPLING)
    wholes = {"top_k": 0, "max_tokens": 1, "seed": 0}
    most = {"top_p": 1.0}
    return {
        key: section.whole(key, least=wholes[key]) if key in wholes else section.number(key, most=most.get(key))
        for key in section.values
    }
