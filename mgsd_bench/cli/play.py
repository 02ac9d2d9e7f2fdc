"""The command that asks a person: play."""

from __future__ import annotations

import typer

from mgsd_bench.cli import options
from mgsd_bench.cli.run import show_results
from mgsd_bench.cli.settings import with_settings
from mgsd_bench.evaluation.settings import PlaySettings
from mgsd_bench.plain import say

app = typer.Typer()


@app.command("play")
@with_settings(PlaySettings)
def play_command(settings: PlaySettings) -> None:
    """Let a person answer the questions of a suite in a browser: a human row for every table."""
    from mgsd_bench.backends.human import Desk, HumanBackend
    from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
    from mgsd_bench.play.end import end_of
    from mgsd_bench.play.server import PlayServer
    from mgsd_bench.terminal import Terminal

    job, desk = Evaluation.from_settings(settings.evaluation(), options.note), Desk()

    def announce() -> None:
        say(f"open {server.url}")
        say(f"answers are kept in {job.out}; Ctrl-C stops, and the same command goes on")

    with PlayServer(desk, settings.port) as server:
        person = HumanBackend(settings.name, desk, job.loop, settings.idle, announce)
        # quiet: nobody who is being asked is to see how much is solved so far
        summary, code = evaluate(job, Terminal(quiet=True), backend=person)
        desk.close(end_of(summary, job.out))
    show_results(job, summary, Terminal())
    if code:
        raise typer.Exit(code)
