"""The rows of a table, measured: asked, read from finished runs, or left out by name and reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from mgsd_bench.analysis.diagnosis import diagnose
from mgsd_bench.errors import Exit, UserError, command_line, option, spell
from mgsd_bench.report.tables import estimate
from mgsd_bench.reproduce.availability import why_not
from mgsd_bench.reproduce.config import SHOWN, ReportConfig, RowConfig, TableConfig
from mgsd_bench.runs.run import Run, read_run

if TYPE_CHECKING:
    from rich.console import Console

    from mgsd_bench.suites.suite import Suite

Json = dict[str, Any]

_OF_TEXT = ("n", "e2e", "optimal", "straight", "random")


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a row; exactly one of diagnosis, skipped and failed is set.

    Attributes:
        row: the row.
        runs: the run folders it rests on.
        diagnosis: the figures, as of :func:`mgsd_bench.analysis.diagnosis.diagnose`; those of a row that shows answers
            to the state as text stand where those from the picture would.
        skipped: why it was not asked.
        failed: what went wrong when it was.
        errors: requests that failed and count as not solved.
    """

    row: RowConfig
    runs: tuple[Run, ...] = ()
    diagnosis: Json | None = None
    skipped: str | None = None
    failed: str | None = None
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A table with what came of its rows.

    Attributes:
        table: the table.
        suite: what its rows were asked; None where nothing could be.
        rows: in the order of the table.
    """

    table: TableConfig
    suite: Suite | None
    rows: tuple[Measured, ...]

    @property
    def shown(self) -> list[Measured]:
        """The rows with figures."""
        return [measured for measured in self.rows if measured.diagnosis is not None]


def measure(report: ReportConfig, table: TableConfig, console: Console, data_root: Path | None = None) -> Outcome:
    """Measure the rows of one table; a row that is finished is read and not asked again.

    Args:
        report: where the run folders lie.
        table: the table.
        console: where progress is told.
        data_root: folder with others' test sets.

    Raises:
        UserError: the suite cannot be made or read, or (exit code ``INTERRUPTED``) the user stopped.
    """
    suite, no_suite = _suite(table, data_root, console)
    rows: dict[str, Measured] = {}
    for row in table.rows:
        console.print(f"{table.name}/{row.name}", highlight=False)
        rows[row.name] = measured = _measure(report, table, row, suite, no_suite, rows, console)
        for word, reason in (("skipped", measured.skipped), ("failed", measured.failed)):
            if reason:
                console.print(f"  {word}: {reason}", highlight=False, soft_wrap=True)
    return Outcome(table, suite, tuple(rows.values()))


def _suite(table: TableConfig, data_root: Path | None, console: Console) -> tuple[Suite | None, str | None]:
    """The suite, or why there is none; what is to be said of an external one is told."""
    from mgsd_bench.suites.external import load, notes, outline
    from mgsd_bench.suites.suite import get_suite, select

    if data_root is not None and table.external is not None:
        wanted = select(outline(table.external), table.tasks, table.levels)
        suite, loaded = load(wanted, data_root, table.image)
        for note in notes(suite, loaded):
            console.print(note, highlight=False, soft_wrap=True)
        return suite, None
    if table.suite is None:
        given = option("data_root", "DIR")
        return None, f"test set {table.external} is read from a folder: give {given} (docs/external-data.md)"
    return select(get_suite(table.suite), table.tasks, table.levels), None


def _measure(
    report: ReportConfig,
    table: TableConfig,
    row: RowConfig,
    suite: Suite | None,
    no_suite: str | None,
    before: dict[str, Measured],
    console: Console,
) -> Measured:
    if row.finished is not None:
        return _guarded(row, lambda: _finished(row, before))
    if row.text_of is not None:
        return _from_text(row, before[row.text_of])
    reason = no_suite if suite is None else why_not(row)
    if reason is not None or suite is None:
        return Measured(row, skipped=None if reason is None else spell(reason, command_line))
    return _guarded(row, lambda: _asked(report, table, row, suite, console))


def _guarded(row: RowConfig, work: Callable[[], Measured]) -> Measured:
    """What the work gives; one row's failure is not that of the others."""
    try:
        return work()
    except UserError as error:
        if error.code == Exit.INTERRUPTED:
            raise
        return Measured(row, failed=error.spelled(command_line))


def _asked(report: ReportConfig, table: TableConfig, row: RowConfig, suite: Suite, console: Console) -> Measured:
    from mgsd_bench.backends import BackendConfig
    from mgsd_bench.evaluation.evaluate import Evaluation, evaluate

    low, high = row.pixels
    config = BackendConfig(row.model, row.sampling, low, high, row.engine)
    folder = report.runs / suite.name / row.name
    job = Evaluation(suite, table.limit, list(row.conditions), row.repeats, row.prompts, row.backend, config, folder)
    summary, _ = evaluate(job, console)
    run = read_run(folder)
    return Measured(row, (run,), {**diagnose([run]), "model": row.label}, errors=summary["errors"])


def _from_text(row: RowConfig, source: Measured) -> Measured:
    """The answers of another row to the state as text, in the place of those from the picture."""
    if source.diagnosis is None:
        reason = f"its answers are those of {source.row.name}, which was {'skipped' if source.skipped else 'not run'}"
        return Measured(row, skipped=reason)
    texts = [
        replace(run, samples=[replace(s, condition="visual") for s in run.samples if s.condition == "symbolic"])
        for run in source.runs
    ]
    diagnosis = diagnose(texts)
    errors = sum(sample.outcome == "error" for run in texts for sample in run.samples)
    return Measured(row, source.runs, {**_reduced(diagnosis, _OF_TEXT), "model": row.label}, errors=errors)


def _finished(row: RowConfig, before: dict[str, Measured]) -> Measured:
    """A row from finished run folders; they must hold the episodes and prompts of the rows before."""
    from mgsd_bench.analysis.comparison import read_comparable

    pattern = Path(row.finished or "")
    base = Path(pattern.anchor)
    folders = [path for path in sorted(base.glob(str(pattern.relative_to(base)))) if (path / "run.json").is_file()]
    if not folders:
        made = f"; made by `{row.made_by}`" if row.made_by else ""
        return Measured(row, skipped=f"no finished run at {row.finished}{made}")
    first = next((measured.runs[0].path for measured in before.values() if measured.runs), folders[0])
    runs = read_comparable([first, *folders], "visual")[1:]
    errors = sum(sample.outcome == "error" for run in runs for sample in run.samples)
    diagnoses = [diagnose([run]) for run in runs]
    return Measured(row, tuple(runs), {**pooled(diagnoses), "model": row.label}, errors=errors)


def pooled(diagnoses: Sequence[Json]) -> Json:
    """The mean over several runs of the same questions, as a diagnosis with the measures that tables show.

    The interval is the wider of two on each side: of the mean over runs, by t, and the mean of the runs' own.
    """
    if len(diagnoses) == 1:
        return diagnoses[0]
    first = diagnoses[0]
    return {
        **{key: first[key] for key in ("format", "suite", "digest", "conditions")},
        "macro": _pool([diagnosis["macro"] for diagnosis in diagnoses]),
        "tasks": {
            task: {
                **_pool([diagnosis["tasks"][task] for diagnosis in diagnoses]),
                "levels": [
                    {"level": levels[0]["level"], **_pool(levels)}
                    for levels in zip(*(diagnosis["tasks"][task]["levels"] for diagnosis in diagnoses), strict=True)
                ],
            }
            for task in first["tasks"]
        },
    }


def _pool(scopes: Sequence[Json]) -> Json:
    found: Json = {"n": scopes[0]["n"]}
    for key in SHOWN:
        cells = [estimate(scope, key) for scope in scopes]
        found[key] = _nested(key, _mean(key, [cell for cell in cells if cell])) if all(cells) else None
    return found


def _mean(key: str, cells: Sequence[Json]) -> Json:
    from scipy.special import stdtrit

    values = [cell["value"] for cell in cells]
    mean, spread = fmean(values), stdev(values)
    half = float(stdtrit(len(values) - 1, 0.975)) * spread / len(values) ** 0.5
    low, high = (fmean(cell[end] for cell in cells) for end in ("low", "high"))
    return {
        "value": round(mean, 6),
        "low": round(max(-1.0 if key == "gap" else 0.0, min(low, mean - half)), 6),
        "high": round(min(1.0, max(high, mean + half)), 6),
        "n": cells[0]["n"],
        "runs": len(cells),
        "spread": round(spread, 6),
    }


def _nested(key: str, cell: Json) -> Json:
    """A cell where :func:`mgsd_bench.report.tables.estimate` looks for it."""
    inner = {"state": "f1", "perceive": "f1", "gap": "difference"}.get(key)
    return {inner: cell} if inner else cell


def _reduced(diagnosis: Json, keys: Collection[str]) -> Json:
    """A diagnosis with these figures alone."""

    def cut(scope: Json) -> Json:
        return {key: value for key, value in scope.items() if key in keys}

    tasks = {
        name: {**cut(task), "levels": [{"level": level["level"], **cut(level)} for level in task["levels"]]}
        for name, task in diagnosis["tasks"].items()
    }
    return {**diagnosis, "macro": cut(diagnosis["macro"]), "tasks": tasks}
