"""Commands about finished runs: report, compare, robustness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.errors import Exit, UserError, command_line, spell
from mgsd_bench.plain import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mgsd_bench.analysis.run import Run
    from mgsd_bench.prompts import Condition

app = typer.Typer()

FORMATS = ("text", "md", "tex", "csv", "html")
ROBUSTNESS_FORMATS = ("text", "md", "tex", "csv", "json")


@app.command("report")
def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of the same suite and prompts.")],
    output_format: Annotated[
        str | None, typer.Option("--format", help="text, md, tex, csv or html; else what --out ends in.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of the terminal.")] = None,
    figures: Annotated[Path | None, typer.Option("--figures", help="Also save the figures in this folder.")] = None,
    condition: options.OneCondition = "visual",
    measures: Annotated[
        list[str] | None,
        typer.Option("--measure", help="For md, tex and csv: what to show, repeatable; by default by --condition."),
    ] = None,
    totals: Annotated[bool, typer.Option("--totals", help="Tasks and their average alone, no levels.")] = False,
    allow: options.Allow = [],  # noqa: B006 (typer copies it)
) -> None:
    """Put the results of several runs side by side, as a table or as a whole report.

    A report in HTML is also written of runs that may not be set side by side: it then says in what they differ instead
    of by how much.
    """
    from dataclasses import replace

    from mgsd_bench.analysis.comparable import Question, check
    from mgsd_bench.analysis.diagnose import diagnose
    from mgsd_bench.analysis.diagnose_loops import diagnose_loops
    from mgsd_bench.analysis.metrics import GATED, HEADLINE, OTHER_NAMES
    from mgsd_bench.analysis.run import load_runs
    from mgsd_bench.analysis.summary import summarise
    from mgsd_bench.prompts import CLOSED_LOOP
    from mgsd_bench.report.tables import as_terminal, comparison, paper_table, write_tables
    from mgsd_bench.terminal import Terminal

    chosen = output_format or (out.suffix.removeprefix(".") if out else "text")
    if chosen not in FORMATS:
        raise UserError(f"--format {chosen}: choose from {', '.join(FORMATS)}")
    if chosen == "html" and out is None:
        raise UserError("--format html: name the file with --out")
    asked = options.condition_of(condition)
    shown = [OTHER_NAMES.get(name, name) for name in measures or [HEADLINE[asked]]]
    for given, name in zip(measures or [], shown, strict=False):
        if name not in GATED:
            raise UserError(f"--measure {given}: choose from {', '.join((*GATED, *OTHER_NAMES))}")
    found = load_runs(runs)
    if chosen == "html" and out is not None:
        _write_html(found, asked, options.split(allow), out, figures)
        return
    notes = check(found, Question.MODELS, [asked], options.split(allow)) + found[0].look_notes
    if chosen == "text":
        if figures is not None:
            _save_figures(_drawn(found), figures)
        Terminal().print(as_terminal(comparison([(r.model, summarise(r.in_first_look().frame)) for r in found], asked)))
        say("\nsolved, % of all questions asked, with 95 % intervals")
        for note in (*notes, *_unread(found)):
            say(note)
        return
    if figures is not None:
        _save_figures(_drawn(found), figures)
    measured = (diagnose_loops([run]) if asked in CLOSED_LOOP else diagnose([run]) for run in found)
    results = [replace(of_run.results((*shown, "straight", "random")), notes=tuple(notes)) for of_run in measured]
    text = write_tables([paper_table(results, name, levels=not totals) for name in shown], chosen)
    if out:
        options.write("--out", out, text)
    else:
        say(text, end="")


def _unread(runs: list[Run]) -> list[str]:
    """A line on each run of which many answers could not be read or were cut off."""
    from mgsd_bench.analysis.unread import Unread

    counted = ((run.model, Unread.of_run(run)) for run in runs)
    return [f"{model}: {spell(unread.line(), command_line)}" for model, unread in counted if unread.many]


def _drawn(runs: list[Run]) -> dict[str, Figure]:
    """The figures of runs by caption: of plans said at once, and of what happens in each turn of a closed loop."""
    from mgsd_bench.analysis.diagnose import diagnose
    from mgsd_bench.analysis.diagnose_loops import acts
    from mgsd_bench.report.figures import all_figures

    at_once = [run for run in runs if "visual" in run.conditions() or not acts(run)]
    return {**(all_figures([diagnose([run]) for run in at_once]) if at_once else {}), **_turns(runs)[0]}


def _turns(runs: list[Run]) -> tuple[dict[str, Figure], dict[str, list[tuple[str, ...]]]]:
    """Figures and tables, by caption, of the runs that act step by step."""
    from mgsd_bench.analysis.diagnose_loops import acts, diagnose_loops
    from mgsd_bench.report.closed_loop import CURVE_CAPTION, curve, html_tables
    from mgsd_bench.report.tables import run_names

    figures: dict[str, Figure] = {}
    tables: dict[str, list[tuple[str, ...]]] = {}
    acting = [(name, run) for name, run in zip(run_names(runs), runs, strict=True) if acts(run)]
    for number, (name, run) in enumerate(acting, 1):
        loops = diagnose_loops([run])
        figures[f"{name}: {CURVE_CAPTION}"] = curve(loops, "turns" if len(acting) == 1 else f"turns-{number}")
        tables |= html_tables(loops, name)
    return figures, tables


def _save_figures(drawn: dict[str, Figure], folder: Path) -> None:
    from mgsd_bench.report.figures import save

    try:
        for figure in drawn.values():
            save(figure, folder / str(figure.get_label()))
    except OSError as error:
        raise UserError(f"--figures {folder}: cannot be written ({error.strerror or error})") from error


def _write_html(runs: list[Run], condition: Condition, allow: list[str], out: Path, figures: Path | None) -> None:
    """Write the whole report, and then say if its runs may not be set side by side."""
    from dataclasses import replace

    from mgsd_bench.analysis.comparable import Question, check
    from mgsd_bench.analysis.robustness import robustness
    from mgsd_bench.analysis.verdict import judge
    from mgsd_bench.report.figures import all_figures, to_svg
    from mgsd_bench.report.html import write_html
    from mgsd_bench.report.robustness import CAPTION, axis_rows, figure, look_rows, sentences
    from mgsd_bench.report.tables import run_names
    from mgsd_bench.runs.stored import FINISHED

    refused = None
    try:
        check(runs, Question.MODELS, [condition], allow)
    except UserError as error:
        if error.code != Exit.NOT_COMPARABLE or any(run.status not in FINISHED for run in runs):
            raise
        refused = error
    verdict, names = judge(runs, condition, allow), run_names(runs)
    looked = [robustness(run, condition) for run in runs if run.identity.get("looks")]
    verdict = replace(verdict, notes=(*verdict.notes, *_unread(runs)))
    diagnoses = [v.diagnosis.renamed(name) for v, name in zip(verdict.runs, names, strict=True) if v.diagnosis]
    drawn = all_figures(diagnoses) if diagnoses else {}
    tables = {}
    for name, result in zip(names, looked, strict=False):
        tables[f"What looks cost {name}. {' '.join(sentences(result))}"] = axis_rows(result)
        tables[f"Every look that {name} was asked in."] = look_rows(result)
        if result.axes:
            drawn[f"{name}: {CAPTION}"] = figure(result)
    of_turns, of_acting = _turns(runs)
    drawn, tables = {**drawn, **of_turns}, {**tables, **of_acting}
    if figures is not None:
        _save_figures(drawn, figures)
    svgs = {caption: to_svg(figure) for caption, figure in drawn.items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_html(out, title=" · ".join(dict.fromkeys(names)), verdict=verdict, runs=runs, figures=svgs, tables=tables)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    if refused:
        say(f"{out}: written all the same, without differences between these runs", err=True)
        raise refused


@app.command("compare")
def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="A run, and one or more to compare with it.")],
    condition: options.OneCondition = "visual",
    out: Annotated[Path | None, typer.Option("--out", help="Also write everything to this file, as JSON.")] = None,
    allow: options.Allow = [],  # noqa: B006
) -> None:
    """Compare runs question by question: paired differences, and who regressed."""
    from mgsd_bench.analysis.comparable import Question, check
    from mgsd_bench.analysis.comparison import compare
    from mgsd_bench.analysis.run import load_runs
    from mgsd_bench.report.changes import comparison_table
    from mgsd_bench.terminal import Terminal

    if len(runs) < 2:
        raise UserError("compare: give two run folders or more")
    asked, allowed = options.condition_of(condition), options.split(allow)
    first, *others = load_runs(runs)
    check([first, *others], Question.MODELS, [asked], allowed)
    found = [compare(first, other, asked, allowed) for other in others]
    console = Terminal()
    for result in found:
        console.print(comparison_table(result))
        for word, episodes in (("regressed", result.regressed), ("improved", result.improved)):
            if episodes:
                more = f" and {len(episodes) - 8} more" if len(episodes) > 8 else ""
                console.print(f"{len(episodes)} {word}: {', '.join(episodes[:8])}{more}", highlight=False)
        console.print()
    if out:
        options.write("--out", out, json.dumps([result.to_json() for result in found], indent=2) + "\n")


@app.command("robustness")
def robustness_command(
    run: Annotated[Path, typer.Argument(help="Run folder of a suite with several looks, such as mgsd-p1-quick.")],
    output_format: Annotated[
        str | None, typer.Option("--format", help="text, md, tex, csv or json; else what --out ends in.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of the terminal.")] = None,
    figures: Annotated[Path | None, typer.Option("--figures", help="Also save the figure in this folder.")] = None,
    condition: options.OneCondition = "visual",
) -> None:
    """What perturbed pictures and other looks of the same episodes cost: drops, worst axis, what is broken and why."""
    from mgsd_bench.analysis.robustness import robustness
    from mgsd_bench.analysis.run import load_run
    from mgsd_bench.report.robustness import CAPTION, LEGEND, brief_rows, figure, sentences, write
    from mgsd_bench.report.tables import as_terminal
    from mgsd_bench.terminal import Terminal

    chosen = output_format or (out.suffix.removeprefix(".") if out else "text")
    if chosen not in ROBUSTNESS_FORMATS:
        raise UserError(f"--format {chosen}: choose from {', '.join(ROBUSTNESS_FORMATS)}")
    result = robustness(load_run(run), options.condition_of(condition))
    if figures is not None:
        if not result.axes:
            raise UserError(f"--figures {figures}: {run} has no perturbations with several severities; leave it out")
        _save_figures({CAPTION: figure(result)}, figures)
    if chosen == "text":
        console = Terminal()
        for rows in brief_rows(result):
            console.print(as_terminal(rows))
            console.print()
        for line in (*sentences(result), LEGEND):
            say(line)
        return
    text = json.dumps(result.to_json(), indent=2) + "\n" if chosen == "json" else write(result, chosen)
    if out:
        options.write("--out", out, text)
    else:
        say(text, end="")
