"""Commands about suites: suites, suites verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.errors import UserError
from mgsd_bench.plain import say

app = typer.Typer()
suites_app = typer.Typer(help="List the suites, or check external test sets.")
app.add_typer(suites_app, name="suites")


@suites_app.callback(invoke_without_command=True)
def suites_command(context: typer.Context) -> None:
    """List the suites, or check external test sets."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from mgsd_bench.suites.external import EXTERNAL, outline
    from mgsd_bench.suites.suite import SUITES, digest, episodes
    from mgsd_bench.terminal import Terminal

    table = Table("suite", "episodes", "split", "what it is", "digest", pad_edge=False)
    for suite in SUITES.values():
        of_suite = episodes(suite)
        table.add_row(suite.name, str(len(of_suite)), suite.split, suite.about, digest(of_suite)[:12])
    external = Table("with --data-root DIR", "episodes", "what it is", pad_edge=False)
    for name in EXTERNAL:
        whole = outline(name)
        external.add_row(name, f"{sum(part.count for part in whole.parts):,}", whole.about)
    console = Terminal()
    console.print(table)
    console.print()
    console.print(external)


@suites_app.command("verify")
def verify_command(
    folder: Annotated[Path, typer.Argument(help="Folder with others' test sets, at any depth.")],
    image: options.Image = None,
    strict: Annotated[bool, typer.Option("--strict", help="A damaged record is an error.")] = False,
) -> None:
    """Read every external test set under a folder and tell what is wrong with it."""
    from mgsd_bench.report.audit import audit_table, finding_lines
    from mgsd_bench.suites.external import IMAGES, refuse
    from mgsd_bench.suites.external_sets import SETS, Shelf
    from mgsd_bench.terminal import Terminal

    shown = image or "classic"
    if shown not in IMAGES:
        raise UserError(f"--image {image}: choose from {', '.join(IMAGES)}")
    shelf = Shelf(folder)
    loaded = [found for of in SETS if (found := shelf.load(of, of.counts, image=shown)).seen]
    for line in finding_lines(loaded):
        say(line)
    Terminal().print(audit_table([row for of in loaded for row in of.rows()]))
    if not any(of.episodes for of in loaded):
        raise UserError(f"{folder}: holds no usable record of a known test set")
    if strict:
        refuse([finding for of in loaded for finding in of.findings if finding.kind == "bad"])
