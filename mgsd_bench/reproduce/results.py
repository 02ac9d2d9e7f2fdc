"""The rows of a table, measured: asked, read from finished runs, or left out by name and reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mgsd_bench.analysis import comparable
from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.results import Results, pool
from mgsd_bench.analysis.run import Run, load_run, load_runs
from mgsd_bench.errors import Exit, UserError, command_line, option, spell
from mgsd_bench.reproduce.availability import unavailable_reason
from mgsd_bench.reproduce.config import SHOWN, ReportConfig, RowConfig, TableConfig

if TYPE_CHECKING:
    from rich.console import Console

    from mgsd_bench.analysis.diagnosis import Diagnosis
    from mgsd_bench.suites.suite import Suite

_BLIND = ("straight", "random")
"""What is shown beside a table's own measures."""
_OF_TEXT = ("e2e", "e2e_asked", "optimal", *_BLIND)
"""What the answers to the state as text say where those from the picture would stand."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What came of a row; exactly one of results, skipped and failed is set.

    Attributes:
        row: the row.
        runs: the run folders it rests on.
        results: the figures; those of a row that shows answers to the state as text stand where those from the picture
            would.
        diagnosis: why the model fails, of a single run of its own.
        skipped: why it was not asked.
        failed: what went wrong when it was.
        errors: requests that failed and count as not solved.
    """

    row: RowConfig
    runs: tuple[Run, ...] = ()
    results: Results | None = None
    diagnosis: Diagnosis | None = None
    skipped: str | None = None
    failed: str | None = None
    errors: int = 0


@dataclass(frozen=True, slots=True)
class TableResult:
    """A table with what came of its rows.

    Attributes:
        table: the table.
        suite: what its rows were asked; None where nothing could be.
        rows: in the order of the table.
    """

    table: TableConfig
    suite: Suite | None
    rows: tuple[RowResult, ...]

    @property
    def shown(self) -> list[RowResult]:
        """The rows with figures."""
        return [measured for measured in self.rows if measured.results is not None]


def measure(report: ReportConfig, table: TableConfig, console: Console, data_root: Path | None = None) -> TableResult:
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
    rows: dict[str, RowResult] = {}
    for row in table.rows:
        console.print(f"{table.name}/{row.name}", highlight=False)
        rows[row.name] = measured = _measure(report, table, row, suite, no_suite, rows, console)
        for word, reason in (("skipped", measured.skipped), ("failed", measured.failed)):
            if reason:
                console.print(f"  {word}: {reason}", highlight=False, soft_wrap=True)
    return TableResult(table, suite, tuple(rows.values()))


def _suite(table: TableConfig, data_root: Path | None, console: Console) -> tuple[Suite | None, str | None]:
    """The suite, or why there is none; what is to be said of an external one is told."""
    from mgsd_bench.suites.choose import find_suite
    from mgsd_bench.suites.external import load, notes, outline
    from mgsd_bench.suites.suite import select

    if data_root is not None and table.external is not None:
        wanted = select(outline(table.external), table.tasks, table.levels)
        suite, loaded = load(wanted, data_root, table.image)
        for note in notes(suite, loaded):
            console.print(note, highlight=False, soft_wrap=True)
        return suite, None
    if table.suite is None:
        given = option("data_root", "DIR")
        return None, f"test set {table.external} is read from a folder: give {given} (docs/external-data.md)"
    return select(find_suite(table.suite), table.tasks, table.levels), None


def _measure(
    report: ReportConfig,
    table: TableConfig,
    row: RowConfig,
    suite: Suite | None,
    no_suite: str | None,
    before: dict[str, RowResult],
    console: Console,
) -> RowResult:
    if row.finished is not None:
        return _guarded(row, lambda: _finished(row, before))
    if row.text_of is not None:
        return _from_text(row, before[row.text_of])
    reason = no_suite if suite is None else unavailable_reason(row)
    if reason is not None or suite is None:
        return RowResult(row, skipped=None if reason is None else spell(reason, command_line))
    return _guarded(row, lambda: _asked(report, table, row, suite, console))


def _guarded(row: RowConfig, work: Callable[[], RowResult]) -> RowResult:
    """What the work gives; one row's failure is not that of the others."""
    try:
        return work()
    except UserError as error:
        if error.code == Exit.INTERRUPTED:
            raise
        return RowResult(row, failed=error.spelled(command_line))


def _asked(report: ReportConfig, table: TableConfig, row: RowConfig, suite: Suite, console: Console) -> RowResult:
    from mgsd_bench.backends import BackendConfig
    from mgsd_bench.evaluation.evaluate import Evaluation, evaluate

    low, high = row.pixels
    config = BackendConfig(row.model, row.sampling, low, high, row.engine)
    folder = report.runs / suite.name / row.name
    job = Evaluation(suite, table.limit, list(row.conditions), row.repeats, row.prompts, row.backend, config, folder)
    summary, _ = evaluate(job, console)
    run = load_run(folder)
    diagnosis = diagnose([run]).renamed(row.label)
    return RowResult(row, (run,), diagnosis.results((*SHOWN, *_BLIND)), diagnosis, errors=summary.errors)


def _from_text(row: RowConfig, source: RowResult) -> RowResult:
    """The answers of another row to the state as text, in the place of those from the picture."""
    if source.results is None:
        reason = f"its answers are those of {source.row.name}, which was {'skipped' if source.skipped else 'not run'}"
        return RowResult(row, skipped=reason)
    texts = [
        replace(
            run,
            given=[
                replace(sample, condition="visual")
                for sample in run.read_samples(texts=False)
                if sample.condition == "symbolic"
            ],
        )
        for run in source.runs
    ]
    results = diagnose(texts).renamed(row.label).results(_OF_TEXT)
    return RowResult(row, source.runs, results, errors=sum(map(_errors, texts)))


def _finished(row: RowConfig, before: dict[str, RowResult]) -> RowResult:
    """A row from finished run folders; they must be comparable with the rows before."""
    pattern = Path(row.finished or "")
    base = Path(pattern.anchor)
    folders = [path for path in sorted(base.glob(str(pattern.relative_to(base)))) if (path / "run.json").is_file()]
    if not folders:
        made = f"; made by `{row.made_by}`" if row.made_by else ""
        return RowResult(row, skipped=f"no finished run at {row.finished}{made}")
    runs = load_runs(folders)
    first = next((measured.runs[0] for measured in before.values() if measured.runs), runs[0])
    comparable.check([first, *runs], comparable.Question.TABLE, ["visual"])
    results = [diagnose([run]).renamed(row.label).results((*SHOWN, *_BLIND)) for run in runs]
    return RowResult(row, tuple(runs), pool(results, (*SHOWN, *_BLIND)), errors=sum(map(_errors, runs)))


def _errors(run: Run) -> int:
    return int((run.frame["outcome"] == "error").sum())
