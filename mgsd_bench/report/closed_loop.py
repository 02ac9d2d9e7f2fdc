"""A model that acts step by step: tables for the terminal, as Markdown and for the report, and the curve over turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mgsd_bench.analysis.metrics import ACTING
from mgsd_bench.report import plotting
from mgsd_bench.report.cells import macro_note, percent, plain_table, points, span, stacked
from mgsd_bench.report.figures import FEWEST
from mgsd_bench.report.plotting import style
from mgsd_bench.report.tables import as_markdown
from mgsd_bench.report.text import markdown_text, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from mgsd_bench.analysis.closed_loop import ActingScope, Arm, LoopDiagnosis
    from mgsd_bench.analysis.summary import ConditionSummary
    from mgsd_bench.statistics.intervals import Estimate

Rows = list[tuple[str, ...]]
"""A table of text, the first row its heading."""

HOW = ("progress", "unreadable", "blocked", "useful", "revisit", "loop", "repeat", "dead_end", "coverage", "explorer")
"""What is shown of how a model acts, by names of :data:`mgsd_bench.analysis.metrics.ACTING`."""
BUDGETS = ("within_1", "within_1_5", "within_2", "within_3")

GAPS_NOTE = (
    "In points, after minus before on the same episodes, with the 95 % interval of Bonett and Price. p: two-sided, "
    "mid-p of McNemar (of several tasks the sign-flip test with their weights); Holm: adjusted over the differences "
    "that stand by themselves, of a task over the tasks"
)
STEPS_NOTE = (
    "% of all steps, with 95 % intervals, episodes as clusters. useful: nearer to success; neutral: as far; harmful: "
    "farther, or no way any more; irreversible: those of the harmful ones after which there is no way; blocked: not "
    "possible, changes nothing; fatal: ends the episode"
)
CAUSES_NOTE = (
    "Steps that are harmful, blocked or fatal, of turns that state what is seen: % with 95 % intervals. seeing: the "
    "step is right in the state that was stated, or none is; planning: just the true state was stated; both: another "
    "one was, and the step is wrong there too; unstated: no complete state"
)
CURVE = ("useful", "harmful", "blocked", "fatal", "unreadable")
"""What is drawn of each turn, in the order of the looks."""

CURVE_CAPTION = (
    "What happens in each turn of the episodes that have not ended before: shares of all steps and unreadable turns, "
    "with 95 % bands, episodes as clusters. Above each panel the episodes at its first and at its last turn; turns of "
    f"fewer than {FEWEST} episodes are left out."
)


def acting_table(condition: str, summary: ConditionSummary, model: str) -> Table | None:
    """How a model acts, a column a task and the macro average last; None of answers given at once.

    Args:
        condition: name of the condition.
        summary: its figures.
        model: name of the model, for the title.
    """
    if summary.macro.acting is None:
        return None
    scopes = {**{row.task: (row.n, row.acting or {}) for row in summary.tasks}}
    scopes["macro"] = summary.macro.accuracy.n, summary.macro.acting
    shown = [name for name in (*BUDGETS, *HOW) if any(name in figures for _, figures in scopes.values())]
    about = " ".join(f"{ACTING[name].title}: {ACTING[name].about}" for name in shown if name in HOW)
    note = f"\n%, below it the 95 % interval; rates by counts, episodes as clusters. {about}"
    table = plain_table(f"{model} · {condition} · how it acts", note, ("", *map(one_line, scopes)))
    for name in shown:
        table.add_row(ACTING[name].title, *(stacked(figures.get(name), n) for n, figures in scopes.values()))
    return table


def tables(diagnosis: LoopDiagnosis) -> dict[str, tuple[Rows, str]]:
    """Every table of a diagnosis: rows of text and a note, by title; those with nothing to show are left out."""
    found = {
        "Acting step by step": (_arm_rows(diagnosis.arms), _note(diagnosis)),
        "What it needs": (gap_rows(diagnosis), GAPS_NOTE),
        "Steps": (step_rows(diagnosis.arms), STEPS_NOTE),
        "What faulty steps are due to": (cause_rows(diagnosis.arms), CAUSES_NOTE),
    }
    return {title: table for title, table in found.items() if len(table[0]) > 1}


def terminal_tables(diagnosis: LoopDiagnosis) -> list[Table]:
    """The tables for the terminal, names being text; in a wide one the intervals stand below their figures."""
    shown = []
    for title, (rows, note) in tables(diagnosis).items():
        wide = len(rows[0]) > 6
        table = plain_table(f"{diagnosis.model} · {title.lower()}", f"\n{note}", [])
        for i, name in enumerate(rows[0]):
            table.add_column(name, justify="right" if i else "left", overflow="fold")
        for row in rows[1:]:
            table.add_row(*(Text(cell.replace(" (", "\n(") if wide else cell) for cell in row))
        shown.append(table)
    return shown


def to_markdown(diagnosis: LoopDiagnosis) -> str:
    """The tables as Markdown, each with its note."""
    parts = [f"# {markdown_text(one_line(diagnosis.model))} on {markdown_text(one_line(diagnosis.suite))}\n"]
    for title, (rows, note) in tables(diagnosis).items():
        parts.append(f"## {title}\n\n{as_markdown(rows)}\n{markdown_text(note)}\n")
    return "\n".join(parts)


def html_tables(diagnosis: LoopDiagnosis, name: str) -> dict[str, Rows]:
    """The tables by caption, as :func:`mgsd_bench.report.html.write_html` takes them."""
    return {f"{title}: {one_line(name)}. {note}.": rows for title, (rows, note) in tables(diagnosis).items()}


def gap_rows(diagnosis: LoopDiagnosis) -> Rows:
    """A row a difference, and below it one a task where there are several."""
    rows: Rows = [("difference", "from", "to", "n", "before", "after", "points", "p", "Holm")]
    for gap in diagnosis.gaps:
        shown = {"": gap.macro, **(gap.tasks if len(gap.tasks) > 1 else {})}
        for task, row in shown.items():
            names = ("", one_line(task), "") if task else (gap.name, gap.before, gap.after)
            figures = (_cell(row.before), _cell(row.after), points(row.difference))
            holm = "–" if row.holm_p is None else _p(row.holm_p)
            rows.append((*names, str(row.n), *figures, _p(row.mid_p), holm))
    return rows


def step_rows(arms: Sequence[Arm]) -> Rows:
    """A row a task of each arm, and the average over tasks: how many steps, and of which of the kinds that occur."""
    wanted = ("useful", "neutral", "harmful", "irreversible", "blocked", "fatal", "done")
    kinds = [kind for kind in wanted if any(arm.macro.steps.get(kind) for arm in arms)]
    rows: Rows = [("condition", "task", "steps", *kinds)]
    for arm in arms:
        for name, scope in _scopes(arm).items():
            steps = sum(count for kind, count in scope.steps.items() if kind != "irreversible")
            rows.append((arm.name, name, f"{steps:,}", *(_cell(scope.shares.get(kind)) for kind in kinds)))
    return rows


def cause_rows(arms: Sequence[Arm]) -> Rows:
    """A row a task of each arm that states what it sees: what its faulty steps are due to."""
    causes = ("seeing", "planning", "both", "unstated")
    rows: Rows = [("condition", "task", "faulty steps", *causes)]
    for arm in arms:
        for name, scope in _scopes(arm).items():
            if scope.faults:
                faulty = sum(sum(of_kind.values()) for of_kind in scope.faults.values())
                rows.append((arm.name, name, f"{faulty:,}", *(_cell(scope.causes.get(cause)) for cause in causes)))
    return rows


def _arm_rows(arms: Sequence[Arm]) -> Rows:
    """By task a row a figure, a column an arm."""
    rows: Rows = [("task", "", *(arm.name for arm in arms))]
    scopes = [_scopes(arm) for arm in arms]
    for task in dict.fromkeys(task for of_arm in scopes for task in of_arm):
        there = [of_arm.get(task) for of_arm in scopes]
        rows.append((task, "n", *("–" if scope is None else str(scope.n) for scope in there)))
        rows.append(("", "SR", *("–" if scope is None else _cell(scope.solved) for scope in there)))
        for name in ("strict", *BUDGETS, "spl", *HOW):
            cells = [(scope.figures.get(name), scope.n) if scope else (None, 0) for scope in there]
            if any(cell for cell, _ in cells):
                rows.append(("", ACTING[name].title, *(_cell(*of_arm) for of_arm in cells)))
    return rows


def _scopes(arm: Arm) -> Mapping[str, ActingScope]:
    """The tasks, and their average where there are several."""
    tasks: dict[str, ActingScope] = {one_line(name): task for name, task in arm.tasks.items()}
    return {**tasks, "macro": arm.macro} if len(tasks) > 1 else tasks


def _note(diagnosis: LoopDiagnosis) -> str:
    tasks = dict.fromkeys(task for arm in diagnosis.arms for task in arm.tasks)
    said = f"SR: solved, % of all episodes; all figures with their 95 % intervals; {macro_note(tasks)}"
    return ". ".join((said, *map(one_line, diagnosis.notes)))


def _cell(cell: Estimate | None, n: int | None = None) -> str:
    """A figure with its interval, and its n where that is not the row's."""
    if cell is None:
        return "–"
    return f"{percent(cell)} ({span(cell)})" + (f" n {cell.n}" if n not in (None, cell.n) else "")


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


@style()
def curve(diagnosis: LoopDiagnosis, label: str = "turns") -> Figure:
    """What happens in each turn, a panel a condition and view and a line with its band a kind of step.

    Args:
        diagnosis: what to draw.
        label: the name of the figure's files.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = [(arm, [shares for shares in arm.curve if shares.n >= FEWEST]) for arm in diagnosis.arms]
    arms = [(arm, turns) for arm, turns in drawn if turns]
    columns = min(3, max(1, len(arms)))
    rows = -(-max(1, len(arms)) // columns)
    figure, panels = plotting.new(label, rows, columns, 0.7 + 1.8 * rows, sharey=True)
    flat = [ax for of_row in panels for ax in of_row]
    for ax in flat[len(arms) :]:
        ax.set_axis_off()
    for i, (ax, (arm, turns)) in enumerate(zip(flat, arms, strict=False)):
        for look, kind in enumerate(CURVE):
            plotting.line(ax, [(shares.turn, shares.shares.get(kind)) for shares in turns], look, kind)
        ax.set_title(f"{arm.name}\nn = {turns[0].n} at first, {turns[-1].n} at last")
        ax.set_xlabel("turn")
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        plotting.percent_axis(ax, "steps (%)", first=i % columns == 0)
    return plotting.legend(figure)
