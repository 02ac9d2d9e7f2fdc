"""Commands that guard against regressions: gate, baseline, power, noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.cli.settings import with_settings
from mgsd_bench.config.settings import Panel
from mgsd_bench.errors import UserError
from mgsd_bench.gating.settings import FOLDER, GateSettings, NoiseSettings
from mgsd_bench.plain import say

if TYPE_CHECKING:
    from mgsd_bench.gating.policy import Policy
    from mgsd_bench.gating.power import Design

app = typer.Typer()
baseline_app = typer.Typer(no_args_is_help=True, help="Keep finished runs as named baselines.")
app.add_typer(baseline_app, name="baseline")


@app.command("gate")
@with_settings(GateSettings)
def gate_command(
    settings: GateSettings,
    verdict: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the verdict here, not to verdict.json in its run.", rich_help_panel=Panel.OUTPUT
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", help="Append a job summary to this file.", rich_help_panel=Panel.OUTPUT),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML to this file.", rich_help_panel=Panel.OUTPUT)
    ] = None,
    allow: options.Allow = [],  # noqa: B006 (typer copies it)
) -> None:
    """Is a new checkpoint worse than the old one? Exit code 0 pass, 1 fail, 3 not comparable, 4 inconclusive."""
    from mgsd_bench.gating.job import GateJob, run_gate
    from mgsd_bench.report.gate import headline, show, to_junit, to_markdown
    from mgsd_bench.terminal import Terminal

    job = GateJob(
        baseline=settings.baseline,
        candidate=settings.candidate,
        model=settings.model,
        policy=settings.policy,
        inconclusive=settings.inconclusive,
        folder=settings.folder,
        sequential=settings.sequential,
        backend=settings.backend,
        out=settings.out,
        engine_args=settings.engine_args(),
        trust_remote_code=settings.trust_remote_code,
        allow=tuple(options.split(allow)),
    )
    console = Terminal()
    report = run_gate(job, console)
    target = verdict or Path(report.candidate.run) / "verdict.json"
    options.write("--json", target, json.dumps(report.to_json(), indent=2) + "\n")
    if markdown is not None:
        _append(markdown, to_markdown(report))
    if junit is not None:
        options.write("--junit", junit, to_junit(report))
    show(report, console)
    console.print(f"\n{headline(report)}", highlight=False, soft_wrap=True, style="bold")
    console.print(f"verdict in {target}", highlight=False, soft_wrap=True)
    raise typer.Exit(report.exit_code)


@baseline_app.command("save")
def save_command(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    name: Annotated[str, typer.Argument(help="What to call it.")],
    directory: options.Folder = FOLDER,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a baseline of that name.")] = False,
) -> None:
    """Keep a run's answers and scores as a small folder to commit."""
    from mgsd_bench.gating.baselines import save_baseline

    target = save_baseline(run, name, directory, force=force)
    size = sum(path.stat().st_size for path in target.iterdir())
    say(f"{target}: {size / 1024:.0f} KiB")


@baseline_app.command("list")
def list_command(directory: options.Folder = FOLDER) -> None:
    """List the baselines."""
    from mgsd_bench.gating.baselines import list_baselines
    from mgsd_bench.report.tables import as_terminal
    from mgsd_bench.terminal import Terminal

    rows = [["baseline", "model", "suite", "answers", "KiB"]]
    for saved in list_baselines(directory):
        run = saved.run
        suite = run.identity["suite"]
        rows.append([saved.name, run.model, suite, str(len(run.frame)), f"{saved.bytes / 1024:.0f}"])
    Terminal().print(as_terminal(rows))


@baseline_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="Name of a baseline, or a run folder.")],
    directory: options.Folder = FOLDER,
) -> None:
    """Show the figures of a baseline and what it was asked with."""
    from mgsd_bench.analysis.summary import summarise
    from mgsd_bench.gating.baselines import find_baseline
    from mgsd_bench.report.tables import results_table
    from mgsd_bench.terminal import Terminal

    run = find_baseline(name, directory)
    console = Terminal()
    for condition, of_it in summarise(run.frame).conditions.items():
        console.print(results_table(condition, of_it, run.model))
        console.print()
    identity = run.identity
    for key in ("suite", "episodes_digest", "prompts", "backend", "sampling", "pixels"):
        console.print(f"{key}: {_line(json.dumps(identity.get(key)))}", highlight=False, soft_wrap=True)


@app.command("power")
def power_command(
    runs: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--from", help="Two runs, to take the discordance from.", metavar="RUN RUN"),
    ] = None,
    discordance: Annotated[
        list[float] | None,
        typer.Option("--discordance", help="Percent of episodes that change by chance; repeatable.", min=0, max=100),
    ] = None,
    suite: options.SuiteName = "mgsd-v1",
    policy: options.PolicyFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the table to this file, as CSV.")] = None,
) -> None:
    """How large a drop does a gate see, and how often does it pass what did not change?"""
    from mgsd_bench.gating.job import choose_policy
    from mgsd_bench.gating.power import design_of
    from mgsd_bench.report.tables import as_terminal
    from mgsd_bench.suites.choose import find_suite
    from mgsd_bench.terminal import Terminal

    asked = choose_policy(policy)
    if runs is not None and discordance:
        raise UserError("power: give either --from or --discordance")
    if runs is None:
        of_suite = find_suite(suite)
        designs = {f"{limit} a level": design_of(of_suite, limit) for limit in (10, 20, 50, 100)}
        cases = [("assumed", share / 100, designs) for share in discordance or (2.0, 5.0, 10.0, 20.0, 30.0)]
    else:
        cases = _measured(runs, asked)
    rows = _power_rows(cases, asked)
    Terminal().print(as_terminal(rows))
    say(
        f"\ndrop found: the smallest true drop, in points, that fails 4 gates out of 5 (margin "
        f"{100 * asked.metrics[0].margin:g}, alpha {asked.alpha:g}, {len(asked.metrics)} metrics); pass: % of "
        "metrics that hold when nothing changed; rule: % of false alarms of the rule 'fail if it is 2 points lower'"
    )
    if out is not None:
        from mgsd_bench.report.text import as_csv, csv_text

        options.write("--out", out, as_csv(map(csv_text, row) for row in rows))


@app.command("noise")
@with_settings(NoiseSettings, optional=True)
def noise_command(
    settings: NoiseSettings | None,
    runs: Annotated[
        tuple[Path, Path] | None, typer.Option("--runs", help="Two runs of one checkpoint.", metavar="RUN RUN")
    ] = None,
    allow: options.Allow = [],  # noqa: B006
) -> None:
    """How much do two runs of the same checkpoint differ? That is the engine's own noise."""
    from mgsd_bench.analysis.run import load_run
    from mgsd_bench.gating.noise import noise, run_twice
    from mgsd_bench.report.tables import as_terminal
    from mgsd_bench.terminal import Terminal

    console = Terminal()
    if settings is not None and runs is None:
        from mgsd_bench.evaluation.evaluate import Evaluation, model_slug

        folder = settings.out or Path("runs") / f"noise-{model_slug(settings.model)}"
        runs = run_twice(Evaluation.from_settings(replace(settings, out=folder), options.note), console)
    elif settings is not None or runs is None:
        raise UserError("noise: give either --runs or --model")
    found = noise(load_run(runs[0]), load_run(runs[1]), options.split(allow))
    head = ["metric", "n", "first", "second", "change", "differ, %", "n differ", "texts differ, %"]
    rows = [head]
    for row in found.metrics:
        figures = [f"{100 * value:.1f}" for value in (row.first, row.second)]
        rows.append(
            [row.title, str(row.n), *figures, f"{100 * row.change:+.2f}", f"{100 * row.discordance:.1f}",
             str(row.differing), f"{100 * row.texts:.1f}"]
        )  # fmt: skip
    console.print(as_terminal(rows))
    target = runs[1] / "noise.json"
    options.write("--out", target, json.dumps(found.to_json(), indent=2) + "\n")
    for note in found.notes:
        console.print(note, highlight=False, soft_wrap=True)
    console.print(f"\nnoise in {target}; a gate's margin must exceed it", highlight=False, soft_wrap=True)


def _measured(runs: tuple[Path, Path], policy: Policy) -> list[tuple[str, float, dict[str, Design]]]:
    """For each primary metric the discordance of two runs, and larger and smaller evaluations of the same mix."""
    from mgsd_bench.analysis.metrics import METRICS
    from mgsd_bench.analysis.run import load_run
    from mgsd_bench.gating.measurement import check, measure
    from mgsd_bench.gating.power import design_of_change

    a, b = (load_run(path) for path in runs)
    check(a, b, policy)
    cases = []
    for rule in policy.metrics:
        if METRICS[rule.metric].of_facts:
            continue  # differences of F1 are no losses and gains
        found = measure(a, b, rule.metric).change
        base = design_of_change(found)
        designs = {f"{factor:g} x": base.scaled(factor) for factor in (0.25, 0.5, 1.0, 2.0, 4.0)}
        cases.append((METRICS[rule.metric].title, found.discordance, designs))
    return cases


def _power_rows(cases: list[tuple[str, float, dict[str, Design]]], policy: Policy) -> list[list[str]]:
    from mgsd_bench.gating.power import chances, detectable_drop, fixed_rule_alarms

    rule, count = policy.metrics[0], len(policy.metrics)
    rows = [["discordance", "of", "episodes", "n", "drop found", "pass", "rule"]]
    for name, share, designs in cases:
        for size, design in designs.items():
            found = detectable_drop(design, share, rule, policy.alpha, count)
            same = chances(design, share, 0.0, rule, policy.alpha, count)
            rows.append(
                [f"{100 * share:.1f} %", name, size, str(design.n), "–" if found is None else f"{100 * found:.1f}",
                 f"{100 * same.held:.0f}", f"{100 * fixed_rule_alarms(design, share, 0.02):.0f}"]
            )  # fmt: skip
    return rows


def _append(path: Path, text: str) -> None:
    """Add to a file that other steps of a job write to as well."""
    from mgsd_bench.files import append

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        append(path, text)
    except OSError as error:
        raise UserError(f"--markdown {path}: cannot be written ({error.strerror or error})") from error


def _line(text: str) -> str:
    from mgsd_bench.report.text import one_line

    return one_line(text)
