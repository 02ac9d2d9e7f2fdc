"""Commands about suites: suites, suites new, suites check, suites verify."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.errors import UserError
from mgsd_bench.plain import say

app = typer.Typer()
suites_app = typer.Typer(help="List suites, write and check suite files, check external test sets.")
app.add_typer(suites_app, name="suites")


@suites_app.callback(invoke_without_command=True)
def suites_command(context: typer.Context) -> None:
    """List the suites, or say more of one."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from mgsd_bench.suites.external import EXTERNAL, outline
    from mgsd_bench.suites.suite_file import shipped_digests, shipped_suite
    from mgsd_bench.terminal import Terminal

    table = Table("suite", "episodes", "split", "what it is", "digest", pad_edge=False)
    for name, holds in shipped_digests().items():
        suite = shipped_suite(name)
        table.add_row(name, str(holds.episodes), suite.split, suite.about, holds.digest[:12])
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


@suites_app.command("new")
def new_command(file: Annotated[Path, typer.Argument(help="A new file, for example my-suite.yaml.")]) -> None:
    """Write a suite file with every key explained, to be changed."""
    from mgsd_bench.suites.suite_file import EXAMPLE

    if file.exists() or file.is_symlink():  # one that leads nowhere, too
        raise UserError(f"{file}: is there already; name a new file")
    options.write("suites new", file, EXAMPLE.format(name=_name_of(file)))
    say(f"wrote {file}; see what it comes to with: mgsd-bench suites check {file}")


def _name_of(file: Path) -> str:
    """A name for the suite of a file."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._")
    return f"{name or 'mine'}-v1"


@suites_app.command("check")
def check_command(
    suite: Annotated[str, typer.Argument(help="A suite file, a folder that `generate` wrote, or a suite's name.")],
    prompts: Annotated[
        str | None, typer.Option("--prompts", help="Prompt set; the suite's own or default if left out.")
    ] = None,
    conditions: Annotated[
        list[str] | None, typer.Option("--condition", help="One-shot conditions to count; the suite's own, or all.")
    ] = None,
) -> None:
    """Say how many states a suite has, how many may be trained on, what chance solves, and what asking costs."""
    from mgsd_bench.config.layers import Layers
    from mgsd_bench.prompts import ONE_SHOT, in_order
    from mgsd_bench.report.suite_check import costs_table, levels_table
    from mgsd_bench.suites.check import check_levels, costs
    from mgsd_bench.suites.choose import asked_by_suite, find_suite
    from mgsd_bench.suites.suite import digest, episodes
    from mgsd_bench.terminal import Terminal

    found = find_suite(suite)
    asked = episodes(found)
    said = asked_by_suite(Layers({"suite": suite}, {})).values
    given = options.split(conditions or [])
    for each in given:
        if each not in ONE_SHOT:
            raise UserError(f"--condition {each}: choose from {', '.join(in_order(ONE_SHOT))}")
    chosen = in_order(ONE_SHOT.intersection(given or said.get("conditions") or ONE_SHOT))
    console = Terminal()
    made = f"{len(asked):,} episodes of the {found.split} split, digest {digest(asked)[:12]}"
    console.print(levels_table(check_levels(found, asked), f"{found.name}: {found.about}; {made}"))
    console.print(costs_table(costs(asked, prompts or said.get("prompts") or "default", chosen)))
