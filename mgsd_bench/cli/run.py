"""Commands that ask a model, and about what they wrote: eval, score, merge, verify, diagnose."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.cli.settings import with_settings
from mgsd_bench.errors import Exit, UserError, command_line, option, spell
from mgsd_bench.evaluation.settings import DiagnosisSettings, EvaluationSettings, QuestionSettings, ScoreSettings
from mgsd_bench.plain import say

if TYPE_CHECKING:
    from mgsd_bench.analysis.summary import Summary
    from mgsd_bench.evaluation.evaluate import Evaluation
    from mgsd_bench.records import Stored
    from mgsd_bench.terminal import Terminal

app = typer.Typer()

FAULTS_SHOWN = 20
"""Faults of a run that ``verify`` lists."""


@app.command("eval")
@with_settings(EvaluationSettings)
def eval_command(
    settings: EvaluationSettings,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be asked: questions, tokens and, by prices, money.")
    ] = False,
) -> None:
    """Ask a model every question of a suite and score the answers in the simulator."""
    if dry_run:
        _forecast(settings)
    else:
        _evaluate(settings)


def _forecast(settings: EvaluationSettings) -> None:
    from mgsd_bench.evaluation.dry_run import forecast
    from mgsd_bench.evaluation.evaluate import Evaluation
    from mgsd_bench.report.dry_run import forecast_table, sentences
    from mgsd_bench.terminal import Terminal

    found = forecast(Evaluation.from_settings(settings, options.note))
    Terminal().print(forecast_table(found))
    for line in sentences(found):
        say(line)


@app.command("score")
@with_settings(ScoreSettings)
def score_command(settings: ScoreSettings) -> None:
    """Score answers that were collected elsewhere, or those of an old run with today's reader."""
    if settings.rescore is not None:
        return _rescore(settings, settings.rescore)
    if settings.answers is None:
        raise UserError(f"score: give {option('answers')} or {option('rescore')}")
    asked = {each.name: getattr(settings, each.name) for each in fields(QuestionSettings)}
    _evaluate(EvaluationSettings(model=str(settings.answers), backend="recorded", **asked))


@app.command("merge")
def merge_command(
    shards: Annotated[list[Path], typer.Argument(help="Folders of all shards of one run.")],
    out: Annotated[Path, typer.Option("--out", help="The run folder to make of them, a new one.")],
) -> None:
    """Make one run of the shards that `eval --shard` wrote."""
    from mgsd_bench.evaluation.merge import merge

    summary = merge(shards, out)
    say(f"{len(shards)} shards, {summary.samples} answers, {summary.errors} failed requests; run in {out}")
    if summary.errors:
        raise typer.Exit(Exit.ENGINE)


@app.command("verify")
def verify_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or saved baselines' folders.")],
) -> None:
    """Check that runs hold what they say: score every answer and count every figure again."""
    from mgsd_bench.evaluation.verify import verify

    held = True
    for run in runs:
        found = verify(run)
        held = held and not found.faults
        unsealed = found.samples - found.sealed
        with_seals = f", {unsealed} without a checksum" if unsealed else ""
        say(f"{run}: {found.samples} samples{with_seals}: {'holds' if not found.faults else 'does not hold'}")
        for fault in found.faults[:FAULTS_SHOWN]:
            say(f"  {fault}")
        if len(found.faults) > FAULTS_SHOWN:
            say(f"  and {len(found.faults) - FAULTS_SHOWN} more")
    if not held:
        raise typer.Exit(Exit.USAGE)


@app.command("diagnose")
@with_settings(DiagnosisSettings, optional=True)
def diagnose_command(
    settings: DiagnosisSettings | None,
    runs: Annotated[list[Path] | None, typer.Argument(help="Finished runs of one model; or give --model.")] = None,
    allow: options.Allow = [],  # noqa: B006 (typer copies it)
) -> None:
    """Find out why a model fails: does it fail to see, to plan, to say, or to act?"""
    from mgsd_bench.analysis.diagnose import diagnose
    from mgsd_bench.analysis.diagnose_loops import acts, diagnose_loops
    from mgsd_bench.analysis.run import load_runs
    from mgsd_bench.report.closed_loop import terminal_tables
    from mgsd_bench.report.dead_ends import dead_ends_table
    from mgsd_bench.report.tables import attribution_table, diagnosis_table, facts_table
    from mgsd_bench.terminal import Terminal

    if (settings is None) == (not runs):
        raise UserError("diagnose: give either run folders or --model")
    folders, code = list(runs or []), Exit.OK
    if settings is not None:
        folder, code = _evaluate(settings, tables=False)
        folders = [folder]
    found, allowed, console = load_runs(folders), options.split(allow), Terminal()
    loops = diagnose_loops(found, allowed) if any(map(acts, found)) else None
    if loops is None or any("visual" in run.conditions() for run in found):
        result = diagnose(found, allowed)
        target = _write(result, folders[0] / "diagnosis.json")
        console.print(diagnosis_table(result))
        console.print(facts_table(result))
        if (lost := dead_ends_table(result)) is not None:
            console.print(lost)
        console.print(attribution_table(result))
        console.print(f"diagnosis in {target}", highlight=False, soft_wrap=True)
    if loops is not None:
        target = _write(loops, folders[0] / "closed_loop.json")
        for table in terminal_tables(loops):
            console.print(table)
        console.print(f"diagnosis of the closed loop in {target}", highlight=False, soft_wrap=True)
    if code:
        raise typer.Exit(code)


def _write(result: Stored, target: Path) -> Path:
    import json

    from mgsd_bench.files import write_whole

    try:
        write_whole(target, json.dumps(result.to_json(), indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target


def _rescore(settings: ScoreSettings, run: Path) -> None:
    from mgsd_bench.analysis.run import load_run
    from mgsd_bench.evaluation.rescore import rescore
    from mgsd_bench.report.tables import results_table
    from mgsd_bench.terminal import Terminal

    for each in fields(settings):
        if each.name not in ("rescore", "out") and getattr(settings, each.name) != getattr(ScoreSettings(), each.name):
            raise UserError(f"{option(each.name)}: the run says what was asked; with {option('rescore')} leave it out")
    old, console = load_run(run), Terminal()
    found = rescore(old, settings.out)
    for name, of_condition in found.summary.conditions.items():
        console.print()
        console.print(results_table(name, of_condition, old.model))
    console.print(
        f"\n{found.summary.samples} texts were read anew: {found.outcomes} outcomes changed; {found.found} plans were "
        f"found and {found.lost} given up, {found.replanned} are others, {found.restated} states are others; run in "
        f"{found.out}",
        highlight=False,
        soft_wrap=True,
    )


def _evaluate(settings: EvaluationSettings, *, tables: bool = True) -> tuple[Path, Exit]:
    """Run an evaluation and show what came of it.

    Returns:
        The run folder, and whether requests failed.

    Raises:
        typer.Exit: requests failed, and nothing else is going to be shown.
    """
    from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
    from mgsd_bench.terminal import Terminal

    job, console = Evaluation.from_settings(settings, options.note), Terminal()
    summary, code = evaluate(job, console)
    show_results(job, summary, console, tables=tables)
    if code and tables:
        raise typer.Exit(code)
    return job.out, code


def show_results(job: Evaluation, summary: Summary, console: Terminal, *, tables: bool = True) -> None:
    """Show what came of an evaluation, where its run is, and what is wrong with its answers."""
    from mgsd_bench.analysis.run import load_run
    from mgsd_bench.analysis.unread import MANY, Unread
    from mgsd_bench.report.closed_loop import acting_table
    from mgsd_bench.report.tables import results_table

    for name, of_condition in summary.conditions.items() if tables else ():
        console.print()
        console.print(results_table(name, of_condition, Path(job.config.model).name))
        if (acting := acting_table(name, of_condition, Path(job.config.model).name)) is not None:
            console.print(acting)
    answered = summary.samples - summary.errors
    done = f"{answered} of {summary.samples} questions were answered; run in {job.out}"
    console.print(f"\n{done}", highlight=False, soft_wrap=True)
    if summary.unread > MANY * answered:
        said = Unread.of(load_run(job.out).read_samples()).line()
        console.print(spell(said, command_line), style="yellow", highlight=False, soft_wrap=True)
    if summary.errors:
        console.print(
            f"{summary.errors} requests failed and count as not solved; see `error` in {job.out}/samples.jsonl, "
            "and run the same command again to retry them",
            style="red",
            highlight=False,
            soft_wrap=True,
        )
