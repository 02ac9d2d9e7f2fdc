"""From the YAML files of a report to a checked :class:`~mgsd_bench.reproduce.config.ReportConfig`.

A file holds tables, and a table rows by name. Rows are described under ``models``, mostly in the file that it
``extends``; what a row does not say comes from ``defaults``, and a table's ``settings`` go before both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mgsd_bench.analysis.metrics import OTHER_NAMES
from mgsd_bench.backends import NAMES as BACKENDS
from mgsd_bench.backends import Sampling
from mgsd_bench.backends.ray_settings import names_cluster
from mgsd_bench.config.editor_schema import editor_schema
from mgsd_bench.config.fields import Check, Count, OneOf, Repeats, Says
from mgsd_bench.config.layers import Key, Layers, read_extended, suggest
from mgsd_bench.config.validate import validate
from mgsd_bench.errors import UserError
from mgsd_bench.package_data import shipped_folder
from mgsd_bench.prompts import OneShot, in_order
from mgsd_bench.reproduce.config import LAYOUTS, SHOWN, ReportConfig, RowConfig, TableConfig
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.external import EXTERNAL

SHIPPED = ("table1", "diagnostics", "ablations", "tiny")
"""The configurations that come with the project."""


def _without_visual(conditions: Collection[str]) -> str | None:
    return None if "visual" in conditions else "{found} need visual; add it"


def _no_suite(name: str) -> str | None:
    try:
        find_suite(name)
    except UserError as error:
        return f"{{found}} is not known; {str(error).partition('; ')[2] or error}"
    return None


def _repeated(levels: Collection[int]) -> str | None:
    return None if len(set(levels)) == len(levels) else "a list of different whole numbers"


Pixels = Annotated[
    tuple[Count, Count],
    Check(lambda value: None if value[0] <= value[1] else ""),
    Says("{found} needs to be the smallest and the largest area, in this order"),
]
Title = Annotated[str, Check(lambda value: None if len(value) <= 200 else ""), Says("a text of at most 200 characters")]
Paragraphs = Annotated[str | tuple[str, ...], Says("a text, nor a list of texts")]


def _cluster_problem(engine: Mapping[str, Any]) -> str | None:
    if not names_cluster(engine):
        return None
    return "{found} names a cluster, which no file can; leave its address out, and set RAY_ADDRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSettings:
    """How rows are asked, as files say it; the fields are those of :class:`RowConfig`, None where nothing is said."""

    backend: Annotated[str, OneOf(BACKENDS)] | None = None
    prompts: str | None = None
    prompts_of: str | None = None
    conditions: Annotated[tuple[OneShot, ...], Check(_without_visual)] | None = None
    repeats: Repeats | None = None
    sampling: Sampling = field(default_factory=Sampling)
    pixels: Pixels | None = None
    engine: Annotated[Mapping[str, Any], Check(_cluster_problem)] | None = None
    made_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEntry(RowSettings):
    """A row as files describe it; the fields are those of :class:`RowConfig`."""

    label: Title | None = None
    model: str | None = None
    text_of: str | None = None
    finished: str | None = None
    published: str | None = None
    differs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """A table as files describe it; the fields are those of :class:`TableConfig`.

    Attributes:
        rows: names of rows.
        settings: what goes before the rows' own settings.
    """

    title: Title | None = None
    about: Paragraphs = ()
    suite: Annotated[str, Check(_no_suite)] | None = None
    external: Annotated[str, OneOf(EXTERNAL)] | None = None
    image: str = "classic"
    tasks: tuple[str, ...] = ()
    levels: Annotated[tuple[Count, ...], Check(_repeated)] = ()
    limit: Count | None = None
    rows: tuple[str, ...] = ()
    settings: RowSettings = RowSettings()
    layout: Annotated[str, OneOf(LAYOUTS)] = "levels"
    measures: tuple[Annotated[str, OneOf((*SHOWN, *OTHER_NAMES))], ...] = ("e2e",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """A configuration as files say it; the other fields are those of :class:`ReportConfig`.

    Attributes:
        defaults: what rows and tables do not say.
        models: rows by name.
        tables: tables by name.
    """

    title: Title | None = None
    about: Paragraphs = ()
    defaults: RowSettings = RowSettings()
    models: Mapping[str, RowEntry] = field(default_factory=dict)
    runs: str | None = None
    figures: bool = True
    html: bool = True
    tables: Mapping[str, TableEntry] = field(default_factory=dict)


def load_config(path_or_name: str, overrides: Sequence[str] = ()) -> ReportConfig:
    """Read and check a configuration.

    Args:
        path_or_name: a YAML file, or the name of a shipped one, of :data:`SHIPPED`.
        overrides: ``key.path=value`` with YAML values, applied in order.

    Raises:
        UserError: there is no such file, or something in it is wrong; one line with file, key and remedy.
    """
    path = find_config(path_or_name)
    layers = read_extended(path, _below)
    for pair in overrides:
        layers = layers.assign(pair, known=pair.partition(".")[0] if pair.startswith(("models.", "tables.")) else "")
    file = validate(ReportFile, layers)
    if not file.tables:
        raise layers.error(("tables",), "is missing; name a table with its rows")
    return ReportConfig(
        name=path.stem,
        title=file.title or path.stem,
        about=_paragraphs(file.about),
        runs=Path(file.runs or f"runs/{path.stem}"),
        figures=file.figures,
        html=file.html,
        tables=tuple(_table(name, file, layers) for name in file.tables),
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of these files, for editors."""
    described: dict[type[Any], list[type[Any]]] = {
        RowSettings: [RowConfig],
        RowEntry: [RowConfig],
        TableEntry: [TableConfig],
        ReportFile: [ReportConfig],
    }
    return editor_schema(ReportFile, described, extends=True)


def find_config(path_or_name: str) -> Path:
    """The file of a configuration: a path, or the name of a shipped one.

    Raises:
        UserError: there is none.
    """
    if Path(path_or_name).suffix in (".yaml", ".yml"):
        if Path(path_or_name).exists():
            return Path(path_or_name)
        raise UserError(f"{path_or_name}: no such file; name a YAML file, or one of {', '.join(SHIPPED)}")
    if path_or_name not in SHIPPED:
        raise UserError(f"{path_or_name}: no table that comes with the project; {suggest(path_or_name, SHIPPED)}")
    return shipped_folder("published").parent / f"{path_or_name}.yaml"


def _below(name: str, folder: Path) -> Path:
    """The file that a configuration extends: one beside it, or a shipped one."""
    beside, shipped = folder / name, find_config(SHIPPED[0]).parent / name
    if not beside.exists() and not shipped.is_file():
        raise UserError(f"{beside} is not there; name a file beside this one")
    return beside if beside.exists() else shipped


def _paragraphs(about: str | tuple[str, ...]) -> tuple[str, ...]:
    return (about,) if isinstance(about, str) else about


def _table(name: str, file: ReportFile, layers: Layers) -> TableConfig:
    entry, place = file.tables[name], ("tables", name)
    if not entry.rows or len(set(entry.rows)) < len(entry.rows):
        raise layers.error((*place, "rows"), "needs at least one row, and none twice")
    for row in entry.rows:
        if row not in file.models:
            raise layers.error((*place, "rows"), f"{row!r} is not known; {suggest(row, tuple(file.models))}")
    if entry.layout in ("levels", "tasks") and "gap" in entry.measures:
        raise layers.error((*place, "measures"), "gap has no table of its own; use layout measures or summary")
    table = TableConfig(
        name=name,
        title=entry.title or name,
        about=_paragraphs(entry.about),
        suite=entry.suite,
        external=entry.external,
        image=entry.image,
        tasks=entry.tasks,
        levels=entry.levels,
        limit=entry.limit,
        rows=tuple(_row(row, name, file, layers) for row in entry.rows),
        layout=entry.layout,
        measures=tuple(OTHER_NAMES.get(name, name) for name in entry.measures),
    )
    _check(table, layers)
    return table


def _check(table: TableConfig, layers: Layers) -> None:
    """What the rows of one table must have in common."""
    suite, rows = ("tables", table.name, "suite"), ("tables", table.name, "rows")
    asked = {row.name: row for row in table.rows if row.backend}
    if asked and table.suite is None and table.external is None:
        raise layers.error(suite, f"is missing, and row {next(iter(asked))} is to be asked; name a suite")
    if len({(row.prompts, row.prompts_of) for row in asked.values()}) > 1:
        raise layers.error(rows, "are asked with different prompts; set prompts under the table's settings")
    for row in table.rows:
        if row.text_of and row.text_of not in asked:
            raise layers.error(rows, f"{row.name} shows answers of {row.text_of}, which is no row of this table")
        if row.text_of and "symbolic" not in asked[row.text_of].conditions:
            raise layers.error(rows, f"{row.name}: {row.text_of} is not asked under the condition symbolic; add it")


def _row(name: str, table: str, file: ReportFile, layers: Layers) -> RowConfig:
    own = file.models[name]
    if sum(value is not None for value in (own.model, own.text_of, own.finished)) != 1:
        raise layers.error(("models", name), "needs one of model, text_of and finished")
    places: dict[Key, RowSettings] = {
        ("tables", table, "settings"): file.tables[table].settings,
        ("models", name): own,
        ("defaults",): file.defaults,
    }

    def first(key: str, default: Any = None) -> Any:
        return next((found for each in places.values() if (found := getattr(each, key)) is not None), default)

    backend = first("backend")
    if own.model and not backend:
        raise layers.error(("models", name, "backend"), "is missing; set it")
    sampling: dict[str, Any] = {}
    for place, each in reversed(places.items()):  # what a place sets of it, over what the later ones set
        given = layers.at((*place, "sampling")) or {}
        sampling |= {key: value for key, value in asdict(each.sampling).items() if given.get(key) is not None}
    conditions = first("conditions", ("visual",))
    return RowConfig(
        name=name,
        label=own.label or name,
        backend=backend if own.model else "",
        model=own.model or "",
        prompts=first("prompts", "default"),
        prompts_of=first("prompts_of"),
        conditions=in_order(conditions),
        repeats=first("repeats", 1),
        sampling=Sampling(**sampling),
        pixels=first("pixels", (65_536, 262_144)),
        engine=first("engine", {}),
        text_of=own.text_of,
        finished=own.finished,
        made_by=first("made_by"),
        published=own.published,
        differs=own.differs,
    )
