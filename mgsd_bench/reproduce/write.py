"""The files of a report: Markdown, LaTeX, CSV, figures, and the answers as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mgsd_bench.errors import UserError, option
from mgsd_bench.files import write_whole
from mgsd_bench.report.tables import PaperTable, paper_table
from mgsd_bench.report.text import markdown_text
from mgsd_bench.reproduce.config import ReportConfig
from mgsd_bench.reproduce.published_comparison import PublishedComparison, compare_with_published
from mgsd_bench.reproduce.results import RowResult, TableResult
from mgsd_bench.reproduce.tables import (
    TextTable,
    comparison_csv,
    comparison_table,
    measured_csv,
    measures_table,
    published_table,
)
from mgsd_bench.suites.suite import digest, episodes, subsample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mgsd_bench.reproduce.published import Published


def write_report(
    report: ReportConfig, outcomes: Sequence[TableResult], published: Sequence[Published], out: Path
) -> list[Path]:
    """Write everything that was found into a folder.

    Returns:
        The files, the figures left out, the Markdown first.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        drawn = {outcome.table.name: _figures(outcome, out) if report.figures else {} for outcome in outcomes}
        lines = {outcome.table.name: compare_with_published(outcome, published) for outcome in outcomes}
        shown = outcomes if report.html else ()
        pages = {of.table.name: _html(of, lines[of.table.name], drawn[of.table.name], out) for of in shown}
        texts = {
            f"{report.name}.md": _markdown(report, outcomes, lines, published, drawn, pages),
            f"{report.name}.tex": _latex(outcomes, lines),
            f"{report.name}.csv": measured_csv(outcomes),
        }
        if any(lines.values()):
            texts[f"{report.name}-published.csv"] = comparison_csv(
                [(name, line) for name in lines for line in lines[name]]
            )
        for name, text in texts.items():
            write_whole(out / name, text)
    except OSError as error:
        raise UserError(f"{option('out', out)}: cannot be written ({error.strerror or error})") from error
    return [*(out / name for name in texts), *(page for page in pages.values() if page)]


def tables_of(outcome: TableResult, *, levels: bool = True) -> list[PaperTable | TextTable]:
    """The tables of measured figures: one a measure, or one for all; none where nothing was measured.

    Args:
        outcome: a table with what came of its rows.
        levels: show the levels, where the table's layout does.
    """
    if not outcome.shown:
        return []
    if outcome.table.layout in ("measures", "summary"):
        return [measures_table(outcome)]
    found: list[PaperTable | TextTable] = []
    for measure in outcome.table.measures:
        results = [m.results for m in outcome.shown if m.results and m.results.estimate(measure)]
        if results:
            by_level = levels and outcome.table.layout == "levels"
            found.append(paper_table(results, measure, baselines=False, levels=by_level))
    return found


def _markdown(
    report: ReportConfig,
    outcomes: Sequence[TableResult],
    lines: Mapping[str, Sequence[PublishedComparison]],
    published: Sequence[Published],
    drawn: Mapping[str, Mapping[str, Figure]],
    pages: Mapping[str, Path | None],
) -> str:
    parts = [f"# {markdown_text(report.title)}", *map(markdown_text, report.about)]
    for outcome in outcomes:
        name = outcome.table.name
        parts += [f"## {markdown_text(outcome.table.title)}", *map(markdown_text, outcome.table.about)]
        parts += [_asked(outcome), *(table.to_markdown().rstrip() for table in tables_of(outcome))]
        parts += _left_out("Not measured", outcome.rows, "skipped") + _left_out("Failed", outcome.rows, "failed")
        for row in (measured for measured in outcome.rows if measured.errors):
            parts.append(f"{markdown_text(row.row.label)}: {row.errors} requests failed and count as not solved.")
        if compared := _compared(lines[name]):
            parts += ["### Beside published figures", comparison_table(compared).to_markdown().rstrip()]
        for caption, figure in drawn[name].items():
            parts += [f"![{markdown_text(caption)}](figures/{name}-{figure.get_label()}.svg)", markdown_text(caption)]
        if page := pages.get(name):
            parts.append(f"Every answer with its picture: `{page.name}`.")
    if any(lines.values()):
        shown = {line.figure for of_table in lines.values() for line in _compared(of_table)}
        rest = [figure for figure in published if figure.value is not None and figure not in shown]
        parts += ["## Published, and not measured here", published_table(rest).to_markdown().rstrip()] if rest else []
    return "\n\n".join(part for part in parts if part) + "\n"


def _compared(lines: Sequence[PublishedComparison]) -> list[PublishedComparison]:
    return [line for line in lines if line.measured is not None]


def _asked(outcome: TableResult) -> str:
    """What the rows of a table were asked, in one line."""
    if outcome.suite is None:
        return ""
    asked = episodes(outcome.suite)
    if outcome.table.limit is not None:
        asked = subsample(asked, outcome.table.limit)
    prompts = next((measured.row.prompts for measured in outcome.rows if measured.row.backend), "default")
    tokens = dict.fromkeys(str(m.row.sampling.max_tokens) for m in outcome.rows if m.row.backend)
    suite = markdown_text(outcome.suite.name)
    return (
        f"Suite {suite}, {len(asked):,} episodes (digest {digest(asked)[:12]}); prompts {markdown_text(prompts)}; at "
        f"most {'/'.join(tokens)} new tokens."
    )


def _left_out(heading: str, rows: Sequence[RowResult], why: str) -> list[str]:
    found = [(measured.row, reason) for measured in rows if (reason := getattr(measured, why))]
    if not found:
        return []
    items = (f"- **{markdown_text(row.label)}**: {markdown_text(reason)}" for row, reason in found)
    return [f"### {heading}", "\n".join(items)]


def _latex(outcomes: Sequence[TableResult], lines: Mapping[str, Sequence[PublishedComparison]]) -> str:
    parts = []
    for outcome in outcomes:
        parts += [f"% {outcome.table.name}\n{table.to_latex()}" for table in tables_of(outcome)]
        if of_table := _compared(lines[outcome.table.name]):
            parts.append(f"% {outcome.table.name}, beside published figures\n{comparison_table(of_table).to_latex()}")
    return "\n".join(parts)


def _figures(outcome: TableResult, out: Path) -> dict[str, Figure]:
    """Draw and save the figures of the models with one run of their own; by caption."""
    from mgsd_bench.report.figures import all_figures, save

    models = [m for m in outcome.shown if len(m.runs) == 1 and not m.row.text_of and m.row.backend != "scripted"]
    diagnoses = [m.diagnosis for m in models if m.diagnosis]
    figures = all_figures(diagnoses) if diagnoses else {}
    for figure in figures.values():
        save(figure, out / "figures" / f"{outcome.table.name}-{figure.get_label()}")
    return figures


def _html(
    outcome: TableResult, lines: Sequence[PublishedComparison], drawn: Mapping[str, Figure], out: Path
) -> Path | None:
    """The answers of all runs of a table, its figures and its tables in one file; None without a run."""
    from mgsd_bench.report.figures import to_svg
    from mgsd_bench.report.html import write_html

    runs = {run.path: run for measured in outcome.shown for run in measured.runs}
    if not runs:
        return None
    path = out / f"{outcome.table.name}.html"
    svgs = {caption: to_svg(figure) for caption, figure in drawn.items()}
    tables = {" ".join(table.notes): table.rows for table in tables_of(outcome)}
    if compared := _compared(lines):
        grid = comparison_table(compared)
        tables["Beside published figures. " + " ".join(grid.notes)] = grid.rows
    title, answered = outcome.table.title, list(runs.values())
    write_html(path, title=title, verdict=None, runs=answered, figures=svgs, tables=tables)
    return path
