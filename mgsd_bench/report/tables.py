"""Tables of results, for the terminal and as Markdown, LaTeX and CSV.

Names of models come from outside: each format has its own escape, and no name can reach a terminal as control codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.analysis.results import Place, scope_of
from mgsd_bench.prompts import CLOSED_LOOP
from mgsd_bench.report.cells import brief, macro_note, percent, plain_table, span, stacked, value_and_span
from mgsd_bench.report.text import as_csv, csv_text, latex_text, markdown_text, one_line

if TYPE_CHECKING:
    from mgsd_bench.analysis.diagnosis import Diagnosis, Scope
    from mgsd_bench.analysis.overlap import Bounds
    from mgsd_bench.analysis.results import Results
    from mgsd_bench.analysis.run import Run
    from mgsd_bench.analysis.summary import ConditionSummary, Macro, Row, Summary
    from mgsd_bench.statistics.intervals import Estimate

OTHER_OUTCOMES = {"wrong": "wrong", "illegal": "illegal", "no_answer": "none", "truncated": "cut", "error": "error"}
LOOP_OUTCOMES = {
    "fatal": "fatal",
    "stuck": "stuck",
    "out_of_steps": "out",
    "no_answer": "none",
    "truncated": "cut",
    "error": "error",
}
ATTRIBUTIONS = tuple(cause.value for cause in Attribution)
LEGEND = (
    "\nacc.: solved, % of all questions asked; 95 %: its Wilson interval (for the macro average and for repeats, "
    "with an effective n); asked: solved by an answer in the form that was asked for; opt.: solved with as few "
    "actions as possible; wrong: ends short of the goal; none: no answer; cut: ran out of tokens"
)
LOOP_LEGEND = (
    "\nSR: solved, % of all episodes; 95 %: its Wilson interval (for the macro average and for repeats, with an "
    "effective n); strict: solved without a blocked action, as a plan said at once has to be; SPL: solved, weighted by "
    "path length; fatal: an action ended the episode; stuck: would do the same for ever; out: of steps; none: three "
    "answers in a row without an action; cut: likewise, out of tokens"
)
INTERVALS = "Intervals: 95 %, Wilson score with an effective number of episodes and a t quantile."
OVERLAP = (
    "both: two faults were made, of which one alone may have been enough, so that it counts too many where faults go "
    "together. In brackets: the shares once what one fault alone accounts for is given to it, whatever the two have to "
    "do with each other"
)
BASELINES = {"straight": "blind: straight plan", "random": "blind: random plan"}
CSV_COLUMNS = ("model", "suite", "measure", "scope", "task", "level", "value", "low", "high", "n")


@dataclass(frozen=True, slots=True)
class PaperTable:
    """Models by tasks and levels.

    Attributes:
        metric: its name in :data:`mgsd_bench.analysis.metrics.METRICS`.
        suite: name of the suite.
        models: one name a row.
        columns: (task, level); level None is the average of the task, task None that of all tasks.
        cells: for each row one estimate a column; None where it was not measured.
        remarks: what must be said beside the figures.
    """

    metric: str
    suite: str
    models: tuple[str, ...]
    columns: tuple[Place, ...]
    cells: tuple[tuple[Estimate | None, ...], ...]
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is shown and how the intervals were made."""
        tasks = dict.fromkeys(task for task, _ in self.columns if task)
        return (METRICS[self.metric].about, INTERVALS, f"{macro_note(tasks)}. n: episodes.", *self.remarks)

    @property
    def counts(self) -> list[str]:
        """The n of each column; several where the rows differ in it."""
        by_column = zip(*self.cells, strict=True)
        return ["/".join(dict.fromkeys(str(cell.n) for cell in column if cell)) or "–" for column in by_column]

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The table as text, the intervals in brackets; the first row is the heading, the second has the counts."""
        heading = ("model", *(f"{task} {level or 'all'}" if task else "macro" for task, level in self.columns))
        rows = [(name, *map(brief, cells)) for name, cells in zip(self.models, self.cells, strict=True)]
        return (heading, ("n", *self.counts), *rows)

    def to_markdown(self) -> str:
        """A Markdown table with the intervals in brackets, and the notes below it."""
        return as_markdown(self.rows) + "\n" + "\n".join(map(markdown_text, self.notes)) + "\n"

    def to_latex(self) -> str:
        """A ``tabular`` for the package booktabs, the intervals in a line of their own below the values."""
        width = len(self.columns) + 1
        groups = _groups([task for task, _ in self.columns])
        heads = [rf"\multicolumn{{{b - a}}}{{c}}{{{latex_text(task or 'macro')}}}" for task, a, b in groups]
        rules = [rf"\cmidrule(lr){{{a + 2}-{b + 1}}}" for task, a, b in groups if task]
        levels = ["" if task is None else str(level or "all") for task, level in self.columns]
        lines = [
            "% needs \\usepackage{booktabs}",
            rf"\begin{{tabular}}{{l*{{{width - 1}}}{{r}}}}",
            r"\toprule",
            latex_row(["", *heads]),
            " ".join(rules),
            latex_row(["model", *levels]),
            latex_row(["$n$", *(count.replace("–", "--") for count in self.counts)]),
            r"\midrule",
        ]
        for name, cells in zip(self.models, self.cells, strict=True):
            lines.append(latex_row([f"{{{latex_text(name)}}}", *(percent(cell) if cell else "--" for cell in cells)]))
            spans = (rf"{{\scriptsize {span(cell, '--')}}}" if cell else "" for cell in cells)
            lines += [latex_row(["", *spans])] if any(cells) else []
        notes = [rf"\multicolumn{{{width}}}{{l}}{{\footnotesize {latex_text(note)}}} \\" for note in self.notes]
        return "\n".join([*lines, r"\bottomrule", *notes, r"\end{tabular}"]) + "\n"

    def to_csv(self) -> str:
        """One row a model, task and level, as shares of 1 with 6 decimals; what was not measured is left out.

        ``scope`` is level, task or macro: keep one of them before adding anything up.
        """
        rows: list[Sequence[object]] = [CSV_COLUMNS]
        for name, cells in zip(self.models, self.cells, strict=True):
            for (task, level), cell in zip(self.columns, cells, strict=True):
                if cell is not None:
                    rows.append(csv_row(name, self.suite, self.metric, (task, level), cell))
        return as_csv(rows)


def write_tables(tables: Sequence[PaperTable], output_format: str) -> str:
    """Several tables as one text: below each other in ``md`` and ``tex``, as one table in ``csv``."""
    if output_format == "csv":
        first, *others = (table.to_csv() for table in tables)
        return first + "".join(text.partition("\n")[2] for text in others)
    texts = [table.to_markdown() if output_format == "md" else table.to_latex() for table in tables]
    return "\n".join(texts)


def csv_row(model: str, suite: str, metric: str, place: Place, cell: Estimate) -> list[object]:
    """One figure in the columns :data:`CSV_COLUMNS`, as shares of 1 with 6 decimals."""
    task, level = place
    names = (csv_text(model), csv_text(suite), metric, scope_of(place), csv_text(task or ""))
    figures = (f"{value:.6f}" for value in (cell.value, cell.low, cell.high))
    return [*names, "" if level is None else level, *figures, cell.n]


def paper_table(
    results: Sequence[Results], metric: str = "e2e", *, baselines: bool = True, levels: bool = True
) -> PaperTable:
    """Several results on the same episodes as the main table of a paper.

    Args:
        results: at least one.
        metric: its name in :data:`mgsd_bench.analysis.metrics.METRICS`.
        baselines: with the metric e2e, add what the plans that ignore the image solve.
        levels: a column for each level too, not for the tasks and their average alone.
    """
    first = results[0]
    columns: list[Place] = []
    for task in task_names(results):
        of_task = {level for of_run in results for name, level in of_run.places if name == task and level is not None}
        columns += [*((task, level) for level in sorted(of_task) if levels), (task, None)]
    columns.append((None, None))
    rows = [(name, of_run, metric) for name, of_run in zip(model_names(results), results, strict=True)]
    if baselines and metric == "e2e":
        rows += [(name, first, key) for key, name in BASELINES.items()]
    cells = [tuple(of_run.estimate(key, *column) for column in columns) for _, of_run, key in rows]
    shown = [i for i, of_row in enumerate(cells) if i < len(results) or any(of_row)]
    remarks = dict.fromkeys(note for of_run in results for note in of_run.notes)
    return PaperTable(
        metric,
        first.suite,
        tuple(rows[i][0] for i in shown),
        tuple(columns),
        tuple(cells[i] for i in shown),
        tuple(remarks),
    )


def task_names(results: Iterable[Results | Diagnosis]) -> list[str]:
    """The tasks of all results, in the order in which they first occur."""
    return list(dict.fromkeys(task for of_run in results for task in of_run.tasks))


def model_names(results: Iterable[Results | Diagnosis]) -> list[str]:
    """One name each, printable and in one line; a name that occurs again gets a number."""
    return _numbered([_name(of_run.model) for of_run in results])


def run_names(runs: Sequence[Run]) -> list[str]:
    """One name each, as :func:`model_names`; runs of one model share it if no condition is in two of them."""
    names = [_name(run.model) for run in runs]
    asked: dict[str, list[str]] = {}
    for name, run in zip(names, runs, strict=True):
        asked.setdefault(name, []).extend(run.conditions())
    shared = {name for name, conditions in asked.items() if len(set(conditions)) == len(conditions)}
    return [name if name in shared else numbered for name, numbered in zip(names, _numbered(names), strict=True)]


def _name(model: str) -> str:
    """A model's name as tables and pages show it: one line, of which a very long one is cut."""
    name = one_line(model)
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


LONGEST_NAME = 200
"""The most characters of a model's name that are shown."""


def _numbered(names: Iterable[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def results_table(condition: str, summary: ConditionSummary, model: str) -> Table:
    """Task by level: n, accuracy with its 95 % interval, optimal accuracy, and what became of the rest.

    Args:
        condition: name of the condition.
        summary: its figures.
        model: name of the model, for the title.
    """
    acts = condition in CLOSED_LOOP
    table = plain_table(
        f"{model} · {condition}", f"{LOOP_LEGEND if acts else LEGEND}; {macro_note(summary.macro.tasks)}"
    )
    table.add_column("task", no_wrap=True)
    measures = ("SR", "95 %", "strict", "SPL") if acts else ("acc.", "95 %", "asked", "opt.")
    for name in ("level", "n", *measures, *(LOOP_OUTCOMES if acts else OTHER_OUTCOMES).values()):
        table.add_column(name, justify="right", no_wrap=True)
    for total in summary.tasks:
        for row in summary.levels:
            if row.task == total.task:
                table.add_row(row.task, str(row.level), *_cells(row))
        table.add_row(total.task, "all", *_cells(total), style="bold")
        table.add_row()
    macro = summary.macro
    table.add_row("macro", "", str(macro.accuracy.n), *_measures(macro), style="bold")
    return table


def diagnosis_table(diagnosis: Diagnosis) -> Table:
    """Task by measure, each with its interval below it: what was seen, what was planned, what came of both."""
    keys = ("state_f1", "plan_on_gt", "e2e", "gap", "straight", "random")
    note = (
        "\n%, below it the 95 % interval. State F1: facts stated from the image; Plan-on-GT: solved from the state "
        "as text; E2E: solved from the image; gap: Plan-on-GT − E2E on the same episodes, in points (interval of "
        "Bonett and Price); straight, random: what blind plans solve. "
        + " ".join((INTERVALS, f"{macro_note(diagnosis.tasks)}. n: episodes.", *diagnosis.notes))
    )
    columns = ("task", "n", "State F1", "Plan-on-GT", "E2E", "gap", "straight", "random")
    table = plain_table(f"{diagnosis.model} · diagnosis", note, columns)

    def cells(scope: Scope) -> list[str]:
        return [stacked(scope.estimate(key), scope.n, signed=key == "gap") for key in keys]

    return _add_scopes(table, diagnosis, "macro", cells)


def attribution_table(diagnosis: Diagnosis) -> Table:
    """Task by what the answers failed at, as shares of all questions, each with its Wilson interval below it."""
    note = (
        "\n% of all questions asked from the image, below it the 95 % Wilson interval. perception: the plan fits the "
        "state that was stated, which is wrong; planning: the state is right, the plan is not; both: neither; "
        "unstated: no complete state; format: no plan. n: episodes. all: every question of the run, not the macro "
        f"average. {OVERLAP}"
    )
    table = plain_table(f"{diagnosis.model} · what the answers failed at", note, ("task", "n", *ATTRIBUTIONS))

    def cells(scope: Scope) -> list[str]:
        failures = scope.failures
        return [stacked(failures[key], scope.n) + _range(scope.attribution_bounds.get(key)) for key in ATTRIBUTIONS]

    return _add_scopes(table, diagnosis, "all", cells)


def facts_table(diagnosis: Diagnosis) -> Table:
    """Task by kind of fact: how many there are, and which shares are missed and invented."""
    note = (
        "\n%, below it the 95 % interval. missed: of the true facts, those not stated; invented: of the stated facts, "
        "those that are false. all: every kind but the size"
    )
    columns = ("task", "fact", "true", "stated", "missed", "invented")
    table = plain_table(f"{diagnosis.model} · what was seen", note, columns)
    for name, task in diagnosis.tasks.items():
        label = Text(one_line(name))
        for kind, facts in task.facts.items():
            counts = f"{facts.tp + facts.fn:,}", f"{facts.tp + facts.fp:,}"
            shares = (stacked(share, task.n) for share in (facts.missed, facts.invented))
            table.add_row(label, Text(one_line(kind)), *counts, *shares)
            label = Text()
        shares = (stacked(share, task.n) for share in (task.faults.misread, task.faults.invented))
        table.add_row(label, "all", "", "", *shares, style="bold")
        table.add_row()
    return table


def comparison(summaries: Sequence[tuple[str, Summary]], condition: str) -> list[list[str]]:
    """One row a run: its accuracy in each task and on average, with 95 % intervals; the first row is the heading.

    Args:
        summaries: name of the model and figures of each run.
        condition: the condition to show.
    """
    tasks = [row.task for row in summaries[0][1].conditions[condition].tasks]
    rows = [["model", "n", *tasks, "macro"]]
    for name, summary in summaries:
        of_condition = summary.conditions[condition]
        by_task = {row.task: row.accuracy for row in of_condition.tasks}
        macro = of_condition.macro.accuracy
        rows.append([name, str(macro.n), *(brief(by_task[task]) for task in tasks), brief(macro)])
    return rows


def as_terminal(rows: Sequence[Sequence[str]]) -> Table:
    """Rows, the first a heading, as a table for the terminal."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if i else "left", no_wrap=i > 0)
    for row in rows[1:]:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    return table


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the first a heading, as a Markdown table; the cells are text, not Markdown."""
    lines = [list(map(markdown_text, row)) for row in rows]
    lines.insert(1, ["---", *["---:"] * (len(rows[0]) - 1)])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _range(bounds: Bounds | None) -> str:
    """The bounds of a share in a line of their own; nothing where it is known."""
    if bounds is None:
        return ""
    low, high = (f"{100 * end:.0f}" for end in (bounds.low, bounds.high))
    return "" if low == high else f"\n[{low}–{high}]"


def _add_scopes(table: Table, diagnosis: Diagnosis, last: str, cells: Callable[[Scope], Iterable[str]]) -> Table:
    """One row a task and a bold last one for all of them, a blank line between them."""
    for name, scope in diagnosis.tasks.items():
        table.add_row(Text(one_line(name)), str(scope.n), *cells(scope))
        table.add_row()
    total = diagnosis.macro
    table.add_row(last, str(total.n), *cells(total), style="bold")
    return table


def _groups(keys: Sequence[str | None]) -> list[tuple[str | None, int, int]]:
    """Runs of equal keys: (key, start, end)."""
    starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    return [(keys[a], a, b) for a, b in zip(starts, [*starts[1:], len(keys)], strict=True)]


def latex_row(cells: Sequence[str]) -> str:
    """The cells, which are LaTeX, as a row of a ``tabular``."""
    return " & ".join(cells) + r" \\"


def _cells(row: Row) -> list[str]:
    names = LOOP_OUTCOMES if "fatal" in row.outcomes else OTHER_OUTCOMES
    shares = [row.outcomes[name] / row.samples for name in names]
    return [str(row.n), *_measures(row), *(f"{100 * share:.0f}" if share else "·" for share in shares)]


def _measures(row: Row | Macro) -> list[str]:
    """Solved with its interval, and two figures that are stricter."""
    others = [row.acting["strict"], row.acting["spl"]] if row.acting else [row.accuracy_asked, row.optimal_accuracy]
    return [*value_and_span(row.accuracy), *map(percent, others)]
