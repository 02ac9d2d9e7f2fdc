"""Tables whose columns are no levels: measures side by side, and measured beside published figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgsd_bench.report.cells import macro_note
from mgsd_bench.report.tables import CSV_COLUMNS, INTERVALS, as_markdown, csv_row
from mgsd_bench.report.text import as_csv, csv_text, latex_text
from mgsd_bench.reproduce.published_comparison import PublishedComparison
from mgsd_bench.reproduce.results import TableResult

if TYPE_CHECKING:
    from mgsd_bench.reproduce.published import Published
    from mgsd_bench.statistics.intervals import Estimate

HEADINGS = {
    "e2e": "E2E",
    "e2e_asked": "E2E, as asked",
    "optimal": "E2E, optimal",
    "plan_on_gt": "Plan-on-GT",
    "plan_on_gt_asked": "Plan-on-GT, as asked",
    "direct": "direct",
    "state_f1": "State F1",
    "perceive_f1": "State F1, asked alone",
    "gap": "gap",
}
_MEASURES_NOTE = (
    "In %, in brackets 95 % intervals. State F1: facts stated from the image; Plan-on-GT: solved from the state as "
    "text; E2E: solved from the image; gap: Plan-on-GT minus E2E on the same episodes, in points."
)
_RUNS_NOTE = (
    "Of several runs the mean ± standard deviation; the interval is the wider of that over runs (t) and the mean of "
    "the runs' own."
)
_BESIDE_NOTE = (
    "In % and, for differences and gaps, points. The difference is measured minus published; its 95 % interval is that "
    "of the measured figure, and takes the published one as it stands."
)
BESIDE_COLUMNS = (
    "table", "row", "paper", "arxiv", "where", "published_model", "task", "level", "metric", "published", "obtained",
    "uncertain", "measure", "measured", "low", "high", "n", "difference", "difference_low", "difference_high",
    "same_protocol", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of texts.

    Attributes:
        rows: the first is the heading, the first cell of each its name.
        notes: lines below it.
    """

    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def to_markdown(self) -> str:
        """A Markdown table, and the notes below it."""
        return as_markdown(self.rows) + "\n" + "\n".join(f"{note}  " for note in self.notes) + "\n"

    def to_latex(self) -> str:
        """A ``tabular`` for the package booktabs."""
        heading, *body = [" & ".join(map(latex_text, row)) + r" \\" for row in self.rows]
        width = len(self.rows[0])
        notes = [rf"\multicolumn{{{width}}}{{l}}{{\footnotesize {latex_text(note)}}} \\" for note in self.notes]
        top = ["% needs \\usepackage{booktabs}", rf"\begin{{tabular}}{{l*{{{width - 1}}}{{r}}}}", r"\toprule", heading]
        return "\n".join([*top, r"\midrule", *body, r"\bottomrule", *notes, r"\end{tabular}"]) + "\n"


def measures_table(table: TableResult) -> TextTable:
    """A row a model and task, or a model alone in the layout ``summary``; a column a measure."""
    measures, by_task = table.table.measures, table.table.layout == "measures"
    several = any(len(row.runs) > 1 for row in table.shown)
    heading = ("model", *(("task",) if by_task else ()), *(("runs",) if several else ()), "n")
    rows = [(*heading, *(HEADINGS[measure] for measure in measures))]
    remarks: dict[str, None] = {}
    for row in table.shown:
        if row.results is None:
            continue
        remarks |= dict.fromkeys(row.results.notes)
        for task in (*row.results.tasks, None) if by_task else (None,):
            name = (row.row.label, *((task or "macro",) if by_task else ()))
            runs = (str(len(row.runs)),) if several else ()
            cells = (brief(row.results.estimate(m, task), signed=m == "gap") for m in measures)
            rows.append((*name, *runs, str(row.results.counts[task, None]), *cells))
    tasks = dict.fromkeys(task for row in table.shown if row.results is not None for task in row.results.tasks)
    notes = (_MEASURES_NOTE, *((_RUNS_NOTE,) if several else ()), INTERVALS, f"{macro_note(tasks)}. n: episodes.")
    return TextTable(tuple(rows), (*notes, *remarks))


def comparison_table(lines: Sequence[PublishedComparison]) -> TextTable:
    """Published, measured, their difference, and whether it means anything; reasons are numbered below.

    Args:
        lines: those with a measured figure.
    """
    reasons = list(dict.fromkeys(reason for line in lines for reason in line.reasons))
    rows: list[tuple[str, ...]] = [("row", "paper", "figure", "published", "measured", "difference", "same protocol")]
    for line in lines:
        numbers = ", ".join(str(reasons.index(reason) + 1) for reason in line.reasons)
        signed = line.metric == "gap"
        rows.append(
            (
                line.label,
                line.figure.paper,
                f"{line.figure.scope}, {line.figure.metric or f'not said; here {HEADINGS[line.metric]}'}",
                f"{line.figure.value:.1f}{_marks(line.figure)}",
                brief(line.measured, signed=signed),
                brief(line.difference, signed=True),
                "yes" if line.same_protocol else f"no ({numbers})",
            )
        )
    notes = [_BESIDE_NOTE, *_legend([line.figure for line in lines])]
    return TextTable(tuple(rows), (*notes, *(f"({i}) {reason}" for i, reason in enumerate(reasons, 1))))


def published_table(figures: Sequence[Published]) -> TextTable:
    """A row for each paper, model and metric, all its figures in one cell."""
    groups: dict[tuple[str, ...], list[Published]] = {}
    for figure in figures:
        names = (figure.model, f"{figure.paper} (arXiv {figure.arxiv})", figure.metric or "not said")
        groups.setdefault(names, []).append(figure)
    rows: list[tuple[str, ...]] = [("model", "paper", "metric", "published")]
    rows += [
        (*key, ", ".join(f"{figure.scope}: {figure.value:g}{_marks(figure)}" for figure in group))
        for key, group in groups.items()
    ]
    return TextTable(tuple(rows), ("In %; gaps in points.", *_legend(figures)))


def brief(cell: Estimate | None, *, signed: bool = False) -> str:
    """A figure in percent with its interval, and its spread over runs where there are several."""
    if cell is None:
        return "–"
    value, low, high = 100 * cell.value, 100 * cell.low, 100 * cell.high
    spread = "" if cell.spread is None else f" ± {100 * cell.spread:.1f}"
    span = f"{low:+.0f} to {high:+.0f}" if signed else f"{low:.0f}–{high:.0f}"
    return f"{value:{'+' if signed else ''}.1f}{spread} ({span})"


def measured_csv(tables: Sequence[TableResult]) -> str:
    """Every measured figure of all tables, a row each, as shares of 1; ``spread`` is over ``runs`` runs."""
    rows: list[tuple[object, ...]] = [("table", *CSV_COLUMNS, "runs", "spread")]
    for table in tables:
        for row in table.shown:
            if row.results is None:
                continue
            for metric in table.table.measures:
                for place in row.results.places:
                    if cell := row.results.estimate(metric, *place):
                        spread = "" if cell.spread is None else f"{cell.spread:.6f}"
                        figures = csv_row(row.results.model, row.results.suite, metric, place, cell)
                        rows.append((csv_text(table.table.name), *figures, len(row.runs), spread))
    return as_csv(rows)


def comparison_csv(lines: Sequence[tuple[str, PublishedComparison]]) -> str:
    """Every published figure of the rows of all tables, in percent and points; lines with the name of their table."""
    rows: list[tuple[object, ...]] = [BESIDE_COLUMNS]
    for table, line in lines:
        f = line.figure
        about = (f.paper, f.arxiv, f.where, f.model, f.task or "", "" if f.level is None else f.level, f.metric or "")
        status = (f.value, f.obtained, "yes" if f.uncertain else "", line.metric)
        n = line.measured.n if line.measured else ""
        texts = [csv_text(text) if isinstance(text, str) else text for text in (table, line.label, *about)]
        same = "" if line.measured is None else "yes" if line.same_protocol else "no"
        reason = csv_text("; ".join(line.reasons))
        rows.append((*texts, *status, *_percents(line.measured), n, *_percents(line.difference), same, reason))
    return as_csv(rows)


def _percents(cell: Estimate | None) -> tuple[str, ...]:
    return tuple(f"{100 * end:.4f}" for end in (cell.value, cell.low, cell.high)) if cell else ("", "", "")


def _marks(figure: Published) -> str:
    return "*" * (figure.obtained == "second-hand") + "?" * figure.uncertain


def _legend(figures: Sequence[Published]) -> list[str]:
    second, uncertain = any(f.obtained == "second-hand" for f in figures), any(f.uncertain for f in figures)
    return ["*: second-hand."] * second + ["?: uncertain; baselines/published says why."] * uncertain
