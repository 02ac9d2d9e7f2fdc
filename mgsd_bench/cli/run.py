"""Commands that ask a model: eval, diagnose, score."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.cli.settings import with_settings
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.settings import DiagnosisSettings, EvaluationSettings, QuestionSettings, ScoreSettings

app = typer.Typer()


@app.command("eval")
@with_settings(EvaluationSettings)
def eval_command(settings: EvaluationSettings) -> None:
    """Ask a model every question of a suite and score the answers in the simulator."""
    _evaluate(settings)


@app.command("score")
@with_settings(ScoreSettings)
def score_command(settings: ScoreSettings) -> None:
    """Score answers that were collected elsewhere."""
    asked = {each.name: getattr(settings, each.name) for each in fields(QuestionSettings)}
    _evaluate(EvaluationSettings(model=str(settings.answers), backend="recorded", **asked))


@app.command("diagnose")
@with_settings(DiagnosisSettings, optional=True)
def diagnose_command(
    settings: DiagnosisSettings | None,
    runs: Annotated[list[Path] | None, typer.Argument(help="Finished runs of one model; or give --model.")] = None,
    allow: options.Allow = [],  # noqa: B006 (typer copies it)
) -> None:
    """Find out why a model fails: does it fail to see, to plan, or to say?"""
    import json

    from rich.console import Console

    from mgsd_bench.analysis.diagnose import diagnose
    from mgsd_bench.analysis.run import load_runs
    from mgsd_bench.files import write_whole
    from mgsd_bench.report.tables import attribution_table, diagnosis_table, facts_table

    if (settings is None) == (not runs):
        raise UserError("diagnose: give either run folders or --model")
    folders, code = list(runs or []), Exit.OK
    if settings is not None:
        folder, code = _evaluate(settings, tables=False)
        folders = [folder]
    result = diagnose(load_runs(folders), options.split(allow))
    target = folders[0] / "diagnosis.json"
    try:
        write_whole(target, json.dumps(result.to_json(), indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error})") from error
    console = Console(markup=False)
    console.print(diagnosis_table(result))
    console.print(facts_table(result))
    console.print(attribution_table(result))
    console.print(f"diagnosis in {target}", highlight=False, soft_wrap=True)
    if code:
        raise typer.Exit(code)


def _evaluate(settings: EvaluationSettings, *, tables: bool = True) -> tuple[Path, Exit]:
    """Run an evaluation and show what came of it.

    Returns:
        The run folder, and whether requests failed.

    Raises:
        typer.Exit: requests failed, and nothing else is going to be shown.
    """
    from rich.console import Console

    from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
    from mgsd_bench.report.tables import results_table

    job, console = Evaluation.from_settings(settings, options.note), Console(markup=False)
    summary, code = evaluate(job, console)
    for name, of_condition in summary.conditions.items() if tables else ():
        console.print()
        console.print(results_table(name, of_condition, Path(job.config.model).name))
    answered = summary.samples - summary.errors
    done = f"{answered} of {summary.samples} questions were answered; run in {job.out}"
    console.print(f"\n{done}", highlight=False, soft_wrap=True)
    if code:
        console.print(
            f"{summary.errors} requests failed and count as not solved; see `error` in {job.out}/samples.jsonl, "
            "and run the same command again to retry them",
            style="red",
            highlight=False,
            soft_wrap=True,
        )
        if tables:
            raise typer.Exit(code)
    return job.out, code
